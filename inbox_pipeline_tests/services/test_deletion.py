"""Deleting in the archive: what was deleted is out of sight, tells so everywhere, and comes back as it was."""

from __future__ import annotations

import datetime as dt
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import browse, deletion, prearchive, projects, requests, scripts, steps, undo
from inbox_pipeline.services.accounts import Account, create_user, get_account
from inbox_pipeline.services.prearchive import Place
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.trash import KEPT, empty_trash
from inbox_pipeline.services.verify import verify
from inbox_pipeline.store.archive import read_manifest
from inbox_pipeline.store.catalog import commits, schema
from inbox_pipeline.store.catalog.views import Wanted
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.services.crashing import Crash, Effects, watched
from inbox_pipeline_tests.services.importing import file, imported, ledger

TOLD = ("status", "outcome", "reason", "verdict", "resolution", "files", "sessions", "cleanup")
LABELS = {"SUBJECT_ID": "S", "EXPT_LABEL": "E"}


@pytest.fixture
def inbox(site: Site) -> Path:
    return site.settings.inbox_path / "P"


@pytest.fixture
def done(site: Site, admin: Account, inbox: Path) -> dict[str, Any]:
    """A request that has archived a session of two scans, with three files and one."""
    save(instance(series=2, modality="CT"), session_folder(inbox / "visit") / "other.dcm")
    return imported(site, admin, inbox / "visit", **LABELS)


def session(site: Site, admin: Account, name: str = "E") -> Any:
    return browse.find_session(site, admin, name, "P")


def delete_session(site: Site, account: Account, name: str = "E") -> None:
    deletion.delete_session(site, account, session(site, account, name))


def delete_scan(site: Site, account: Account, label: str = "1") -> None:
    found = session(site, account)
    deletion.delete_scan(site, account, found, browse.find_scan(site, found, label))


def restore(site: Site, account: Account, nth: int = 0) -> dict[str, Any]:
    return deletion.restore(site, account, "P", deletion.list_deleted(site, "P")[nth]["id"])


def tree(site: Site) -> dict[str, str]:
    return dict(read_manifest(site.settings.archive_path))


def told(site: Site, admin: Account, request_id: int) -> dict[str, Any]:
    answer = requests.request_json(site, request_id, admin)
    return {name: answer[name] for name in TOLD}


def reasons(site: Site, admin: Account, request_id: int) -> set[tuple[str, str]]:
    return {(row["disposition"], row["reason"]) for row in ledger(site, admin, request_id).values()}


def refused(code: str, work: Callable[..., Any], *arguments: Any) -> None:
    with pytest.raises(Rejected) as failure:
        work(*arguments)
    assert failure.value.code == code


def rows(site: Site) -> list[Any]:
    """Everything that the catalog holds of sessions, in the order of their keys."""
    tables = (schema.sessions, schema.scans, schema.instances, schema.request_sessions, schema.subjects)
    with site.catalog.read() as connection:
        return [connection.execute(sa.select(table).order_by(*table.primary_key)).all() for table in tables]


def audited(site: Site) -> list[tuple[str, str]]:
    with site.catalog.read() as connection:
        lines = connection.execute(sa.select(schema.audit.c.action, schema.audit.c.object).order_by(schema.audit.c.id))
        return [(row.action, row.object) for row in lines if row.action.endswith((".delete", "n.restore"))]


def assert_sound(site: Site) -> None:
    assert verify(site).differences == []
    assert list(site.settings.staging_path.iterdir()) == []
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(schema.session_locks)).all() == []


@contextmanager
def trash_elsewhere(site: Site) -> Iterator[None]:
    """Let the trash be on another file system."""
    real = Path.rename

    def across(self: Path, target: Path) -> Path:
        inside = [site.settings.trash_path in path.parents for path in (self, Path(target))]
        if inside[0] != inside[1]:
            raise OSError(errno.EXDEV, "another file system")
        return real(self, target)

    with patch.object(Path, "rename", across):
        yield


class UntilOneIsThere(Effects):
    """Crashes before the next effect once a session is in the archive."""

    def __init__(self, site: Site, admin: Account) -> None:
        super().__init__()
        self.site, self.admin = site, admin

    def happen(self, name: str) -> None:
        if browse.list_sessions(self.site, self.admin, Wanted(), "P").rows:
            raise Crash(name)


