"""An import from folder to archive, step by step, on a real site."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pydicom
import pytest

from inbox_pipeline.errors import Cancelled, LeaseLost, Rejected
from inbox_pipeline.services import projects, queue, requests, scripts, steps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.cleanup import clean_up
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder


def file(site: Site, admin: Account, folder: Path, **parameters: str) -> int:
    pairs = [("path", str(folder)), ("PROJECT_ID", "P"), *parameters.items()]
    return requests.file_request(site, admin, pairs).request_id


def run(site: Site, request_id: int, run_id: str = "run-1") -> None:
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id=run_id)


def done(site: Site, admin: Account, folder: Path, **parameters: str) -> dict:
    request_id = file(site, admin, folder, **parameters)
    with contextlib.suppress(Rejected):
        run(site, request_id)
    return requests.request_json(site, request_id, admin)


def rows(site: Site, admin: Account, request_id: int) -> dict[str, dict]:
    return {row["source_path"]: row for row in requests.ledger_rows(site, request_id, admin)}


@pytest.fixture
def folder(site: Site) -> Path:
    return session_folder(site.settings.inbox_path / "P" / "visit")


def test_a_clean_folder_becomes_one_archived_session(site: Site, admin: Account, folder: Path) -> None:
    answer = done(site, admin, folder)
    assert (answer["status"], answer["outcome"]) == ("Completed", "complete")
    assert answer["files"]["by_disposition"] == {"archived": 3}
    assert answer["sessions"][0]["uri"] == "/data/experiments/INBOX_E00001"
    assert answer["resolution"] == f"{answer['verdict']} /data/experiments/INBOX_E00001"
    for row in requests.ledger_rows(site, answer["id"], admin):
        archived = pydicom.dcmread(site.settings.archive_path / row["archived_path"])
        source = pydicom.dcmread(folder / row["source_path"])
        assert (archived.PatientName, archived.PatientID) == ("FAKE_PATIENT", "FAKE001")
        assert archived.StudyDescription == "P"
        assert archived.PixelData == source.PixelData
        assert archived[0x0012, 0x0064].value[-1].CodingSchemeDesignator == "XNAT"
    assert not list(site.settings.staging_path.iterdir())


def test_the_source_stays_unless_cleanup_was_asked_for(site: Site, admin: Account, folder: Path) -> None:
    before = sorted(folder.iterdir())
    assert done(site, admin, folder, cleanupAfterImport="")["cleanup"] == "off"
    assert sorted(folder.iterdir()) == before


def test_cleanup_deletes_only_what_was_archived(site: Site, admin: Account) -> None:
    folder = site.settings.inbox_path / "P" / "mixed"
    good = save(instance(number=1), folder / "good.dcm")
    (folder / "copy.dcm").write_bytes(good.read_bytes())
    whole = save(instance(number=2), folder / "a.dcm").read_bytes()
    save(instance(number=2, PatientID="FAKE001", StudyDescription="OTHER"), folder / "b.dcm")
    (folder / "truncated.dcm").write_bytes(whole[:-100])
    (folder / "note.txt").write_text("hello")
    answer = done(site, admin, folder, cleanupAfterImport="TRUE")
    found = rows(site, admin, answer["id"])
    assert found["copy.dcm"]["reason"] == "archived"
    assert found["good.dcm"]["reason"] == "duplicate_in_request"
    assert found["b.dcm"]["reason"] == "sop_uid_conflict"
    assert found["truncated.dcm"]["reason"] == "truncated"
    assert found["note.txt"]["reason"] == "not_dicom"
    assert {path.name for path in folder.iterdir()} == {"b.dcm", "truncated.dcm", "note.txt"}
    assert (answer["status"], answer["outcome"], answer["cleanup"]) == ("Completed", "partial", "done")
    assert sum(answer["files"]["by_disposition"].values()) == answer["files"]["found"] == 6


def test_cleanup_keeps_a_source_whose_archived_bytes_are_wrong(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = file(site, admin, folder, cleanupAfterImport="true")
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run-1")
    staged = next(site.settings.staging_path.rglob("*.3.dcm"))
    flipped = bytearray(staged.read_bytes())
    flipped[-1] ^= 1
    staged.write_bytes(flipped)
    steps.run_step(site, request_id, "archive", run_id="run-1")
    answer = requests.request_json(site, request_id, admin)
    assert [path.name for path in folder.iterdir()] == ["s1-3.dcm"]
    assert answer["cleanup"] == "partial"


def test_a_manual_project_completes_when_the_session_is_ready(site: Site, admin: Account, folder: Path) -> None:
    projects.set_project(site, "admin", "P", prearchive_code=0)
    answer = done(site, admin, folder, cleanupAfterImport="true")
    assert (answer["status"], answer["outcome"], answer["cleanup"]) == ("Completed", "complete", "pending")
    assert answer["sessions"][0]["state"] == "READY"
    assert answer["sessions"][0]["uri"].startswith("/data/prearchive/projects/P/")
    assert len(list(folder.iterdir())) == 3
    assert len(list(site.settings.prearchive_path.rglob("*.dcm"))) == 3


def test_an_explicit_label_over_two_studies_fails_before_any_byte_is_written(site: Site, admin: Account) -> None:
    folder = session_folder(site.settings.inbox_path / "P" / "two", study=1)
    session_folder(folder, study=2)
    answer = done(site, admin, folder, EXPT_LABEL="E1")
    assert (answer["status"], answer["outcome"], answer["reason"]) == ("Failed", "failed", "several_studies_one_label")
    assert answer["files"]["by_reason"] == {"several_studies_one_label": 6}
    assert not list(site.settings.staging_path.rglob("*"))


def test_two_studies_of_one_label_are_never_merged(site: Site, admin: Account) -> None:
    folder = session_folder(site.settings.inbox_path / "P" / "two", study=2)
    session_folder(folder, study=1)
    answer = done(site, admin, folder)
    states = [(s["state"], s["reason"], s["files"]) for s in answer["sessions"]]
    assert states == [("ARCHIVED", None, 3), ("CONFLICT", "label_taken", 3)]
    assert (answer["status"], answer["outcome"]) == ("Failed", "partial")


def test_blank_patients_of_two_studies_are_not_merged(site: Site, admin: Account) -> None:
    folder = session_folder(site.settings.inbox_path / "P" / "b", study=1, PatientID="", PatientName="")
    session_folder(folder, study=2, PatientID=None, PatientName=None)
    answer = done(site, admin, folder)
    assert [(s["session"], s["subject"], s["state"]) for s in answer["sessions"]] == [
        ("dicom_upload", "dicom_upload", "ARCHIVED"),
        ("dicom_upload", "dicom_upload", "CONFLICT"),
    ]


def test_several_patients_in_one_study_wait_for_a_person(site: Site, admin: Account) -> None:
    folder = site.settings.inbox_path / "P" / "torn"
    save(instance(number=1), folder / "1.dcm")
    save(instance(number=2, PatientID="FAKE002"), folder / "2.dcm")
    answer = done(site, admin, folder, EXPT_LABEL="E")
    assert {s["reason"] for s in answer["sessions"]} == {"patient_conflict"}
    assert len(answer["sessions"]) == 2
    assert answer["outcome"] == "failed"
    assert answer["files"]["by_disposition"] == {"prearchived": 2}


def test_an_existing_session_is_a_conflict(site: Site, admin: Account, folder: Path) -> None:
    done(site, admin, folder)
    again = session_folder(site.settings.inbox_path / "P" / "again")
    answer = done(site, admin, again)
    assert [(s["state"], s["reason"]) for s in answer["sessions"]] == [("CONFLICT", "session_exists")]
    with pytest.raises(Rejected) as refused:
        file(site, admin, again, EXPT_LABEL="fake001")
    assert refused.value.code == "session_exists"
    with pytest.raises(Rejected) as refused:
        file(site, admin, again, EXPT_LABEL="inbox_e00001")
    assert refused.value.code == "session_exists"


def test_a_script_error_holds_the_file_and_names_the_line(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.1"\n(0008,1030) := substring[(0010,0020), 0, 99]\n')
    answer = done(site, admin, folder)
    found = rows(site, admin, answer["id"])
    assert {(row["disposition"], row["reason"], row["detail"]) for row in found.values()} == {
        ("held", "script_error", "site script 2, line 2: (0010,0020): the text has no such part")
    }
    assert (answer["outcome"], answer["reason"]) == ("failed", "nothing_importable")
    assert [(s["state"], s["reason"], s["files"]) for s in answer["sessions"]] == [("ERROR", "script_error", 0)]
    assert not list(site.settings.archive_path.rglob("*.dcm"))


def test_a_second_run_is_refused_while_the_first_holds_the_lease(site: Site, admin: Account, folder: Path) -> None:
    request_id = file(site, admin, folder)
    steps.run_step(site, request_id, "scan", run_id="run-1")
    with pytest.raises(Rejected) as refused:
        steps.run_step(site, request_id, "scan", run_id="run-2")
    assert refused.value.code == "request_leased"
    run(site, request_id)
    with pytest.raises(Rejected) as refused:
        steps.run_step(site, request_id, "scan", run_id="run-3")
    assert refused.value.code == "request_final"


def expire(site: Site, request_id: int) -> None:
    from inbox_pipeline.store.catalog import requests as rows_of

    with site.catalog.write() as connection:
        rows_of.update(connection, request_id, lease_until=1.0)


def test_an_expired_attempt_is_continued_by_the_next_and_fenced_off(site: Site, admin: Account, folder: Path) -> None:
    request_id = file(site, admin, folder)
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run-1")
    staged = {path.name: path.stat().st_ino for path in site.settings.staging_path.rglob("*.dcm")}
    expire(site, request_id)
    (item,) = queue.expired(site)
    assert queue.requeue(site, item) == "queued"
    assert [(due.request_id, due.attempt) for due in queue.due_launches(site, 5)] == [(request_id, 2)]
    steps.run_step(site, request_id, "scan", run_id="run-2")
    assert {path.name: path.stat().st_ino for path in site.settings.staging_path.rglob("*.dcm")} == staged
    with pytest.raises((Rejected, LeaseLost)):
        steps.run_step(site, request_id, "archive", run_id="run-1")
    steps.run_step(site, request_id, "archive", run_id="run-2")
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["attempt"]) == ("Completed", 2)
    assert len(list(site.settings.archive_path.rglob("*.dcm"))) == 3


def test_three_attempts_that_make_nothing_durable_end_the_request(site: Site, admin: Account, folder: Path) -> None:
    request_id = file(site, admin, folder)
    for attempt in range(3):
        steps.run_step(site, request_id, "scan", run_id=f"run-{attempt}")
        expire(site, request_id)
        (item,) = queue.expired(site)
        outcome = queue.requeue(site, item)
    assert outcome == "failed"
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["reason"]) == ("Failed", "worker_died")
    assert answer["files"]["by_reason"] == {"request_failed": 3}


def test_cancel_ends_a_waiting_request_at_once(site: Site, admin: Account, folder: Path) -> None:
    request_id = file(site, admin, folder)
    requests.cancel(site, admin, request_id)
    assert requests.request_json(site, request_id, admin)["outcome"] == "cancelled"


def test_cancel_stops_a_running_request_and_empties_staging(site: Site, admin: Account, folder: Path) -> None:
    request_id = file(site, admin, folder, cleanupAfterImport="true")
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run-1")
    running = requests.request_json(site, request_id, admin)
    assert [(s["state"], s["uri"]) for s in running["sessions"]] == [("RECEIVING", None)]
    requests.cancel(site, admin, request_id)
    with pytest.raises(Cancelled):
        steps.run_step(site, request_id, "archive", run_id="run-1")
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["outcome"]) == ("Failed", "cancelled")
    assert answer["files"]["by_reason"] == {"cancelled": 3}
    assert (answer["cleanup"], answer["sessions"][0]["state"]) == ("partial", "ERROR")
    assert not list(site.settings.staging_path.iterdir())
    assert not list(site.settings.archive_path.rglob("*.dcm"))


def test_a_cancel_that_a_dead_worker_never_saw_is_carried_out_by_the_next_attempt(
    site: Site, admin: Account, folder: Path
) -> None:
    request_id = file(site, admin, folder)
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run-1")
    requests.cancel(site, admin, request_id)
    expire(site, request_id)
    (item,) = queue.expired(site)
    assert queue.requeue(site, item) == "queued"
    assert [due.request_id for due in queue.due_launches(site, 5)] == [request_id]
    with pytest.raises(Cancelled):
        steps.run_step(site, request_id, "scan", run_id="run-2")
    assert requests.request_json(site, request_id, admin)["outcome"] == "cancelled"
    assert not list(site.settings.staging_path.iterdir())


def test_a_retry_imports_what_was_left(site: Site, admin: Account) -> None:
    folder = site.settings.inbox_path / "P" / "late"
    whole = save(instance(), folder / "1.dcm").read_bytes()
    (folder / "1.dcm").write_bytes(whole[:-10])
    answer = done(site, admin, folder)
    assert answer["reason"] == "nothing_importable"
    (folder / "1.dcm").write_bytes(whole)
    requests.retry(site, admin, answer["id"])
    run(site, answer["id"], "run-2")
    again = requests.request_json(site, answer["id"], admin)
    assert (again["outcome"], again["attempt"]) == ("complete", 2)
    with pytest.raises(Rejected) as refused:
        requests.retry(site, admin, answer["id"])
    assert refused.value.code == "nothing_to_retry"


def test_a_retry_after_cleanup_leaves_what_was_cleaned_up_alone(site: Site, admin: Account) -> None:
    folder = site.settings.inbox_path / "P" / "late"
    good = save(instance(), folder / "1.dcm").read_bytes()
    (folder / "copy.dcm").write_bytes(good)
    whole = save(instance(study=2, PatientID="FAKE002"), folder / "2.dcm").read_bytes()
    (folder / "2.dcm").write_bytes(whole[:-10])
    answer = done(site, admin, folder, cleanupAfterImport="true")
    assert [path.name for path in folder.iterdir()] == ["2.dcm"]
    (folder / "2.dcm").write_bytes(whole)
    requests.retry(site, admin, answer["id"])
    run(site, answer["id"], "run-2")
    again = requests.request_json(site, answer["id"], admin)
    assert (again["outcome"], again["cleanup"]) == ("complete", "done")
    assert again["files"]["by_reason"] == {"archived": 2, "duplicate_in_request": 1}
    assert all(row["deleted_at"] for row in rows(site, admin, answer["id"]).values())


def test_a_run_started_by_hand_on_a_failed_request_is_its_next_attempt(site: Site, admin: Account) -> None:
    folder = site.settings.inbox_path / "P" / "torn"
    save(instance(number=1), folder / "1.dcm")
    other = save(instance(number=2, PatientID="FAKE002"), folder / "2.dcm")
    (folder / "3.txt").write_text("x")
    answer = done(site, admin, session_folder(site.settings.inbox_path / "P" / "two", study=2), EXPT_LABEL="E")
    assert answer["status"] == "Completed"
    other.write_bytes(b"not DICOM any more")
    (folder / "1.dcm").write_bytes((folder / "1.dcm").read_bytes()[:-9])
    failed = done(site, admin, folder)
    assert failed["reason"] == "nothing_importable"
    save(instance(number=1), folder / "1.dcm")
    steps.run_step(site, failed["id"], "archive", run_id="run-2")
    again = requests.request_json(site, failed["id"], admin)
    assert (again["status"], again["outcome"], again["attempt"]) == ("Completed", "partial", 2)
    assert again["files"]["by_reason"] == {"archived": 1, "not_dicom": 2}


def test_a_file_that_changed_since_the_scan_is_not_imported(site: Site, admin: Account, folder: Path) -> None:
    request_id = file(site, admin, folder)
    for step in steps.STEPS[:2]:
        steps.run_step(site, request_id, step, run_id="run-1")
    os.utime(folder / "s1-1.dcm", ns=(1, 1))
    (folder / "s1-2.dcm").unlink()
    for step in steps.STEPS[2:]:
        steps.run_step(site, request_id, step, run_id="run-1")
    found = rows(site, admin, request_id)
    assert [found[f"s1-{n}.dcm"]["reason"] for n in (1, 2, 3)] == ["source_changed", "source_vanished", "archived"]


def test_a_staged_file_that_vanishes_fails_the_request_and_no_session_appears(
    site: Site, admin: Account, folder: Path
) -> None:
    request_id = file(site, admin, folder, cleanupAfterImport="true")
    for step in steps.STEPS[:-1]:
        steps.run_step(site, request_id, step, run_id="run-1")
    next(path for path in site.settings.staging_path.rglob("*") if path.is_file()).unlink()
    with pytest.raises(Rejected, match="vanished"):
        steps.run_step(site, request_id, steps.STEPS[-1], run_id="run-1")
    assert requests.request_json(site, request_id, admin)["status"] == "Failed"
    assert not list(site.settings.archive_path.rglob("*.dcm"))
    assert len(list(folder.iterdir())) == 3


def test_links_are_never_followed_out_of_the_folder(site: Site, admin: Account, folder: Path, tmp_path: Path) -> None:
    outside = save(instance(number=9), tmp_path / "outside.dcm")
    (folder / "out.dcm").symlink_to(outside)
    (folder / "in.dcm").symlink_to(folder / "s1-1.dcm")
    (folder / "gone.dcm").symlink_to(folder / "nothing")
    (folder / "up").symlink_to(tmp_path)
    found = rows(site, admin, done(site, admin, folder)["id"])
    assert found["out.dcm"]["reason"] == "link_leaves_folder"
    assert found["up"]["reason"] == "link_leaves_folder"
    assert found["in.dcm"]["reason"] == "link_inside"
    assert found["gone.dcm"]["reason"] == "link_broken"
    assert len(found) == 7


def test_a_subject_is_the_existing_one_of_that_label_or_accession_id_whatever_its_case(
    site: Site, admin: Account
) -> None:
    inbox = site.settings.inbox_path / "P"
    asked = [
        {"SUBJECT_ID": "Subj", "EXPT_LABEL": "A"},
        {"SUBJECT_ID": "sUBJ", "EXPT_LABEL": "B"},
        {"SUBJECT_ID": "inbox_s00001", "EXPT_LABEL": "C"},
        {"EXPT_LABEL": "D"},
    ]
    told = []
    for number, labels in enumerate(asked, 1):
        folder = session_folder(inbox / str(number), files=1, study=number, PatientName="subj")
        told += [session["subject"] for session in done(site, admin, folder, **labels)["sessions"]]
    assert told == ["Subj"] * 4


def test_a_session_whose_files_are_all_held_is_an_error_beside_one_that_arrived(
    site: Site, admin: Account, folder: Path
) -> None:
    session_folder(folder, study=2, PatientID="FAKE002")
    failing = 'version "6.1"\n(0010,0020) = "FAKE002" ? (0008,1030) := substring[(0010,0010), 0, 9999]\n'
    scripts.store_script(site, "admin", failing)
    answer = done(site, admin, folder)
    assert (answer["status"], answer["outcome"]) == ("Failed", "partial")
    assert answer["files"]["by_reason"] == {"archived": 3, "script_error": 3}
    told = [(s["session"], s["state"], s["reason"], s["uri"] is None) for s in answer["sessions"]]
    assert told == [("FAKE001", "ARCHIVED", None, False), ("FAKE002", "ERROR", "script_error", True)]


def test_names_that_are_not_utf8_are_imported_and_shown(site: Site, admin: Account, folder: Path) -> None:
    data = (folder / "s1-1.dcm").read_bytes()
    (folder / "s1-1.dcm").unlink()
    with open(os.fsencode(folder) + b"/\xff\xfe.dcm", "wb") as odd:
        odd.write(data)
    answer = done(site, admin, folder)
    assert answer["outcome"] == "complete"
    assert "\\xff\\xfe.dcm" in rows(site, admin, answer["id"])


def test_the_same_request_twice_is_one_request(site: Site, admin: Account, folder: Path) -> None:
    first = requests.file_request(site, admin, [("path", str(folder)), ("PROJECT_ID", "P")])
    second = requests.file_request(site, admin, [("path", f"{folder}/"), ("PROJECT_ID", "P")])
    assert (second.request_id, second.existing) == (first.request_id, True)


def test_the_same_request_is_known_when_it_has_taken_its_label_and_emptied_its_folder(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"EXPT_LABEL": "E1", "cleanupAfterImport": "true"}
    first = file(site, admin, folder, **asked)
    again = []

    def clean_up_and_ask(*arguments: Any) -> str:
        state = clean_up(*arguments)
        assert not list(folder.iterdir())
        again.append(file(site, admin, folder, **asked))
        return state

    monkeypatch.setattr(steps, "clean_up", clean_up_and_ask)
    run(site, first)
    assert again == [first]
    with pytest.raises(Rejected) as refused:
        file(site, admin, folder, **asked)
    assert refused.value.code == "folder_empty"


def test_a_folder_that_vanishes_before_its_cleanup_does_not_undo_the_import(
    site: Site, admin: Account, folder: Path
) -> None:
    request_id = file(site, admin, folder, cleanupAfterImport="true")
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run-1")
    folder.rename(folder.with_name("moved"))
    steps.run_step(site, request_id, "archive", run_id="run-1")
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["outcome"], answer["cleanup"]) == ("Completed", "complete", "partial")


def test_overlapping_folders_wait_for_the_first(site: Site, admin: Account, folder: Path) -> None:
    first = file(site, admin, folder)
    second = file(site, admin, site.settings.inbox_path / "P")
    assert [due.request_id for due in queue.due_launches(site, 9)] == [first]
    with pytest.raises(Rejected) as refused:
        steps.run_step(site, second, "scan", run_id="run-2")
    assert refused.value.code == "path_waits"
    run(site, first)
    assert [due.request_id for due in queue.due_launches(site, 9)] == [second]
