"""Our own API under `/api/v1/`: what XNAT's routes cannot say. Errors are RFC 9457 problems.

Belongs here: requests, their ledger, cancel, retry, undo and plan; versions of scripts, and checking one; routing
expressions. Does not belong here: XNAT's routes, and rules.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path
from fastapi import Query as QueryParameter
from pydantic import BaseModel, ConfigDict, PlainValidator, StrictBool, StrictInt, StrictStr, WithJsonSchema
from starlette.responses import Response, StreamingResponse

from inbox_pipeline.services import requests, routing, scripts, undo
from inbox_pipeline.services.linking import linked
from inbox_pipeline.services.plan import plan
from inbox_pipeline.web.answers import json_answer
from inbox_pipeline.web.description import OWN, answer, refuses
from inbox_pipeline.web.exchange import body_limit
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Pairs
from inbox_pipeline.web.rights import Administrator, Owned, Readable
from inbox_pipeline.web.script_body import JSON_BYTES
from inbox_pipeline.web.shapes import (
    ImportRequest,
    ImportRequests,
    Links,
    Plan,
    Routing,
    RoutingVersion,
    RoutingVersions,
    ScriptCheck,
    ScriptText,
    ScriptVersions,
    Undone,
)
from inbox_pipeline.web.xnat_import import Number

LEDGER_BATCH = 500
LEDGER_MEMBERS = (
    "source_path",
    "disposition",
    "reason",
    "detail",
    "bytes",
    "source_sha256",
    "archived_path",
    "archived_sha256",
    "project",
    "session",
    "scan",
    "sop_instance_uid",
    "deleted_at",
)
"""The ledger's fixed members (the CSV header when there are no rows); the rows themselves may have more."""

CSV_TYPE = "text/csv"
CSV = f"{CSV_TYPE}; charset=utf-8"
JSONL = "application/x-ndjson"

LEDGER = {200: answer(CSV_TYPE, JSONL)}
LOCATION = {"Location": {"required": True, "schema": {"type": "string"}}}


def _text(value: object) -> str:
    """Return a string as it is, also one that stands for a file name that is not UTF-8 (`os.fsdecode`).

    Raises:
        ValueError: it is no string, or no file name could be meant.
    """
    if not isinstance(value, str):
        raise ValueError("not a string")
    os.fsencode(value)
    return value


Text = Annotated[str, PlainValidator(_text, json_schema_input_type=str)]

_VALUE = {"anyOf": [{"type": "string"}, {"type": "boolean"}, {"type": "integer"}]}
_NAMED = ("project", "subject", "session", "cleanupAfterImport", "overwrite", "overwrite_files")

Parameters = Annotated[
    dict[str, Text | StrictBool | StrictInt],
    WithJsonSchema(
        {
            "type": "object",
            "required": ["path"],
            "properties": {"path": {"type": "string"}, **dict.fromkeys(_NAMED, _VALUE)},
            "additionalProperties": _VALUE,
        }
    ),
    Body(
        description="The parameters of the import service: `path` and `project` (or `PROJECT_ID`) are required.",
        examples=[{"path": "/data/inbox/P1/session7", "project": "P1", "subject": "S1", "cleanupAfterImport": False}],
    ),
]

Rows = list[dict[str, Any]]


def _gives(model: type[BaseModel], *statuses: int, **more: Any) -> dict[int | str, dict[str, Any]]:
    """Return what describes the answers of a route: JSON with the members of a model, as 200 unless told otherwise."""
    return {status: {"model": model, **more} for status in statuses or (200,)}


router = APIRouter(prefix=OWN.rstrip("/"))


class PlanOrder(BaseModel):
    """What a plan is asked for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["path", "project"]})

    path: Text = ""
    project: StrictStr = ""
    subject: StrictStr | None = None
    session: StrictStr | None = None
    values: StrictBool = False


class RoutingOrder(BaseModel):
    """Routing expressions to be stored, and whether they count; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    text: StrictStr | None = None
    enabled: StrictBool | None = None


