"""Which rule named a session: shown before an import and kept with it, values only where they may be seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import projects, routing, steps
from inbox_pipeline.services.accounts import Account, create_user
from inbox_pipeline.services.plan import plan
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import audit, request_sessions
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.identifying import PLANTED, basic, visit
from inbox_pipeline_tests.services.importing import file, imported

NAME = {"rule": "patient_name", "tag": "(0010,0010)"}
PATIENT_ID = {"rule": "patient_id", "tag": "(0010,0020)"}
COMMENT = {"rule": "patient_comments", "tag": "(0010,4000)"}
LAST = {"rule": "session_label"}, {"rule": "fallback"}


@pytest.fixture
def folder(site: Site) -> Path:
    values = {"PatientComments": "Subject:S7 Project:q", "StudyDescription": "P", "AccessionNumber": "secret"}
    return session_folder(site.settings.inbox_path / "P" / "visit", **values)


def bare(told: dict[str, Any]) -> dict[str, Any]:
    """What is told without the labels."""
    others = [{k: v for k, v in each.items() if k != "label"} for each in told["others"]]
    return {**{k: v for k, v in told.items() if k != "label"}, "others": others}


def test_a_plan_tells_what_each_rule_gives_and_the_import_keeps_the_rules(
    site: Site, admin: Account, folder: Path
) -> None:
    projects.create_project(site, "admin", "Q")
    routing.set_rules(site, "admin", "session", "(0010,0020):FAKE(\\d+)")
    (planned,) = plan(site, admin, str(folder), "P", subject="ASKED")["sessions"]
    told = planned["identified"]
    assert told["subject"] == {
        "rule": "parameter",
        "label": "ASKED",
        "others": [{**COMMENT, "label": "S7"}, {**NAME, "label": "FAKE_PATIENT"}, {**LAST[0], "label": "001"}],
    }
    assert told["session"] == {
        "rule": "routing",
        "tag": "(0010,0020)",
        "line": 1,
        "label": "001",
        "others": [{**PATIENT_ID, "label": "FAKE001"}, {**LAST[1], "label": "dicom_upload"}],
    }
    assert told["project"] == {
        "rule": "parameter",
        "label": "P",
        "others": [
            {**COMMENT, "label": "Q"},
            {"rule": "study_description", "tag": "(0008,1030)", "label": "P"},
        ],
    }
    answer = imported(site, admin, folder, SUBJECT_ID="ASKED")
    kept = answer["sessions"][0]["identified"]
    assert kept == {target: bare(each) for target, each in told.items()}
    assert (answer["sessions"][0]["subject"], answer["sessions"][0]["session"]) == ("ASKED", "001")


def test_projects_of_others_are_not_told(site: Site, admin: Account, folder: Path) -> None:
    projects.create_project(site, "admin", "Q")
    ann = create_user(site, "system", "ann", "a good password")
    projects.set_member(site, "admin", "P", "ann", "member")
    (session,) = plan(site, ann, str(folder), "P")["sessions"]
    assert [each["rule"] for each in session["identified"]["project"]["others"]] == ["study_description"]
    (kept,) = imported(site, ann, folder)["sessions"]
    assert [each["rule"] for each in kept["identified"]["project"]["others"]] == ["study_description"]


def test_under_basic_rules_are_named_and_values_are_for_owners_and_audited(site: Site, admin: Account) -> None:
    basic(site)
    made = visit(site.settings.inbox_path / "P" / "visit")
    hidden = plan(site, admin, str(made), "P")
    (session,) = hidden["sessions"]
    assert session["identified"]["subject"] == {"rule": "pseudonym", "others": [NAME, LAST[0]]}
    assert session["identified"]["session"] == {"rule": "pseudonym", "others": [PATIENT_ID, LAST[1]]}
    assert not any(word.decode() in json.dumps(hidden) for word in PLANTED)
    (shown,) = plan(site, admin, str(made), "P", values=True)["sessions"]
    assert shown["identified"]["subject"]["label"] == session["subject"]
    assert shown["identified"]["subject"]["others"][0]["label"] == "OFARRELL_SIOBHAN_MAEVE"
    with site.catalog.read() as connection:
        lines = connection.execute(sa.select(audit).where(audit.c.action == "plan.values")).mappings().all()
    assert [(line["actor"], line["object"]) for line in lines] == [("admin", "P")]
    member = create_user(site, "system", "ann", "a good password")
    projects.set_member(site, "admin", "P", "ann", "member")
    assert plan(site, member, str(made), "P") == hidden
    with pytest.raises(Rejected) as error:
        plan(site, member, str(made), "P", values=True)
    assert error.value.code == "forbidden"


def test_what_is_kept_and_shown_to_operators_holds_no_value(site: Site, admin: Account) -> None:
    for policy in ("basic", "none"):
        projects.set_project(site, "admin", "P", policy=policy)
        made = visit(site.settings.inbox_path / "P" / policy, study=2 if policy == "none" else 1)
        request_id = file(site, admin, made)
        for step in steps.STEPS:
            report = steps.run_step(site, request_id, step, run_id=f"run-{request_id}")
            assert not any(word.decode() in str(report) for word in PLANTED)
        (row,) = report.sessions
        expected = ("pseudonym", "pseudonym") if policy == "basic" else ("patient_name", "patient_id")
        assert (row["subject from"], row["label from"]) == expected
    with site.catalog.read() as connection:
        kept = connection.execute(sa.select(request_sessions.c.identified)).scalars().all()
    assert len(kept) == 2
    assert not any(word.decode() in json.dumps(each) for word in PLANTED for each in kept)


def test_a_request_keeps_to_the_rules_with_which_it_began(site: Site, admin: Account, folder: Path) -> None:
    routing.set_rules(site, "admin", "subject", "(0008,1030):(.*)")
    request_id = file(site, admin, folder)
    steps.run_step(site, request_id, "scan", run_id="run")
    routing.set_rules(site, "admin", "subject", "(0010,0020):(.*)")
    for step in steps.STEPS[1:]:
        steps.run_step(site, request_id, step, run_id="run")
    with site.catalog.read() as connection:
        (kept,) = connection.execute(sa.select(request_sessions)).mappings()
    assert kept["subject_label"] == "P"
    assert kept["identified"]["subject"]["tag"] == "(0008,1030)"
