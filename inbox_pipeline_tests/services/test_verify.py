"""Verification: each kind of difference between the trees and the catalog is found and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from inbox_pipeline.cli import main
from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import projects, requests, steps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import Difference, verify
from inbox_pipeline.store.catalog.schema import request_sessions
from inbox_pipeline_tests.data_for_tests import session_folder


def imported(site: Site, admin: Account, project: str, study: int) -> Path:
    """Import one session and return its folder, in the archive or the prearchive."""
    folder = session_folder(site.settings.inbox_path / project / f"v{study}", study=study, PatientID=f"FAKE{study}")
    pairs = [("path", str(folder)), ("PROJECT_ID", project)]
    request_id = requests.file_request(site, admin, pairs).request_id
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id=f"run-{study}")
    row = next(requests.ledger_rows(site, request_id, admin))
    archived = requests.request_json(site, request_id, admin)["sessions"][0]["state"] == "ARCHIVED"
    root = site.settings.archive_path if archived else site.settings.prearchive_path
    return (root / row["archived_path"]).parents[3]


@pytest.fixture
def archived(site: Site, admin: Account) -> Path:
    return imported(site, admin, "P", 1)


@pytest.fixture
def waiting(site: Site, admin: Account) -> Path:
    projects.create_project(site, "admin", "M")
    projects.set_project(site, "admin", "M", prearchive_code=0)
    return imported(site, admin, "M", 2)


def kinds(site: Site, project: str | None = None) -> list[tuple[str, str]]:
    return [(difference.kind, difference.tree) for difference in verify(site, project).differences]


def test_what_was_just_imported_is_as_the_catalog_says(site: Site, archived: Path, waiting: Path) -> None:
    found = verify(site)
    assert (found.sessions, found.files, found.differences) == (2, 8, [])
    everything = [path for root in (archived, waiting) for path in root.rglob("*") if path.is_file()]
    assert found.bytes == sum(path.stat().st_size for path in everything)


def test_one_changed_byte_is_found_and_named(site: Site, archived: Path) -> None:
    path = sorted(archived.rglob("*.dcm"))[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    name = str(path.relative_to(site.settings.archive_path))
    assert verify(site).differences == [Difference("file_changed", "archive", name)]


def test_one_bit_flipped_one_file_deleted_and_one_added_are_these_three_and_nothing_else(
    site: Site, admin: Account, archived: Path, waiting: Path
) -> None:
    others = [imported(site, admin, "P", study) for study in (3, 4)]
    flipped, deleted = sorted(archived.rglob("*.dcm"))[1], sorted(others[0].rglob("*.dcm"))[0]
    added = sorted(others[1].rglob("*.dcm"))[0].with_name("added.dcm")
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1 << 5
    flipped.write_bytes(content)
    added.write_bytes(deleted.read_bytes())
    deleted.unlink()
    named = {"file_changed": flipped, "file_missing": deleted, "file_unknown": added}
    found = verify(site).differences
    assert len(found) == 3
    assert {each.kind: site.settings.archive_path / each.path for each in found} == named


def test_each_other_difference_is_found(site: Site, archived: Path, waiting: Path) -> None:
    first, second, _ = sorted(archived.rglob("*.dcm"))
    first.unlink()
    second.with_name("stray.dcm").write_bytes(b"stray")
    assert kinds(site) == [("file_unknown", "archive"), ("file_missing", "archive")]
    xml = next(waiting.rglob("*.xml"))
    xml.write_text(xml.read_text() + "<!-- -->")
    assert ("catalog_xml_changed", "prearchive") in kinds(site)
    xml.unlink()
    assert ("file_missing", "prearchive") in kinds(site)
    shutil.rmtree(waiting)
    assert ("session_missing", "prearchive") in kinds(site)
    (site.settings.archive_path / "P" / "arc001" / "left-over").mkdir()
    (site.settings.archive_path / "P" / "note.txt").write_text("?")
    unknown = [d.path for d in verify(site).differences if d.kind == "session_unknown"]
    assert unknown == ["P/arc001/left-over", "P/note.txt"]


def test_a_link_in_place_of_a_file_or_session_is_not_followed(site: Site, archived: Path, tmp_path: Path) -> None:
    path = sorted(archived.rglob("*.dcm"))[0]
    path.rename(tmp_path / "same.dcm")
    path.symlink_to(tmp_path / "same.dcm")
    assert kinds(site) == [("file_unknown", "archive")]
    archived.rename(tmp_path / "whole")
    archived.symlink_to(tmp_path / "whole")
    assert kinds(site) == [("session_missing", "archive")]


def test_one_project_alone(site: Site, archived: Path, waiting: Path) -> None:
    next(archived.rglob("*.dcm")).unlink()
    (site.settings.archive_path / "elsewhere").mkdir()
    assert kinds(site, "m") == []
    assert kinds(site, "P") == [("file_missing", "archive")]
    with pytest.raises(Rejected) as failure:
        verify(site, "X")
    assert failure.value.code == "project_not_found"


def test_a_session_whose_commit_is_under_way_is_left_out(site: Site, archived: Path) -> None:
    target = archived.with_name("coming")
    shutil.copytree(archived, target)
    assert kinds(site) == [("session_unknown", "archive")]
    with site.catalog.write() as connection:
        values = {"session_id": None, "intent_token": "t", "intent_target": "P/arc001/coming"}
        row = connection.execute(sa.select(request_sessions)).mappings().one()
        connection.execute(sa.insert(request_sessions).values({**row, "number": 2, **values}))
    assert kinds(site) == []


def test_the_command_ends_with_five_and_names_each_difference(site: Site, archived: Path) -> None:
    home = ["--home", str(site.settings.home)]
    assert CliRunner().invoke(main, ["verify", *home]).exit_code == 0
    path = next(archived.rglob("*.dcm"))
    path.write_bytes(b"")
    done = CliRunner().invoke(main, ["verify", "--project", "P", *home])
    assert done.exit_code == 5
    assert f"file_changed  archive/{path.relative_to(site.settings.archive_path)}" in done.stdout
    found = json.loads(CliRunner().invoke(main, ["verify", "--json", *home]).stdout)
    assert [row["kind"] for row in found["differences"]] == ["file_changed"]
