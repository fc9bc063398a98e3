"""Schemathesis over the OpenAPI documents of a running server: a site worth asking about, and one pass over a document.

Belongs here: filling the site, what Schemathesis is told about it, running it. Does not belong here: how often and for
how long (`test_api_fuzz.py`, `benchmarks/fuzz_web.py`).

Schemathesis runs unmodified, in a process of its own. Parameters are drawn from the document's schemas, and often from
the names of what there is, so that routes are also asked about things that exist. A request that takes longer than
`HANG_SECONDS` fails like a wrong answer.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from inbox_pipeline.errors import InboxError
from inbox_pipeline.intake.prearchive import READY
from inbox_pipeline.services import accounts, browse, deletion, projects, requests, routing, scripts, undo
from inbox_pipeline.services.prearchive import Place
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import prearchive
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.web.browsing import import_folder
from inbox_pipeline_tests.web.test_xnat_prearchive import worker

PASSWORD = "correct horse"
DOCUMENTS = {"own": "/api/openapi.json", "xnat": "/api/xnat-openapi.json"}
ROLES = ("admin", "member", "outsider")
HANG_SECONDS = 20
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
OWN_CHECKS = ("negative_data_rejection", "ignored_auth")
"""XNAT's routes take what they do not know for absent, ours refuse it. Wrong passwords at all of XNAT's routes are more
than a login's failures may be; who has none is refused by the test of rights there."""

RULES = "(0010,4000):^NOBODY (\\w+):1\n"
SCRIPT = 'version "6.3"\n(0010,0010) := subject\n'
SEARCH = (
    '<xdat:bundle xmlns:xdat="http://nrg.wustl.edu/security">'
    "<xdat:root_element_name>xnat:projectData</xdat:root_element_name></xdat:bundle>"
)
BODIES = {"text/plain": [SCRIPT, ""], "text/xml": [SEARCH]}
Names = Mapping[str, Sequence[str]]
WAITING = 7
EMPTY = "EMPTY"
"""A project that holds nothing."""
_STUDIES = count(1)
_COUNT = re.compile(
    r'^inbox_pipeline_http_requests_total\{method="(\w+)",route="([^"]*)",status="(\d+)"\} (\S+)$', re.M
)


