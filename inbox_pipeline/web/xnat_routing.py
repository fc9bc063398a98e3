"""XNAT's routes for routing expressions: the configuration service's tool `dicom`.

Belongs here: the paths `projectRules`, `subjectRules`, `sessionRules` under `/data` and `/REST`, as XNAT's page "Custom
DICOM Routing" and its scripts use them. Does not belong here: what is stored (`services/routing.py`).
"""

from __future__ import annotations

import json

from fastapi import APIRouter
from starlette.responses import Response

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.intake.routing import TARGETS
from inbox_pipeline.services import routing
from inbox_pipeline.web.answers import text
from inbox_pipeline.web.description import PLAIN, refuses
from inbox_pipeline.web.exchange import body_limit
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Query, last
from inbox_pipeline.web.rights import Administrator
from inbox_pipeline.web.script_body import MOST_BYTES, ScriptText
from inbox_pipeline.web.xnat_config import (
    CONFIGURE,
    CONFIGURED,
    STATUS_WORDS,
    WANTED,
    configuration,
    named_version,
    switch,
)

_TARGETS = {f"{target}Rules": target for target in TARGETS}

_routes = APIRouter()


@_routes.get("/config/dicom/{rules}", responses=CONFIGURED, openapi_extra=WANTED)
@refuses(404)
def show_rules(rules: str, _account: Known, site: Served, query: Query) -> Response:
    """Answer routing expressions as a configuration."""
    row = routing.rule_version(site, _target(rules), named_version(last(query, "version")))
    return configuration({"tool": "dicom", "path": rules, "project": ""}, row, query, "routing_not_found")


@_routes.put("/config/dicom/{rules}", responses=PLAIN, openapi_extra=CONFIGURE)
@refuses(404)
@body_limit(MOST_BYTES)
def set_rules(rules: str, sender: Administrator, site: Served, query: Query, given: ScriptText) -> Response:
    """Store routing expressions: the body, or its member `contents`; `status` there or in the query switches them.

    As in XNAT, with `status` a body counts only if it is not empty.
    """
    target = _target(rules)
    pairs, contents = _members(given)
    wanted = switch([*query, *pairs], "status", STATUS_WORDS)
    routing.set_rules(site, sender.login, target, contents if contents or wanted is None else None, wanted)
    return text("")


router = APIRouter()
for prefix in ("/data", "/REST"):
    router.include_router(_routes, prefix=prefix)


def _target(rules: str) -> str:
    """Return what rules of that name find. Raises Rejected: `routing_not_found`."""
    if rules not in _TARGETS:
        raise refusal("routing_not_found")
    return _TARGETS[rules]


def _members(given: str) -> tuple[list[tuple[str, str]], str]:
    """Return `status` as a pair, and the rules, of a body that is a JSON object or the rules themselves.

    Raises:
        Rejected: `request_malformed`.
    """
    if not given.lstrip().startswith("{"):
        return [], given
    try:
        members = json.loads(given)
    except (ValueError, RecursionError):
        raise refusal("request_malformed") from None
    status, contents = members.get("status", ""), members.get("contents", "")
    if not isinstance(status, str) or not isinstance(contents, str):
        raise refusal("request_malformed")
    return [("status", status)], contents
