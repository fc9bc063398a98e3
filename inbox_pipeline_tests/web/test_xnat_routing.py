"""Routing expressions over XNAT's routes and our own: forms, versions, refusals, and the next import."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from inbox_pipeline.services import projects, routing
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.steps import STEPS, run_step
from inbox_pipeline.store.catalog.schema import audit
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.web.conftest import Client

RULES = "/data/config/dicom/subjectRules"
TEXT = "(0010,4000):id (\\w+)\n"


@pytest.fixture(autouse=True)
def fresh(site: Site) -> None:
    projects.set_project(site, "admin", "P1", policy="none", prearchive_code=4)
    for target in ("project", "subject", "session"):
        routing.set_rules(site, "system", target, "", False)


def imported(site: Site, ada: Client, name: str, study: int, **elements: Any) -> dict[str, Any]:
    folder = session_folder(site.settings.inbox_path / "P1" / name, files=1, study=study, **elements)
    query = {"import-handler": "inbox", "path": str(folder), "PROJECT_ID": "P1"}
    number = int(ada("POST", "/data/services/import", params=query).text.rpartition("/")[2])
    for step in STEPS:
        run_step(site, number, step, run_id=f"run-{number}")
    return dict(ada("GET", f"/xapi/dicom/{number}").json())


@pytest.mark.parametrize(
    "options",
    [
        {"content": TEXT, "headers": {"content-type": "text/plain"}},
        {"content": TEXT, "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"json": {"status": "enabled", "contents": TEXT}},
        {"json": TEXT},
    ],
)
def test_every_form_in_which_clients_send_rules_stores_them(admin: Client, ada: Client, options: Any) -> None:
    assert admin("PUT", RULES, **options).status_code == 200
    (row,) = ada("GET", RULES, params={"format": "json"}).json()["ResultSet"]["Result"]
    assert (row["tool"], row["path"], row["contents"], row["status"]) == ("dicom", "subjectRules", TEXT, "enabled")
    assert ada("GET", RULES, params={"contents": "true"}).text == TEXT


def test_rules_are_switched_versioned_and_audited(admin: Client, ada: Client, site: Site) -> None:
    admin("PUT", RULES, content=TEXT)
    before = ada("GET", "/api/v1/routing").json()["subject"]
    assert (before["text"], before["enabled"], before["author"]) == (TEXT, True, "admin")
    admin("PUT", RULES, content=TEXT)
    assert ada("GET", "/api/v1/routing").json()["subject"] == before
    assert admin("PUT", RULES, params={"status": "disabled"}).status_code == 200
    now = ada("GET", "/api/v1/routing").json()["subject"]
    assert (now["text"], now["enabled"], now["version"]) == (TEXT, False, before["version"] + 1)
    assert ada("GET", RULES, params={"contents": "true"}).status_code == 404
    former = ada("GET", RULES, params={"version": before["version"]}).json()["ResultSet"]["Result"][0]
    assert former["status"] == "enabled"
    told = admin("PUT", "/api/v1/routing/subject", json={"enabled": True}).json()
    assert (told["text"], told["enabled"]) == (TEXT, True)
    versions = ada("GET", "/api/v1/routing/subject/versions").json()["versions"]
    assert [row["version"] for row in versions[:3]] == [now["version"] + 1, now["version"], before["version"]]
    with site.catalog.read() as connection:
        lines = connection.execute(sa.select(audit).where(audit.c.action == "routing.set")).mappings().all()
    assert lines[-1]["object"] == "subject"
    assert lines[-1]["detail"] == {"version": now["version"] + 1, "enabled": True}


@pytest.mark.parametrize(
    ("text", "line"), [("(0010,4000):(.*", 1), (TEXT + "nonsense", 2), (TEXT + "(0010,4000):((a+)+)b", 2), ("\0", 1)]
)
def test_bad_rules_are_refused_at_their_line_and_those_in_force_stay(
    admin: Client, ada: Client, text: str, line: int
) -> None:
    admin("PUT", RULES, content=TEXT)
    response = admin("PUT", RULES, content=text, headers={"accept": "application/problem+json"})
    assert (response.status_code, response.json()["code"], response.json()["line"]) == (400, "routing_invalid", line)
    assert admin("PUT", "/api/v1/routing/subject", json={"text": text}).json()["code"] == "routing_invalid"
    assert ada("GET", RULES, params={"contents": "true"}).text == TEXT


@pytest.mark.parametrize("body", ["{", '{"status": 5}', '{"contents": []}'])
def test_a_body_that_is_no_configuration_is_refused(admin: Client, body: str) -> None:
    response = admin("PUT", RULES, content=body)
    assert (response.status_code, response.headers["X-Inbox-Reason"]) == (400, "request_malformed")


def test_other_names_are_not_there_and_only_administrators_may_store(admin: Client, ada: Client) -> None:
    for name in ("receiverRules", "subject", "script"):
        for method in ("GET", "PUT"):
            assert admin(method, f"/data/config/dicom/{name}", content=TEXT).status_code == 404
    assert ada("PUT", RULES, content=TEXT).status_code == 403
    assert ada("PUT", "/api/v1/routing/subject", json={"text": TEXT}).status_code == 403
    assert admin("PUT", "/api/v1/routing/scanner", json={"text": TEXT}).status_code in (400, 404, 422)


def test_the_next_import_uses_what_was_put(admin: Client, ada: Client, site: Site) -> None:
    admin("PUT", RULES, content=TEXT + "(0008,1030):FAKE (\\w+)")
    admin("PUT", "/REST/config/dicom/sessionRules", content="(0018,1030):scan (.*) t:\\W r:-")
    said = imported(site, ada, "said", 11, PatientComments="id A7", ProtocolName="scan 1/2")
    assert [(s["subject"], s["session"]) for s in said["sessions"]] == [("A7", "1-2")]
    fallen = imported(site, ada, "fallen", 12, PatientComments="Subject:C Session:E12", ProtocolName="other")
    assert [(s["subject"], s["session"]) for s in fallen["sessions"]] == [("STUDY", "E12")]
    admin("PUT", RULES, params={"status": "false"})
    off = imported(site, ada, "off", 13, PatientComments="id A7", ProtocolName="scan 3")
    assert [(s["subject"], s["session"]) for s in off["sessions"]] == [("FAKE_PATIENT", "3")]


def test_under_basic_a_rule_that_reads_who_the_patient_is_gives_a_pseudonym(
    admin: Client, ada: Client, site: Site
) -> None:
    projects.set_project(site, "admin", "P1", policy="basic")
    admin("PUT", RULES, content="(0010,0020):(...).*")
    admin("PUT", "/data/config/dicom/sessionRules", content="(0010,4000):visit (\\w+)")
    told = imported(site, ada, "hidden", 14, PatientID="WOODS77", PatientComments="visit V1")
    (session,) = told["sessions"]
    assert (session["subject"][:2], session["session"]) == ("P-", "V1")
    held = imported(site, ada, "held", 15, PatientID="WOODS77", PatientComments="visit WOODS77")
    assert held["files"]["by_reason"] == {"label_identifies": 1}


def test_a_file_on_which_a_rule_takes_too_long_is_held(admin: Client, ada: Client, site: Site) -> None:
    admin("PUT", RULES, content=TEXT + "(0010,4000):(.*) t:a.*a.*a.*z r:x")
    told = imported(site, ada, "slow", 16, PatientComments="a" * 3000)
    assert (told["outcome"], told["files"]["by_reason"]) == ("failed", {"routing_failed": 1})
    (row,) = ada("GET", f"/api/v1/requests/{told['id']}/ledger", params={"format": "jsonl"}).text.splitlines()
    assert "subject rules, line 2" in row
