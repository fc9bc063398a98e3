"""Bytes of elements that a cleaner writes: dummies, codes, and items in another layout.

Belongs here: putting them together. Does not belong here: deciding what is written (`cleaner.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from inbox_pipeline.deid.dummies import Item as DummyItem
from inbox_pipeline.deid.options import Code
from inbox_pipeline.deid.table import vr_of
from inbox_pipeline.dicom.elements import UNDEFINED, Element, Layout
from inbox_pipeline.dicom.errors import Unparsable
from inbox_pipeline.dicom.nested import Item, elements_of, encoded, encoded_item, items_of

_NUL_PADDED = frozenset((b"UI", b"OB", b"UN"))
_CODE_VALUE, _SCHEME, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104


def padded(value: bytes, vr: bytes) -> bytes:
    """A value of even length (PS3.5 section 6.2)."""
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr in _NUL_PADDED else b" ")


def value_of(element: bytes, layout: Layout) -> bytes:
    """The value of an encoded sequence."""
    return element[8 if layout.implicit else 12 :]


def same_layout(items: Iterable[Item], layout: Layout) -> Iterator[Item]:
    """The items in one layout. Raises as `in_layout`."""
    return (Item(in_layout(item, layout), layout) for item in items)


def in_layout(item: Item, layout: Layout) -> bytes:
    """The elements of an item in another layout; values are untouched, as only the statement of VRs differs.

    Raises Unparsable where the byte order differs too.
    """
    if item.layout == layout:
        return item.data
    if item.layout.little != layout.little:
        raise Unparsable("items of both byte orders in one sequence")
    return b"".join(_restated(item, element, layout) for element in elements_of(item))


def _restated(item: Item, element: Element, layout: Layout) -> bytes:
    value = item.data[element.value : element.value_end]
    vr = element.vr or (b"SQ" if element.length == UNDEFINED else vr_of(element.tag).encode())
    if vr == b"SQ":
        value = b"".join(encoded_item(in_layout(inner, layout), layout) for inner in items_of(value, item.layout))
    return encoded(element.tag, vr, value, layout)


def dummy_elements(item: DummyItem, layout: Layout) -> bytes:
    """The elements of an item that is made up."""
    return b"".join(_dummy_element(tag, vr, value, layout) for tag, (vr, value) in sorted(item.items()))


def _dummy_element(tag: int, vr: str, value: str | tuple[DummyItem, ...], layout: Layout) -> bytes:
    if isinstance(value, str):
        return encoded(tag, vr.encode(), padded(value.encode(), vr.encode()), layout)
    items = b"".join(encoded_item(dummy_elements(item, layout), layout) for item in value)
    return encoded(tag, b"SQ", items, layout)


def code_item(code: Code, layout: Layout) -> bytes:
    """An item for (0012,0064) that claims a code of CID 7050."""
    item: DummyItem = {_CODE_VALUE: ("SH", code.value), _SCHEME: ("SH", "DCM"), _CODE_MEANING: ("LO", code.meaning)}
    return encoded_item(dummy_elements(item, layout), layout)
