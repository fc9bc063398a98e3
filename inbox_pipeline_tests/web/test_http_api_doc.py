"""The HTTP documentation against the application."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fastapi.routing import iter_route_contexts

from inbox_pipeline.intake.reasons import REFUSALS

DOCUMENT = Path(__file__).parents[2] / "docs" / "http-api.md"


def _documented() -> set[tuple[str, str]]:
    rows = re.findall(r"^\| ([A-Z, ]+) \| `(/[^`]*)` \|", DOCUMENT.read_text(), re.MULTILINE)
    return {(method, route) for methods, route in rows for method in methods.split(", ")}


def _served(app: Any) -> set[tuple[str, str]]:
    return {(method, context.path) for context in iter_route_contexts(app.routes) for method in context.methods or ()}


def test_every_route_is_documented_and_every_documented_route_is_served(app: Any) -> None:
    assert _served(app) == _documented()


def test_the_codes_of_http_stand_with_their_status() -> None:
    table = dict(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (\d{3}) \|", DOCUMENT.read_text(), re.MULTILINE))
    stated = {code: status for codes, status in table.items() for code in re.findall(r"`(\w+)`", codes)}
    known = {reason.code: reason.kind for reason in REFUSALS}
    assert {code: known[code] for code in stated if code in known} == {
        code: status for code, status in stated.items() if code in known
    }
    assert stated.keys() - known.keys() == {"catalog_unavailable", "internal_error"}
