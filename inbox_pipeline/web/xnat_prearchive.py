"""The prearchive under XNAT's addresses: lists, a session and its scans, what is done to one session (contract 4.2).

Belongs here: routes and the columns of their tables. Does not belong here: the services that take several sessions
(`xnat_archiving.py`), and what may be done (`services/prearchive.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy.engine import RowMapping
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from inbox_pipeline.intake.prearchive import READY
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import browse, prearchive
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.prearchive import Place
from inbox_pipeline.services.reading import open_waiting
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.views import Wanted
from inbox_pipeline.web.answers import text
from inbox_pipeline.web.description import PLAIN, TABLE, answer, query, refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Given, Pairs, Query, last
from inbox_pipeline.web.tables import XML, Row, Table, asked_format, table_answer
from inbox_pipeline.web.xnat_files import FILE, PART, ZIPPED, file_answer, zip_answer
from inbox_pipeline.web.xnat_items import item_answer, session_item

COLUMNS = (
    "project",
    "timestamp",
    "lastmod",
    "uploaded",
    "scan_date",
    "scan_time",
    "subject",
    "folderName",
    "name",
    "tag",
    "status",
    "url",
    "autoarchive",
    "prevent_anon",
    "prevent_auto_commit",
    "SOURCE",
    "VISIT",
    "PROTOCOL",
    "TIMEZONE",
)
SCAN_COLUMNS = ("ID", "xsiType", "series_description", "type", "URI")
RESOURCE_COLUMNS = ("category", "cat_id", "label", "file_count", "file_size", "format", "content", "URI")
FILE_COLUMNS = ("Name", "Size", "URI", "collection", "file_tags", "file_format", "file_content", "cat_ID", "digest")
RESOURCE = "DICOM"
ZIP_FORMAT = "zip"
_MOMENT = "%Y-%m-%d %H:%M:%S.%f"
_SESSION = "/prearchive/projects/{project_id}/{timestamp}/{label}"

FORMAT = query("format")
ADDRESS = {200: answer("text/uri-list")}
MOVED = {301: answer(description="The session is at another address.")}
ACTION = query(
    "newProject",
    action={"type": "string", "enum": ["build", "commit", "reset-status", "set-status", "move"]},
    status={"type": "string", "enum": [READY]},
)
SHOWN = query(format={"type": "string", "enum": ["json", "csv", "xml", "html", ZIP_FORMAT]})

_routes = APIRouter()


@refuses(403, 404)
def place_of(project_id: str, timestamp: str, label: str) -> Place:
    """Return the place that a path names."""
    return Place(project_id, timestamp, label)


At = Annotated[Place, Depends(place_of)]


def row_of(session: RowMapping) -> Row:
    """Return a prearchive session as XNAT lists it."""
    uri = Place.of(session).uri
    return {
        "project": session["project_id"],
        "timestamp": session["prearchive_timestamp"],
        "lastmod": session["created_at"].strftime(_MOMENT)[:-3],
        "uploaded": session["created_at"].strftime(_MOMENT)[:-3],
        "scan_date": session["date"].strftime("%Y-%m-%d 00:00:00.0") if session["date"] else "",
        "scan_time": session["time"].strftime("%H:%M:%S") if session["time"] else "",
        "subject": session["subject_label"],
        "folderName": session["label"],
        "name": session["label"],
        "tag": session["study_uid"],
        "status": session["state"],
        "url": uri,
        "autoarchive": "",
        "prevent_anon": "false",
        "prevent_auto_commit": "false",
        "SOURCE": "inbox",
    }


def session_table(sessions: Sequence[RowMapping]) -> Table:
    """Return the table of prearchive sessions."""
    return Table("prearchive", COLUMNS, [row_of(session) for session in sessions], len(sessions))


@_routes.get("/prearchive", responses=TABLE, openapi_extra=query("format", "tag"))
@_routes.get("/prearchive/projects", responses=TABLE, openapi_extra=query("format", "tag"))
def list_sessions(request: Request, account: Known, site: Served, query: Query) -> Response:
    """List the prearchive sessions of the projects that the sender may edit; `tag` chooses by Study Instance UID."""
    tag = last(query, "tag")
    found = [each for each in prearchive.sessions(site, account) if not tag or each["study_uid"] == tag]
    return table_answer(request, query, session_table(found))


@_routes.put("/prearchive", responses=TABLE, openapi_extra=FORMAT)
def rescan(request: Request, account: Known, site: Served, query: Query) -> Response:
    """Look whether the files of all sessions are there, and list the sessions."""
    return table_answer(request, query, session_table(prearchive.rescan(site, account)))


@_routes.get("/prearchive/projects/{project_ids}", responses=TABLE, openapi_extra=FORMAT)
@refuses(403)
def list_project_sessions(project_ids: str, request: Request, account: Known, site: Served, query: Query) -> Response:
    """List the prearchive sessions of one project, or of several that a comma parts."""
    named = [each for each in project_ids.split(",") if each]
    return table_answer(request, query, session_table(prearchive.sessions(site, account, named)))


@_routes.get(_SESSION, responses=ZIPPED, openapi_extra=SHOWN)
@refuses(503)
def show_session(place: At, request: Request, account: Known, site: Served, query: Query) -> Response:
    """Answer a session as a table of one row; with `format=xml` its document, with `format=zip` its files."""
    found = prearchive.session(site, account, place)
    if last(query, "format").lower() == ZIP_FORMAT:
        return zip_answer(request, open_waiting(site, found))
    if asked_format(request, query) == XML:
        return item_answer(request, query, session_item(_item_of(found), browse.list_scans(site, found, Wanted()).rows))
    return table_answer(request, query, session_table([found]))


def _item_of(session: RowMapping) -> dict[str, Any]:
    """Return what a session's document tells of: as it has no accession id yet, its subject stands by its label."""
    return {**session, "subject_accession": session["subject_label"]}


