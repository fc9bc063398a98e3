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
    need_shape(shape)
    need_kind(kind)
    rectangle = rectangle_of(area)
    fill_of(colour)
    blanking.blank(context.root, [rectangle], _METHOD)
    return VOID


def need_shape(text: str) -> None:
    """Raises Failure if a text names no shape."""
    if text.strip().lower() != "rectangle":
        raise Failure('only the shape "rectangle" exists')


def need_kind(text: str) -> None:
    """Raises Failure if a text names no fill."""
    if text.strip().lower() != "solid":
        raise Failure('only the fill "solid" exists')


def fill_of(text: str) -> dict[str, int]:
    """The numbers of a fill. Raises Failure."""
    numbers = _parameters(text)
    if not set(numbers) <= _FILLS:
        raise Failure("the fill is described by v=, or red=, green= and blue=")
    return numbers


def rectangle_of(text: str) -> Rectangle:
    """The rectangle that a text describes. Raises Failure."""
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