def test_a_session_is_deleted_and_restored_as_it_was(site: Site, admin: Account, done: dict[str, Any]) -> None:
    before, everything, files = told(site, admin, done["id"]), rows(site), tree(site)
    delete_session(site, admin)
    refused("not_found", session, site, admin)
    assert tree(site) == {}
    answer = told(site, admin, done["id"])
    assert (answer["status"], answer["outcome"], answer["reason"]) == ("Failed", "cancelled", "deleted_from_archive")
    assert answer["verdict"] == (
        "Deleted: Its sessions were deleted from the archive. 0 of 4 files archived; 4 deleted from the archive."
    )
    assert [(each["state"], each["uri"]) for each in answer["sessions"]] == [("WITHDRAWN", None)]
    assert answer["resolution"] == answer["verdict"]
    assert reasons(site, admin, done["id"]) == {("rejected", "deleted_from_archive")}
    assert {row["archived_path"] for row in ledger(site, admin, done["id"]).values()} == {None}
    assert_sound(site)
    (listed,) = deletion.list_deleted(site, "P")
    assert (listed["accession"], listed["session"], listed["scan"]) == ("INBOX_E00001", "E", None)
    assert (listed["files"], listed["only_copies"]) == (4, 0)
    assert dt.datetime.fromisoformat(listed["kept_until"]) - dt.datetime.fromisoformat(listed["deleted_at"]) == KEPT
    assert restore(site, admin) == listed
    assert (told(site, admin, done["id"]), rows(site), tree(site)) == (before, everything, files)
    assert deletion.list_deleted(site, "P") == []
    assert audited(site) == [("session.delete", "INBOX_E00001"), ("session.restore", "INBOX_E00001")]
    assert_sound(site)


def test_a_scan_is_deleted_and_restored_as_it_was(site: Site, admin: Account, done: dict[str, Any]) -> None:
    before, everything, files = told(site, admin, done["id"]), rows(site), tree(site)
    assert session(site, admin)["xsi_type"] == "xnat:mrSessionData"
    delete_scan(site, admin)
    left = session(site, admin)
    assert [scan["label"] for scan in browse.list_scans(site, left, Wanted()).rows] == ["2"]
    assert (left["xsi_type"], left["modality"]) == ("xnat:ctSessionData", "CT")
    assert {Path(name).parts[4] for name in tree(site)} == {"2"}
    answer = told(site, admin, done["id"])
    assert answer["verdict"] == (
        "Partial: 1 of 4 files archived in 1 session (1: INBOX_E00001); 3 deleted from the archive."
    )
    assert (answer["status"], answer["outcome"]) == ("Completed", "partial")
    assert reasons(site, admin, done["id"]) == {("archived", "archived"), ("rejected", "deleted_from_archive")}
    (listed,) = deletion.list_deleted(site, "P")
    assert (listed["accession"], listed["session"], listed["scan"], listed["files"]) == ("INBOX_E00001", "E", "1", 3)
    assert verify(site).sessions == 2
    assert_sound(site)
    restore(site, admin)
    assert (told(site, admin, done["id"]), rows(site), tree(site)) == (before, everything, files)
    assert list(site.settings.trash_path.iterdir()) == []
    assert audited(site) == [("scan.delete", "INBOX_E00001"), ("scan.restore", "INBOX_E00001")]
    assert_sound(site)