@_routes.delete(_SESSION, responses=PLAIN)
@refuses(409)
def delete_session(place: At, account: Known, site: Served) -> Response:
    """Delete a session."""
    prearchive.delete(site, account, place)
    return text("")


@_routes.put(_SESSION, responses=ADDRESS, openapi_extra=ACTION)
@_routes.post(_SESSION, responses=ADDRESS | MOVED, openapi_extra=ACTION)
@refuses(403, 409)
def act(place: At, request: Request, account: Known, site: Served, given: Given) -> Response:
    """Do to a session what `action` says, and answer its address.

    A move is answered with 301 to the new one, as XNAT does; after a PUT with 200, as clients would put it again there.
    Building reads its files again; a state other than READY cannot be set, as a state is what was found.
    """
    action = last(given, "action").lower() or ("move" if last(given, "newProject") else "")
    if action == "move":
        there = Place.of(prearchive.move(site, account, place, new_project(given))).uri
        if request.method == "PUT":
            return text(f"{there}\r\n", "text/uri-list")
        return RedirectResponse(f"/data{there}", HTTPStatus.MOVED_PERMANENTLY)
    operation = _ACTIONS.get(action)
    if operation is None:
        raise refusal("parameter_invalid", name="action")
    if action == "set-status" and last(given, "status") != READY:
        raise refusal("parameter_invalid", name="status")
    return text(f"{Place.of(operation(site, account, place)).uri}\r\n", "text/uri-list")


def new_project(given: Pairs) -> str:
    """Return the project that sessions are to be moved to. Raises Rejected: `parameter_invalid`."""
    named = last(given, "newProject").strip()
    if not named:
        raise refusal("parameter_invalid", name="newProject")
    return named


_ACTIONS: Mapping[str, Callable[[Site, Account, Place], RowMapping]] = {
    "build": prearchive.rebuild,
    "commit": prearchive.rebuild,
    "reset-status": prearchive.rebuild,
    "set-status": prearchive.rebuild,
}


@_routes.get(_SESSION + "/scans", responses=TABLE, openapi_extra=FORMAT)
def list_scans(place: At, request: Request, account: Known, site: Served, query: Query) -> Response:
    """List a session's scans."""
    found = prearchive.session(site, account, place)
    rows = [_scan_row(place, scan) for scan in browse.list_scans(site, found, Wanted()).rows]
    return table_answer(request, query, Table("scans", SCAN_COLUMNS, rows, len(rows)))


def _scan_row(place: Place, scan: RowMapping) -> Row:
    return {
        "ID": scan["label"],
        "xsiType": scan["xsi_type"],
        "series_description": scan["series_description"],
        "type": scan["type"],
        "URI": f"/data{place.uri}/scans/{scan['label']}",
    }


@_routes.get(_SESSION + "/scans/{scan_label}", responses=ZIPPED, openapi_extra=SHOWN)
@refuses(503)
def show_scan(place: At, scan_label: str, request: Request, account: Known, site: Served, query: Query) -> Response:
    """Answer a scan as a table of one row; with `format=zip` its files."""
    found = prearchive.session(site, account, place)
    scan = browse.find_scan(site, found, scan_label)
    if last(query, "format").lower() == ZIP_FORMAT:
        return zip_answer(request, open_waiting(site, found, scan_label))
    return table_answer(request, query, Table("scans", SCAN_COLUMNS, [_scan_row(place, scan)], 1))


