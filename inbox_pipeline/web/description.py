"""The OpenAPI documents: of our own API, and of the routes that XNAT's clients use.

Belongs here: what FastAPI cannot know of a route whose parameters are raw pairs: its query, its body, the shapes of its
answers, and the statuses it may refuse with. Does not belong here: the members of our own answers (`shapes.py`).

A dependency or an endpoint says by `refuses` with which statuses it refuses; a route refuses with those of all that it
depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from inbox_pipeline.web.answers import PROBLEM

OWN = "/api/v1/"
READING = frozenset({"GET", "HEAD"})
SECURITY = {
    "basic": {"type": "http", "scheme": "basic", "description": "Login and password, or an alias token."},
    "session": {"type": "apiKey", "in": "cookie", "name": "JSESSIONID"},
}
TEXT: dict[str, Any] = {"type": "string"}
BYTES: dict[str, Any] = {"type": "string", "format": "binary"}

Function = TypeVar("Function", bound=Callable[..., Any])
Options = dict[str, Any]
_REFUSED, _REFUSED_WRITING = "refuses_with", "refuses_writing_with"


def refuses(*statuses: int, writing: Sequence[int] = ()) -> Callable[[Function], Function]:
    """Return a decorator that says with which statuses a dependency or an endpoint refuses.

    Args:
        statuses: in any case.
        writing: of requests that write.
    """

    def mark(function: Function) -> Function:
        setattr(function, _REFUSED, frozenset(statuses))
        setattr(function, _REFUSED_WRITING, frozenset(writing))
        return function

    return mark


def answer(*media_types: str, schema: dict[str, Any] = TEXT, **more: Any) -> dict[str, Any]:
    """Return an answer that comes as one of these media types; no media type stands for an answer without a body."""
    return {**({"content": {each: {"schema": schema} for each in media_types}} if media_types else {}), **more}


def _result_set(*, counted: bool) -> dict[str, Any]:
    rows = {"type": "array", "items": {"type": "object"}}
    members = {"Result": rows} | ({"totalRecords": {"type": "string"}} if counted else {})
    result = {"type": "object", "required": list(members), "properties": members}
    return {"type": "object", "required": ["ResultSet"], "properties": {"ResultSet": result}}


def _item() -> dict[str, Any]:
    members = {"children": {"type": "array"}, "data_fields": {"type": "object"}, "meta": {"type": "object"}}
    items = {"type": "array", "items": {"type": "object", "required": list(members), "properties": members}}
    return {"type": "object", "required": ["items"], "properties": {"items": items}}


PLAIN = {200: answer("text/plain")}
JSON = "application/json"
ROWS = {200: answer(JSON, schema=_result_set(counted=False))}
"""A table of the configuration service, which is JSON whatever is asked for."""


def _formatted(schema: dict[str, Any]) -> dict[int, dict[str, Any]]:
    content = answer("text/csv", "text/xml", "text/html")["content"]
    return {200: {"content": {JSON: {"schema": schema}, **content}}}


TABLE = _formatted(_result_set(counted=True))
ITEM = _formatted(_item())


def _choice(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


_FORMAT = _choice("json", "csv", "xml", "html")
_SWITCH = _choice("true", "false")
_COUNT = {"type": "string", "pattern": "^[0-9]{1,9}$"}
_QUERY: dict[str, dict[str, Any]] = {
    "format": _FORMAT,
    "all": _SWITCH,
    "CSRF": _SWITCH,
    "enable": _SWITCH,
    "activate": _SWITCH,
    "contents": _SWITCH,
    "meta": _SWITCH,
    "status": _choice("enabled", "disabled", "true", "false"),
    "limit": {"type": "string", "pattern": r"^(\*|[0-9]{1,9})$"},
    "offset": _COUNT,
    "size": _COUNT,
    "page": _COUNT,
    "sortOrder": _choice("asc", "desc"),
    "date": {"type": "string", "format": "date"},
    "overwrite": _choice("none", "append", "delete"),
    "overwrite_files": _SWITCH,
    "cleanupAfterImport": _SWITCH,
    "quality": _choice("usable", "questionable", "unusable"),
    "primary": _SWITCH,
    "changePrimaryProject": _SWITCH,
    "import-handler": _choice("inbox"),
}
"""What values parameters take; any text where a name is not here."""


def query(*names: str, required: Sequence[str] = (), **schemas: dict[str, Any]) -> Options:
    """Return what describes the parameters of a route's query, of some by a schema of their own."""
    known = {name: schemas.get(name) or _QUERY.get(name, TEXT) for name in (*names, *schemas)}
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in known.items()
        ]
    }


