"""Files of the archive: their lists, one file, and many of them as a zip file.

Belongs here: those routes, and their headers (RFC 9110). Does not belong here: which generation of a session is read
(`services/reading.py`), and how a zip file is made (`zipping.py`).
"""

from __future__ import annotations

import base64
import re
from contextlib import closing
from functools import partial
from http import HTTPStatus

from fastapi import APIRouter
from sqlalchemy.engine import RowMapping
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from inbox_pipeline.services import browse
from inbox_pipeline.services.reading import OpenFiles, open_files
from inbox_pipeline.store.reading import OpenFolder, Pieces
from inbox_pipeline.web.description import BYTES, TABLE, answer, header
from inbox_pipeline.web.exchange import exchange_of
from inbox_pipeline.web.identity import Served
from inbox_pipeline.web.parameters import Query, last
from inbox_pipeline.web.tables import table_answer
from inbox_pipeline.web.xnat_archive import EXPERIMENTS_AT, PREFIXES
from inbox_pipeline.web.xnat_columns import RESOURCE, asked_of, files_of, shown, wanted_of
from inbox_pipeline.web.xnat_places import Scans, Session
from inbox_pipeline.web.zipping import Member, zip_length, zipped

ZIP, DICOM = "application/zip", "application/dicom"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_PLAIN = re.compile(r"[^A-Za-z0-9]")

ZIPPED = {200: {"content": {**TABLE[200]["content"], ZIP: {"schema": BYTES}}}}
FILE = {
    200: answer(DICOM, schema=BYTES),
    206: answer(DICOM, schema=BYTES),
    304: answer(description="The file is the one of If-None-Match."),
    416: answer(description="The file has no such bytes."),
}
PART = header("Range", "If-Range", "If-None-Match")

_routes = APIRouter()


class _Sent(StreamingResponse):
    """Bytes of an open folder, which is closed when they have been sent or nobody takes them any more."""

    def __init__(self, folder: OpenFolder, pieces: Pieces, status: int, headers: dict[str, str]) -> None:
        super().__init__(pieces, status_code=status, headers=headers)
        self._folder, self._pieces = folder, pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        with self._folder, closing(self._pieces):
            await super().__call__(scope, receive, send)


@_routes.get("/{experiment_id}/scans/{scan_ids}/files", responses=ZIPPED, openapi_extra=asked_of(files_of("")))
@_routes.get(
    "/{experiment_id}/scans/{scan_ids}/resources/{resource_id}/files",
    responses=ZIPPED,
    openapi_extra=asked_of(files_of("")),
)
def files(request: Request, site: Served, session: Session, scans: Scans, query: Query) -> Response:
    """List the files of scans, or answer all of them with `format=zip`."""
    if last(query, "format").lower() == "zip":
        opened = open_files(site, session["id"], [scan["id"] for scan in scans])
        return zip_answer(request, opened)
    kind = files_of(session["accession"])
    page = browse.list_files(site, session, scans, wanted_of(kind, query))
    return table_answer(request, query, shown(kind, query, page))


@_routes.get("/{experiment_id}/scans/{scan_ids}/files/{name}", responses=FILE, openapi_extra=PART)
@_routes.get(
    "/{experiment_id}/scans/{scan_ids}/resources/{resource_id}/files/{name}", responses=FILE, openapi_extra=PART
)
def file(request: Request, site: Served, session: Session, scans: Scans, name: str) -> Response:
    """Answer the bytes of a file, or a range of them."""
    opened = open_files(site, session["id"], [scan["id"] for scan in scans], name)
    row = opened.rows[0]
    return file_answer(request, opened.folder, row["path"], row["bytes"], row["sha256"])


router = APIRouter()
for prefix in PREFIXES:
    for place in EXPERIMENTS_AT:
        router.include_router(_routes, prefix=prefix + place)


def zip_answer(request: Request, opened: OpenFiles) -> Response:
    """Return a zip file of a session's open files, made while it is sent."""
    name = f"{opened.session['label']}.zip"
    members = [_member(opened, row) for row in opened.rows]
    headers = {"content-type": ZIP, "content-disposition": f'attachment; filename="{name}"'}
    headers |= {"content-length": str(zip_length(members))}
    return _Sent(opened.folder, _body(request, zipped(members)), HTTPStatus.OK, headers)


def _member(opened: OpenFiles, row: RowMapping) -> Member:
    """Return the member of a zip file that a file becomes, named as XNAT names it."""
    session, folder, path = opened.session, opened.folder, row["path"]
    kind = _PLAIN.sub("_", row["scan_type"] or "")
    scan = f"{row['scan_label']}-{kind}" if kind else row["scan_label"]
    name = f"{session['label']}/scans/{scan}/resources/{RESOURCE}/files/{path.rpartition('/')[2]}"
    check, pieces = partial(folder.crc32, path, row["sha256"]), partial(folder.stretch, path, 0, row["bytes"])
    return Member(name, row["bytes"], session["created_at"], check, pieces)


def file_answer(request: Request, folder: OpenFolder, path: str, size: int, sha256: str) -> Response:
    """Answer the bytes of a file of an open folder, or a range of them; the folder is closed afterwards."""
    tag = f'"{sha256}"'
    headers = {"content-type": DICOM, "etag": tag, "accept-ranges": "bytes"}
    if tag in request.headers.get("if-none-match", ""):
        folder.close()
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    wanted = _range(request, tag, size)
    if wanted is None:
        digest = base64.b64encode(bytes.fromhex(sha256)).decode()
        name = path.rpartition("/")[2]
        headers |= {"repr-digest": f"sha-256=:{digest}:", "content-disposition": f'attachment; filename="{name}"'}
        pieces = folder.pieces(path, sha256)
        return _Sent(folder, _body(request, pieces), HTTPStatus.OK, headers | {"content-length": str(size)})
    if not wanted:
        folder.close()
        headers |= {"content-range": f"bytes */{size}"}
        return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    headers |= {"content-range": f"bytes {wanted[0]}-{wanted[-1]}/{size}", "content-length": str(len(wanted))}
    pieces = folder.stretch(path, wanted[0], len(wanted))
    return _Sent(folder, _body(request, pieces), HTTPStatus.PARTIAL_CONTENT, headers)


def _range(request: Request, tag: str, size: int) -> range | None:
    """Return the bytes that are asked for, empty if there are none such; None where the whole file is to be sent."""
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None or match[1] == match[2] == "" or request.headers.get("if-range", tag) != tag:
        return None
    if match[1] == "":
        return range(max(0, size - int(match[2])), size)
    last_byte = size - 1 if match[2] == "" else min(int(match[2]), size - 1)
    return None if match[2] and int(match[2]) < int(match[1]) else range(int(match[1]), last_byte + 1)


def _body(request: Request, pieces: Pieces) -> Pieces:
    """Yield what is sent: nothing for HEAD, whose answer has no body."""
    if exchange_of(request).method != "HEAD":
        yield from pieces
