"""What people and monitors look at: the first page, help on reasons, health, readiness, metrics.

Belongs here: routes that belong to no client. Does not belong here: the checks themselves (`services/health.py`).
"""

from __future__ import annotations

import html
import ipaddress
from collections.abc import Callable

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.intake.reasons import REASONS, refusal
from inbox_pipeline.services import health
from inbox_pipeline.web.answers import json_answer, page, text
from inbox_pipeline.web.description import OWN, describe
from inbox_pipeline.web.identity import Served, current_caller, identify, open_session
from inbox_pipeline.web.metrics import Metrics

PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"

FIRST_PAGE = """<h1>inbox_pipeline</h1>
<p>This server takes folders of DICOM under an inbox and turns them into anonymized, checked, catalogued sessions in an
archive. It answers XNAT's DICOM Inbox requests at <code>/data/services/import</code> and tells how they are doing at
<code>/xapi/dicom/&lt;number&gt;</code>.</p>
<ul>
<li><a href="/xapi/dicom/list/active">Your active requests</a> (JSON, needs a login)</li>
<li><a href="/xapi/dicom/list/all">All your requests</a> (JSON, needs a login)</li>
<li><a href="/api/openapi.json">Description of the API</a> (OpenAPI), and of
<a href="/api/xnat-openapi.json">the routes of XNAT's clients</a></li>
<li><a href="/help/errors">Reason codes</a></li>
<li><a href="/readyz">Is everything running?</a></li>
</ul>"""

router = APIRouter(include_in_schema=False)


@router.get("/")
def first_page(request: Request) -> Response:
    """Say what this is; Basic credentials start a session here, as clients with an alias token expect."""
    caller = identify(request)
    if caller is not None and caller.session_id is None:
        open_session(request, caller.account)
    return page("inbox_pipeline", FIRST_PAGE)


@router.get("/api/openapi.json")
def openapi(request: Request) -> Response:
    """Describe our own API."""
    return _described(request.app, "inbox_pipeline", _is_own)


@router.get("/api/xnat-openapi.json")
def xnat_openapi(request: Request) -> Response:
    """Describe the routes that XNAT's clients use."""
    return _described(request.app, "inbox_pipeline, as XNAT's clients use it", _is_xnats)


def _is_own(path: str) -> bool:
    return path.startswith(OWN)


def _is_xnats(path: str) -> bool:
    return not path.startswith(OWN)


def _described(app: FastAPI, title: str, chosen: Callable[[str], bool]) -> Response:
    """Answer an OpenAPI document, which is made once."""
    documents = app.state.documents
    if title not in documents:
        documents[title] = describe(app, title, chosen)
    return json_answer(documents[title])


@router.get("/help/errors")
def all_reasons() -> Response:
    """List every reason code."""
    return page("Reason codes", "<h1>Reason codes</h1>\n" + "\n".join(_explained(code) for code in _codes()))


@router.get("/help/errors/{code}")
def one_reason(code: str) -> Response:
    """Explain a reason code."""
    if code not in _codes():
        raise refusal("not_found")
    return page(code, _explained(code))


@router.get("/healthz")
def healthz() -> Response:
    """Say that this process answers."""
    return json_answer({"status": "ok"})


@router.get("/readyz")
def readyz(site: Served) -> Response:
    """Answer 200 if an import filed now would run, else 503 with the checks that fail."""
    failing = {name: problem for name, problem in health.readiness(site).items() if problem is not None}
    return json_answer({"status": "failing", "failing": failing}, 503) if failing else json_answer({"status": "ready"})


@router.get("/metrics")
def show_metrics(request: Request) -> Response:
    """Answer Prometheus from this machine, and administrators from anywhere."""
    if not _from_this_machine(request) and not current_caller(request).account.admin:
        raise refusal("forbidden")
    metrics: Metrics = request.app.state.metrics
    return text(metrics.exposition().decode(), EXPOSITION)


def _from_this_machine(request: Request) -> bool:
    """Return whether the sender is on this machine and not behind a proxy on it."""
    if request.client is None or any(name in request.headers for name in PROXY_HEADERS):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _codes() -> list[str]:
    return sorted({code for _, code in REASONS})


def _explained(code: str) -> str:
    """Return every meaning of a code as HTML."""
    meanings = [reason for reason in REASONS.values() if reason.code == code]
    rows = (
        f"<dt>{html.escape(reason.kind)}</dt><dd>{html.escape(reason.sentence)} {html.escape(reason.hint)}</dd>"
        for reason in meanings
    )
    return f'<h2 id="{html.escape(code)}">{html.escape(code)}</h2>\n<dl>{"".join(rows)}</dl>'
