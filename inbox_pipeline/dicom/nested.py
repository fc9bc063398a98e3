"""Items of sequences as byte ranges, and the bytes of elements and items (PS3.5 section 7).

Belongs here: taking a sequence's value apart without building objects, and putting elements together. Does not belong
here: what is done to an element, the root of a file (`elements.py`), pydicom.
"""

from collections.abc import Iterator, Sequence
from struct import pack
from typing import NamedTuple

from inbox_pipeline.dicom.elements import (
    DEPTH_LIMIT,
    LONG_VRS,
    UNDEFINED,
    Element,
    Ends,
    Layout,
    all_elements,
    head_at,
    item_layout,
    skip_members,
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
    """One item: the bytes of its elements, how they are laid out, and where they lie in what `ends` tells about."""

    data: bytes
    layout: Layout
    origin: int = 0
    ends: Ends | None = None


def items_of(value: bytes, layout: Layout, ends: Ends | None = None, origin: int = 0) -> Iterator[Item]:
    """The items of a sequence's value, with or without delimiters; `origin` is where the value begins for `ends`.

    Raises Truncated or Unparsable for what is no sequence of items.
    """
    window, position = Window(IN_MEMORY, len(value), head=value), 0
    ends = {} if ends is None else ends
    while position < len(value):
        tag, _, start, length = head_at(window, position, layout)
        if tag == _SEQUENCE_END:
            return
        if tag != _ITEM:
            raise Unparsable(f"an item was expected at offset {position}")
        here = item_layout(window, start, layout) if start + 6 <= len(value) else layout
        if length == UNDEFINED:
            position = skip_members(window, start, here, DEPTH_LIMIT, ends, origin)
            end = position - 8
        else:
            end = position = start + length
        if position > len(value):
            raise Truncated(f"an item reaches beyond the {len(value)} bytes of its sequence")
        yield Item(value[start:end], here, origin + start, ends)


def elements_of(item: Item) -> list[Element]:
    """The elements of an item, as offsets into its data. Raises Truncated, Unparsable."""
    if not item.data:
        return []
    window = Window(IN_MEMORY, len(item.data), head=item.data)
    return all_elements(window, 0, item.layout, {} if item.ends is None else item.ends, item.origin)


def encoded(tag: int, vr: bytes, value: bytes, layout: Layout) -> bytes:
    """An element with its header; UN where its VR cannot state so long a value (PS3.5 section 6.2.2).

    Values of an odd length must have been padded.
    """
    return encoded_parts(tag, vr, (value,), layout)


def encoded_parts(tag: int, vr: bytes, parts: Sequence[bytes], layout: Layout) -> bytes:
    """As `encoded`, of a value in parts, which may be long: they are copied once."""
    order, length = "<" if layout.little else ">", sum(map(len, parts))
    group, element = tag >> 16, tag & 0xFFFF
    if layout.implicit:
        head = pack(f"{order}HHI", group, element, length)
    elif vr in LONG_VRS or length > 0xFFFF:
        head = pack(f"{order}HH2sHI", group, element, vr if vr in LONG_VRS else b"UN", 0, length)
    else:
        head = pack(f"{order}HH2sH", group, element, vr, length)
    return b"".join((head, *parts))


def encoded_item(data: bytes, layout: Layout) -> bytes:
    """An item of explicit length around the bytes of its elements."""
    return pack(f"{'<' if layout.little else '>'}HHI", 0xFFFE, 0xE000, len(data)) + data
