"""Moving a session to another project's prearchive: rights, what the other project demands, and crashes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.entering import HINDRANCES, Demand, Made, hindrance
from inbox_pipeline.services import prearchive, prearchive_moves, projects, requests, scripts, steps, undo
from inbox_pipeline.services.accounts import Account, create_user
from inbox_pipeline.services.prearchive import Place, Wish
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import verify
from inbox_pipeline.store.catalog.schema import audit
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.crashing import Crash, Effects, watched
from inbox_pipeline_tests.services.importing import imported, ledger
from inbox_pipeline_tests.services.test_prearchive import archived, assert_sound, place_of

SCRIPT = 'version "6.3"\n(0008,0080) := "CORE"\n'
STRICT = {"strict_identifiers": True}


@pytest.fixture
def manual(site: Site) -> Path:
    projects.create_project(site, "admin", "Q")
    for project in ("P", "Q"):
        projects.set_project(site, "admin", project, prearchive_code=0)
    return site.settings.inbox_path / "P"


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(Rejected) as error:
        call()
    return error.value.code


def test_a_moved_session_is_the_other_projects_and_its_import_says_so(site: Site, admin: Account, manual: Path) -> None:
    folder = session_folder(manual / "visit", PatientID="CANARY77")
    before = imported(site, admin, folder, cleanupAfterImport="true")
    place = place_of(before)
    staged = sorted(path.read_bytes() for path in site.settings.prearchive_path.rglob("*.dcm"))
    moved = prearchive.move(site, admin, place, "q")
    there = Place("Q", place.timestamp, place.label)
    assert (Place.of(moved), moved["state"], moved["reason"]) == (there, "READY", "ready_for_review")
    assert sorted(path.read_bytes() for path in (site.settings.prearchive_path / "Q").rglob("*.dcm")) == staged
    assert refused(lambda: prearchive.session(site, admin, place)) == "prearchive_session_not_found"
    after = requests.request_json(site, before["id"], admin)
    assert (after["status"], after["cleanup"]) == (before["status"], "pending")
    assert [(s["project"], s["uri"]) for s in after["sessions"]] == [("Q", f"/data{there.uri}")]
    assert after["resolution"].endswith(there.uri)
    for row in ledger(site, admin, before["id"]).values():
        assert (site.settings.prearchive_path / row["archived_path"]).is_file()
    for project in (None, "P", "Q"):
        assert verify(site, project).differences == []
    with site.catalog.read() as connection:
        trail = [dict(row) for row in connection.execute(sa.select(audit)).mappings()]
    (line,) = [line for line in trail if line["action"] == "prearchive.move"]
    assert (line["actor"], line["object"], line["detail"]) == ("admin", f"P/{place.timestamp}", {"project": "Q"})
    assert "CANARY" not in str(trail)


def test_what_scripts_wrote_of_the_project_is_written_anew_in_the_archive(
    site: Site, admin: Account, manual: Path
) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    scripts.store_script(site, "admin", SCRIPT, "Q")
    moved = prearchive.move(site, admin, place_of(before), "Q")
    answer = archived(site, admin, Place.of(moved))
    assert answer["outcome"] == "complete", answer["verdict"]
    outputs = [pydicom.dcmread(path) for path in (site.settings.archive_path / "Q").rglob("*.dcm")]
    assert {(ds.StudyDescription, ds.InstitutionName) for ds in outputs} == {("Q", "CORE")}
    assert len(outputs) == 3
    assert [s["project"] for s in requests.request_json(site, before["id"], admin)["sessions"]] == ["Q"]
    assert_sound(site)


def test_there_and_back_is_as_if_nothing_had_been(site: Site, admin: Account, manual: Path) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    staged = sorted(path.read_bytes() for path in site.settings.prearchive_path.rglob("*.dcm"))
    moved = prearchive.move(site, admin, place_of(before), "Q")
    assert refused(lambda: undo.undo(site, admin, before["id"])) == "session_moved"
    back = prearchive.move(site, admin, Place.of(moved), "P")
    assert Place.of(back) == place_of(before)
    archived(site, admin, Place.of(back))
    assert sorted(path.read_bytes() for path in site.settings.archive_path.rglob("*.dcm")) == staged
    undo.undo(site, admin, before["id"])
    assert_sound(site)


MADE = {"policy": "none", "options": frozenset("a"), "scripts": frozenset({1, 2}), "identifiers": False}
DEMAND = {
    "policy": "none",
    "options": frozenset("a"),
    "script": None,
    "strict_identifiers": False,
    "knows_patient": False,
}
BASIC = {"policy": "basic"}


@pytest.mark.parametrize(
    ("made", "demand", "code"),
    [
        ({}, {}, None),
        ({}, {"script": 3}, None),
        ({}, {"knows_patient": True}, None),
        ({}, BASIC, "policy_differs"),
        ({"identifiers": True}, {}, None),
        ({"identifiers": True}, STRICT, "identifiers_kept"),
        ({}, STRICT, None),
        (BASIC, {}, None),
        (BASIC, {"knows_patient": True}, None),
        (BASIC, {"script": 2}, None),
        (BASIC, {"script": 3}, "script_differs"),
        (BASIC, BASIC, None),
        (BASIC, BASIC | {"options": frozenset("b")}, "policy_differs"),
        (BASIC, BASIC | {"script": 3}, "script_differs"),
        (BASIC, BASIC | {"knows_patient": True}, "keyed_elsewhere"),
    ],
)
def test_what_a_project_demands(made: dict[str, Any], demand: dict[str, Any], code: str | None) -> None:
    assert hindrance(Made(**(MADE | made)), Demand(**(DEMAND | demand))) == code
    assert code is None or code in HINDRANCES


@pytest.mark.parametrize(
    ("own", "other", "code"),
    [
        ({}, {"policy": "basic"}, "policy_differs"),
        ({}, STRICT, "identifiers_kept"),
        ({"policy": "basic"}, {"policy": "basic", "options": "none"}, "policy_differs"),
        ({"policy": "basic"}, {"policy": "basic"}, None),
        ({"policy": "basic"}, {"script": SCRIPT}, "script_differs"),
    ],
)
def test_no_session_gets_past_the_demands_of_a_project(
    site: Site, admin: Account, manual: Path, own: dict[str, Any], other: dict[str, Any], code: str | None
) -> None:
    projects.set_project(site, "admin", "P", **own)
    scripts.set_enabled(site, "admin", bool(own))
    before = imported(site, admin, session_folder(manual / "visit", PatientID="WOODS77"))
    place = place_of(before)
    text = other.pop("script", None) if "script" in other else None
    if text:
        scripts.store_script(site, "admin", text, "Q")
    projects.set_project(site, "admin", "Q", **other)
    if code is None:
        assert Place.of(prearchive.move(site, admin, place, "Q")).project_id == "Q"
        return
    assert refused(lambda: prearchive.move(site, admin, place, "Q")) == code
    assert refused(lambda: prearchive.archive(site, admin, place, Wish(project_id="Q"))) == code
    (finding,) = prearchive.foresee(site, admin, place, Wish(project_id="Q"))
    assert (finding.code, finding.conflict) == (code, True)
    assert prearchive.session(site, admin, place)["state"] == "READY"


def test_under_basic_a_patient_has_one_set_of_pseudonyms_in_a_project(site: Site, admin: Account, manual: Path) -> None:
    for project in ("P", "Q"):
        projects.set_project(site, "admin", project, policy="basic")
    imported(site, admin, session_folder(site.settings.inbox_path / "Q" / "there", study=1), PROJECT_ID="Q")
    before = imported(site, admin, session_folder(manual / "visit", study=2))
    assert refused(lambda: prearchive.move(site, admin, place_of(before), "Q")) == "keyed_elsewhere"


def test_demands_that_come_later_are_met_when_the_work_begins(site: Site, admin: Account, manual: Path) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    place = place_of(before)
    request_id = prearchive.archive(site, admin, place, Wish(project_id="Q"))
    projects.set_project(site, "admin", "Q", policy="basic")
    steps.run_step(site, request_id, "scan", run_id="run")
    with pytest.raises(Rejected):
        steps.run_step(site, request_id, "validate", run_id="run")
    session = prearchive.session(site, admin, place)
    assert (session["state"], session["reason"]) == ("CONFLICT", "policy_differs")
    assert list(site.settings.archive_path.rglob("*.dcm")) == []
    assert_sound(site)


def test_labels_that_scripts_cannot_write_anew_keep_a_session_where_it_is(
    site: Site, admin: Account, manual: Path
) -> None:
    scripts.store_script(site, "admin", 'version "6.3"\n(0010,0020) := concatenate[project, (0008,0060)]\n')
    before = imported(site, admin, session_folder(manual / "visit"))
    assert refused(lambda: prearchive.move(site, admin, place_of(before), "Q")) == "labels_fixed"


def test_what_was_imported_without_anonymization_is_moved_by_owners(site: Site, admin: Account, manual: Path) -> None:
    before = imported(site, admin, session_folder(manual / "visit"), prevent_anon="true")
    person = create_user(site, "system", "person", "a good password")
    projects.set_member(site, "admin", "P", "person", "owner")
    projects.set_member(site, "admin", "Q", "person", "member")
    assert refused(lambda: prearchive.move(site, person, place_of(before), "Q")) == "prevent_anon_denied"
    projects.set_member(site, "admin", "Q", "person", "owner")
    assert prearchive.move(site, person, place_of(before), "Q")["project_id"] == "Q"


def test_a_session_that_is_on_its_way_is_locked_and_its_place_is_not_taken(
    site: Site, admin: Account, manual: Path
) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    place = place_of(before)
    with pytest.raises(Crash), watched(Effects(1)):
        prearchive.move(site, admin, place, "Q")
    assert prearchive.session(site, admin, place)["state"] == "MOVING"
    for call in (
        lambda: prearchive.move(site, admin, place, "Q"),
        lambda: prearchive.delete(site, admin, place),
        lambda: prearchive.archive(site, admin, place, Wish()),
    ):
        assert refused(call) == "session_locked"
    assert refused(lambda: undo.undo(site, admin, before["id"])) in ("session_busy", "session_moved")
    (site.settings.prearchive_path / "Q" / place.timestamp / place.label).mkdir(parents=True)
    prearchive_moves.finish_moves(site)
    back = prearchive.session(site, admin, place)
    assert (back["state"], back["moving_to"]) == ("READY", None)


def test_a_folder_that_is_gone_is_told(site: Site, admin: Account, manual: Path) -> None:
    before = imported(site, admin, session_folder(manual / "visit"))
    place = place_of(before)
    with pytest.raises(Crash), watched(Effects(1)):
        prearchive.move(site, admin, place, "Q")
    (site.settings.prearchive_path / "P").rename(site.settings.prearchive_path.parent / "elsewhere")
    prearchive_moves.finish_moves(site)
    session = prearchive.session(site, admin, place)
    assert (session["state"], session["reason"]) == ("ERROR", "prearchive_changed")


def test_a_crash_before_any_effect_ends_at_the_same_place(site: Site, admin: Account, manual: Path) -> None:
    crash_at = 0
    while True:
        number = crash_at + 1
        folder = session_folder(manual / f"visit{number}", study=number, PatientID=f"P{number}")
        place = place_of(imported(site, admin, folder))
        effects = Effects(crash_at)
        try:
            with watched(effects):
                prearchive.move(site, admin, place, "Q")
        except Crash:
            assert verify(site).differences == []
            prearchive_moves.finish_moves(site)
            prearchive_moves.finish_moves(site)
        else:
            break
        there = "Q" if crash_at else "P"  # before its first transaction nothing has been asked for
        assert prearchive.session(site, admin, Place(there, place.timestamp, place.label))["state"] == "READY"
        assert_sound(site)
        crash_at += 1
    assert crash_at >= 4