@dataclass
class Stage:
    """A site with two projects and their people, archived and waiting sessions, requests, scripts and a token.

    `archived` are the numbers of the study and the request of the archived session that is asked about, `withdrawn` is
    the number of a request whose session was withdrawn, `deleted` of a session that was deleted, `filed` of a request
    that waits.
    """

    site: Site
    archived: tuple[int, int] = (0, 0)
    withdrawn: int = 0
    deleted: int = 0
    filed: int = 0

    def fill(self) -> None:
        """Make all there is to ask about, again where an earlier pass has used it up."""
        self._people()
        admin = self._account("admin")
        for each in requests.list_requests(self.site, admin, active=True):
            requests.cancel(self.site, admin, each["id"])
        projects.set_site(self.site, "admin", script_enabled=False, login_failures=100, address_failures=100_000)
        scripts.ensure_default_script(self.site)
        scripts.store_script(self.site, "admin", SCRIPT, "P1", lookup="a/b = c\n")
        for target in ("project", "subject", "session"):
            routing.set_rules(self.site, "admin", target, RULES)
        for project in ("P1", "P2"):
            projects.set_project(self.site, "admin", project, policy="none", prearchive_code=4, script_enabled=False)
        self.archived = self._session("P1")
        self.withdrawn = self._session("P1")[1]
        undo.undo(self.site, admin, self.withdrawn)
        study, _ = self._session("P1")
        deletion.delete_session(self.site, admin, browse.find_session(self.site, admin, f"MR{study}", "P1"))
        self.deleted = deletion.list_deleted(self.site, "P1")[0]["id"]
        projects.set_project(self.site, "admin", "P1", prearchive_code=0)
        for _ in range(WAITING):
            self._session("P1")
        self.filed = self._filed()

    def restore(self) -> None:
        """Bring back what was deleted."""
        projects.create_project(self.site, "admin", EMPTY, if_missing=True)
        for each in deletion.list_deleted(self.site, "P1"):
            with suppress(InboxError):  # it is on its way
                deletion.restore(self.site, self._account("admin"), "P1", each["id"])

    def _people(self) -> None:
        known = {user["login"] for user in accounts.list_users(self.site)}
        for login in {*ROLES, "casual"} - known:
            accounts.create_user(self.site, "admin", login, PASSWORD)
        there = {project["id"] for project in projects.list_projects(self.site)}
        for project in {"P1", "P2", EMPTY} - there:
            projects.create_project(self.site, "admin", project)
        projects.set_member(self.site, "admin", "P1", "member", "member")
        projects.set_member(self.site, "admin", "P1", "casual", "collaborator")

    def _session(self, project: str) -> tuple[int, int]:
        """Import a session of two scans to where the project's code says; returns the numbers of study and request."""
        study = next(_STUDIES)
        folder = self.site.settings.inbox_path / project / f"study{study}"
        for series in (1, 2):
            save(instance(study, series, 1, SeriesDescription=f"s{series}"), folder / f"{series}.dcm")
        request_id = import_folder(self.site, folder, project, f"SUB{study}", f"MR{study}")
        return study, request_id

    def _filed(self) -> int:
        """File a request of the member's that waits, and return its number."""
        folder = self._folder()
        folder.mkdir(exist_ok=True)
        (folder / "readme.txt").write_text("not DICOM")
        asked = [("path", str(folder)), ("PROJECT_ID", "P1")]
        return requests.file_request(self.site, self._account("member"), asked).request_id

    def _folder(self) -> Path:
        return self.site.settings.inbox_path / "P1" / "waiting"

    def _account(self, login: str) -> accounts.Account:
        account = accounts.get_account(self.site, login)
        assert account is not None
        return account

    def names(self) -> dict[str, list[Any]]:
        """Return values that parameters can have because there is such a thing, by the parameters' names.

        Where a route takes several, they go together: an archived session, its files, and one that waits.
        """
        with self.site.catalog.read() as connection:
            ready = [each for each in prearchive.waiting(connection, ["P1"]) if each["state"] == READY]
        waiting = sorted(ready, key=lambda each: int(each["id"]))[-WAITING:]
        admin = self._account("admin")
        study, request_id = self.archived
        accession = requests.request_json(self.site, request_id, admin)["sessions"][0]["uri"].rpartition("/")[2]
        archived = self.site.settings.archive_path / "P1" / "arc001" / f"MR{study}"
        files, waiting_files = (
            [path.name for path in tree.glob("SCANS/1/**/*.dcm")]
            for tree in (archived, self.site.settings.prearchive_path / waiting[0]["path"])
        )
        token = accounts.issue_token(self.site, admin)
        return {
            "project_id": ["P1", "p1", EMPTY],
            "deleted_id": [self.deleted],
            "project_ids": ["P1", "P1,P2"],
            "request_id": [str(number) for number in (request_id, self.withdrawn, self.filed)],
            "path.version": [1],
            "query.version": ["1"],
            "subject_id": [f"SUB{study}"],
            "experiment_id": [f"MR{study}", accession],
            "scan_id": ["1", "2"],
            "scan_ids": ["1,2", "ALL"],
            "scan_label": ["1"],
            "resource_id": ["DICOM"],
            "resource": ["DICOM"],
            "name": [*files, *waiting_files],
            "prearchive name": waiting_files,
            "schemas name": ["xnat"],
            "timestamp": [waiting[0]["prearchive_timestamp"]],
            "label": [waiting[0]["label"]],
            "archive src": [Place.of(each).uri for each in waiting[1:3]],
            "delete src": [Place.of(each).uri for each in waiting[3:5]],
            "move src": [Place.of(each).uri for each in waiting[5:6]],
            "dicomdump src": [f"/archive/projects/P1/experiments/MR{study}/scans/1"],
            "field": ["PatientID", "00080060"],
            "move newProject": ["P2"],
            "prearchive newProject": ["NONE"],
            "target_project_id": ["P2"],
            "elsewhere src": [Place.of(each).uri for each in waiting[6:]],
            "group": ["Collaborators", "P1_collaborator"],
            "login": ["casual"],
            "username": ["casual"],
            "password": [PASSWORD],
            "code": ["0", "4", "5"],
            "xsi_type": ["xnat:mrSessionData", "xnat:mrScanData"],
            "alias": [token["alias"]],
            "secret": [token["secret"]],
            "rules": ["projectRules"],
            "value": ["private", "0", "arc001"],
            "path.path": ["script", "projects/P1"],
            "path": [str(self._folder())],
            "PROJECT_ID": ["P1"],
            "project": ["P1"],
            "body.subject": ["SUB1"],
            "body.session": ["SESS9"],
        }


