"""Importing into an existing session: what joins, what replaces, what stays out, and that generations change whole."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import projects, requests, scripts, steps, trash
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import verify
from inbox_pipeline.store import filesystem
from inbox_pipeline.store.catalog.schema import instances, scans, session_locks, sessions
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.services.crowd import crowd
from inbox_pipeline_tests.services.importing import imported, ledger


@pytest.fixture(autouse=True, params=["exchange", "two renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a generation gets in its place: as file systems allow."""
    if request.param == "two renames":
        monkeypatch.setattr(filesystem, "exchange", lambda _one, _other: False)
    return str(request.param)


@pytest.fixture
def inbox(site: Site) -> Path:
    return site.settings.inbox_path / "P"


def rows_of(site: Site, table: sa.Table) -> list[Any]:
    with site.catalog.read() as connection:
        return list(connection.execute(sa.select(table)).mappings())


def assert_sound(site: Site) -> None:
    """Catalog and tree agree, counts are right, nothing is left in staging, no lock is held."""
    assert verify(site).differences == []
    assert list(site.settings.staging_path.iterdir()) == []
    assert rows_of(site, session_locks) == []
    for scan in rows_of(site, scans):
        mine = [row for row in rows_of(site, instances) if row["scan_id"] == scan["id"]]
        assert (scan["files"], scan["bytes"]) == (len(mine), sum(row["bytes"] for row in mine))


def names(site: Site) -> dict[str, list[str]]:
    """The archived files by scan."""
    found: dict[str, list[str]] = {}
    for path in sorted(site.settings.archive_path.rglob("*.dcm")):
        found.setdefault(path.parts[-3], []).append(path.name)
    return found


def first(site: Site, admin: Account, inbox: Path, **parameters: str) -> dict[str, Any]:
    return imported(site, admin, session_folder(inbox / "first"), **parameters)


def test_append_adds_files_and_scans_and_keeps_the_rest(site: Site, admin: Account, inbox: Path, way: str) -> None:
    before = first(site, admin, inbox)
    old = {path.name: path.stat().st_ino for path in site.settings.archive_path.rglob("*.dcm")}
    late = session_folder(inbox / "late", files=5)
    save(instance(series=2, number=1), late / "other.dcm")
    answer = imported(site, admin, late, overwrite="append")
    assert (answer["status"], answer["outcome"]) == ("Completed", "complete")
    assert answer["files"]["by_reason"] == {"archived": 3, "duplicate_archived": 3}
    assert [s | {"findings": []} for s in answer["sessions"]] == [s | {"findings": []} for s in before["sessions"]]
    assert {scan: len(files) for scan, files in names(site).items()} == {"1": 5, "2": 1}
    for path in site.settings.archive_path.rglob("*.dcm"):
        assert old.get(path.name, path.stat().st_ino) == path.stat().st_ino
    (session,) = rows_of(site, sessions)
    assert len(rows_of(site, instances)) == 6
    xml = site.settings.archive_path / session["path"] / "SCANS" / "1" / "DICOM" / "scan_1_catalog.xml"
    assert xml.read_text().count("<cat:entry ") == 5
    assert_sound(site)
    (former,) = site.settings.trash_path.iterdir()
    assert len(list(former.rglob("*.dcm"))) == 3


@pytest.mark.parametrize("overwrite", ["", "none", "NONE"])
def test_without_it_an_existing_session_is_a_conflict_whatever_its_files(
    site: Site, admin: Account, inbox: Path, overwrite: str
) -> None:
    first(site, admin, inbox)
    answer = imported(site, admin, session_folder(inbox / "again"), overwrite=overwrite, overwrite_files="true")
    assert answer["files"]["by_reason"] == {"session_exists": 3}
    assert_sound(site)


@pytest.mark.parametrize("overwrite", ["append", "delete", "true", "override"])
def test_the_same_files_again_are_duplicates_and_cleaned_up(
    site: Site, admin: Account, inbox: Path, overwrite: str
) -> None:
    before = first(site, admin, inbox)
    again = session_folder(inbox / "again")
    answer = imported(site, admin, again, overwrite=overwrite, cleanupAfterImport="true")
    assert (answer["outcome"], answer["cleanup"]) == ("complete", "done")
    assert answer["files"]["by_disposition"] == {"duplicate": 3}
    assert [(s["uri"], s["state"], s["files"]) for s in answer["sessions"]] == [
        (before["sessions"][0]["uri"], "ARCHIVED", 0)
    ]
    assert all(row["archived_path"] for row in ledger(site, admin, answer["id"]).values())
    assert not list(again.iterdir())
    assert list(site.settings.trash_path.iterdir()) == []
    assert_sound(site)


