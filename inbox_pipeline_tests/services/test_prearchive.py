"""Archiving from the prearchive: the same commit as an import's, and the import learns of its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import prearchive, projects, requests, scripts, steps, undo
from inbox_pipeline.services.accounts import Account, create_user
from inbox_pipeline.services.ending import end_request
from inbox_pipeline.services.leftovers import remove_leftovers
from inbox_pipeline.services.prearchive import Place, Wish
from inbox_pipeline.services.settling import settle_given_up
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import verify
from inbox_pipeline.store.catalog.schema import audit, session_locks
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.services.crashing import Crash, attempt, bury
from inbox_pipeline_tests.services.importing import imported, ledger

APPEND = {"overwrite": "append"}


@pytest.fixture
def manual(site: Site) -> Path:
    projects.set_project(site, "admin", "P", prearchive_code=0)
    return site.settings.inbox_path / "P"


def place_of(answer: dict[str, Any]) -> Place:
    return Place(*answer["sessions"][0]["uri"].split("/")[4:7])


def archived(site: Site, account: Account, place: Place, wish: Wish | None = None) -> dict[str, Any]:
    """Ask for the archiving of a session, do it, and return the request."""
    request_id = prearchive.archive(site, account, place, wish or Wish())
    try:
        for step in steps.STEPS:
            steps.run_step(site, request_id, step, run_id=f"run-{request_id}")
    except Rejected:
        pass
    return requests.request_json(site, request_id, account)


def assert_sound(site: Site) -> None:
    assert verify(site).differences == []
    assert list(site.settings.staging_path.iterdir()) == []
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(session_locks)).all() == []


def test_a_session_goes_to_the_archive_and_its_import_learns_of_it(site: Site, admin: Account, manual: Path) -> None:
    folder = session_folder(manual / "visit")
    before = imported(site, admin, folder, cleanupAfterImport="true")
    assert (before["cleanup"], before["sessions"][0]["state"]) == ("pending", "READY")
    answer = archived(site, admin, place_of(before))
    assert (answer["status"], answer["outcome"]) == ("Completed", "complete")
    uri = answer["sessions"][0]["uri"]
    assert answer["resolution"].endswith(uri)
    after = requests.request_json(site, before["id"], admin)
    assert (after["status"], after["outcome"], after["cleanup"]) == ("Completed", "complete", "done")
    assert [(s["state"], s["uri"], s["reason"]) for s in after["sessions"]] == [("ARCHIVED", uri, None)]
    assert after["files"]["by_reason"] == {"archived": 3}
    assert list(folder.iterdir()) == []
    for row in ledger(site, admin, before["id"]).values():
        assert (site.settings.archive_path / row["archived_path"]).is_file()
    assert prearchive.sessions(site, admin) == []
    assert not list(site.settings.prearchive_path.rglob("*.dcm"))
    assert_sound(site)
    assert requests.list_requests(site, admin, active=False) == [after]


def test_a_retry_of_the_import_and_an_undo_find_the_archived_session(site: Site, admin: Account, manual: Path) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    archived(site, admin, place_of(before))
    told = undo.undo(site, admin, before["id"])
    assert [session["state"] for session in told["sessions"]] == ["WITHDRAWN"]
    undo.restore(site, admin, before["id"])
    assert requests.request_json(site, before["id"], admin)["sessions"][0]["state"] == "ARCHIVED"
    assert_sound(site)


@pytest.mark.parametrize(
    ("parameters", "reason", "files"),
    [
        ({}, "session_exists", 3),
        (APPEND, "files_exist", 3),
        (APPEND | {"overwrite_files": "true"}, "complete", 5),
        ({"overwrite": "delete"}, "complete", 5),
    ],
)
def test_archiving_into_a_session_that_is_there(
    site: Site, admin: Account, manual: Path, parameters: dict[str, str], reason: str, files: int
) -> None:
    archived(site, admin, place_of(imported(site, admin, session_folder(manual / "first"))))
    second = imported(site, admin, session_folder(manual / "second", files=5))
    place = place_of(second)
    answer = archived(site, admin, place, Wish(parameters=parameters))
    with site.catalog.read() as connection:
        (last,) = connection.execute(
            sa.text("SELECT reason FROM requests WHERE id = :id"), {"id": answer["id"]}
        ).scalars()
    assert last == reason
    assert len(list(site.settings.archive_path.rglob("*.dcm"))) == files
    if reason == "complete":
        assert requests.request_json(site, second["id"], admin)["sessions"][0]["state"] == "ARCHIVED"
    else:
        session = prearchive.session(site, admin, place)
        assert (session["state"], session["reason"]) == ("CONFLICT", reason)
        assert len(list((site.settings.prearchive_path / session["path"]).rglob("*.dcm"))) == 5
    assert_sound(site)


def test_new_files_alone_are_appended(site: Site, admin: Account, manual: Path) -> None:
    archived(site, admin, place_of(imported(site, admin, session_folder(manual / "first"))))
    for number in (7, 8):
        save(instance(series=2, number=number), manual / "second" / f"{number}.dcm")
    answer = archived(site, admin, place_of(imported(site, admin, manual / "second")), Wish(parameters=APPEND))
    assert answer["outcome"] == "complete"
    assert len(list(site.settings.archive_path.rglob("*.dcm"))) == 5
    assert_sound(site)


def test_the_project_script_runs_when_a_session_enters_the_archive(site: Site, admin: Account, manual: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\n(0008,0080) := "CORE"\n(0020,0010) := session\n', "P")
    projects.set_project(site, "admin", "P", script_enabled=True)
    before = imported(site, admin, session_folder(manual / "visit"))
    inside = [pydicom.dcmread(path) for path in site.settings.prearchive_path.rglob("*.dcm")]
    assert {ds.get("InstitutionName") for ds in inside} != {"CORE"}
    archived(site, admin, place_of(before))
    outputs = [pydicom.dcmread(path) for path in site.settings.archive_path.rglob("*.dcm")]
    assert len(outputs) == 3
    assert {ds.InstitutionName for ds in outputs} == {"CORE"}
    assert {ds.StudyID for ds in outputs} == {before["sessions"][0]["session"]}
    assert {len(ds.DeidentificationMethodCodeSequence) for ds in outputs} == {2}
    assert_sound(site)


def test_other_labels_are_written_by_the_lines_that_wrote_the_first(site: Site, admin: Account, manual: Path) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    wish = Wish(subject_label="S9", session_label="E9")
    answer = archived(site, admin, place_of(before), wish)
    assert answer["outcome"] == "complete", answer["verdict"]
    assert [(s["subject"], s["session"]) for s in answer["sessions"]] == [("S9", "E9")]
    outputs = [pydicom.dcmread(path) for path in site.settings.archive_path.rglob("*.dcm")]
    assert {(str(ds.PatientName), ds.PatientID, ds.StudyDescription) for ds in outputs} == {("S9", "E9", "P")}
    assert {path.parts[-5] for path in site.settings.archive_path.rglob("*.dcm")} == {"E9"}
    assert_sound(site)


def test_labels_that_a_script_has_worked_into_other_values_stay(site: Site, admin: Account, manual: Path) -> None:
    text = 'version "6.3"\n(0010,0020) := concatenate[session, (0008,0060)]\n'
    scripts.store_script(site, "admin", text)
    before = imported(site, admin, session_folder(manual / "visit"))
    place = place_of(before)
    answer = archived(site, admin, place, Wish(session_label="E9"))
    assert (answer["status"], answer["verdict"].count("under the new ones")) == ("Failed", 1)
    assert prearchive.session(site, admin, place)["reason"] == "labels_fixed"
    prearchive.rebuild(site, admin, place)
    assert archived(site, admin, place)["outcome"] == "complete"


@pytest.mark.parametrize(
    "text", ['version "6.3"\nreject[]\n', 'version "6.3"\n(0008,0080) := substring["abc", 5, 9]\n']
)
def test_a_project_script_that_leaves_nothing_leaves_the_session(
    site: Site, admin: Account, manual: Path, text: str
) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    place = place_of(before)
    scripts.store_script(site, "admin", text, "P")
    projects.set_project(site, "admin", "P", script_enabled=True)
    answer = archived(site, admin, place)
    assert answer["status"] == "Failed", answer["verdict"]
    session = prearchive.session(site, admin, place)
    assert session["state"] == "ERROR"
    assert session["reason"] in ("nothing_left", "script_failed")
    assert len(list((site.settings.prearchive_path / session["path"]).rglob("*.dcm"))) == 3
    assert_sound(site)


def test_files_that_changed_in_the_prearchive_are_not_archived(site: Site, admin: Account, manual: Path) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    place = place_of(before)
    path = next(site.settings.prearchive_path.rglob("*.dcm"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert archived(site, admin, place)["status"] == "Failed"
    assert prearchive.session(site, admin, place)["reason"] == "prearchive_changed"
    assert prearchive.rebuild(site, admin, place)["state"] == "ERROR"
    assert list(site.settings.archive_path.rglob("*.dcm")) == []


def test_a_session_that_is_being_archived_is_locked(site: Site, admin: Account, manual: Path) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    place = place_of(before)
    request_id = prearchive.archive(site, admin, place, Wish())
    for refused in (
        lambda: prearchive.archive(site, admin, place, Wish()),
        lambda: prearchive.delete(site, admin, place),
        lambda: prearchive.rebuild(site, admin, place),
    ):
        with pytest.raises(Rejected) as error:
            refused()
        assert error.value.code == "session_locked"
    with pytest.raises(Rejected) as error:
        undo.undo(site, admin, before["id"])
    assert error.value.code == "session_busy"
    requests.cancel(site, admin, request_id)
    assert prearchive.session(site, admin, place)["state"] == "READY"
    with pytest.raises(Rejected) as error:
        requests.retry(site, admin, request_id)
    assert error.value.code == "archive_again"


def test_under_basic_a_session_goes_in_byte_for_byte(site: Site, admin: Account, manual: Path) -> None:
    projects.set_project(site, "admin", "P", policy="basic")
    before = imported(site, admin, session_folder(manual / "visit", PatientID="WOODS77", PatientName="WOODS^ALAN"))
    place = place_of(before)
    staged = sorted(path.read_bytes() for path in site.settings.prearchive_path.rglob("*.dcm"))
    own = before["sessions"][0]
    answer = archived(site, admin, place, Wish(subject_label=own["subject"], session_label=own["session"]))
    assert answer["outcome"] == "complete"
    assert sorted(path.read_bytes() for path in site.settings.archive_path.rglob("*.dcm")) == staged
    assert_sound(site)


def test_the_audit_trail_has_no_label(site: Site, admin: Account, manual: Path) -> None:
    before = imported(site, admin, session_folder(manual / "visit", PatientID="CANARY77"))
    prearchive.rebuild(site, admin, place_of(before))
    archived(site, admin, place_of(before))
    again = session_folder(manual / "again", study=2, PatientID="CANARY78")
    prearchive.delete(site, admin, place_of(imported(site, admin, again)))
    with site.catalog.read() as connection:
        trail = [str(dict(row)) for row in connection.execute(sa.select(audit)).mappings()]
    assert len([line for line in trail if "'prearchive." in line]) == 3
    assert not [line for line in trail if "CANARY" in line]


def test_only_who_may_edit_the_project_may_archive(site: Site, admin: Account, manual: Path) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    reader = create_user(site, "system", "reader", "a good password")
    for role in (None, "collaborator"):
        if role:
            projects.set_member(site, "admin", "P", "reader", role)
        with pytest.raises(Rejected) as error:
            prearchive.archive(site, reader, place_of(before), Wish())
        assert error.value.code == "prearchive_denied"
    projects.set_member(site, "admin", "P", "reader", "member")
    with pytest.raises(Rejected) as error:
        prearchive.session(site, reader, Place("P", "20260101_000000000", "none"))
    assert error.value.code == "prearchive_session_not_found"
    projects.create_project(site, "system", "Q")
    with pytest.raises(Rejected) as error:
        prearchive.archive(site, reader, place_of(before), Wish(project_id="Q"))
    assert error.value.code == "project_denied"


def test_a_deleted_session_is_told_by_its_import_and_kept_in_the_trash(
    site: Site, admin: Account, manual: Path
) -> None:
    before = imported(site, admin, session_folder(manual / "visit"), cleanupAfterImport="true")
    prearchive.delete(site, admin, place_of(before))
    after = requests.request_json(site, before["id"], admin)
    assert (after["status"], after["cleanup"]) == ("Failed", "partial")
    assert after["files"]["by_reason"] == {"deleted_in_review": 3}
    assert after["files"]["by_disposition"] == {"rejected": 3}
    assert prearchive.sessions(site, admin) == []
    assert len(list(site.settings.trash_path.rglob("*.dcm"))) == 3
    assert_sound(site)


def test_a_crash_before_any_effect_ends_in_the_same_archive(site: Site, admin: Account, manual: Path) -> None:
    number = crash_at = 0
    while True:
        number += 1
        folder = session_folder(manual / f"visit{number}", study=number, PatientID=f"P{number}")
        before = imported(site, admin, folder, cleanupAfterImport="true")
        request_id = prearchive.archive(site, admin, place_of(before), Wish())
        try:
            effects = attempt(site, request_id, "first", crash_at)
        except Crash:
            assert bury(site, request_id) in ("queued", "")
            attempt(site, request_id, "second", None)
        else:
            assert len(effects.seen) <= crash_at
            break
        crash_at += 1
        after = requests.request_json(site, before["id"], admin)
        assert (after["cleanup"], after["sessions"][0]["state"]) == ("done", "ARCHIVED"), (crash_at, after)
        assert requests.request_json(site, request_id, admin)["outcome"] == "complete"
        assert_sound(site)
    assert crash_at > 15


def test_a_trash_that_cannot_be_written_keeps_no_session_from_the_archive(
    site: Site, admin: Account, manual: Path
) -> None:
    before = imported(site, admin, session_folder(manual / "visit"), cleanupAfterImport="true")
    site.settings.trash_path.rmdir()
    site.settings.trash_path.write_text("a file where the trash should be")
    answer = archived(site, admin, place_of(before))
    assert (answer["status"], answer["outcome"]) == ("Completed", "complete")
    after = requests.request_json(site, before["id"], admin)
    assert (after["cleanup"], after["sessions"][0]["state"]) == ("done", "ARCHIVED")
    assert [(found.kind, found.tree) for found in verify(site).differences] == [("session_left", "prearchive")]
    assert prearchive.sessions(site, admin) == []
    with pytest.raises(OSError):
        settle_given_up(site)
    site.settings.trash_path.unlink()
    site.settings.trash_path.mkdir()
    assert settle_given_up(site) == [answer["id"]]
    assert len(list(site.settings.trash_path.rglob("*.dcm"))) == 3
    assert requests.request_json(site, before["id"], admin)["cleanup"] == "done"
    assert_sound(site)


def test_archiving_that_was_given_up_after_its_commit_is_settled_later(
    site: Site, admin: Account, manual: Path
) -> None:
    """Whatever the run that has archived the session had done before it died, and the trash is away meanwhile."""
    number = crash_at = settled = 0
    while True:
        number += 1
        folder = session_folder(manual / f"visit{number}", study=number, PatientID=f"P{number}")
        before = imported(site, admin, folder, cleanupAfterImport="true")
        request_id = prearchive.archive(site, admin, place_of(before), Wish())
        try:
            attempt(site, request_id, "first", crash_at, since="archive")
        except Crash:
            crash_at += 1
        else:
            break
        if requests.request_json(site, before["id"], admin)["sessions"][0]["state"] != "ARCHIVED":
            assert bury(site, request_id) == "queued"
            attempt(site, request_id, "second", None)
            continue
        with site.catalog.write() as connection:
            end_request(connection, request_id, ("worker_died", {"count": 3}))
        remove_leftovers(site)
        settle_given_up(site)
        assert settle_given_up(site) == []
        after = requests.request_json(site, before["id"], admin)
        assert (after["outcome"], after["cleanup"] in ("done", "partial")) == ("complete", True)
        assert_sound(site)
        settled += 1
    assert settled > 5