@pytest.mark.parametrize("delete", [delete_session, delete_scan])
def test_all_requests_whose_files_it_holds_say_so(
    site: Site, admin: Account, inbox: Path, done: dict[str, Any], delete: Callable[..., None]
) -> None:
    save(instance(series=1, number=9), session_folder(inbox / "more") / "new.dcm")
    second = imported(site, admin, inbox / "more", **LABELS, overwrite="append", cleanupAfterImport="true")
    third = imported(site, admin, session_folder(inbox / "same"), **LABELS, overwrite="append")
    assert (second["cleanup"], third["files"]["by_reason"]) == ("done", {"duplicate_archived": 3})
    numbers = [done["id"], second["id"], third["id"]]
    before = [(told(site, admin, number), reasons(site, admin, number)) for number in numbers]
    delete(site, admin)
    for number in numbers:
        assert ("rejected", "deleted_from_archive") in reasons(site, admin, number)
    for number in numbers[1:]:
        assert reasons(site, admin, number) == {("rejected", "deleted_from_archive")}
    (listed,) = deletion.list_deleted(site, "P")
    assert (listed["only_copies"], listed["kept_until"]) == (4, None)
    assert empty_trash(site, dt.datetime.now(dt.UTC) + 2 * KEPT) == 1, "only the generation before the second import"
    restore(site, admin)
    assert [(told(site, admin, number), reasons(site, admin, number)) for number in numbers] == before
    assert_sound(site)


def test_the_label_is_free_and_a_restoration_pushes_nobody_out(
    site: Site, admin: Account, inbox: Path, done: dict[str, Any]
) -> None:
    delete_session(site, admin)
    again = imported(site, admin, inbox / "visit", **LABELS)
    assert again["outcome"] == "complete"
    refused("place_taken", restore, site, admin)
    delete_session(site, admin)
    assert [each["accession"] for each in deletion.list_deleted(site, "P")] == ["INBOX_E00002", "INBOX_E00001"]
    restore(site, admin, 1)
    assert session(site, admin)["accession"] == "INBOX_E00001"
    assert told(site, admin, done["id"])["outcome"] == "complete"
    assert_sound(site)


def test_a_scan_of_which_files_were_imported_since_stays_in_the_trash(
    site: Site, admin: Account, inbox: Path, done: dict[str, Any]
) -> None:
    delete_scan(site, admin)
    again = imported(site, admin, inbox / "visit", **LABELS, overwrite="append")
    assert again["files"]["by_reason"] == {"archived": 3, "duplicate_archived": 1}
    refused("place_taken", restore, site, admin)
    delete_scan(site, admin)
    restore(site, admin, 1)
    assert told(site, admin, done["id"])["outcome"] == "complete"
    assert reasons(site, admin, again["id"]) == {
        ("duplicate", "duplicate_archived"),
        ("rejected", "deleted_from_archive"),
    }
    assert_sound(site)


def test_the_last_scan_is_the_session(site: Site, admin: Account, done: dict[str, Any]) -> None:
    delete_scan(site, admin)
    refused("last_scan", delete_scan, site, admin, "2")
    delete_session(site, admin)
    assert told(site, admin, done["id"])["reason"] == "deleted_from_archive"
    refused("session_deleted", restore, site, admin, 1)
    assert empty_trash(site, dt.datetime.now(dt.UTC) + 2 * KEPT) == 1, "the session stays as long as its scan"
    restore(site, admin, 0)
    assert empty_trash(site, dt.datetime.now(dt.UTC) + 2 * KEPT) == 0
    assert told(site, admin, done["id"])["outcome"] == "partial"
    assert_sound(site)


def test_retention_ends_what_can_be_restored(site: Site, admin: Account, done: dict[str, Any]) -> None:
    delete_scan(site, admin)
    (scan,) = deletion.list_deleted(site, "P")
    delete_session(site, admin)
    assert empty_trash(site, dt.datetime.now(dt.UTC) + KEPT - dt.timedelta(minutes=1)) == 0
    assert [empty_trash(site, dt.datetime.now(dt.UTC) + 2 * KEPT) for _ in range(3)] == [1, 1, 0]
    assert deletion.list_deleted(site, "P") == []
    refused("deleted_not_found", deletion.restore, site, admin, "P", scan["id"])
    assert reasons(site, admin, done["id"]) == {("rejected", "deleted_from_archive")}
    assert_sound(site)


def test_what_a_request_is_working_on_is_busy(site: Site, admin: Account, inbox: Path, done: dict[str, Any]) -> None:
    save(instance(number=7), inbox / "more" / "7.dcm")
    adding = file(site, admin, inbox / "more", **LABELS, overwrite="append")
    for step in steps.STEPS[:3]:
        steps.run_step(site, adding, step, run_id="adding")
    with site.catalog.write() as connection:
        assert commits.take_lock(connection, "P", "E", adding)
    for delete in (delete_session, delete_scan):
        refused("session_busy", delete, site, admin)
    refused("session_busy", deletion.delete_subject, site, admin, browse.find_subject(site, admin, "S", "P"))
    steps.run_step(site, adding, "archive", run_id="adding")
    assert browse.find_subject(site, admin, "S", "P")["accession"] == "INBOX_S00001"
    delete_session(site, admin)
    assert_sound(site)