def changed(folder: Path) -> Path:
    """The instances 2 and 3 of the first session, 2 with other contents, and 4."""
    save(instance(number=2, Rows=8, Columns=32), folder / "2.dcm")
    save(instance(number=3), folder / "3.dcm")
    save(instance(number=4), folder / "4.dcm")
    return folder


def test_append_alone_rejects_other_contents_of_an_instance(site: Site, admin: Account, inbox: Path) -> None:
    first(site, admin, inbox)
    answer = imported(site, admin, changed(inbox / "b"), overwrite="append", cleanupAfterImport="true")
    assert (answer["outcome"], answer["cleanup"]) == ("partial", "done")
    assert answer["files"]["by_reason"] == {"archived": 1, "duplicate_archived": 1, "sop_uid_conflict": 1}
    assert [path.name for path in (inbox / "b").iterdir()] == ["2.dcm"]
    assert {pydicom.dcmread(path).Rows for path in site.settings.archive_path.rglob("*.dcm")} == {16}
    assert_sound(site)


@pytest.mark.parametrize("asked", [{"overwrite": "append", "overwrite_files": "TRUE"}, {"overwrite": "delete"}, {}])
def test_other_contents_replace_an_instance_where_asked_and_nothing_else_goes(
    site: Site, admin: Account, inbox: Path, asked: dict[str, str]
) -> None:
    first(site, admin, inbox)
    if not asked:
        projects.set_project(site, "admin", "P", prearchive_code=5)
    answer = imported(site, admin, changed(inbox / "b"), **{"overwrite": "append", **asked})
    assert answer["files"]["by_reason"] == {"archived": 2, "duplicate_archived": 1}
    rows = {pydicom.dcmread(path).InstanceNumber: path for path in site.settings.archive_path.rglob("*.dcm")}
    assert {number: pydicom.dcmread(path).Rows for number, path in rows.items()} == {1: 16, 2: 8, 3: 16, 4: 16}
    (former,) = site.settings.trash_path.iterdir()
    assert {pydicom.dcmread(path).Rows for path in former.rglob("*.dcm")} == {16}
    assert_sound(site)


def test_a_replaced_instance_that_a_script_gives_another_uid_leaves_no_second_file(
    site: Site, admin: Account, inbox: Path
) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\n(0008,0018) := newUID[]\n')
    first(site, admin, inbox)
    answer = imported(site, admin, changed(inbox / "b"), overwrite="delete")
    assert answer["files"]["by_disposition"] == {"archived": 2, "duplicate": 1}
    assert sum(len(files) for files in names(site).values()) == 4
    assert_sound(site)


def test_a_taken_scan_number_gives_another_series_its_own_scan_which_later_files_follow(
    site: Site, admin: Account, inbox: Path
) -> None:
    first(site, admin, inbox)
    save(instance(series=2, number=1, SeriesNumber=1), inbox / "b" / "1.dcm")
    imported(site, admin, inbox / "b", overwrite="append")
    save(instance(series=2, number=2, SeriesNumber=1), inbox / "c" / "1.dcm")
    save(instance(series=3, number=1, SeriesNumber=1), inbox / "c" / "2.dcm")
    save(instance(series=1, number=9), inbox / "c" / "3.dcm")
    answer = imported(site, admin, inbox / "c", overwrite="append")
    assert {scan: len(files) for scan, files in names(site).items()} == {"1": 4, "1-MR1": 2, "1-MR2": 1}
    scan_of = {path: row["scan"] for path, row in ledger(site, admin, answer["id"]).items()}
    assert scan_of == {"1.dcm": "1-MR1", "2.dcm": "1-MR2", "3.dcm": "1"}
    assert_sound(site)


def test_another_study_or_subject_under_the_label_waits_in_the_prearchive(
    site: Site, admin: Account, inbox: Path
) -> None:
    first(site, admin, inbox, EXPT_LABEL="E1", SUBJECT_ID="S1")
    other = imported(site, admin, session_folder(inbox / "b", study=2), overwrite="append", EXPT_LABEL="e1")
    assert [(s["state"], s["reason"]) for s in other["sessions"]] == [("CONFLICT", "study_differs")]
    late = session_folder(inbox / "c", files=4)
    other = imported(site, admin, late, overwrite="append", EXPT_LABEL="E1", SUBJECT_ID="S2")
    assert [(s["state"], s["reason"]) for s in other["sessions"]] == [("CONFLICT", "subject_differs")]
    joined = imported(site, admin, late, overwrite="append", EXPT_LABEL="E1")
    assert [(s["subject"], s["state"]) for s in joined["sessions"]] == [("S1", "ARCHIVED")]
    assert_sound(site)


