"""Every refusal at the door, in the order of the contract (section 1.2), with nothing created by any of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import requests
from inbox_pipeline.services.accounts import Account, create_user
from inbox_pipeline.services.projects import create_project, set_member
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import requests as table
from inbox_pipeline_tests.data_for_tests import session_folder


def refused(site: Site, account: Account, **query: str) -> str:
    """Return the code of the refusal, after checking that nothing was created."""
    pairs = [(name.replace("__", "-"), value) for name, value in query.items()]
    with pytest.raises(Rejected) as error:
        requests.file_request(site, account, pairs)
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0
    assert error.value.data["status"] in (400, 403, 409)
    return error.value.code


@pytest.fixture
def stranger(site: Site) -> Account:
    return create_user(site, "admin", "stranger", "a good password")


@pytest.fixture
def folder(site: Site) -> Path:
    return session_folder(site.settings.inbox_path / "P" / "visit")


def test_the_refusals_come_in_the_order_of_the_contract(site: Site, admin: Account, folder: Path) -> None:
    """Each row mends the fault before it and keeps all later ones."""
    inbox = site.settings.inbox_path
    (inbox / "NOPROJECT" / "x").mkdir(parents=True)
    empty = inbox / "P" / "empty"
    empty.mkdir()
    outside = Path(f"{inbox}2") / "P"
    outside.mkdir(parents=True)
    bad = {"EXPT_LABEL": "a b", "SUBJECT_ID": "a/b", "prearchive_code": "1"}
    assert refused(site, admin, **bad) == "prearchive_code_without_project"
    bad["project"] = "NOPE"
    assert refused(site, admin, **bad, identifier="other") == "not_supported"
    assert refused(site, admin, **bad) == "path_missing"
    assert refused(site, admin, **bad, path=str(outside)) == "path_outside_inbox"
    assert refused(site, admin, **bad, path="relative/path") == "path_outside_inbox"
    assert refused(site, admin, **bad, path=f"{inbox}/P/../../etc") == "path_outside_inbox"
    assert refused(site, admin, **bad, path=f"{inbox}/P/none") == "path_not_found"
    assert refused(site, admin, **bad, path=str(inbox / "NOPROJECT" / "x")) == "inbox_project_denied"
    assert refused(site, admin, **bad, path=str(inbox)) == "inbox_project_denied"
    assert refused(site, admin, path=str(empty), EXPT_LABEL="a b") == "project_missing"
    assert refused(site, admin, **bad, path=str(empty)) == "project_denied"
    bad["project"] = "P"
    assert refused(site, admin, **bad, path=str(empty)) == "subject_label_illegal"
    bad["SUBJECT_ID"] = "S1"
    assert refused(site, admin, **bad, path=str(empty)) == "session_label_illegal"
    bad["EXPT_LABEL"] = "E1"
    assert refused(site, admin, **bad, path=str(empty)) == "folder_empty"
    (empty / "x.tar.bz2").write_bytes(b"x")
    assert refused(site, admin, **bad, path=str(empty / "x.tar.bz2")) == "path_not_a_folder"
    assert refused(site, admin, **bad, path=str(folder / "s1-1.dcm")) == "path_not_a_folder"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Direct__Archive", "true"),
        ("Custom__Processing", "true"),
        ("identifier", "other"),
        ("namer", "other"),
    ],
)
def test_parameters_that_are_not_built_yet_are_refused(
    site: Site, admin: Account, folder: Path, name: str, value: str
) -> None:
    assert refused(site, admin, path=str(folder), PROJECT_ID="P", **{name: value}) == "not_supported"


def test_their_defaults_and_unknown_parameters_are_accepted_and_recorded(
    site: Site, admin: Account, folder: Path
) -> None:
    pairs = [
        ("path", str(folder)),
        ("project", "P"),
        ("experiment", "E1"),
        ("overwrite", "none"),
        ("overwrite_files", "false"),
        ("prevent_anon", ""),
        ("identifier", "dicomObjectIdentifier"),
        ("rename", "true"),
        ("SOURCE", "inbox"),
        ("whatever", "x"),
        ("whatever", "y"),
    ]
    filed = requests.file_request(site, admin, pairs)
    recorded = requests.request_json(site, filed.request_id, admin)["parameters"]
    assert recorded["whatever"] == "y"
    assert (recorded["EXPT_LABEL"], recorded["PROJECT_ID"], recorded["rename"]) == ("E1", "P", "true")
    assert (recorded["allowSessionMerge"], recorded["overrideExceptions"]) == ("false", "false")


def test_a_link_out_of_the_inbox_does_not_count_as_inside(
    site: Site, admin: Account, folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (site.settings.inbox_path / "P" / "link").symlink_to(elsewhere)
    assert refused(site, admin, path=str(site.settings.inbox_path / "P" / "link"), PROJECT_ID="P") == (
        "path_outside_inbox"
    )


def test_people_without_rights_do_not_learn_what_exists(site: Site, stranger: Account, folder: Path) -> None:
    for path in (folder, folder.parent / "nothing"):
        assert refused(site, stranger, path=str(path), PROJECT_ID="P") == "inbox_project_denied"
    create_project(site, "admin", "Q", owner="stranger")
    mine = session_folder(site.settings.inbox_path / "Q" / "visit")
    assert refused(site, stranger, path=str(mine), PROJECT_ID="P") == "project_denied"
    assert refused(site, stranger, path=str(mine), PROJECT_ID="NOPE") == "project_denied"
    set_member(site, "admin", "P", "stranger", "collaborator")
    assert refused(site, stranger, path=str(mine), PROJECT_ID="P") == "project_denied"


def test_another_users_request_is_not_found(site: Site, admin: Account, stranger: Account, folder: Path) -> None:
    filed = requests.file_request(site, admin, [("path", str(folder)), ("PROJECT_ID", "P")])
    for ask in (requests.request_json, requests.ledger_rows):
        with pytest.raises(Rejected) as error:
            ask(site, filed.request_id, stranger)
        assert error.value.code == "request_not_found"
    assert requests.list_requests(site, stranger, active=False) == []


def test_a_folder_that_cannot_be_read_is_refused(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def denied(path: object) -> object:
        if path == os.fsencode(folder):
            raise PermissionError
        return real(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", denied)
    assert refused(site, admin, path=str(folder), PROJECT_ID="P") == "folder_unreadable"


def test_a_folder_whose_name_is_not_utf8_can_be_asked_for(site: Site, admin: Account, folder: Path) -> None:
    odd = os.fsdecode(os.fsencode(folder) + b"\xe9")
    folder.rename(odd)
    filed = requests.file_request(site, admin, [("path", odd), ("PROJECT_ID", "P")])
    answer = requests.request_json(site, filed.request_id, admin)
    assert answer["sessionPath"].endswith("visit\\xe9")
    assert refused_again(site, admin, f"{odd}\x00") == "path_outside_inbox"


def refused_again(site: Site, account: Account, path: str) -> str:
    with pytest.raises(Rejected) as error:
        requests.file_request(site, account, [("path", path), ("PROJECT_ID", "P")])
    return error.value.code


def test_only_owners_and_administrators_import_without_anonymization(
    site: Site, admin: Account, stranger: Account, folder: Path
) -> None:
    set_member(site, "admin", "P", "stranger", "member")
    query = {"path": str(folder), "PROJECT_ID": "P", "prevent_anon": "True"}
    assert refused(site, stranger, **query) == "prevent_anon_denied"
    set_member(site, "admin", "P", "stranger", "owner")
    assert requests.file_request(site, stranger, query.items()).request_id
