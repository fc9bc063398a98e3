"""Archived sessions and subjects get other labels, subjects, projects: whole, traced, and whatever dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import browse, projects, relabel, requests, scripts, steps, undo
from inbox_pipeline.services.accounts import Account, create_user
from inbox_pipeline.services.prearchive import Wish
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import verify
from inbox_pipeline.store.catalog.schema import audit, instances, scans, sessions
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.crashing import Crash, attempt, bury
from inbox_pipeline_tests.services.importing import imported, ledger
from inbox_pipeline_tests.services.test_prearchive import assert_sound

OTHER = Wish(subject_label="S9", session_label="E9")


@pytest.fixture
def inbox(site: Site) -> Path:
    projects.create_project(site, "admin", "Q")
    return site.settings.inbox_path / "P"


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(Rejected) as error:
        call()
    return error.value.code


def only(site: Site) -> Any:
    """Return the one archived session's row."""
    with site.catalog.read() as connection:
        return connection.execute(sa.select(sessions).where(sessions.c.state == "ARCHIVED")).mappings().one()


def done(site: Site, request_id: int | None, account: Account) -> dict[str, Any]:
    """Do what a request asks for, and return it."""
    assert request_id is not None
    try:
        for step in steps.STEPS:
            steps.run_step(site, request_id, step, run_id=f"run-{request_id}")
    except Rejected:
        pass
    return requests.request_json(site, request_id, account)


def outputs(site: Site, project: str = "P") -> list[Any]:
    return [pydicom.dcmread(path) for path in sorted((site.settings.archive_path / project).rglob("*.dcm"))]


def assert_traced(site: Site, admin: Account, request_id: int) -> None:
    """Every ledger row of an import leads to its file as it is now."""
    for row in ledger(site, admin, request_id).values():
        path = site.settings.archive_path / row["archived_path"]
        assert str(pydicom.dcmread(path).SOPInstanceUID) == row["sop_instance_uid"]


@pytest.mark.parametrize(
    ("wish", "now"),
    [
        (Wish(session_label="E9"), ("P", "FAKE_PATIENT", "E9")),
        (Wish(subject_label="S9"), ("P", "S9", "PAT1")),
        (OTHER, ("P", "S9", "E9")),
        (Wish(session_label="pat1"), ("P", "FAKE_PATIENT", "pat1")),
        (Wish(project_id="Q"), ("Q", "FAKE_PATIENT", "PAT1")),
        (Wish("Q", "S9", "E9"), ("Q", "S9", "E9")),
    ],
)
def test_a_session_gets_other_labels(
    site: Site, admin: Account, inbox: Path, wish: Wish, now: tuple[str, str, str]
) -> None:
    before = imported(site, admin, session_folder(inbox / "visit", PatientID="PAT1"))
    session = only(site)
    with site.catalog.read() as connection:
        scan_ids = connection.execute(sa.select(scans.c.id).order_by(scans.c.id)).scalars().all()
    answer = done(site, relabel.relabel_session(site, admin, session["id"], wish), admin)
    assert answer["outcome"] == "complete", answer["verdict"]
    after = only(site)
    assert (after["project_id"], after["subject_label"], after["label"]) == now
    assert (after["id"], after["accession"], after["created_at"]) == tuple(
        session[name] for name in ("id", "accession", "created_at")
    )
    project, subject, label = now
    assert {(str(ds.PatientName), ds.PatientID, ds.StudyDescription) for ds in outputs(site, project)} == {
        (subject, label, project)
    }
    assert len(outputs(site, project)) == 3
    assert len(list(site.settings.archive_path.rglob("*.dcm"))) == 3
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(scans.c.id).order_by(scans.c.id)).scalars().all() == scan_ids
        assert connection.execute(sa.select(sa.func.count()).select_from(instances)).scalar_one() == 3
    found = browse.find_session(site, admin, label, project)
    assert found["accession"] == session["accession"]
    (told,) = requests.request_json(site, before["id"], admin)["sessions"]
    assert (told["project"], told["subject"], told["session"], told["files"]) == (*now, 3)
    assert_traced(site, admin, before["id"])
    assert_sound(site)
    assert requests.list_requests(site, admin, active=False) == [requests.request_json(site, before["id"], admin)]