def test_an_accession_id_names_the_session_too(site: Site, admin: Account, inbox: Path) -> None:
    first(site, admin, inbox, EXPT_LABEL="E1")
    answer = imported(site, admin, session_folder(inbox / "b", files=4), overwrite="append", EXPT_LABEL="inbox_e00001")
    assert [(s["session"], s["files"]) for s in answer["sessions"]] == [("E1", 1)]
    projects.create_project(site, "admin", "Q")
    with pytest.raises(Rejected) as refused:
        requests.file_request(
            site,
            admin,
            [("path", str(inbox / "b")), ("PROJECT_ID", "Q"), ("EXPT_LABEL", "INBOX_E00001"), ("overwrite", "append")],
        )
    assert refused.value.code == "session_exists"


def test_a_session_that_is_not_what_the_catalog_says_is_not_built_upon(site: Site, admin: Account, inbox: Path) -> None:
    first(site, admin, inbox)
    next(site.settings.archive_path.rglob("*.dcm")).unlink()
    answer = imported(site, admin, session_folder(inbox / "b", files=5), overwrite="append")
    assert [(s["state"], s["reason"]) for s in answer["sessions"]] == [("CONFLICT", "session_damaged")]
    assert answer["files"]["by_reason"] == {"duplicate_archived": 3, "session_damaged": 2}


def test_a_retry_adds_what_was_left_to_the_session_that_the_request_made(
    site: Site, admin: Account, inbox: Path
) -> None:
    folder = session_folder(inbox / "first")
    whole = (folder / "s1-2.dcm").read_bytes()
    (folder / "s1-2.dcm").write_bytes(whole[:-9])
    answer = imported(site, admin, folder)
    assert answer["outcome"] == "partial"
    (folder / "s1-2.dcm").write_bytes(whole)
    requests.retry(site, admin, answer["id"])
    steps.run_step(site, answer["id"], "archive", run_id="again")
    again = requests.request_json(site, answer["id"], admin)
    assert (again["outcome"], again["files"]["by_reason"]) == ("complete", {"archived": 3})
    assert {(s["state"], s["uri"]) for s in again["sessions"]} == {("ARCHIVED", "/data/experiments/INBOX_E00001")}
    assert_sound(site)


def test_manual_projects_review_what_would_be_added(site: Site, admin: Account, inbox: Path) -> None:
    first(site, admin, inbox)
    projects.set_project(site, "admin", "P", prearchive_code=0)
    answer = imported(site, admin, session_folder(inbox / "b", files=4), overwrite="append")
    assert [(s["state"], s["reason"]) for s in answer["sessions"]] == [("READY", "ready_for_review")]


def test_without_hard_links_files_are_copied(
    site: Site, admin: Account, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first(site, admin, inbox)

    def refuse(_self: Path, _target: Path) -> None:
        raise OSError(1, os.strerror(1))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    answer = imported(site, admin, session_folder(inbox / "b", files=4), overwrite="append")
    assert answer["outcome"] == "complete"
    assert_sound(site)


def test_a_trash_on_another_file_system_gets_a_copy(
    site: Site, admin: Account, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first(site, admin, inbox)
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name.startswith("former"):
            raise OSError(18, os.strerror(18))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    imported(site, admin, session_folder(inbox / "b", files=4), overwrite="append")
    (former,) = site.settings.trash_path.iterdir()
    assert len(list(former.rglob("*.dcm"))) == 3
    assert_sound(site)


def test_the_trash_is_emptied_after_a_month(site: Site, admin: Account, inbox: Path) -> None:
    first(site, admin, inbox)
    imported(site, admin, session_folder(inbox / "b", files=4), overwrite="append")
    (site.settings.trash_path / "something else").mkdir()
    now = dt.datetime.now(dt.UTC)
    assert trash.empty_trash(site, now + dt.timedelta(days=29)) == 0
    assert trash.empty_trash(site, now + dt.timedelta(days=31)) == 1
    assert [path.name for path in site.settings.trash_path.iterdir()] == ["something else"]
    shutil.rmtree(site.settings.trash_path)
    assert trash.empty_trash(site, now) == 0


def test_twenty_requests_at_once_make_the_union(site: Site, admin: Account) -> None:
    crowd(site, admin, workers=20)
