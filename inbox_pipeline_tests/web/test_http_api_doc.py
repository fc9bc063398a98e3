"""The HTTP documentation against the application."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fastapi.routing import iter_route_contexts

from inbox_pipeline.intake.reasons import REFUSALS

DOCUMENT = Path(__file__).parents[2] / "docs" / "http-api.md"


def _documented() -> set[tuple[str, str]]:
    text = DOCUMENT.read_text()
    rows = re.findall(r"^\| ([A-Z, ]+) \| `([/{][^`]*)` \|", text, re.MULTILINE)
    lines = re.findall(r"^\* `(\{\w+\})` stands for (.*)$", text, re.MULTILINE)
    places = {name: re.findall(r"`([^`]*)`", line) for name, line in lines}
    return {(method, each) for methods, route in rows for method in methods.split(", ") for each in _at(route, places)}


def _at(route: str, places: dict[str, list[str]]) -> list[str]:
    """Return the routes that a route with the name of several places before it stands for."""
    name = next((name for name in places if route.startswith(name)), None)
    if name is None:
        return [route]
    return [each for place in places[name] for each in _at(route.replace(name, place, 1), places)]


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
