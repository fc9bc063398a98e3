"""Import requests over XNAT's routes: bytes, parameters, refusals, visibility."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import schema

URL = "/data/services/import"


def _query(folder: Path, **more: str) -> dict[str, str]:
    return {"import-handler": "inbox", "path": str(folder), "PROJECT_ID": "P1", **more}


def _number(response: Any) -> int:
    found = re.fullmatch(r"/xapi/dicom/(\d+)(\r\n)?", response.text)
    assert found, response.text
    return int(found[1])


def _requests(site: Site) -> int:
    with site.catalog.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(schema.requests)).scalar_one())


@pytest.mark.parametrize("prefix", ["/data", "/REST"])
def test_a_filed_request_answers_its_address_byte_for_byte(ada: Any, folder: Path, prefix: str) -> None:
    response = ada("POST", f"{prefix}/services/import", params=_query(folder))
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/uri-list"
    assert response.content == b"/xapi/dicom/%d\r\n" % _number(response)


@pytest.mark.parametrize(
    ("headers", "more", "kind", "end"),
    [
        ({"Accept": "text/plain"}, {}, "text/plain", b""),
        ({"Accept": "text/plain;q=0.5, text/uri-list;q=0.4"}, {}, "text/plain", b""),
        ({}, {"format": "text"}, "text/plain", b""),
        ({"Accept": "application/json"}, {}, "text/uri-list", b"\r\n"),
        ({"Accept": "nonsense;q=x, */*"}, {}, "text/uri-list", b"\r\n"),
        ({"Accept": "text/html,*/*;q=0.8"}, {"format": "uri-list"}, "text/uri-list", b"\r\n"),
    ],
)
def test_plain_text_has_no_line_end(
    ada: Any, folder: Path, headers: dict[str, str], more: dict[str, str], kind: str, end: bytes
) -> None:
    response = ada("POST", URL, params=_query(folder, **more), headers=headers)
    assert response.headers["content-type"] == kind
    assert response.content == b"/xapi/dicom/%d%b" % (_number(response), end)


@pytest.mark.parametrize(
    ("headers", "more"), [({}, {"format": "html"}), ({"Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"}, {})]
)
def test_a_browser_gets_a_page_with_a_link(
    ada: Any, folder: Path, headers: dict[str, str], more: dict[str, str]
) -> None:
    response = ada("POST", URL, params=_query(folder, **more), headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    link = re.search(r'href="(/xapi/dicom/\d+)"', response.text)
    assert link is not None
    assert ada("GET", link[1]).status_code == 200


def test_the_status_has_xnats_members_and_types(ada: Any, folder: Path) -> None:
    number = _number(ada("POST", URL, params=_query(folder, SUBJECT_ID="S1", EXPT_LABEL="E1", unknown="kept")))
    response = ada("GET", f"/xapi/dicom/{number}?format=json")
    status = response.json()
    assert response.headers["content-type"] == "application/json"
    assert {name: type(status[name]) for name in ("id", "enabled", "created", "timestamp", "disabled")} == {
        "id": int,
        "enabled": bool,
        "created": int,
        "timestamp": int,
        "disabled": int,
    }
    assert (status["username"], status["sessionPath"], status["status"]) == ("ada", str(folder), "Queued")
    assert status["cleanupAfterImport"] is False
    assert "resolution" not in status
    assert status["parameters"]["unknown"] == "kept"
    assert "import-handler" not in status["parameters"]
    assert all(isinstance(value, str) for value in status["parameters"].values())


@pytest.mark.parametrize(
    ("given", "expected"), [(None, False), ("", False), ("TRUE", True), ("true", True), ("1", False)]
)
def test_cleanup_is_off_unless_true(ada: Any, folder: Path, given: str | None, expected: bool) -> None:
    more = {} if given is None else {"cleanupAfterImport": given}
    number = _number(ada("POST", URL, params=_query(folder, **more)))
    assert ada("GET", f"/xapi/dicom/{number}").json()["cleanupAfterImport"] is expected


def test_asking_twice_answers_the_first_request(ada: Any, folder: Path) -> None:
    first = ada("POST", URL, params=_query(folder))
    assert ada("POST", URL, params=_query(folder)).content == first.content


def test_a_form_body_joins_the_query_which_wins(ada: Any, folder: Path) -> None:
    form = {"path": "/nowhere", "SUBJECT_ID": "FromForm", "import-handler": "inbox"}
    query = {"path": str(folder), "PROJECT_ID": "P1"}
    number = _number(ada("POST", URL, params=query, data=form))
    assert ada("GET", f"/xapi/dicom/{number}").json()["parameters"]["SUBJECT_ID"] == "FromForm"


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/json", "multipart/form-data; boundary=x"])
def test_any_other_body_is_ignored(ada: Any, folder: Path, kind: str) -> None:
    body = {"content": b"PROJECT_ID=P2" * 100_000, "headers": {"content-type": kind}}
    assert ada("POST", URL, params=_query(folder), **body).status_code == 200


def test_a_repeated_parameter_counts_the_last_time(ada: Any, folder: Path) -> None:
    pairs = [("path", "/nowhere"), *_query(folder).items()]
    assert ada("POST", URL, params=pairs).status_code == 200


def test_labels_with_markup_are_refused_and_not_echoed(ada: Any, folder: Path) -> None:
    response = ada("POST", URL, params=_query(folder, SUBJECT_ID="<b>Müller</b>"))
    assert (response.status_code, response.headers["X-Inbox-Reason"]) == (400, "subject_label_illegal")
    assert "ller" not in response.text


@pytest.mark.parametrize("handler", [None, "", "INBOX", "DICOM-zip"])
def test_only_the_inbox_handler_is_here(ada: Any, site: Site, folder: Path, handler: str | None) -> None:
    query = _query(folder)
    del query["import-handler"]
    before = _requests(site)
    response = ada("POST", URL, params=query if handler is None else query | {"import-handler": handler})
    assert (response.status_code, response.headers["X-Inbox-Reason"]) == (400, "handler_unknown")
    assert _requests(site) == before


@pytest.mark.parametrize(
    "query",
    [
        "path=%ff%fe",
        "path=%00",
        "path=/%ZZ",
        "%ff=%ff",
        "path=%ED%A0%80",
        "path=" + "a" * 5000,
        "PROJECT_ID=%00&path=/",
    ],
)
def test_no_bytes_in_a_query_break_the_server(ada: Any, site: Site, query: str) -> None:
    before = _requests(site)
    response = ada("POST", f"{URL}?import-handler=inbox&{query}")
    assert response.status_code == 400
    assert _requests(site) == before


@pytest.mark.parametrize("name", ["SUBJECT_ID", "EXPT_LABEL", "PROJECT_ID", "unknown", "SOURCE"])
@pytest.mark.parametrize("value", ["%ff", "%00", "%ED%A0%80"])
def test_no_bytes_in_a_parameter_break_the_server(ada: Any, folder: Path, name: str, value: str) -> None:
    given = {} if name == "PROJECT_ID" else {"PROJECT_ID": "P1"}
    query = "&".join(f"{key}={content}" for key, content in given.items())
    response = ada("POST", f"{URL}?import-handler=inbox&path={folder}&{query}&{name}={value}")
    assert response.status_code in {200, 400}
    if response.status_code == 200:
        assert ada("GET", f"/xapi/dicom/{_number(response)}").status_code == 200


def test_too_many_parameters_and_too_large_forms_are_refused(ada: Any) -> None:
    response = ada("POST", f"{URL}?" + "a=b&" * 300)
    assert (response.status_code, response.headers["X-Inbox-Reason"]) == (400, "request_malformed")
    response = ada("POST", URL, data={"path": "x" * 70_000})
    assert (response.status_code, response.headers["X-Inbox-Reason"]) == (413, "body_too_large")


def test_get_on_the_import_service_is_not_allowed(ada: Any) -> None:
    response = ada("GET", URL)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_head_is_answered_like_get(ada: Any, bob: Any, folder: Path) -> None:
    number = _number(ada("POST", URL, params=_query(folder)))
    response = ada("HEAD", f"/xapi/dicom/{number}")
    assert (response.headers["content-type"], response.content) == ("application/json", b"")
    assert int(response.headers["content-length"]) > 100
    assert bob("HEAD", f"/xapi/dicom/{number}").status_code == 404
    assert ada("HEAD", "/data/auth").status_code == 200
    assert ada("HEAD", URL).status_code == 405


def test_without_a_login_nothing_is_told_about_the_parameters(stranger: Any, site: Site, folder: Path) -> None:
    before = _requests(site)
    for query in (_query(folder), {"path": "/nowhere"}, {}):
        assert stranger("POST", URL, params=query).headers["X-Inbox-Reason"] == "unauthenticated"
    assert _requests(site) == before


def test_a_refusal_is_html_with_the_sentence_in_h3(ada: Any, site: Site) -> None:
    response = ada("POST", URL, params=_query(site.settings.inbox_path / "P1" / "<script>"))
    assert (response.status_code, response.headers["X-Inbox-Reason"]) == (400, "path_not_found")
    assert re.search("<h3>(.*)</h3>", response.text)[1] == "There is nothing at that path."
    assert "script" not in response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"


def test_a_refusal_is_a_problem_for_clients_that_accept_it(ada: Any) -> None:
    response = ada("POST", f"{URL}?import-handler=inbox", headers={"Accept": "application/problem+json"})
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    instance = problem.pop("instance")
    assert instance == f"urn:uuid:{response.headers['X-Request-Id']}"
    assert problem == {
        "type": "/help/errors/path_missing",
        "title": "Path missing",
        "status": 400,
        "detail": "The parameter path is missing.",
        "code": "path_missing",
        "hint": "Give the absolute path of a folder under the inbox.",
        "retryable": False,
    }
    assert ada("GET", problem["type"]).status_code == 200


def test_format_html_keeps_the_status_of_an_error(ada: Any) -> None:
    assert ada("POST", f"{URL}?import-handler=inbox&format=html").status_code == 400


@pytest.mark.parametrize("number", ["x", "1x", "-1", "1.5", "%F0%9F%98%80", "9" * 19])
def test_a_request_number_must_be_a_number(ada: Any, number: str) -> None:
    assert ada("GET", f"/xapi/dicom/{number}").status_code == 400


def test_requests_of_others_do_not_exist_but_for_administrators(ada: Any, bob: Any, admin: Any, folder: Path) -> None:
    number = _number(ada("POST", URL, params=_query(folder)))
    foreign, unknown = bob("GET", f"/xapi/dicom/{number}"), bob("GET", "/xapi/dicom/999999")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.text == unknown.text
    assert admin("GET", f"/xapi/dicom/{number}").status_code == 200
    for scope in ("active", "all"):
        assert number in [item["id"] for item in ada("GET", f"/xapi/dicom/list/{scope}").json()]
        assert number in [item["id"] for item in admin("GET", f"/xapi/dicom/list/{scope}").json()]
        assert number not in [item["id"] for item in bob("GET", f"/xapi/dicom/list/{scope}").json()]