def test_a_request_that_has_not_ended_keeps_the_sessions_it_has_made(site: Site, admin: Account, inbox: Path) -> None:
    session_folder(session_folder(inbox / "visit"), study=2, PatientID="FAKE002")
    request_id = file(site, admin, inbox / "visit")
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run")
    with pytest.raises(Crash), watched(UntilOneIsThere(site, admin)):
        steps.run_step(site, request_id, "archive", run_id="run")
    (made,) = browse.list_sessions(site, admin, Wanted(), "P").rows
    refused("session_busy", deletion.delete_session, site, admin, made)


def test_an_import_waits_while_a_scan_is_on_its_way(site: Site, admin: Account, done: dict[str, Any]) -> None:
    with pytest.raises(Crash), watched(Effects(1)):
        delete_scan(site, admin)
    with site.catalog.write() as connection:
        assert not commits.take_lock(connection, "P", "E", done["id"])
    refused("session_busy", delete_session, site, admin)
    undo.finish(site)
    with site.catalog.write() as connection:
        assert commits.take_lock(connection, "P", "E", done["id"])


def test_only_owners_delete_and_restore(site: Site, admin: Account, done: dict[str, Any]) -> None:
    accounts = {}
    for login, role in (("owner", "owner"), ("member", "member")):
        create_user(site, "system", login, "a good password")
        projects.set_member(site, "admin", "P", login, role)
        accounts[login] = get_account(site, login)
    owner, member = accounts["owner"], accounts["member"]
    assert owner is not None
    assert member is not None
    subject = browse.find_subject(site, admin, "S", "P")
    refused("forbidden", delete_session, site, member)
    refused("forbidden", delete_scan, site, member)
    refused("forbidden", deletion.delete_subject, site, member, subject)
    refused("forbidden", deletion.delete_project, site, member, "P")
    delete_scan(site, owner)
    refused("forbidden", restore, site, member)
    restore(site, owner)
    assert told(site, admin, done["id"])["outcome"] == "complete"


def test_a_subject_goes_with_its_sessions_and_comes_back_with_them(
    site: Site, admin: Account, inbox: Path, done: dict[str, Any]
) -> None:
    second = imported(site, admin, session_folder(inbox / "next", study=2), SUBJECT_ID="s", EXPT_LABEL="E2")
    before = rows(site)
    deletion.delete_subject(site, admin, browse.find_subject(site, admin, "S", "P"))
    assert tree(site) == {}
    assert browse.list_subjects(site, admin, Wanted(), "P").rows == []
    refused("not_found", browse.find_subject, site, admin, "S", "P")
    assert [told(site, admin, each["id"])["reason"] for each in (done, second)] == ["deleted_from_archive"] * 2
    assert len(deletion.list_deleted(site, "P")) == 2
    restore(site, admin)
    assert browse.find_subject(site, admin, "S", "P")["accession"] == "INBOX_S00001"
    restore(site, admin)
    assert rows(site) == before
    assert ("subject.delete", "INBOX_S00001") in audited(site)
    assert_sound(site)


def test_a_deleted_subject_is_there_again_with_its_next_session(
    site: Site, admin: Account, inbox: Path, done: dict[str, Any]
) -> None:
    deletion.delete_subject(site, admin, browse.find_subject(site, admin, "S", "P"))
    imported(site, admin, inbox / "visit", **LABELS)
    assert browse.find_subject(site, admin, "S", "P")["accession"] == "INBOX_S00001"
    assert session(site, admin)["subject_accession"] == "INBOX_S00001"