def header(*names: str) -> Options:
    """Return what describes headers that a route looks at."""
    return {"parameters": [{"name": name, "in": "header", "required": False, "schema": TEXT} for name in names]}


def body(*media_types: str, schema: dict[str, Any] = TEXT, required: bool = False) -> Options:
    """Return what describes the body of a route."""
    return {"requestBody": {"required": required, "content": {each: {"schema": schema} for each in media_types}}}


def describe(app: FastAPI, title: str, chosen: Callable[[str], bool]) -> dict[str, Any]:
    """Return the OpenAPI document of the routes whose paths are chosen."""
    contexts = [each for each in iter_route_contexts(app.routes) if chosen(str(each.path))]
    described = get_openapi(title=title, version=app.version, routes=contexts)
    for context in contexts:
        operations = described["paths"].get(getattr(context, "path_format", None), {})
        for method in operations.keys() & {each.lower() for each in context.methods or ()}:
            _complete(operations[method], context, method.upper())
    components = described.setdefault("components", {})
    components["securitySchemes"] = SECURITY
    schemas = {**components.get("schemas", {}), "Problem": _PROBLEM_SCHEMA}
    components["schemas"] = {name: each for name, each in schemas.items() if "ValidationError" not in name}
    return described


def _complete(operation: dict[str, Any], context: Any, method: str) -> None:
    """Add to an operation the parameters of its path, its refusals, and whether it needs a log-in."""
    given = operation.setdefault("parameters", [])
    named = {each["name"] for each in given if each["in"] == "path"}
    missing = [name for name in _path_parameters(context.path_format) if name not in named]
    given += [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in missing]
    invalid = operation["responses"].pop("422", None) is not None
    statuses = _refusals(context, method, invalid=invalid, sends_json=context.body_field is not None)
    media_types = (PROBLEM,) if context.path.startswith(OWN) else ("text/html", PROBLEM)
    for status in sorted(statuses):
        operation["responses"].setdefault(str(status), _refused(status, media_types))
    operation["security"] = [{name: []} for name in SECURITY] if HTTPStatus.UNAUTHORIZED in statuses else []


def _path_parameters(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _refusals(context: Any, method: str, *, invalid: bool, sends_json: bool) -> set[int]:
    """Return the statuses that a route refuses with; what the path names may be missing only if it names something."""
    found = {int(HTTPStatus.BAD_REQUEST)} if invalid else set()
    if sends_json:
        found |= {400, 413}
    found |= {status for call in _calls(context.dependant) for status in _marked(call, method)}
    if not _path_parameters(context.path_format):
        found.discard(HTTPStatus.NOT_FOUND)
    return found | _marked(context.endpoint, method)


def _calls(dependant: Any) -> Iterator[Any]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)


def _marked(call: Any, method: str) -> frozenset[int]:
    marked: frozenset[int] = getattr(call, _REFUSED, frozenset())
    return marked if method in READING else marked | getattr(call, _REFUSED_WRITING, frozenset())


def _refused(status: int, media_types: tuple[str, ...]) -> dict[str, Any]:
    names = ["X-Inbox-Reason", *_HEADERS.get(status, ())]
    headers = {name: {"required": True, "schema": TEXT} for name in names}
    content = {each: {"schema": _PROBLEM_REFERENCE if each == PROBLEM else TEXT} for each in media_types}
    return {"description": HTTPStatus(status).phrase, "headers": headers, "content": content}


_HEADERS = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
_PROBLEM_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail", "code", "hint", "retryable", "instance"],
    "properties": {
        "type": {"type": "string", "description": "/help/errors/<code>, a page of this server"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "the cause, in one sentence"},
        "code": {"type": "string", "description": "stable reason code"},
        "hint": {"type": "string", "description": "what to do next"},
        "retryable": {"type": "boolean"},
        "instance": {"type": "string", "description": "urn:uuid of this exchange, as in X-Request-Id"},
        "line": {"type": "integer", "description": "of a script: where the fault is"},
        "column": {"type": "integer"},
        "message": {"type": "string"},
        "source": {"type": "string", "description": "that line"},
    },
}
