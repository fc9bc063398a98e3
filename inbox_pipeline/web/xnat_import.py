"""XNAT's import service and the status of import requests, byte for byte as its clients expect them.

Belongs here: `services/import` and `xapi/dicom`. Does not belong here: which requests are refused, and what the status
says (`services/requests.py`).
"""

from __future__ import annotations

import html
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import requests
from inbox_pipeline.web.answers import json_answer, page, preferred, text
from inbox_pipeline.web.description import answer, query, refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Given, Pairs, last
from inbox_pipeline.web.shapes import ImportRequest

HANDLER = "import-handler"
URI_LIST = "text/uri-list"
_NUMBER = re.compile(r"[0-9]{1,18}")

FILING = query(
    HANDLER,
    "path",
    "PROJECT_ID",
    "SUBJECT_ID",
    "EXPT_LABEL",
    "session",
    "cleanupAfterImport",
    "overwrite",
    "overwrite_files",
    "auto-archive",
    required=(HANDLER, "path", "PROJECT_ID"),
    format={"type": "string", "enum": ["uri-list", "text", "html"]},
)
FILED = {200: answer(URI_LIST, "text/plain", "text/html")}
REQUEST: dict[int | str, dict[str, Any]] = {200: {"model": ImportRequest}}
REQUESTS: dict[int | str, dict[str, Any]] = {200: {"model": list[ImportRequest]}}

router = APIRouter()


@refuses(400)
def request_number(request_id: str) -> int:
    """Return the number of a request from its place in the path.

    Raises:
        Rejected: `parameter_invalid` (400, as XNAT), when it is no number.
    """
    if not _NUMBER.fullmatch(request_id):
        raise refusal("parameter_invalid", name="id")
    return int(request_id)


Number = Annotated[int, Depends(request_number)]


@router.post("/data/services/import", responses=FILED, openapi_extra=FILING)
@router.post("/REST/services/import", responses=FILED, openapi_extra=FILING)
@refuses(403, 409)
def import_session(request: Request, account: Known, site: Served, given: Given) -> Response:
    """File an import request and answer its status address."""
    if last(given, HANDLER) != "inbox":
        raise refusal("handler_unknown")
    filed = requests.file_request(site, account, [pair for pair in given if pair[0] != HANDLER])
    return _filed(request, given, f"/xapi/dicom/{filed.request_id}")


@router.get("/xapi/dicom/list/active", responses=REQUESTS)
def active_requests(account: Known, site: Served) -> Response:
    """List the requests that are neither Completed nor Failed: one's own and those of one's projects, or all."""
    return json_answer(requests.list_requests(site, account, active=True)[::-1])


@router.get("/xapi/dicom/list/all", responses=REQUESTS)
def all_requests(account: Known, site: Served) -> Response:
    """List all requests: one's own and those of projects that one owns, or everybody's for an administrator."""
    return json_answer(requests.list_requests(site, account, active=False)[::-1])


@router.get("/xapi/dicom/{request_id}", responses=REQUEST)
@refuses(404)
def request_status(account: Known, site: Served, number: Number) -> Response:
    """Tell how a request is doing."""
    status: dict[str, Any] = requests.request_json(site, number, account)
    return json_answer(status)


def _filed(request: Request, given: Pairs, address: str) -> Response:
    """Answer with the address: a URI list by default, plain text or a page for those who ask for it."""
    by_format = {"html": "text/html", "text": "text/plain", "txt": "text/plain", "uri-list": URI_LIST}
    wanted = by_format.get(last(given, "format").lower())
    kind = wanted or preferred(request, (URI_LIST, "text/plain", "text/html"))
    if kind == "text/html":
        link = html.escape(address)
        return page("Import request filed", f'<p>Filed. Its status: <a href="{link}">{link}</a></p>')
    return text(address, kind) if kind == "text/plain" else text(f"{address}\r\n", URI_LIST)
