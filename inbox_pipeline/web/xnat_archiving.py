"""XNAT's services on prearchive sessions: archive, move, delete, rebuild, several at once (contract sections 4.2, 4.5).

Belongs here: their parameters, waiting, and answers. Does not belong here: the work (`services/prearchive.py`).

A single session is waited for: the answer tells where it is in the archive, or why it is not. Several are asked for and
listed.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter
from sqlalchemy.engine import RowMapping
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.intake.prearchive import CODES
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import prearchive
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.prearchive import Finding, Place, Wish
from inbox_pipeline.services.site import Site
from inbox_pipeline.web.answers import text
from inbox_pipeline.web.description import TABLE, TEXT, query, refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Given, Pairs, last
from inbox_pipeline.web.tables import Row, Table, table_answer
from inbox_pipeline.web.waiting import wait_until_done
from inbox_pipeline.web.xnat_prearchive import new_project, session_table

_PARTS = 5
FINDING_COLUMNS = ("code", "type", "message", "reason")
_MERGE = ("overwrite", "overwrite_files")

SOURCES = {"type": "array", "items": TEXT}
PLACES = query("project", "PREARC_TIMESTAMP", "PREARC_SESSION_FOLDER", "format", src=SOURCES)
MOVE = query("newProject", "format", src=SOURCES, required=("newProject",))
WISH = query("project", "subject", "session", "dest", "overwrite", "overwrite_files", "format", src=SOURCES)
ARCHIVED = {200: {"content": {"text/uri-list": {"schema": TEXT}, **TABLE[200]["content"]}}}

_routes = APIRouter()


@_routes.post("/services/archive", responses=ARCHIVED, openapi_extra=WISH)
@refuses(403, 404, 409)
async def archive(request: Request, account: Known, site: Served, given: Given) -> Response:
    """Archive sessions."""
    places = _places(given)
    wish = _wish(given)
    numbers = [await run_in_threadpool(prearchive.archive, site, account, place, wish) for place in places]
    if len(places) > 1:
        rows = [await run_in_threadpool(prearchive.session, site, account, place) for place in places]
        return table_answer(request, given, session_table(rows))
    await wait_until_done(site, numbers[0])
    uri = await run_in_threadpool(prearchive.archived_uri, site, numbers[0])
    return text(f"{uri}\r\n", "text/uri-list")


def _wish(given: Pairs) -> Wish:
    """Read what is asked for, under XNAT's names and ours."""
    named = {name: last(given, name) for name in _MERGE if last(given, name)}
    return Wish(
        _first(given, "project", "PROJECT_ID") or _destination(given),
        _first(given, "subject", "SUBJECT_ID"),
        _first(given, "session", "EXPT_LABEL", "label"),
        named,
    )


def _first(given: Pairs, *names: str) -> str | None:
    return next((value for name in names if (value := last(given, name).strip())), None)


def _destination(given: Pairs) -> str | None:
    """Return the project of `dest`, an address in the archive."""
    parts = urlsplit(last(given, "dest")).path.split("/")
    return parts[parts.index("projects") + 1] if "projects" in parts[:-1] else None


@_routes.post("/services/validate-archive", responses=TABLE, openapi_extra=WISH)
@refuses(403, 404, 409)
def validate(request: Request, account: Known, site: Served, given: Given) -> Response:
    """List what would stand in the way of archiving sessions; an empty table if nothing does."""
    wish = _wish(given)
    findings = [each for place in _places(given) for each in prearchive.foresee(site, account, place, wish)]
    rows = [_finding_row(each) for each in findings]
    return table_answer(request, given, Table("validate-archive", FINDING_COLUMNS, rows, len(rows)))


def _finding_row(finding: Finding) -> Row:
    kind = "CONFLICT" if finding.conflict else "WARN"
    return {"code": CODES[finding.code], "type": kind, "message": finding.message, "reason": finding.code}


@_routes.post("/services/prearchive/delete", responses=TABLE, openapi_extra=PLACES)
@refuses(403, 404, 409)
def delete(request: Request, account: Known, site: Served, given: Given) -> Response:
    """Delete sessions, and list them as they were."""
    return _each(request, site, account, given, _deleted)


def _deleted(site: Site, account: Account, place: Place) -> RowMapping:
    found = prearchive.session(site, account, place)
    prearchive.delete(site, account, place)
    return found


@_routes.post("/services/prearchive/rebuild", responses=TABLE, openapi_extra=PLACES)
@refuses(403, 404, 409)
def rebuild(request: Request, account: Known, site: Served, given: Given) -> Response:
    """Read the files of sessions again, and list them."""
    return _each(request, site, account, given, prearchive.rebuild)


@_routes.post("/services/prearchive/move", responses=TABLE, openapi_extra=MOVE)
@refuses(403, 404, 409)
def move(request: Request, account: Known, site: Served, given: Given) -> Response:
    """Move sessions to another project's prearchive, and list them as they are there."""
    project_id = new_project(given)

    def moved(site: Site, account: Account, place: Place) -> RowMapping:
        return prearchive.move(site, account, place, project_id)

    return _each(request, site, account, given, moved)


def _each(
    request: Request,
    site: Site,
    account: Account,
    given: Pairs,
    work: Callable[[Site, Account, Place], RowMapping],
) -> Response:
    rows = [work(site, account, place) for place in _places(given)]
    return table_answer(request, given, session_table(rows))


def _places(given: Pairs) -> list[Place]:
    """Return the sessions that `src` names, or the one of project, timestamp and folder.

    Raises:
        Rejected: `parameter_invalid`.
    """
    named = [value for name, value in given if name == "src" and value]
    if named:
        return list(dict.fromkeys(map(_place, named)))
    parts = [last(given, name) for name in ("project", "PREARC_TIMESTAMP", "PREARC_SESSION_FOLDER")]
    if not all(parts):
        raise refusal("parameter_invalid", name="src")
    return [Place(*parts)]


def _place(source: str) -> Place:
    parts = unquote(urlsplit(source).path).strip("/").removeprefix("data/").split("/")
    if len(parts) != _PARTS or parts[:2] != ["prearchive", "projects"]:
        raise refusal("parameter_invalid", name="src")
    return Place(*parts[2:])


router = APIRouter()
for prefix in ("/data", "/REST"):
    router.include_router(_routes, prefix=prefix)