def test_without_scripts_files_keep_their_bytes(site: Site, admin: Account, inbox: Path) -> None:
    scripts.set_enabled(site, "admin", False)
    imported(site, admin, session_folder(inbox / "visit"))
    files = sorted(path.read_bytes() for path in site.settings.archive_path.rglob("*.dcm"))
    done(site, relabel.relabel_session(site, admin, only(site)["id"], Wish("Q", "S9", "E9")), admin)
    assert sorted(path.read_bytes() for path in (site.settings.archive_path / "Q").rglob("*.dcm")) == files
    assert_sound(site)


def test_what_is_wished_already_is_nothing_to_do(site: Site, admin: Account, inbox: Path) -> None:
    imported(site, admin, session_folder(inbox / "visit", PatientID="PAT1"))
    assert relabel.relabel_session(site, admin, only(site)["id"], Wish("P", "FAKE_PATIENT", "PAT1")) is None


def test_the_other_projects_script_runs_once(site: Site, admin: Account, inbox: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\n(0008,0080) := concatenate[(0008,0080), "+Q"]\n', "Q")
    scripts.store_script(site, "admin", 'version "6.3"\n(0008,0080) := concatenate[(0008,0080), "+P"]\n', "P")
    imported(site, admin, session_folder(inbox / "visit", InstitutionName="I"))
    for project, said in (("Q", "I+P+Q"), ("P", "I+P+Q"), ("Q", "I+P+Q")):
        done(site, relabel.relabel_session(site, admin, only(site)["id"], Wish(project)), admin)
        assert {ds.InstitutionName for ds in outputs(site, project)} == {said}
    assert_sound(site)


def test_a_file_that_the_other_projects_script_drops_is_told(site: Site, admin: Account, inbox: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\n(0020,0013) = "2" ? reject[]\n', "Q")
    before = imported(site, admin, session_folder(inbox / "visit"))
    answer = done(site, relabel.relabel_session(site, admin, only(site)["id"], Wish("Q")), admin)
    assert answer["outcome"] == "complete", answer["verdict"]
    counted = requests.request_json(site, before["id"], admin)["files"]["by_reason"]
    assert (counted, len(outputs(site, "Q"))) == ({"archived": 2, "script_rejected": 1}, 2)
    assert_sound(site)


def test_a_session_whose_files_are_all_dropped_stays(site: Site, admin: Account, inbox: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\nreject[]\n', "Q")
    imported(site, admin, session_folder(inbox / "visit"))
    answer = done(site, relabel.relabel_session(site, admin, only(site)["id"], Wish("Q")), admin)
    assert answer["status"] == "Failed"
    assert (only(site)["project_id"], len(outputs(site))) == ("P", 3)
    assert_sound(site)


def test_what_is_refused(site: Site, admin: Account, inbox: Path) -> None:
    imported(site, admin, session_folder(inbox / "two", study=2, PatientID="PAT2"))
    other = only(site)
    imported(site, admin, session_folder(inbox / "visit", PatientID="PAT1"))
    session = browse.find_session(site, admin, "PAT1", "P")
    person = create_user(site, "system", "person", "a good password")

    def asked(wish: Wish, account: Account = admin) -> str:
        return refused(lambda: relabel.relabel_session(site, account, session["id"], wish))

    assert asked(Wish(session_label="a b")) == "session_label_illegal"
    assert asked(Wish(subject_label="../x")) == "subject_label_illegal"
    assert asked(Wish(session_label="pat2")) == "session_exists"
    assert asked(Wish(session_label=other["accession"])) == "session_exists"
    assert asked(Wish("NONE")) == "project_not_found"
    for role, code in (("collaborator", "forbidden"), ("member", "project_not_found")):
        projects.set_member(site, "admin", "P", "person", role)
        assert asked(Wish("Q"), person) == ("forbidden" if role == "collaborator" else code)
    projects.set_member(site, "admin", "Q", "person", "member")
    assert asked(Wish("Q"), person) == "forbidden"
    projects.set_project(site, "admin", "Q", policy="basic")
    assert asked(Wish("Q")) == "policy_differs"
    request_id = relabel.relabel_session(site, admin, session["id"], OTHER)
    assert asked(Wish(session_label="E8")) == "session_busy"
    assert done(site, request_id, admin)["outcome"] == "complete"
    assert_sound(site)


def test_labels_that_a_script_has_worked_into_other_values_stay(site: Site, admin: Account, inbox: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\n(0010,0020) := concatenate[session, (0008,0060)]\n')
    imported(site, admin, session_folder(inbox / "visit"))
    assert refused(lambda: relabel.relabel_session(site, admin, only(site)["id"], OTHER)) == "labels_fixed"


def test_under_basic_a_label_that_identifies_is_refused(site: Site, admin: Account, inbox: Path) -> None:
    for project in ("P", "Q"):
        projects.set_project(site, "admin", project, policy="basic")
    imported(site, admin, session_folder(inbox / "visit", PatientID="WOODS77", PatientName="WOODS^ALAN"))
    session = only(site)
    subject = browse.find_subject(site, admin, session["subject_label"])
    for wish in (Wish(session_label="WOODS77"), Wish(subject_label="WOODS_ALAN"), Wish("Q", "X_WOODS77")):
        code = refused(lambda wish=wish: relabel.relabel_session(site, admin, session["id"], wish))
        assert code == "label_identifies"
    assert refused(lambda: relabel.relabel_subject(site, admin, subject, "WOODS77")) == "label_identifies"
    for wish in (Wish("Q"), Wish(session_label="VISIT1"), Wish("P", "S1", "VISIT2")):
        answer = done(site, relabel.relabel_session(site, admin, session["id"], wish), admin)
        assert answer["outcome"] == "complete", answer["verdict"]
    assert (only(site)["project_id"], only(site)["subject_label"], only(site)["label"]) == ("P", "S1", "VISIT2")
    (first, *_) = outputs(site)
    assert first.PatientID == "S1"
    assert_sound(site)


def test_a_session_that_changes_meanwhile_is_left_alone(site: Site, admin: Account, inbox: Path) -> None:
    imported(site, admin, session_folder(inbox / "visit", PatientID="PAT1"))
    request_id = relabel.relabel_session(site, admin, only(site)["id"], OTHER)
    assert request_id is not None
    for step in ("scan", "validate", "anonymize"):
        steps.run_step(site, request_id, step, run_id=f"run-{request_id}")
    imported(site, admin, session_folder(inbox / "more", files=5, PatientID="PAT1"), overwrite="append")
    assert done(site, request_id, admin)["status"] == "Failed"
    assert (only(site)["label"], len(outputs(site))) == ("PAT1", 5)
    assert_sound(site)


def test_undo_and_restore_after_a_relabel(site: Site, admin: Account, inbox: Path) -> None:
    before = imported(site, admin, session_folder(inbox / "visit"))
    done(site, relabel.relabel_session(site, admin, only(site)["id"], OTHER), admin)
    undo.undo(site, admin, before["id"])
    assert_sound(site)
    undo.restore(site, admin, before["id"])
    assert only(site)["label"] == "E9"
    assert_sound(site)
    done(site, relabel.relabel_session(site, admin, only(site)["id"], Wish("Q")), admin)
    assert refused(lambda: undo.undo(site, admin, before["id"])) == "session_moved"


def test_a_subject_and_all_its_sessions_get_another_label(site: Site, admin: Account, inbox: Path) -> None:
    for number in (1, 2):
        imported(site, admin, session_folder(inbox / str(number), study=number, PatientID=f"PAT{number}"))
    subject = browse.find_subject(site, admin, "FAKE_PATIENT", "P")
    numbers = relabel.relabel_subject(site, admin, subject, "S9")
    assert len(numbers) == 2
    assert refused(lambda: relabel.relabel_subject(site, admin, subject, "S9")) == "session_busy"
    for number in numbers:
        assert done(site, number, admin)["outcome"] == "complete"
    now = browse.find_subject(site, admin, "S9", "P")
    assert (now["accession"], now["id"]) == (subject["accession"], subject["id"])
    assert {str(ds.PatientName) for ds in outputs(site)} == {"S9"}
    with site.catalog.read() as connection:
        named = connection.execute(sa.select(sessions.c.subject_label, sessions.c.subject_id)).all()
    assert set(named) == {("S9", subject["id"])}
    assert relabel.relabel_subject(site, admin, now, "S9") == []
    assert_sound(site)


def test_a_subject_keeps_off_others_labels_and_goes_on_when_asked_again(
    site: Site, admin: Account, inbox: Path
) -> None:
    for number in (1, 2):
        folder = session_folder(inbox / str(number), study=number, PatientID=f"PAT{number}", PatientName=f"N{number}")
        imported(site, admin, folder)
    subject = browse.find_subject(site, admin, "N1", "P")
    assert refused(lambda: relabel.relabel_subject(site, admin, subject, "n2")) == "subject_exists"
    (number,) = relabel.relabel_subject(site, admin, subject, "S9")
    requests.cancel(site, admin, number)
    (number,) = relabel.relabel_subject(site, admin, browse.find_subject(site, admin, "S9", "P"), "S9")
    assert done(site, number, admin)["outcome"] == "complete"
    assert {str(ds.PatientName) for ds in outputs(site)} == {"S9", "N2"}
    assert_sound(site)


def test_the_audit_trail_has_no_label(site: Site, admin: Account, inbox: Path) -> None:
    imported(site, admin, session_folder(inbox / "visit", PatientID="CANARY77"))
    done(site, relabel.relabel_session(site, admin, only(site)["id"], Wish("Q", "CANARY_S", "CANARY_E")), admin)
    subject = browse.find_subject(site, admin, "CANARY_S", "Q")
    relabel.relabel_subject(site, admin, subject, "CANARY_T")
    with site.catalog.read() as connection:
        trail = [dict(row) for row in connection.execute(sa.select(audit)).mappings()]
    (first, _) = [line for line in trail if line["action"] == "session.relabel"]
    assert (first["actor"], first["object"]) == ("admin", only(site)["accession"])
    assert first["detail"]["changed"] == ["subject_label", "session_label"]
    assert [line["object"] for line in trail if line["action"] == "subject.relabel"] == [subject["accession"]]
    assert "CANARY" not in str(trail)


@pytest.mark.parametrize(
    "wish", [Wish("Q", session_label="MOVED"), Wish(subject_label="S9")], ids=["another place", "its own place"]
)
def test_a_crash_before_any_effect_ends_in_the_same_archive(
    site: Site, admin: Account, inbox: Path, wish: Wish
) -> None:
    number = crash_at = 0
    while True:
        number += 1
        label = f"{wish.session_label}{number}" if wish.session_label else None
        folder = session_folder(inbox / f"visit{number}", study=number, PatientID=f"P{number}")
        before = imported(site, admin, folder)
        session = browse.find_session(site, admin, f"P{number}", "P")
        request_id = relabel.relabel_session(
            site, admin, session["id"], Wish(wish.project_id, wish.subject_label, label)
        )
        assert request_id is not None
        try:
            effects = attempt(site, request_id, "first", crash_at)
        except Crash:
            assert verify(site).differences == [], crash_at
            if bury(site, request_id):
                attempt(site, request_id, "second", None)
        else:
            assert len(effects.seen) <= crash_at
            break
        crash_at += 1
        assert requests.request_json(site, request_id, admin)["outcome"] == "complete"
        (told,) = requests.request_json(site, before["id"], admin)["sessions"]
        assert told["project"] == (wish.project_id or "P")
        assert (told["session"], told["files"]) == (label or f"P{number}", 3)
        assert_traced(site, admin, before["id"])
        assert_sound(site)
    assert crash_at > 15