def prepared(document: dict[str, Any], names: Names, chosen: Callable[[str], bool]) -> dict[str, Any]:
    """Return a document as it is tested.

    It has the chosen paths alone. No object in it has members that it does not name, so that none goes undescribed.
    Names of what there is are examples.
    """
    strict = copy.deepcopy(document)
    strict["paths"] = {path: operations for path, operations in strict["paths"].items() if chosen(path)}
    for schema in _schemas(strict):
        for name, member in schema["properties"].items():
            schema["properties"][name] = _hinted(member, names.get(f"body.{name}", names.get(name)))
        schema.setdefault("additionalProperties", False)
    for path, operation in _operations(strict):
        for parameter in operation.get("parameters", ()):
            _give_examples(parameter["schema"], _known(names, path, parameter))
    for content in _contents(strict):
        for media_type in BODIES.keys() & content.keys():
            described = content.pop(media_type)  # as plain text: a text of XML would be wrapped in XML again
            content["text/plain"] = {**described, "schema": _hinted(described["schema"], BODIES[media_type])}
    return strict


def _schemas(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas of a document that name members: those of its components, and those of bodies."""
    yield from (each for each in document["components"]["schemas"].values() if "properties" in each)
    bodies = (media["schema"] for content in _contents(document) for media in content.values())
    yield from (each for each in bodies if "properties" in each)


def _contents(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what bodies can be, by media type."""
    yield from (each.get("requestBody", {}).get("content", {}) for _, each in _operations(document))


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        yield from ((path, operation) for operation in operations.values())


def _hinted(schema: dict[str, Any], known: Sequence[Any] | None) -> dict[str, Any]:
    """Return the schema of a part of a body, to which dictionaries do not reach, with the names that it takes."""
    return {"anyOf": [{"enum": list(known)}, schema], "examples": list(known)} if known else schema


def _known(names: Names, path: str, parameter: dict[str, Any]) -> Sequence[Any] | None:
    """Return the names that a parameter takes: those for such paths, for its place, or wherever it is."""
    name = parameter["name"]
    special = [f"{part} {name}" for part in reversed(path.split("/"))] + [
        f"{parameter['in']}.{name}",
        name,
        f"elsewhere {name}",
    ]
    return next((names[each] for each in special if each in names), None)


def _give_examples(schema: dict[str, Any], known: Sequence[Any] | None) -> None:
    if known and "items" in schema:
        schema["items"] = _hinted(schema["items"], known)
    elif known:
        schema["examples"] = list(known)


_USING_UP = re.compile(
    r".*/services/(archive|prearchive/(delete|move))|.*/\{group\}/\{login\}|.*/\{timestamp\}/\{label\}|.*/JSESSION"
)
_RELABELLED = re.compile(r".*(/subjects/\{subject_id\}|/experiments/\{experiment_id\}(?:/projects/.*)?)")
DELETING, RELABELLING, USING_UP = "deleting", "relabelling", "using-up"
PASSES: dict[str, tuple[tuple[str, ...], Callable[[str], bool]]] = {
    "reading": (("--include-method", "GET"), lambda path: True),
    "writing": (
        ("--exclude-method", "GET", "--exclude-method", "DELETE"),
        lambda path: not (_USING_UP.fullmatch(path) or _RELABELLED.fullmatch(path)),
    ),
    RELABELLING: (("--include-method", "PUT"), lambda path: bool(_RELABELLED.fullmatch(path))),
    USING_UP: (("--exclude-method", "GET", "--exclude-method", "DELETE"), lambda path: bool(_USING_UP.fullmatch(path))),
    DELETING: (("--include-method", "DELETE"), lambda path: True),
}
"""What is done in one go, after which the site is filled again: options of Schemathesis, and which paths."""


def wanted_from(route: str) -> str:
    """Return the group of routes of which one must have succeeded: mostly the route alone.

    What a session was called before it got another label names nothing afterwards, under all addresses of sessions.
    """
    method, path = route.split(" ")
    relabelled = _RELABELLED.fullmatch(path) if method == "PUT" else None
    return f"PUT ...{relabelled[1]}" if relabelled else route


def passes(kind: str) -> list[str]:
    """Return the passes that a document needs: our own API uses nothing up."""
    return [each for each in PASSES if kind != "own" or each not in (DELETING, RELABELLING, USING_UP)]


@contextmanager
def restoring(stage: Stage) -> Iterator[None]:
    """Let what is deleted be there again, for the next address at which it can be."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.01):
            stage.restore()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    done.set()
    thread.join()


@dataclass(frozen=True)
class Outcome:
    """What a pass came to: the exit code of Schemathesis, and what it says."""

    code: int
    told: str


def one_pass(
    stage: Stage,
    url: str,
    kind: str,
    role: str,
    name: str,
    folder: Path,
    *options: str,
    but: tuple[str, ...] = (),
) -> Outcome:
    """Fill the site and let Schemathesis ask a server what one of its documents describes, as one user.

    Requests are worked on meanwhile where waiting sessions are archived; elsewhere they wait, and can be cancelled.

    Args:
        stage: the site.
        url: where it is served.
        kind: which document, of `DOCUMENTS`.
        role: who asks, of `ROLES`.
        name: what of it, of `PASSES`.
        folder: where Schemathesis keeps its files; made here.
        options: what it is told besides.
        but: prefixes of paths that are left out.
    """
    folder.mkdir(parents=True)
    stage.fill()
    names = stage.names()
    filters, chosen = PASSES[name]
    described = httpx.get(f"{url}{DOCUMENTS[kind]}", timeout=60).raise_for_status().json()
    document = prepared(described, names, lambda path: chosen(path) and not path.startswith(but))
    (folder / "document.json").write_text(json.dumps(document))
    (folder / "schemathesis.toml").write_text("\n".join(_configuration(names)))
    checks = ",".join((*CHECKS, *OWN_CHECKS) if kind == "own" else CHECKS)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"), "run"]
    command += [str(folder / "document.json"), "--url", url, "--auth", f"{role}:{PASSWORD}", "--checks", checks]
    command += ["--request-timeout", str(HANG_SECONDS), "--no-color", *filters, *options]
    working, restored = lambda: worker(stage.site), lambda: restoring(stage)
    beside = {USING_UP: working, RELABELLING: working, DELETING: restored}
    with beside.get(name, nullcontext)():
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return Outcome(done.returncode, done.stdout + done.stderr)


def answered(url: str) -> dict[str, Counter[int]]:
    """Return how often each route of a server has answered with which status, by its own count."""
    counted: dict[str, Counter[int]] = defaultdict(Counter)
    text = httpx.get(f"{url}/metrics", timeout=60).raise_for_status().text
    for method, route, status, number in _COUNT.findall(text):
        counted[f"{method} {route}"][int(status)] += int(float(number))
    return counted


def _configuration(names: Names) -> Iterator[str]:
    """Yield the lines of a configuration by which parameters mostly have values that name something."""
    bound = {name: list(values) for name, values in names.items() if " " not in name and not name.startswith("body.")}
    for name, values in bound.items():
        yield f"[dictionaries.{json.dumps(name)}]\nvalues = {json.dumps(values)}"
    yield "[parameters]"
    for name in bound:
        yield f"{json.dumps(name)} = {{ dictionary = {json.dumps(name)}, probability = 0.9 }}"
