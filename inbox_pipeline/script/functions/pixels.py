"""The function alterPixels (dicomedit specification 3.6).

Belongs here: its arguments. Does not belong here: what is done to pixel data and to the attributes (`blanking.py`).
"""

import re

from inbox_pipeline.script import blanking
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions.registry import VOID, Argument, Context, Function, Void
from inbox_pipeline.script.pixels import Rectangle

_METHOD = "DicomEdit alterPixels"
_PARAMETER = re.compile(r"\s*([A-Za-z]+)\s*=\s*(-?[0-9]{1,9})\s*")
_SIDES = {"l": "left", "t": "top", "r": "right", "b": "bottom"}
_FILLS = frozenset(["v", "value", "r", "g", "b", "red", "green", "blue"])


def _alter_pixels(context: Context, arguments: list[Argument]) -> Void:
    shape, area, kind, colour = (context.needed(argument) for argument in arguments)
    if shape.strip().lower() != "rectangle" or kind.strip().lower() != "solid":
        raise Failure('only the shape "rectangle" and the fill "solid" exist')
    rectangle = _rectangle(area)
    if not set(_parameters(colour)) <= _FILLS:
        raise Failure("the fill is described by v=, or red=, green= and blue=")
    blanking.blank(context.root, [rectangle], _METHOD)
    return VOID


def _rectangle(text: str) -> Rectangle:
    sides = {_SIDES.get(name, name): number for name, number in _parameters(text).items()}
    if set(sides) != set(_SIDES.values()):
        raise Failure("a rectangle is described by l=, t=, r= and b=")
    return Rectangle(**sides)


def _parameters(text: str) -> dict[str, int]:
    """Numbers by lower-case name from `name=number, ...`. Raises Failure."""
    matches = [_PARAMETER.fullmatch(part) for part in text.split(",") if part.strip()]
    if any(match is None for match in matches):
        raise Failure("parameters are written name=number, separated by commas")
    return {match[1].lower(): int(match[2]) for match in matches if match}


FUNCTIONS = {"alterPixels": Function(_alter_pixels, 4, 4, "6.3")}
