"""Every route with every role and none: only what the matrix allows, 404 where existence must not leak, never a 500."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from inbox_pipeline.services import accounts, projects, requests, scripts
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.web.browsing import import_folder
from inbox_pipeline_tests.web.conftest import Client
from inbox_pipeline_tests.web.rights_matrix import MATRIX, OK, PASSWORD, PROJECT, ROLES, SCRIPT, SESSION, SUBJECT, Stage

HOSTILE = ("%00", "%FF", "..%2F..%2Fetc", "%F0%9F%98%80", "0" * 3000, "'%22%3C%25s")
KINDS = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain")
NAMES = ("project", "PROJECT_ID", "subject", "session", "label", "tag", "xsiType", "columns", "sortBy", "ID", "actor")
HIDDEN = [route for route, entry in MATRIX.items() if "{project_id}" in route and entry.rule[1] == 404]


@pytest.fixture(scope="module")
def stage(site: Site) -> Stage:
    for role in (*ROLES[1:], "casual"):
        site_role = role if role in accounts.SITE_ROLES else "none"
        accounts.create_user(site, "admin", role, PASSWORD, role=site_role)
    for role in projects.ROLES:
        projects.set_member(site, "admin", PROJECT, role, role)
    scripts.ensure_default_script(site)
    scripts.store_script(site, "admin", SCRIPT.decode(), PROJECT)
    folder = site.settings.inbox_path / PROJECT / "session"
    folder.mkdir()
    (folder / "readme.txt").write_text("not DICOM")
    return Stage(site, folder, _filed(site, folder), _archived(site))


def _archived(site: Site) -> str:
    """Archive a session and return the name of one of its files."""
    folder = session_folder(site.settings.inbox_path / PROJECT / "archived")
    import_folder(site, folder, PROJECT, SUBJECT, SESSION)
    return next(site.settings.archive_path.rglob("*.dcm")).name


def _filed(site: Site, folder: Path) -> int:
    member = accounts.get_account(site, "member")
    assert member is not None
    return requests.file_request(site, member, [("path", str(folder)), ("PROJECT_ID", PROJECT)]).request_id


def _send(app: Any, role: str, route: str, stage: Stage, project: str = PROJECT) -> Any:
    method, path = route.split(" ")
    client = Client(app, None if role == "nobody" else (role, PASSWORD))
    filled = stage.fill(path).replace(f"/projects/{PROJECT}", f"/projects/{project}")
    return client(method, filled, **MATRIX[route].options(stage))


def _fits(status: int, expected: int, also: frozenset[int]) -> bool:
    return status < 400 or status == 409 or status in also if expected == OK else status == expected


def test_the_matrix_has_every_route_and_no_other(app: Any) -> None:
    served = {f"{method} {context.path}" for context in iter_route_contexts(app.routes) for method in context.methods}
    assert served == MATRIX.keys()


@pytest.mark.parametrize("route", MATRIX)
def test_a_route_answers_each_role_as_the_matrix_says(app: Any, stage: Stage, route: str) -> None:
    entry = MATRIX[route]
    answers = {role: _send(app, role, route, stage).status_code for role in ROLES}
    expected = dict(zip(ROLES, entry.rule, strict=True))
    wrong = {role: status for role, status in answers.items() if not _fits(status, expected[role], entry.also)}
    assert wrong == {}, f"expected {expected}"


@pytest.mark.parametrize("route", HIDDEN)
def test_a_project_of_others_looks_like_one_that_does_not_exist(app: Any, stage: Stage, route: str) -> None:
    other, none = (_send(app, "outsider", route, stage, project) for project in (PROJECT, "NOWHERE"))
    assert (other.status_code, none.status_code) == (404, 404)
    assert re.sub("urn:uuid:[0-9a-f-]*", "", other.text) == re.sub("urn:uuid:[0-9a-f-]*", "", none.text)
    assert _send(app, "administrator", route, stage, "NOWHERE").status_code == 404


@pytest.mark.parametrize("route", MATRIX)
def test_nothing_that_is_sent_is_a_fault_of_ours(app: Any, stage: Stage, route: str) -> None:
    method, path = route.split(" ")
    client = Client(app, ("administrator", PASSWORD))
    also = MATRIX[route].also
    for value in HOSTILE if "{" in path else ():
        status = client(method, re.sub(r"\{[^}]*\}", value, path), **MATRIX[route].options(stage)).status_code
        assert status < 500 or status in also, value
    for kind in KINDS:
        body = {"content": b"\x00\xff{[&=;", "headers": {"Content-Type": kind}} if method != "GET" else {}
        status = client(method, f"{stage.fill(path)}?format=%00&path=%FF&limit=%F0", **body).status_code
        assert status < 500 or status in also, kind
    for value in ("%00", "%FF"):
        source = f"src=/prearchive/projects/{PROJECT}/{value}/{value}&import-handler=inbox&path=/{value}"
        query = "&".join([source, *(f"{name}={value}" for name in NAMES)])
        status = client(method, f"{stage.fill(path)}?{query}").status_code
        assert status < 500 or status in also, query
