"""Our own API: requests, ledger, cancel, retry, plan, and its description."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from inbox_pipeline.services.projects import set_member
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.steps import STEPS, run_step
from inbox_pipeline.store.catalog.schema import audit
from inbox_pipeline.web.api import LEDGER_MEMBERS
from inbox_pipeline_tests.data_for_tests import session_folder

URL = "/api/v1/requests"


def _file(client: Any, folder: Path, **more: Any) -> int:
    response = client("POST", URL, json={"path": str(folder), "project": "P1", **more})
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


def _run(site: Site, number: int) -> None:
    for step in STEPS:
        run_step(site, number, step, run_id=f"run-{number}")


def test_filing_answers_201_with_the_request_and_its_address(ada: Any, folder: Path) -> None:
    body = {"path": str(folder), "PROJECT_ID": "P1", "SUBJECT_ID": "S1", "cleanupAfterImport": True}
    response = ada("POST", URL, json=body)
    assert response.status_code == 201
    assert response.headers["Location"] == f"{URL}/{response.json()['id']}"
    assert response.json()["cleanupAfterImport"] is True
    assert response.json()["parameters"]["SUBJECT_ID"] == "S1"
    again = ada("POST", URL, json=body)
    assert (again.status_code, again.json()["id"]) == (200, response.json()["id"])
    assert ada("GET", response.headers["Location"]).json() == ada("GET", f"/xapi/dicom/{again.json()['id']}").json()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"path": ["Mueller"]}', 400, "parameter_invalid"),
        (b'{"secret_member": {"a": "Mueller"}}', 400, "request_malformed"),
        (b"[]", 400, "request_malformed"),
        (b'{"Mueller', 400, "request_malformed"),
        (b"\xff\xfe", 400, "request_malformed"),
        (b"{}", 400, "path_missing"),
        (b'{"path": "/\\ud800"}', 400, "parameter_invalid"),
        (b'{"path": "/nowhere", "project": "P1"}', 400, "path_outside_inbox"),
    ],
)
def test_bodies_that_cannot_be_filed(ada: Any, body: bytes, status: int, code: str) -> None:
    response = ada("POST", URL, content=body, headers={"content-type": "application/json"})
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["code"], response.headers["X-Inbox-Reason"]) == (status, code, code)
    assert "Mueller" not in response.text


def test_a_body_of_any_size_is_refused_before_it_fills_the_memory(stranger: Any) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 8192
            yield b" " * 8192

    response = stranger("POST", URL, content=endless(), headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert sent < 200_000


def test_lists_are_scoped_and_active_leaves_out_the_ended(ada: Any, bob: Any, site: Site, folder: Path) -> None:
    number = _file(ada, folder)
    assert number in [item["id"] for item in ada("GET", f"{URL}?active=true").json()["requests"]]
    assert bob("GET", URL).json() == {"requests": [], "next": None}
    _run(site, number)
    assert number not in [item["id"] for item in ada("GET", f"{URL}?active=true").json()["requests"]]
    assert number in [item["id"] for item in ada("GET", URL).json()["requests"]]
    for query in ("active=Mueller", "limit=0", "limit=1001", "before=x", "before=99999999999999999999"):
        assert ada("GET", f"{URL}?{query}").json()["code"] == "parameter_invalid"


def test_pages_of_requests_laid_together_are_the_list_newest_first(ada: Any, site: Site, folder: Path) -> None:
    for name in ("one", "two", "three"):
        (folder / name).mkdir()
        (folder / name / "readme.txt").write_text("not DICOM")
        _file(ada, folder / name)
    whole = ada("GET", URL).json()
    numbers = [item["id"] for item in whole["requests"]]
    assert len(numbers) >= 3 and numbers == sorted(numbers, reverse=True) and whole["next"] is None
    pages, address = [], f"{URL}?limit=2"
    while address:
        page = ada("GET", address).json()
        pages += page["requests"]
        address = page["next"] and f"{URL}?limit=2&before={page['next']}"
    assert pages == whole["requests"]
    assert ada("GET", "/xapi/dicom/list/all").json() == whole["requests"][::-1]


def test_the_ledger_comes_as_csv_and_as_json_lines(ada: Any, site: Site, folder: Path) -> None:
    for name in ('b,"quoted"\n.txt', "c\udce9.txt", "=cmd.txt"):
        (folder / name).write_text("not DICOM either")
    number = _file(ada, folder)
    _run(site, number)
    as_csv = ada("GET", f"{URL}/{number}/ledger")
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
    table = list(csv.DictReader(io.StringIO(as_csv.text, newline="")))
    as_lines = ada("GET", f"{URL}/{number}/ledger?format=jsonl")
    assert as_lines.headers["content-type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in as_lines.text.splitlines()]
    assert len(table) == len(rows) == 4 == ada("GET", f"{URL}/{number}").json()["files"]["found"]
    assert tuple(table[0])[: len(LEDGER_MEMBERS)] == LEDGER_MEMBERS
    assert [row["source_path"] for row in table] == [row["source_path"] for row in rows]
    assert 'b,"quoted"\n.txt' in {row["source_path"] for row in table}


def test_a_ledger_without_rows_has_its_header(ada: Any, folder: Path) -> None:
    number = _file(ada, folder)
    assert ada("GET", f"{URL}/{number}/ledger?format=csv").text == ",".join(LEDGER_MEMBERS) + "\r\n"
    assert ada("GET", f"{URL}/{number}/ledger?format=jsonl").text == ""
    assert ada("GET", f"{URL}/{number}/ledger?format=xml").json()["code"] == "parameter_invalid"


def test_a_long_ledger_is_whole(ada: Any, site: Site, folder: Path) -> None:
    for number in range(1203):
        (folder / f"{number:04}.txt").write_text("x")
    request_id = _file(ada, folder)
    _run(site, request_id)
    lines = ada("GET", f"{URL}/{request_id}/ledger?format=jsonl").text.splitlines()
    assert len({json.loads(line)["source_path"] for line in lines}) == len(lines) == 1204


@pytest.mark.parametrize("action", ["", "/ledger", "/cancel", "/retry"])
def test_requests_of_others_do_not_exist(ada: Any, bob: Any, folder: Path, action: str) -> None:
    number = _file(ada, folder)
    method = "POST" if action in {"/cancel", "/retry"} else "GET"
    response = bob(method, f"{URL}/{number}{action}")
    assert (response.status_code, response.json()["code"]) == (404, "request_not_found")
    assert bob(method, f"{URL}/x{action}").status_code == 400


def test_cancel_and_retry(ada: Any, folder: Path) -> None:
    number = _file(ada, folder)
    response = ada("POST", f"{URL}/{number}/retry")
    assert (response.status_code, response.json()["code"]) == (409, "request_active")
    response = ada("POST", f"{URL}/{number}/cancel")
    assert (response.status_code, response.json()["outcome"]) == (202, "cancelled")
    response = ada("POST", f"{URL}/{number}/cancel")
    assert (response.status_code, response.json()["code"]) == (409, "request_final")
    response = ada("POST", f"{URL}/{number}/retry")
    assert (response.status_code, response.json()["status"], response.json()["attempt"]) == (202, "Queued", 2)


def test_plan_says_what_would_be_and_files_nothing(ada: Any, bob: Any, folder: Path) -> None:
    before = ada("GET", URL).json()
    response = ada("POST", "/api/v1/plan", json={"path": str(folder), "project": "P1"})
    assert response.status_code == 200
    assert response.json()["files"]["found"] == 1
    assert response.json()["rows"][0]["disposition"] == "not_dicom"
    assert ada("GET", URL).json() == before
    response = bob("POST", "/api/v1/plan", json={"path": str(folder), "project": "P1"})
    assert (response.status_code, response.json()["code"]) == (400, "inbox_project_denied")
    assert ada("POST", "/api/v1/plan", json={"path": 5}).json()["code"] == "parameter_invalid"


def test_unknown_addresses_and_methods_are_problems_too(ada: Any) -> None:
    assert ada("GET", "/api/v1/nothing").json()["code"] == "not_found"
    response = ada("DELETE", URL)
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_an_undo_and_a_restoration(site: Site, ada: Any, admin: Any, stranger: Any) -> None:
    folder = session_folder(site.settings.inbox_path / "P1" / "undone")
    number = _file(ada, folder)
    assert admin("POST", f"{URL}/{number}/undo").json()["code"] == "request_active"
    _run(site, number)
    assert stranger("POST", f"{URL}/{number}/undo").status_code == 401
    answer = admin("POST", f"{URL}/{number}/undo")
    assert (answer.status_code, answer.json()["sessions"][0]["state"]) == (200, "WITHDRAWN")
    assert ada("GET", f"{URL}/{number}").json()["reason"] == "withdrawn"
    assert admin("POST", f"{URL}/{number}/retry").status_code == 409
    answer = admin("POST", f"{URL}/{number}/restore")
    assert (answer.status_code, answer.json()["sentence"]) == (200, "1 session restored.")
    assert ada("GET", f"{URL}/{number}").json()["outcome"] == "complete"


def test_the_description_names_every_route_of_the_api(app: Any, stranger: Any) -> None:
    described = stranger("GET", "/api/openapi.json").json()
    assert described["openapi"].startswith("3.")
    found = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert found == {
        ("POST", "/api/v1/requests"),
        ("GET", "/api/v1/requests"),
        ("GET", "/api/v1/requests/{request_id}"),
        ("GET", "/api/v1/requests/{request_id}/ledger"),
        ("POST", "/api/v1/requests/{request_id}/cancel"),
        ("POST", "/api/v1/requests/{request_id}/retry"),
        ("POST", "/api/v1/requests/{request_id}/undo"),
        ("POST", "/api/v1/requests/{request_id}/restore"),
        ("POST", "/api/v1/plan"),
        ("POST", "/api/v1/scripts/check"),
        ("GET", "/api/v1/scripts/site/versions"),
        ("GET", "/api/v1/scripts/site/versions/{version}"),
        ("GET", "/api/v1/projects/{project_id}/scripts"),
        ("GET", "/api/v1/projects/{project_id}/scripts/{version}"),
        ("GET", "/api/v1/projects/{project_id}/linking"),
        ("GET", "/api/v1/projects/{project_id}/deleted"),
        ("POST", "/api/v1/projects/{project_id}/deleted/{deleted_id}/restore"),
        ("GET", "/api/v1/audit"),
        ("GET", "/api/v1/routing"),
        ("GET", "/api/v1/routing/{target}/versions"),
        ("PUT", "/api/v1/routing/{target}"),
    }
    answers = [operation["responses"] for methods in described["paths"].values() for operation in methods.values()]
    assert not any({"422", "default"} & answer.keys() for answer in answers)
    refusals = [told for answer in answers for status, told in answer.items() if int(status) >= 400]
    assert all(list(told["content"]) == ["application/problem+json"] for told in refusals)


def test_the_linking_table_is_for_owners_and_every_reading_is_audited(
    site: Site, ada: Any, bob: Any, admin: Any, stranger: Any
) -> None:
    address = "/api/v1/projects/P1/linking"
    assert ada("GET", address).json() == admin("GET", address).json() == {"links": []}
    assert (bob("GET", address).status_code, stranger("GET", address).status_code) == (404, 401)
    set_member(site, "admin", "P1", "bob", "member")
    assert bob("GET", address).status_code == 403
    set_member(site, "admin", "P1", "bob", "none")
    with site.catalog.read() as connection:
        query = sa.select(audit.c.actor, audit.c.object).where(audit.c.action == "linking.read")
        assert connection.execute(query).all() == [("ada", "P1"), ("admin", "P1")]