class ScriptOrder(BaseModel):
    """A script to be checked."""

    model_config = ConfigDict(extra="forbid")

    text: StrictStr
    lookup: StrictStr | None = None


Version = Annotated[int, Path(ge=1, le=2**31 - 1)]
Before = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)]
Limit = Annotated[int | None, QueryParameter(ge=1, le=1000)]
Target = Literal["project", "subject", "session"]


@router.post(
    "/requests", status_code=201, response_model=None, responses=_gives(ImportRequest, 200, 201, headers=LOCATION)
)
@refuses(403, 409)
def file_request(parameters: Parameters, account: Known, site: Served) -> Response:
    """File an import request: 201, or 200 with the same request while an equal one of yours is active."""
    filed = requests.file_request(site, account, _pairs(parameters), source="api")
    status = requests.request_json(site, filed.request_id, account)
    location = {"Location": f"/api/v1/requests/{filed.request_id}"}
    return json_answer(status, 200 if filed.existing else 201, location)


@router.get("/requests", response_model=None, responses=_gives(ImportRequests))
def list_requests(
    account: Known, site: Served, active: bool = False, before: Before = None, limit: Limit = None
) -> Response:
    """List your requests and your projects', or everybody's as administrator; `active=true` leaves out the ended.

    Newest first; with `limit`, `next` is the `before` of the next page, null after the last.
    """
    found = requests.list_requests(site, account, active=active, before=before, limit=limit)
    return json_answer({"requests": found, "next": found[-1]["id"] if found and len(found) == limit else None})


@router.get("/requests/{request_id}", response_model=None, responses=_gives(ImportRequest))
@refuses(404)
def show_request(account: Known, site: Served, number: Number) -> Response:
    """Tell how a request is doing."""
    return json_answer(requests.request_json(site, number, account))


@router.get("/requests/{request_id}/ledger", response_model=None, responses=LEDGER)
@refuses(404)
def show_ledger(
    account: Known, site: Served, number: Number, format: Literal["csv", "jsonl"] = "csv"
) -> StreamingResponse:
    """Stream the ledger: one row per file found, as CSV or as JSON lines."""
    rows = iter(requests.ledger_rows(site, number, account))
    first = list(islice(rows, LEDGER_BATCH))
    members = list(first[0]) if first else list(LEDGER_MEMBERS)
    lines, media_type = (_CsvLines(members), CSV) if format == "csv" else (_json_lines, JSONL)
    name = f'attachment; filename="ledger-{number}.{format}"'
    headers = {"content-type": media_type, "content-disposition": name}
    return StreamingResponse(_pieces(first, rows, lines), headers=headers)


@router.post(
    "/requests/{request_id}/cancel", status_code=202, response_model=None, responses=_gives(ImportRequest, 202)
)
@refuses(404, 409)
def cancel(account: Known, site: Served, number: Number) -> Response:
    """Ask a request to stop; it ends at its next look, within ten seconds."""
    requests.cancel(site, account, number)
    return json_answer(requests.request_json(site, number, account), 202)


@router.post("/requests/{request_id}/retry", status_code=202, response_model=None, responses=_gives(ImportRequest, 202))
@refuses(404, 409)
def retry(account: Known, site: Served, number: Number) -> Response:
    """Queue an ended request again for the files that did not reach their destination."""
    requests.retry(site, account, number)
    return json_answer(requests.request_json(site, number, account), 202)


@router.post("/requests/{request_id}/undo", response_model=None, responses=_gives(Undone))
@refuses(403, 404, 409)
def undo_request(account: Known, site: Served, number: Number) -> Response:
    """Withdraw every session of an ended request to the trash; for the project's owners and administrators."""
    return json_answer(undo.undo(site, account, number))


@router.post("/requests/{request_id}/restore", response_model=None, responses=_gives(Undone))
@refuses(403, 404, 409)
def restore_request(account: Known, site: Served, number: Number) -> Response:
    """Bring the sessions back that an undo has withdrawn, with the accession ids that they had."""
    return json_answer(undo.restore(site, account, number))