@_routes.get(_SESSION + "/resources", responses=TABLE, openapi_extra=FORMAT)
def list_resources(place: At, request: Request, account: Known, site: Served, query: Query) -> Response:
    """List the resources of all scans of a session."""
    found = prearchive.session(site, account, place)
    rows = [_resource_row(place, scan) for scan in browse.list_scans(site, found, Wanted()).rows]
    return table_answer(request, query, Table("resources", RESOURCE_COLUMNS, rows, len(rows)))


@_routes.get(_SESSION + "/scans/{scan_label}/resources", responses=TABLE, openapi_extra=FORMAT)
def list_scan_resources(
    place: At, scan_label: str, request: Request, account: Known, site: Served, query: Query
) -> Response:
    """List the resources of a scan: its DICOM files."""
    scan = browse.find_scan(site, prearchive.session(site, account, place), scan_label)
    rows = [_resource_row(place, scan)]
    return table_answer(request, query, Table("resources", RESOURCE_COLUMNS, rows, 1))


def _resource_row(place: Place, scan: RowMapping) -> Row:
    return {
        "category": "scans",
        "cat_id": scan["label"],
        "label": RESOURCE,
        "file_count": scan["files"],
        "file_size": scan["bytes"],
        "format": RESOURCE,
        "content": "RAW",
        "URI": f"/data{place.uri}/scans/{scan['label']}/resources/{RESOURCE}",
    }


@_routes.get(_SESSION + "/scans/{scan_label}/resources/{resource}/files", responses=TABLE, openapi_extra=FORMAT)
def list_files(
    place: At, scan_label: str, resource: str, request: Request, account: Known, site: Served, query: Query
) -> Response:
    """List the files of a scan."""
    found = prearchive.session(site, account, place)
    rows = [_file_row(place, scan_label, row) for row in _files(site, found, scan_label, resource)]
    return table_answer(request, query, Table("files", FILE_COLUMNS, rows, len(rows)))


@_routes.get(_SESSION + "/scans/{scan_label}/resources/{resource}/files/{name}", responses=FILE, openapi_extra=PART)
def get_file(
    place: At, scan_label: str, resource: str, name: str, request: Request, account: Known, site: Served
) -> Response:
    """Answer the bytes of a file, or a range of them."""
    found = prearchive.session(site, account, place)
    for row in _files(site, found, scan_label, resource):
        if _name(row) == name:
            folder = prearchive.open_folder(site, found, row["path"])
            return file_answer(request, folder, row["path"], row["bytes"], row["sha256"])
    raise refusal("not_found")


def _files(site: Site, found: RowMapping, scan_label: str, resource: str) -> Sequence[RowMapping]:
    scan = browse.find_scan(site, found, scan_label)
    if resource.upper() != RESOURCE:
        raise refusal("not_found")
    return browse.list_files(site, found, [scan], Wanted()).rows


def _name(row: RowMapping) -> str:
    return str(row["path"]).rpartition("/")[2]


def _file_row(place: Place, scan_label: str, row: RowMapping) -> Row:
    resource = f"/data{place.uri}/scans/{scan_label}/resources/{RESOURCE}"
    told: dict[str, Any] = {"file_tags": "", "file_format": RESOURCE, "file_content": "RAW", "cat_ID": scan_label}
    named = {"Name": _name(row), "Size": row["bytes"], "URI": f"{resource}/files/{_name(row)}", "collection": RESOURCE}
    return named | told | {"digest": row["md5"]}


@_routes.get(_SESSION + "/logs", responses=TABLE, openapi_extra=FORMAT)
def list_logs(place: At, request: Request, account: Known, site: Served, query: Query) -> Response:
    """List a session's logs: one, if something is to be said about it."""
    rows = [{"id": "1", "entry": line} for line in [_log(prearchive.session(site, account, place))] if line]
    return table_answer(request, query, Table("logs", ("id", "entry"), rows, len(rows)))


@_routes.get(_SESSION + "/logs/last", responses=PLAIN)
@_routes.get(_SESSION + "/logs/1", responses=PLAIN)
def last_log(place: At, account: Known, site: Served) -> Response:
    """Answer why a session waits or could not be archived."""
    return text(_log(prearchive.session(site, account, place)))


def _log(session: RowMapping) -> str:
    return prearchive.told(session)


router = APIRouter()
for prefix in ("/data", "/REST"):
    router.include_router(_routes, prefix=prefix)
