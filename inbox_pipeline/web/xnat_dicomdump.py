"""XNAT's DICOM dump service: the header of one file of a session as a table.

Belongs here: the route, and the addresses that its `src` may be. Does not belong here: which file is read
(`services/dicom_dump.py`), how its values are shown (`dicom/dump.py`).
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.dicom.dump import Row
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.dicom_dump import Source, header_of
from inbox_pipeline.services.prearchive import Place
from inbox_pipeline.web.description import TABLE, TEXT, query, refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Query, last
from inbox_pipeline.web.tables import Table, table_answer

_SCAN = r"(?:/scans/(?P<scan>[^/]+)(?:/resources/[^/]+)?(?:/files/(?P<file>[^/]+))?)?/?"
_PREFIX = r"(?:/data|/REST)?"
_ARCHIVE = re.compile(
    _PREFIX
    + r"(?:/archive)?(?:/projects/(?P<project>[^/]+))?(?:/subjects/(?P<subject>[^/]+))?/experiments/(?P<session>[^/]+)"
    + _SCAN
)
_PREARCHIVE = re.compile(
    _PREFIX + r"/prearchive/projects/(?P<project>[^/]+)/(?P<timestamp>[^/]+)/(?P<session>[^/]+)" + _SCAN
)

DUMP = query("format", src=TEXT, field={"type": "array", "items": TEXT}, required=("src",))

_routes = APIRouter()


@_routes.get("/services/dicomdump", responses=TABLE, openapi_extra=DUMP)
@refuses(400, 403, 404, 409)
def dicom_dump(request: Request, account: Known, site: Served, query: Query) -> Response:
    """List the elements of the first file of `src`, those that `field` names, or all of its header."""
    fields = [value for name, value in query if name == "field" and value]
    rows = header_of(site, account, _source(last(query, "src")), fields)
    return table_answer(request, query, Table("DICOM", Row._fields, [row._asdict() for row in rows], len(rows)))


def _source(src: str) -> Source:
    """Return what an address in archive or prearchive stands for.

    Raises:
        Rejected: `parameter_invalid`.
    """
    path = urlsplit(src).path
    match = _PREARCHIVE.fullmatch(path) or _ARCHIVE.fullmatch(path)
    if match is None:
        raise refusal("parameter_invalid", name="src")
    named = {name: value if value is None else unquote(value) for name, value in match.groupdict().items()}
    if "timestamp" in named:
        place = Place(*(str(named[name]) for name in ("project", "timestamp", "session")))
        return Source(place=place, scan=named["scan"], file=named["file"])
    return Source(str(named["session"]), named["project"], named["subject"], None, named["scan"], named["file"])


router = APIRouter()
for prefix in ("/data", "/REST"):
    router.include_router(_routes, prefix=prefix)
