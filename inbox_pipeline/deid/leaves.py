"""Every value of an encoded data set at any depth, with the place where it stands.

Belongs here: walking bytes that are already in memory, as far as they can be walked. Does not belong here: streams and
edits (room `dicom`), the meaning of values. It is for the rare case that something was found, and not fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

from inbox_pipeline.dicom.elements import DEPTH_LIMIT, UNDEFINED, Layout, head_at
from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.window import Window

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DELIMITERS = frozenset({_ITEM, _ITEM_END, _SEQUENCE_END})


class Leaf(NamedTuple):
    """A value that is no sequence."""

    path: tuple[int, ...]
    """Tags of the sequences around it, and its own; empty for bytes that could not be told apart into elements."""
    vr: str
    """The VR of the data dictionary, else the stated one, else UN."""
    value: bytes


def leaves(data: bytes, layout: Layout) -> Iterator[Leaf]:
    """Yield the values of a data set, or of a part of one that begins with an element.

    What cannot be walked is yielded as one leaf without path, so that no byte is left out.
    """
    window = Window(BytesIO(data), len(data), head=data)
    levels: list[_Level] = []
    position = 0
    while position < len(data):
        while levels and position >= levels[-1].end:
            levels.pop()
        try:
            tag, stated, value, length = head_at(window, position, layout)
        except NotReadable:
            yield Leaf((), "UN", data[position:])
            return
        if tag in _DELIMITERS:
            if tag == _SEQUENCE_END and levels:
                levels.pop()
            position = value + (length if tag == _ITEM and levels and levels[-1].fragments else 0)
            if position > value:
                yield Leaf(levels[-1].path, "OB", data[value:position])
            continue
        vr, path = _vr(tag, stated), (*(levels[-1].path if levels else ()), tag)
        if _has_items(vr, length) and len(levels) < DEPTH_LIMIT:
            end = len(data) + 1 if length == UNDEFINED else value + length
            levels.append(_Level(path, end, vr not in {"SQ", "UN"}))
            position = value
        else:
            position = min(value + length, len(data))
            yield Leaf(path, vr, data[value:position])


class _Level(NamedTuple):
    """A value of items that is being walked: of elements, or fragments of encapsulated data."""

    path: tuple[int, ...]
    end: int
    fragments: bool


def _has_items(vr: str, length: int) -> bool:
    return vr == "SQ" or length == UNDEFINED


@lru_cache(maxsize=8192)
def _vr(tag: int, stated: bytes | None) -> str:
    """The dictionary's VR where it has one, for a file may state any."""
    from pydicom.datadict import dictionary_has_tag, dictionary_VR  # noqa: PLC0415 - costs half a second

    if dictionary_has_tag(tag):
        return dictionary_VR(tag)
    return stated.decode("ascii", "replace") if stated else "UN"
