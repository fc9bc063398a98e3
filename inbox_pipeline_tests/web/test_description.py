"""The OpenAPI documents against the application: all routes, all refusals, every parameter with bytes of any kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.web.conftest import Client
from inbox_pipeline_tests.web.rights_matrix import MATRIX, OK

OWN, XNAT = "/api/openapi.json", "/api/xnat-openapi.json"
PAGES = re.compile(r"/|/api/.*openapi\.json|/help/.*|/healthz|/readyz|/metrics|/login/.*")
"""What is for people, monitors and browsers, and not for programs that are made from a document."""
HOSTILE = ("%FF", "%00", "%ED%A0%80", "9" * 400, "%3Cx%3E%22%27", ",,")
CHANGES = {"PUT": {"content": b""}, "POST": {"content": b""}}


@pytest.fixture(scope="module")
def documents(app: Any) -> dict[str, Any]:
    return {each: Client(app)("GET", each).json() for each in (OWN, XNAT)}


def _operations(documents: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for document in documents.values():
        for path, operations in document["paths"].items():
            yield from ((f"{method.upper()} {path}", operation) for method, operation in operations.items())


def test_every_route_but_the_pages_is_described_once(app: Any, documents: dict[str, Any]) -> None:
    served = {f"{method} {each.path_format}" for each in iter_route_contexts(app.routes) for method in each.methods}
    described = [name for name, _ in _operations(documents)]
    assert len(described) == len(set(described))
    assert served - set(described) == {name for name in served if PAGES.fullmatch(name.partition(" ")[2])}
    assert set(described) <= served
    assert all(path.startswith("/api/v1/") for path in documents[OWN]["paths"])
    assert not any(path.startswith("/api/v1/") for path in documents[XNAT]["paths"])


def test_names_are_unique_and_paths_have_their_parameters(documents: dict[str, Any]) -> None:
    for document in documents.values():
        names = [operation["operationId"] for _, operation in _operations({"one": document})]
        assert len(names) == len(set(names))
    for name, operation in _operations(documents):
        parameters = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert sorted(parameters) == sorted(re.findall(r"\{(\w+)\}", name)), name


@pytest.mark.parametrize("route", [route for route in MATRIX if not PAGES.fullmatch(route.partition(" ")[2])])
def test_what_roles_are_refused_with_is_described(documents: dict[str, Any], route: str) -> None:
    described = dict(_operations(documents))[route.replace(":path}", "}")]["responses"]
    expected = {str(status) for status in MATRIX[route].rule if status != OK}
    assert expected <= described.keys()
    assert {"503"} <= described.keys()
    for status in filter(lambda each: int(each) >= 400 and each != "416", described):
        assert "application/problem+json" in described[status]["content"]
        assert described[status]["headers"]["X-Inbox-Reason"]["required"]


def test_a_refused_method_is_told_all_that_the_address_answers(stranger: Any) -> None:
    assert stranger("PATCH", "/data/projects/P1").headers["allow"] == "DELETE, GET, HEAD, PUT"
    assert stranger("PATCH", "/api/v1/requests").headers["allow"] == "GET, HEAD, POST"
    assert stranger("GET", "/data/services/import").headers["allow"] == "POST"


def test_every_parameter_of_a_query_may_hold_any_bytes(app: Any, site: Site, documents: dict[str, Any]) -> None:
    admin = Client(app, ("admin", "correct horse"))
    asked = 0
    for name, parameter in _queries(documents):
        method, path = name.split(" ")
        for value in HOSTILE:
            status = admin(method, f"{_filled(path)}?{parameter}={value}", **CHANGES.get(method, {})).status_code
            assert status < 500, (name, parameter, value)
            asked += 1
    assert asked > 900


ADDRESSES = (
    "POST /data/services/{service}?src=/prearchive/projects/{bytes}/x/y",
    "POST /data/services/{service}?src=/prearchive/projects/P1/{bytes}/y",
    "POST /data/services/{service}?src=/prearchive/projects/P1/x/{bytes}",
    "POST /data/services/{service}?project={bytes}&PREARC_TIMESTAMP={bytes}&PREARC_SESSION_FOLDER={bytes}",
    "POST /data/services/{service}?src=/prearchive/projects/P1/x/y&dest=/archive/projects/{bytes}&subject={bytes}",
    "POST /data/services/import?import-handler=inbox&path={inbox}/{bytes}/x&PROJECT_ID=P1",
    "POST /data/services/import?import-handler=inbox&path={folder}&PROJECT_ID={bytes}",
    "POST /data/services/import?import-handler=inbox&path={folder}&PROJECT_ID=P1&SUBJECT_ID={bytes}",
    "POST /data/services/import?import-handler=inbox&path={folder}&PROJECT_ID=P1&EXPT_LABEL={bytes}",
    "POST /data/services/import?import-handler=inbox&path={folder}&PROJECT_ID=P1&{bytes}={bytes}",
    "PUT /data/projects/{bytes}",
    "PUT /data/projects/P1/subjects/{bytes}",
    "PUT /data/projects/P1/users/Owners/{bytes}",
)
SERVICES = ("archive", "validate-archive", "prearchive/delete", "prearchive/rebuild")


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_part_of_an_address_may_hold_any_bytes(app: Any, site: Site, folder: Path, address: str) -> None:
    admin = Client(app, ("admin", "correct horse"))
    places = {"inbox": site.settings.inbox_path, "folder": folder}
    for service in SERVICES if "{service}" in address else ("",):
        for value in HOSTILE:
            method, url = address.format(service=service, bytes=value, **places).split(" ")
            assert admin(method, url).status_code < 500, (service, value)


BODIES = (
    b"",
    b"\x00\xff",
    b'{"a":' * 100_000,
    b"[" * 100_000,
    b'"\\ud800"',
    b'{"status": 1}',
    b"<a>" * 9_000,
    b"9" * 9_000,
)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/xml", "multipart/form-data; boundary=x"])
def test_a_body_may_hold_any_bytes(app: Any, site: Site, documents: dict[str, Any], kind: str) -> None:
    admin = Client(app, ("admin", "correct horse"))
    written = {name for name, operation in _operations(documents) if "requestBody" in operation}
    assert len(written) >= 20
    for method, path in (name.split(" ") for name in written if not name.partition(" ")[2].startswith("/REST")):
        for content in BODIES:
            answer = admin(method, _filled(path), content=content, headers={"Content-Type": kind})
            assert answer.status_code < 500, (method, path, content[:20])


def _queries(documents: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the operations that are implemented apart from each other, with each parameter of their queries."""
    seen: set[tuple[str, str]] = set()
    for name, operation in _operations(documents):
        for parameter in (each["name"] for each in operation["parameters"] if each["in"] == "query"):
            if (operation["description"], parameter) not in seen:
                seen.add((operation["description"], parameter))
                yield name, parameter


def _filled(path: str) -> str:
    path = path.replace("{rules}", "projectRules").replace("{target}", "project").replace("{path}", "script")
    return re.sub(r"\{\w+\}", "x", path.replace("{project_id}", "P1").replace("{project_ids}", "P1"))