def test_a_project_is_deleted_once_it_holds_nothing(
    site: Site, admin: Account, inbox: Path, done: dict[str, Any]
) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\n(0010,0010) := subject\n', "P")
    projects.set_project(site, "admin", "P", script_enabled=True, title="Former")
    refused("project_not_empty", deletion.delete_project, site, admin, "P")
    delete_session(site, admin)
    waiting = file(site, admin, inbox / "visit")
    refused("project_not_empty", deletion.delete_project, site, admin, "P")
    requests.cancel(site, admin, waiting)
    deletion.delete_project(site, admin, "P")
    refused("project_not_found", projects.show_project, site, "P")
    assert [each["id"] for each in projects.list_projects(site)] == []
    assert browse.list_projects(site, admin, Wanted()).rows == []
    assert browse.list_subjects(site, admin, Wanted()).rows == []
    refused("inbox_project_denied", file, site, admin, inbox / "visit")
    assert told(site, admin, done["id"])["reason"] == "deleted_from_archive"
    assert (inbox / "visit").is_dir()
    refused("label_taken_by_user", projects.create_project, site, "admin", "p")
    assert verify(site).differences == []
    again = projects.create_project(site, "admin", "P")
    assert (again["title"], again["script_enabled"], again["members"]) == ("", False, {})
    assert scripts.active_script(site, "P") is None
    assert [each["removed"] for each in scripts.script_versions(site, "P")] == [True, False]
    restore(site, admin)
    assert session(site, admin)["accession"] == "INBOX_E00001"
    assert ("project.delete", "P") in audited(site)
    assert_sound(site)


def test_an_undo_is_not_restored_into_a_project_that_is_none(site: Site, admin: Account, done: dict[str, Any]) -> None:
    undo.undo(site, admin, done["id"])
    deletion.delete_project(site, admin, "P")
    with pytest.raises(Rejected):
        undo.restore(site, admin, done["id"])
    projects.create_project(site, "admin", "P")
    undo.restore(site, admin, done["id"])
    assert browse.find_subject(site, admin, "S", "P")["accession"] == "INBOX_S00001"
    assert_sound(site)


def test_an_undo_takes_what_is_left_and_gives_that_back(site: Site, admin: Account, inbox: Path) -> None:
    folder = session_folder(session_folder(inbox / "visit"), study=2, PatientID="FAKE002")
    made = imported(site, admin, folder)
    before = told(site, admin, made["id"])
    first, second = (each["session"] for each in made["sessions"])
    delete_session(site, admin, first)
    assert told(site, admin, made["id"])["verdict"].startswith("Partial: 3 of 6 files archived in 1 session (2: ")
    undo.undo(site, admin, made["id"])
    assert told(site, admin, made["id"])["reason"] == "withdrawn"
    restore(site, admin)
    assert told(site, admin, made["id"])["reason"] == "withdrawn"
    undo.restore(site, admin, made["id"])
    assert told(site, admin, made["id"]) == before
    delete_session(site, admin, first)
    undo.undo(site, admin, made["id"])
    undo.restore(site, admin, made["id"])
    assert session(site, admin, second)
    refused("not_found", session, site, admin, first)
    restore(site, admin)
    assert told(site, admin, made["id"]) == before
    assert_sound(site)


def test_a_retry_does_not_import_again_what_was_deleted(site: Site, admin: Account, inbox: Path) -> None:
    folder = session_folder(inbox / "visit")
    (folder / "cut.dcm").write_bytes(next(folder.glob("*.dcm")).read_bytes()[:600])
    save(instance(series=2), folder / "other.dcm")
    made = imported(site, admin, folder, **LABELS)
    before = told(site, admin, made["id"])
    delete_scan(site, admin)
    requests.retry(site, admin, made["id"])
    for step in steps.STEPS:
        steps.run_step(site, made["id"], step, run_id="again")
    assert told(site, admin, made["id"])["files"]["by_reason"]["deleted_from_archive"] == 3
    restore(site, admin)
    assert told(site, admin, made["id"])["files"] == before["files"]
    delete_session(site, admin)
    refused("request_deleted", requests.retry, site, admin, made["id"])
    assert_sound(site)


