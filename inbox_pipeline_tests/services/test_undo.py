"""Undo: a request's sessions leave archive and prearchive whole, and come back as they were."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import InboxError, Rejected
from inbox_pipeline.services import projects, requests, steps, undo
from inbox_pipeline.services.accounts import Account, create_user, get_account
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.trash import KEPT, empty_trash
from inbox_pipeline.services.verify import verify
from inbox_pipeline.store import trash
from inbox_pipeline.store.archive import read_manifest
from inbox_pipeline.store.catalog.schema import audit, sessions
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.crashing import Crash, Effects, watched
from inbox_pipeline_tests.services.importing import file, imported, ledger

VERDICT = ("status", "outcome", "reason", "verdict", "resolution")


@pytest.fixture
def done(site: Site, admin: Account) -> dict[str, Any]:
    """A request that has archived two sessions."""
    folder = session_folder(site.settings.inbox_path / "P" / "visit", study=1)
    session_folder(folder, study=2, PatientID="FAKE002")
    return imported(site, admin, folder)


def tree(site: Site) -> dict[str, str]:
    return {**dict(read_manifest(site.settings.archive_path)), **dict(read_manifest(site.settings.prearchive_path))}


def refused(code: str, work: Any, *arguments: Any) -> None:
    with pytest.raises(Rejected) as failure:
        work(*arguments)
    assert failure.value.code == code


def states(answer: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(session["state"], session["uri"]) for session in answer["sessions"]]


def test_sessions_are_withdrawn_and_restored_with_the_same_accession_ids(
    site: Site, admin: Account, done: dict[str, Any]
) -> None:
    before, rows = tree(site), ledger(site, admin, done["id"])
    told = undo.undo(site, admin, done["id"])
    assert [row["accession"] for row in told["sessions"]] == ["INBOX_E00001", "INBOX_E00002"]
    assert told["sentence"].startswith("2 sessions withdrawn to the trash, and kept there until ")
    answer = requests.request_json(site, done["id"], admin)
    assert (answer["status"], answer["outcome"], answer["reason"]) == ("Failed", "cancelled", "withdrawn")
    assert answer["verdict"] == (
        "Withdrawn: Its sessions were withdrawn by an undo. 0 of 6 files archived; 6 withdrawn by an undo."
    )
    assert states(answer) == [("WITHDRAWN", None)] * 2
    assert answer["files"]["by_disposition"] == {"rejected": 6}
    withdrawn = ledger(site, admin, done["id"]).values()
    assert {(row["reason"], row["archived_path"]) for row in withdrawn} == {("withdrawn", None)}
    assert tree(site) == {}
    assert verify(site).differences == []
    assert verify(site).files == 8
    told = undo.restore(site, admin, done["id"])
    assert (told["sentence"], told["kept_until"]) == ("2 sessions restored.", None)
    again = requests.request_json(site, done["id"], admin)
    assert {name: again[name] for name in VERDICT} == {name: done[name] for name in VERDICT}
    assert states(again) == states(done)
    assert tree(site) == before
    assert ledger(site, admin, done["id"]) == rows
    assert verify(site).differences == []
    assert list(site.settings.trash_path.iterdir()) == []
    with site.catalog.read() as connection:
        actions = connection.execute(sa.select(audit.c.action, audit.c.actor)).all()
    assert {("request.undo", "admin"), ("request.restore", "admin")} <= {tuple(row) for row in actions}


def test_a_session_in_the_prearchive_is_withdrawn_too(site: Site, admin: Account) -> None:
    projects.set_project(site, "admin", "P", prearchive_code=0)
    made = imported(site, admin, session_folder(site.settings.inbox_path / "P" / "visit"))
    before = tree(site)
    undo.undo(site, admin, made["id"])
    assert tree(site) == {}
    undo.restore(site, admin, made["id"])
    assert tree(site) == before
    assert requests.request_json(site, made["id"], admin)["files"] == made["files"]


def test_the_label_is_free_after_an_undo_and_a_restoration_does_not_push_anyone_out(
    site: Site, admin: Account, done: dict[str, Any]
) -> None:
    undo.undo(site, admin, done["id"])
    second = imported(site, admin, site.settings.inbox_path / "P" / "visit")
    assert [session["state"] for session in second["sessions"]] == ["ARCHIVED", "ARCHIVED"]
    refused("place_taken", undo.restore, site, admin, done["id"])
    undo.undo(site, admin, second["id"])
    undo.restore(site, admin, done["id"])
    assert requests.request_json(site, done["id"], admin)["outcome"] == "complete"
    assert verify(site).differences == []


def test_what_lies_at_the_place_when_the_folder_comes_back_is_left_alone(
    site: Site, admin: Account, done: dict[str, Any]
) -> None:
    undo.undo(site, admin, done["id"])
    place = site.settings.archive_path / "P" / "arc001" / done["sessions"][0]["session"]
    real = trash.take_back

    def too_late(entry: Path, root: Path, target: str, staging: Path) -> None:
        place.mkdir(exist_ok=True)
        real(entry, root, target, staging)

    with patch.object(trash, "take_back", too_late), contextlib.suppress(InboxError):
        undo.restore(site, admin, done["id"])
    undo.finish(site)
    place.rmdir()
    undo.restore(site, admin, done["id"])
    assert requests.request_json(site, done["id"], admin)["outcome"] == "complete"
    assert verify(site).differences == []


def test_what_is_refused(site: Site, admin: Account, done: dict[str, Any]) -> None:
    request_id = done["id"]
    refused("request_not_found", undo.undo, site, admin, 99)
    refused("not_withdrawn", undo.restore, site, admin, request_id)
    running = file(site, admin, session_folder(site.settings.inbox_path / "P" / "other", study=3))
    refused("request_active", undo.undo, site, admin, running)
    requests.cancel(site, admin, running)
    refused("nothing_to_undo", undo.undo, site, admin, running)
    undo.undo(site, admin, request_id)
    refused("request_withdrawn", undo.undo, site, admin, request_id)
    refused("request_withdrawn", requests.retry, site, admin, request_id)


def test_a_session_that_others_have_added_to_or_rely_on_stays(site: Site, admin: Account, done: dict[str, Any]) -> None:
    inbox = site.settings.inbox_path / "P"
    relying = imported(site, admin, session_folder(inbox / "same", study=1), overwrite="append")
    assert relying["files"]["by_reason"] == {"duplicate_archived": 3}
    refused("session_changed", undo.undo, site, admin, done["id"])
    refused("session_joined", undo.undo, site, admin, relying["id"])
    assert requests.request_json(site, done["id"], admin)["outcome"] == "complete"


def test_a_session_that_is_being_added_to_is_busy(site: Site, admin: Account, done: dict[str, Any]) -> None:
    adding = file(
        site, admin, session_folder(site.settings.inbox_path / "P" / "more", study=1, files=5), overwrite="append"
    )
    for step in steps.STEPS[:3]:
        steps.run_step(site, adding, step, run_id="adding")
    from inbox_pipeline.store.catalog import commits

    with site.catalog.write() as connection:
        assert commits.take_lock(connection, "P", done["sessions"][0]["session"], adding)
    refused("session_busy", undo.undo, site, admin, done["id"])


def test_a_session_whose_folder_is_gone_is_not_withdrawn(site: Site, admin: Account, done: dict[str, Any]) -> None:
    place = site.settings.archive_path / "P" / "arc001" / done["sessions"][1]["session"]
    place.rename(site.settings.home / "elsewhere")
    refused("session_missing", undo.undo, site, admin, done["id"])
    assert states(requests.request_json(site, done["id"], admin)) == states(done)


def test_only_owners_and_administrators_may(site: Site, admin: Account) -> None:
    accounts = {}
    for login, role in (("owner", "owner"), ("member", "member"), ("stranger", "none")):
        create_user(site, "system", login, "a good password")
        projects.set_member(site, "admin", "P", login, role)
        accounts[login] = get_account(site, login)
    member, owner, stranger = (accounts[name] for name in ("member", "owner", "stranger"))
    assert member is not None
    assert owner is not None
    assert stranger is not None
    made = imported(site, member, session_folder(site.settings.inbox_path / "P" / "visit"))
    refused("forbidden", undo.undo, site, member, made["id"])
    refused("request_not_found", undo.undo, site, stranger, made["id"])
    assert undo.undo(site, owner, made["id"])["sessions"][0]["state"] == "WITHDRAWN"
    refused("forbidden", undo.restore, site, member, made["id"])
    assert undo.restore(site, owner, made["id"])["sessions"][0]["state"] == "ARCHIVED"


def test_retention_deletes_a_withdrawn_session_and_says_so(site: Site, admin: Account, done: dict[str, Any]) -> None:
    undo.undo(site, admin, done["id"])
    now = dt.datetime.now(dt.UTC)
    assert empty_trash(site, now + KEPT - dt.timedelta(minutes=1)) == 0
    assert empty_trash(site, now + KEPT + dt.timedelta(minutes=1)) == 2
    assert states(requests.request_json(site, done["id"], admin)) == [("DELETED", None)] * 2
    refused("restore_too_late", undo.restore, site, admin, done["id"])
    assert verify(site).differences == []


def test_retention_never_deletes_the_only_copy(site: Site, admin: Account) -> None:
    folder = session_folder(site.settings.inbox_path / "P" / "visit")
    made = imported(site, admin, folder, cleanupAfterImport="true")
    told = undo.undo(site, admin, made["id"])
    assert (told["only_copies"], told["kept_until"]) == (3, None)
    assert "the trash holds the only copy" in told["sentence"]
    assert empty_trash(site, dt.datetime.now(dt.UTC) + 10 * KEPT) == 0
    undo.restore(site, admin, made["id"])
    assert verify(site).differences == []


def test_a_trash_on_another_file_system_takes_copies_of_what_is_damaged_too(
    site: Site, admin: Account, done: dict[str, Any]
) -> None:
    real = Path.rename

    def across(self: Path, target: Path) -> Path:
        trees = [site.settings.trash_path in path.parents for path in (self, Path(target))]
        if trees[0] != trees[1]:
            raise OSError(errno.EXDEV, "another file system")
        return real(self, target)

    damaged = next(site.settings.archive_path.rglob("*.dcm"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    before = tree(site)
    with patch.object(Path, "rename", across):
        undo.undo(site, admin, done["id"])
        assert tree(site) == {}
        undo.restore(site, admin, done["id"])
    assert tree(site) == before
    assert list(site.settings.trash_path.iterdir()) == []
    assert list(site.settings.staging_path.iterdir()) == []


@pytest.mark.parametrize("name", ["undo", "restore"])
def test_whoever_dies_on_the_way_leaves_it_to_be_finished(
    site: Site, admin: Account, done: dict[str, Any], name: str
) -> None:
    """Crash before each effect in turn; the rest is finished, and what came before the first one is as if not asked."""
    before = tree(site)
    other = undo.restore if name == "undo" else undo.undo
    if name == "restore":
        undo.undo(site, admin, done["id"])
    point, begun = 0, 0
    while True:
        try:
            with watched(Effects(point)):
                getattr(undo, name)(site, admin, done["id"])
        except Crash:
            undo.finish(site)
        else:
            break
        assert verify(site).differences == []
        with site.catalog.read() as connection:
            found = set(connection.execute(sa.select(sessions.c.state)).scalars())
        assert len(found) == 1
        if found == ({"WITHDRAWN"} if name == "undo" else {"ARCHIVED"}):
            begun += 1
            other(site, admin, done["id"])
        point += 1
    assert begun >= 4
    if name == "undo":
        undo.restore(site, admin, done["id"])
    assert tree(site) == before
