"""What surrounds every exchange: its id, security headers, the access log, metrics, and the last line against faults.

Belongs here: the outermost ASGI layer. Does not belong here: anything that depends on a route.

The access log holds method, route template, status, milliseconds and request id. Paths, queries, bodies and messages of
exceptions may hold patient values and are never written.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inbox_pipeline.web.answers import internal_error
from inbox_pipeline.web.metrics import Metrics
from inbox_pipeline.web.routes import NO_ROUTE, Routes

ACCESS = logging.getLogger("inbox_pipeline.access")
FAULTS = logging.getLogger("inbox_pipeline.web")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
BODY_BYTES = 64 * 1024
BODY_LIMIT = "body_bytes"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

SECURITY_HEADERS = {
    b"content-security-policy": b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}


class ResponseBroken(Exception):
    """A fault struck after the answer had begun; the connection must end, so that nobody takes it for complete."""


@dataclass
class Exchange:
    """One request and its answer; `method` is one of `METHODS` or `OTHER`."""

    method: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    cookies: list[str] = field(default_factory=list)
    status: int = 0
    started: float = field(default_factory=time.perf_counter)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every answer carries, and the cookies that the handlers have set."""
        own = [(b"x-request-id", self.request_id.encode())]
        return own + [(b"set-cookie", cookie.encode("latin-1")) for cookie in self.cookies]


def exchange_of(connection: HTTPConnection) -> Exchange:
    """Return the exchange that a request belongs to."""
    exchange: Exchange = connection.scope["inbox_exchange"]
    return exchange


class ExchangeLayer:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope["method"] if scope["method"] in METHODS else "OTHER")
        scope = {**scope, "method": _asked(scope["method"]), "inbox_exchange": exchange}
        try:
            await self._guarded(scope, _limited(receive, scope), _decorated(send, exchange), exchange)
        finally:
            self._record(scope, exchange)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        """Answer 500 to a fault; its message goes nowhere."""
        try:
            await self._app(scope, receive, send)
        except Exception as fault:  # noqa: BLE001 - the last line; the fault is logged without its message
            fields = {"request_id": exchange.request_id, "route": _route(scope)}
            FAULTS.error("Unhandled fault.", exc_info=fault, extra={"fields": fields})
            if exchange.status:
                exchange.status = HTTPStatus.INTERNAL_SERVER_ERROR
                raise ResponseBroken from None
            await internal_error(scope, exchange.request_id)(scope, receive, send)

    def _record(self, scope: Scope, exchange: Exchange) -> None:
        seconds = time.perf_counter() - exchange.started
        route = _route(scope)
        self._metrics.observe(exchange.method, route, exchange.status, seconds)
        fields: dict[str, Any] = {"method": exchange.method, "route": route, "status": int(exchange.status)}
        fields |= {"ms": round(seconds * 1000, 1), "request_id": exchange.request_id}
        ACCESS.info("request", extra={"fields": fields})


def _asked(method: str) -> str:
    """Return the method whose route answers: for HEAD that of GET, whose body is held back (RFC 9110, 9.3.2)."""
    return "GET" if method == "HEAD" else method


def body_limit(size: int) -> Callable[[Endpoint], Endpoint]:
    """Return a decorator that lets the body of a route be as large as `size` bytes, instead of 64 KiB."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, BODY_LIMIT, size)
        return endpoint

    return mark


def _limited(receive: Receive, scope: Scope) -> Receive:
    """Return a `receive` that refuses a body above its route's limit when it is read; an unread body has no limit."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > getattr(scope.get("endpoint"), BODY_LIMIT, BODY_BYTES):
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    return limited


def _decorated(send: Send, exchange: Exchange) -> Send:
    """Return a `send` that adds the headers of every answer, notes its status, and holds back a body for HEAD."""

    async def decorated(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            given = list(message.get("headers", []))
            names = {name.lower() for name, _ in given}
            defaults = [(name, value) for name, value in SECURITY_HEADERS.items() if name not in names]
            message = {**message, "headers": given + defaults + exchange.headers()}
        elif exchange.method == "HEAD":
            message = {**message, "body": b""}
        await send(message)

    return decorated


def _route(scope: Scope) -> str:
    routes: Routes | None = scope["app"].state.routes if "route" in scope else None
    return NO_ROUTE if routes is None else routes.template(scope)