def test_a_request_that_was_stopped_gets_its_own_verdict_back(site: Site, admin: Account, inbox: Path) -> None:
    session_folder(session_folder(inbox / "visit"), study=2, PatientID="FAKE002")
    request_id = file(site, admin, inbox / "visit")
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run")
    with pytest.raises(Crash), watched(UntilOneIsThere(site, admin)):
        steps.run_step(site, request_id, "archive", run_id="run")
    with site.catalog.write() as connection:
        connection.execute(sa.update(schema.requests).values(lease_token=None, lease_until=None, status="Queued"))
    requests.cancel(site, admin, request_id)
    before = told(site, admin, request_id)
    assert before["verdict"].startswith("Cancelled: The request was cancelled. 3 of 6 files archived")
    (made,) = browse.list_sessions(site, admin, Wanted(), "P").rows
    deletion.delete_session(site, admin, made)
    assert told(site, admin, request_id)["verdict"].startswith("Deleted: ")
    restore(site, admin)
    assert told(site, admin, request_id) == before


def test_a_session_that_came_by_the_prearchive_is_deleted_and_restored(site: Site, admin: Account, inbox: Path) -> None:
    projects.set_project(site, "admin", "P", prearchive_code=0)
    made = imported(site, admin, session_folder(inbox / "visit"), **LABELS)
    place = Place(*made["sessions"][0]["uri"].split("/")[4:7])
    review = prearchive.archive(site, admin, place, prearchive.Wish())
    for step in steps.STEPS:
        steps.run_step(site, review, step, run_id="review")
    before = told(site, admin, made["id"])
    delete_session(site, admin)
    assert told(site, admin, made["id"])["files"]["by_reason"] == {"deleted_from_archive": 3}
    restore(site, admin)
    assert told(site, admin, made["id"]) == before
    assert_sound(site)


def test_what_lies_at_a_scans_place_is_left_alone(site: Site, admin: Account, done: dict[str, Any]) -> None:
    delete_scan(site, admin)
    place = site.settings.archive_path / session(site, admin)["path"] / "SCANS" / "1"
    place.mkdir()
    for elsewhere in (False, True):
        with trash_elsewhere(site) if elsewhere else watched(Effects()):
            refused("place_taken", restore, site, admin)
        assert len(deletion.list_deleted(site, "P")) == 1
    place.rmdir()
    restore(site, admin)
    assert told(site, admin, done["id"])["outcome"] == "complete"
    assert_sound(site)


def test_a_session_that_is_not_what_the_catalog_says_keeps_its_scans(
    site: Site, admin: Account, done: dict[str, Any]
) -> None:
    folder = site.settings.archive_path / session(site, admin)["path"]
    catalog = next(folder.glob("SCANS/2/DICOM/*.xml"))
    content = catalog.read_bytes()
    catalog.write_bytes(b"<changed/>")
    refused("session_missing", delete_scan, site, admin)
    catalog.unlink()
    refused("session_missing", delete_scan, site, admin)
    catalog.write_bytes(content)
    folder.rename(folder.with_name("away"))
    refused("session_missing", delete_session, site, admin)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["beside", "elsewhere"])
@pytest.mark.parametrize("restoring", [False, True], ids=["delete", "restore"])
@pytest.mark.parametrize("delete", [delete_session, delete_scan])
def test_whoever_dies_on_the_way_leaves_it_to_be_finished(
    site: Site, admin: Account, done: dict[str, Any], delete: Callable[..., None], restoring: bool, elsewhere: bool
) -> None:
    """Crash before each effect in turn; the rest is finished, and what came before the first one is as if not asked."""
    work: Callable[..., Any] = restore if restoring else delete
    before, files = told(site, admin, done["id"]), tree(site)
    if restoring:
        delete(site, admin)
    point, begun = 0, 0
    while True:
        deleted = bool(deletion.list_deleted(site, "P"))
        with trash_elsewhere(site) if elsewhere else watched(Effects()):
            try:
                with watched(Effects(point)):
                    work(site, admin)
            except Crash:
                assert verify(site).differences == []
                undo.finish(site)
            else:
                break
        assert_sound(site)
        if bool(deletion.list_deleted(site, "P")) != deleted:
            begun += 1
            (delete if restoring else restore)(site, admin)
        point += 1
    assert begun >= 4
    if not restoring:
        restore(site, admin)
    assert (told(site, admin, done["id"]), tree(site)) == (before, files)
    assert_sound(site)
