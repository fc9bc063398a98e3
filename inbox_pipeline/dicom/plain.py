"""The bytes of ordinary elements, as pydicom's writer makes them but without its machinery.

Belongs here: single texts of the default repertoire, and sequences of nothing but such. Does not belong here: every
other element; there pydicom decides.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from inbox_pipeline.dicom.elements import Layout
from inbox_pipeline.dicom.nested import encoded, encoded_item

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement

_TEXTS = {vr.decode(): vr for vr in b"AE AS CS DA DT LO LT PN SH ST TM UC UI UR UT".split()}
_CHARSET = 0x00080005
_PADDING = " \0"


def plain(element: "DataElement | RawDataElement", layout: Layout) -> bytes | None:
    """The encoded element; None if it is not ordinary."""
    if element.is_raw:
        return None
    if element.VR == "SQ":
        return _sequence(element, layout)
    vr = _TEXTS.get(element.VR or "")
    text = plain_text(element)
    if vr is None or text is None or len(text) > 0xFFFE:
        return None
    value = text.encode("ascii")
    return encoded(element.tag, vr, value + (b"\0" if vr == b"UI" else b" ") * (len(value) & 1), layout)


def plain_text(element: "DataElement | RawDataElement") -> str | None:
    """The text of an element that holds a single one of the default repertoire; None for any other."""
    value = "" if element.value is None else element.value
    if element.VR == "PN" and not isinstance(value, str | bytes | list):
        value = _name(value)
    return str(value) if isinstance(value, str) and value.isascii() and "\x1b" not in value else None


def _name(value: object) -> str | None:
    """A name of one component group, as which it is written."""
    text, original = str(value), getattr(value, "original_string", None)
    return None if "=" in text or original not in (None, text.encode("ascii", "ignore")) else text


def is_text_of(element: "DataElement | RawDataElement", original: "DataElement | RawDataElement") -> bool | None:
    """Whether an element holds what reading makes of a raw one; None if that takes more than to compare texts."""
    from pydicom.dataelem import RawDataElement  # noqa: PLC0415 - costs half a second

    text = None if element.is_raw or element.VR not in _TEXTS else plain_text(element)
    value = (original.value if original.length else b"") if isinstance(original, RawDataElement) else None
    if text is None or not isinstance(value, bytes) or not value.isascii() or b"\x1b" in value or b"\\" in value:
        return None
    before = value.decode("ascii")
    if text.strip(_PADDING) != before.strip(_PADDING):
        return False
    return True if text == before.rstrip(_PADDING) and original.VR in (element.VR, None, "UN") else None


def _sequence(element: "DataElement | RawDataElement", layout: Layout) -> bytes | None:
    if getattr(element, "is_undefined_length", True):
        return None
    value: Iterable[Dataset] = element.value or ()  # type: ignore[assignment]  # Any or a number, says pydicom
    items = [_item(item, layout) for item in value]
    bodies = [item for item in items if item is not None]
    return None if len(bodies) < len(items) else encoded(element.tag, b"SQ", b"".join(bodies), layout)


def _item(item: "Dataset", layout: Layout) -> bytes | None:
    if item.is_undefined_length_sequence_item or _CHARSET in item:
        return None
    parts = [plain(element, layout) for _, element in sorted(item.items())]
    bodies = [part for part in parts if part is not None]
    return None if len(bodies) < len(parts) else encoded_item(b"".join(bodies), layout)
