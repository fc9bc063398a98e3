"""Items of sequences as byte ranges, and the bytes of elements and items (PS3.5 section 7).

Belongs here: taking a sequence's value apart without building objects, and putting elements together. Does not belong
here: what is done to an element, the root of a file (`elements.py`), pydicom.
"""

from collections.abc import Iterator
from struct import pack
from typing import NamedTuple

from inbox_pipeline.dicom.elements import (
    DEPTH_LIMIT,
    LONG_VRS,
    UNDEFINED,
    Element,
    Layout,
    head_at,
    item_layout,
    root_elements,
    skip_items,
)
from inbox_pipeline.dicom.errors import Truncated, Unparsable
from inbox_pipeline.dicom.window import Window

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
IMPLICIT = Layout(True, True)


class _InMemory:
    """The stream behind a window that holds all of its bytes already."""

    def seek(self, offset: int, /) -> int:
        """Stay."""
        return offset

    def read(self, count: int, /) -> bytes:
        """No bytes."""
        return b""


IN_MEMORY = _InMemory()


class Item(NamedTuple):
    """One item: the bytes of its elements and how they are laid out."""

    data: bytes
    layout: Layout


def items_of(value: bytes, layout: Layout) -> Iterator[Item]:
    """The items of a sequence's value, with or without delimiters.

    Raises Truncated or Unparsable for what is no sequence of items.
    """
    window, position = Window(IN_MEMORY, len(value), head=value), 0
    while position < len(value):
        tag, _, start, length = head_at(window, position, layout)
        if tag == _SEQUENCE_END:
            return
        if tag != _ITEM:
            raise Unparsable(f"an item was expected at offset {position}")
        here = item_layout(window, start, layout) if start + 6 <= len(value) else layout
        end, position = _item_end(window, start, length, here)
        if position > len(value):
            raise Truncated(f"an item reaches beyond the {len(value)} bytes of its sequence")
        yield Item(value[start:end], here)


def _item_end(window: Window, start: int, length: int, layout: Layout) -> tuple[int, int]:
    """Where the elements of an item end, and where the next item begins."""
    if length != UNDEFINED:
        return start + length, start + length
    position = start
    while True:
        tag, _, value, size = head_at(window, position, layout)
        if tag == _ITEM_END:
            return position, value
        position = skip_items(window, value, layout, DEPTH_LIMIT) if size == UNDEFINED else value + size


def elements_of(item: Item) -> Iterator[Element]:
    """The elements of an item, as offsets into its data. Raises Truncated, Unparsable."""
    if not item.data:
        return iter(())
    return root_elements(Window(IN_MEMORY, len(item.data), head=item.data), 0, item.layout)


def encoded(tag: int, vr: bytes, value: bytes, layout: Layout) -> bytes:
    """An element with its header. Values of an odd length must have been padded."""
    order = "<" if layout.little else ">"
    group, element = tag >> 16, tag & 0xFFFF
    if layout.implicit:
        return pack(f"{order}HHI", group, element, len(value)) + value
    if vr in LONG_VRS:
        return pack(f"{order}HH2sHI", group, element, vr, 0, len(value)) + value
    if len(value) > 0xFFFF:
        raise Unparsable("a value is too long for its value representation")
    return pack(f"{order}HH2sH", group, element, vr, len(value)) + value


def encoded_item(data: bytes, layout: Layout) -> bytes:
    """An item of explicit length around the bytes of its elements."""
    return pack(f"{'<' if layout.little else '>'}HHI", 0xFFFE, 0xE000, len(data)) + data