@router.post("/plan", response_model=None, responses=_gives(Plan))
@refuses(403, 409)
def plan_import(order: PlanOrder, account: Known, site: Served) -> Response:
    """Say what an import would do, per session and file, writing nothing; `values` tells what rules find."""
    return json_answer(
        plan(site, account, order.path, order.project, order.subject, order.session, values=order.values)
    )


@router.post("/scripts/check", response_model=None, responses=_gives(ScriptCheck))
@body_limit(JSON_BYTES)
def check_script(order: ScriptOrder, _account: Known) -> Response:
    """Say whether a script compiles, with the place of the fault, and what else there is to know before using it."""
    return json_answer(scripts.examine(order.text, order.lookup))


@router.get("/scripts/site/versions", response_model=None, responses=_gives(ScriptVersions))
def site_versions(_account: Known, site: Served) -> Response:
    """List the versions of the site's script, newest first."""
    return json_answer({"versions": scripts.script_versions(site)})


@router.get("/scripts/site/versions/{version}", response_model=None, responses=_gives(ScriptText))
@refuses(404)
def site_version(version: Version, _account: Known, site: Served) -> Response:
    """Answer a version of the site's script with its text and lookup table."""
    return json_answer(scripts.script_version(site, version))


@router.get("/routing", response_model=None, responses=_gives(Routing))
def show_routing(_account: Known, site: Served) -> Response:
    """Answer the routing expressions for projects, subjects and sessions, the newest version of each."""
    return json_answer(routing.show_routing(site))


@router.get("/routing/{target}/versions", response_model=None, responses=_gives(RoutingVersions))
def routing_versions(target: Target, _account: Known, site: Served) -> Response:
    """List the versions of the routing expressions for `project`, `subject` or `session`, newest first."""
    return json_answer({"versions": routing.rule_versions(site, target)})


@router.put("/routing/{target}", response_model=None, responses=_gives(RoutingVersion))
@body_limit(JSON_BYTES)
def set_routing(target: Target, order: RoutingOrder, sender: Administrator, site: Served) -> Response:
    """Store the routing expressions for `project`, `subject` or `session`, or switch them."""
    routing.set_rules(site, sender.login, target, order.text, order.enabled)
    return json_answer(routing.show_routing(site)[target])


@router.get("/projects/{project_id}/scripts", response_model=None, responses=_gives(ScriptVersions))
def project_versions(project: Readable, site: Served) -> Response:
    """List the versions of a project's script, newest first."""
    return json_answer({"versions": scripts.script_versions(site, project)})


@router.get("/projects/{project_id}/scripts/{version}", response_model=None, responses=_gives(ScriptText))
@refuses(404)
def project_version(project: Readable, version: Version, site: Served) -> Response:
    """Answer a version of a project's script with its text and lookup table."""
    return json_answer(scripts.script_version(site, version, project))


@router.get("/projects/{project_id}/linking", response_model=None, responses=_gives(Links))
def linking_table(project: Owned, account: Known, site: Served) -> Response:
    """Answer which original PatientID and UID became which, to the project's owners; every reading is audited."""
    return json_answer({"links": linked(site, account.login, project)})


def _pairs(parameters: dict[str, str | bool | int]) -> Pairs:
    """Return JSON members as the pairs that a query would hold."""
    return [(name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in parameters.items()]


def _pieces(first: Rows, rows: Iterator[dict[str, Any]], lines: Callable[[Rows], bytes]) -> Iterator[bytes]:
    """Yield the rows in pieces worth sending."""
    yield lines(first)
    while batch := list(islice(rows, LEDGER_BATCH)):
        yield lines(batch)


class _CsvLines:
    """Writes rows as CSV (RFC 4180), the header before the first."""

    def __init__(self, members: list[str]) -> None:
        self._out = io.StringIO(newline="")
        self._writer = csv.DictWriter(self._out, members)
        self._writer.writeheader()

    def __call__(self, batch: Rows) -> bytes:
        self._writer.writerows(batch)
        written = self._out.getvalue().encode()
        self._out.seek(0)
        self._out.truncate()
        return written


def _json_lines(batch: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in batch).encode("ascii")
