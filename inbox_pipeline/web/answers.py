"""Answers: errors as HTML or RFC 9457 problems, JSON, plain text, and what the client would rather have.

Belongs here: the shapes of answers. Does not belong here: deciding which error it is. An error's body holds the
sentence, the hint and the code, never a value that the client sent; only a script that does not compile comes back by
its faulty line.
"""

from __future__ import annotations

import html
import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Scope

from inbox_pipeline.errors import Cancelled, InboxError, Rejected, Throttled, Unavailable
from inbox_pipeline.intake.reasons import refusal, refusal_status
from inbox_pipeline.services.compiling import PLACE

PROBLEM = "application/problem+json"
CHALLENGE = 'Basic realm="inbox_pipeline", charset="UTF-8"'
RETRY_SECONDS = 5
HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
"""The reason codes of the framework's own refusals."""


def text(content: str, media_type: str = "text/plain; charset=utf-8", status: int = 200) -> Response:
    """Return a text with exactly that content type."""
    return Response(content.encode(), status_code=status, headers={"content-type": media_type})


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return JSON in ASCII, so that file names in any encoding pass."""
    body = json.dumps(content, separators=(",", ":")).encode("ascii")
    return Response(body, status_code=status, headers={"content-type": "application/json", **(headers or {})})


def page(title: str, body: str, status: int = 200) -> Response:
    """Return a small HTML page; `title` is escaped here, `body` is HTML already."""
    content = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )
    return text(content, "text/html; charset=utf-8", status)


def accepted(connection: HTTPConnection) -> dict[str, float]:
    """Return the media ranges of the Accept header with their weights; `*/*` alone when there is none."""
    weights: dict[str, float] = {}
    for item in connection.headers.get("accept", "*/*").split(","):
        media, *options = (part.strip().lower() for part in item.split(";"))
        given = [option[2:] for option in options if option.startswith("q=")]
        weights[media] = _weight(given[0]) if given else 1.0
    return weights


def preferred(connection: HTTPConnection, offers: tuple[str, ...]) -> str:
    """Return the offer that the client weighs most; the first among equals, and when none is acceptable."""
    weights = accepted(connection)

    def weight(offer: str) -> float:
        family = offer.split("/", maxsplit=1)[0] + "/*"
        return next((weights[media] for media in (offer, family, "*/*") if media in weights), 0.0)

    return max(offers, key=weight)


def refused(connection: HTTPConnection, error: InboxError, *, instance: str = "") -> Response:
    """Return the answer to a failed request, in the form that the client asks for.

    Own routes (`/api/`) always get an RFC 9457 problem; others only if the client accepts that, and else HTML whose
    `<h3>` is the sentence, as XNAT's clients read it. The code is in the header `X-Inbox-Reason` either way.
    """
    status = _status(error)
    wants_problem = accepted(connection).get(PROBLEM, 0.0) > 0 or connection.scope["path"].startswith("/api/")
    response = _problem(error, status, instance) if wants_problem else _html_error(error, status)
    response.headers["X-Inbox-Reason"] = error.code
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = CHALLENGE
    if status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
        response.headers["Retry-After"] = str(error.data.get("retry_after", RETRY_SECONDS))
    return response


def internal_error(scope: Scope, request_id: str) -> Response:
    """Return the answer to a fault of ours: nothing but the id under which the log tells more."""
    error = InboxError(
        "internal_error",
        "An unexpected fault in the server stopped this request.",
        f"Report it with the request id {request_id}.",
    )
    return refused(HTTPConnection(scope), error, instance=request_id)


def install_error_answers(app: FastAPI) -> None:
    """Answer every refusal, and the framework's own, in our form."""

    async def on_refusal(request: Request, error: Exception) -> Response:
        known = error if isinstance(error, InboxError) else InboxError("internal_error", "")
        return refused(request, known, instance=request.scope["inbox_exchange"].request_id)

    async def on_http(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", HTTPStatus.BAD_REQUEST)
        response = await on_refusal(request, refusal(HTTP_CODES.get(status, "request_malformed")))
        response.headers.update(getattr(error, "headers", None) or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = ", ".join(app.state.routes.methods(request.scope["path"]))
        return response

    async def on_invalid(request: Request, error: Exception) -> Response:
        problems = error.errors() if isinstance(error, RequestValidationError) else []
        return await on_refusal(request, refusal("request_malformed") if not problems else _invalid(problems[0]))

    app.add_exception_handler(InboxError, on_refusal)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)


def _invalid(problem: dict[str, Any]) -> Rejected:
    """Name the member that does not fit, when it is one that we know; never its value."""
    names = [str(part) for part in problem["loc"][1:2]]
    known = {"path", "project", "subject", "session", "format", "active", "text", "lookup", "version"}
    known |= {"limit", "before"}
    return refusal("parameter_invalid", name=names[0]) if names and names[0] in known else refusal("request_malformed")


def _status(error: InboxError) -> int:
    if isinstance(error, Unavailable) and not isinstance(error, Throttled):
        return HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, Cancelled):
        return HTTPStatus.CONFLICT
    return int(error.data.get("status") or refusal_status(error.code))


def _problem(error: InboxError, status: int, instance: str) -> Response:
    members = {
        "type": f"/help/errors/{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": int(status),
        "detail": error.sentence,
        "code": error.code,
        "hint": error.hint,
        "retryable": error.retryable,
    }
    members |= {name: error.data[name] for name in PLACE if name in error.data}
    if instance:
        members["instance"] = f"urn:uuid:{instance}"
    response = json_answer(members, status)
    response.headers["content-type"] = PROBLEM
    return response


def _html_error(error: InboxError, status: int) -> Response:
    sentence = " ".join(error.sentence.split())
    body = (
        f"<h3>{html.escape(sentence)}</h3>\n<p>{html.escape(error.hint)}</p>\n"
        f'<p>Reason: <a href="/help/errors/{html.escape(error.code)}">{html.escape(error.code)}</a></p>'
    )
    return page(f"{int(status)} {HTTPStatus(status).phrase}", body + _faulty_line(error), status)


def _faulty_line(error: InboxError) -> str:
    """Return the line of a script with a caret under the fault, as HTML; nothing for other errors."""
    if "source" not in error.data:
        return ""
    source, caret = error.data["source"].expandtabs(1), " " * (error.data["column"] - 1) + "^"
    return f"\n<pre>{html.escape(source)}\n{caret}</pre>"


def _weight(given: str) -> float:
    try:
        return float(given)
    except ValueError:
        return 0.0
