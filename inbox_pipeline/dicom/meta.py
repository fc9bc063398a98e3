"""Group 0002, the file meta information, as this package writes it (PS3.10 section 7.1).

Belongs here: our implementation identifiers, agreement with the data set, the group's length.
Does not belong here: reading it (preface), the data set.
"""

from collections.abc import Mapping
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING

from inbox_pipeline.dicom.changes import encode, guarded
from inbox_pipeline.dicom.elements import LONG_VRS, Layout
from inbox_pipeline.dicom.plain import plain

if TYPE_CHECKING:
    from pydicom import Dataset

IMPLEMENTATION_CLASS_UID = "2.25.103621667278145429566240008054595574360"
IMPLEMENTATION_VERSION_NAME = "INBOX_PIPELINE_1"
_SHORT, _LONG = Struct("<HH2sH"), Struct("<HH2sHI")
_OURS = frozenset((0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013))


def write_meta(
    others: Mapping[int, bytes], sop_class_uid: str | None, sop_instance_uid: str | None, transfer_syntax_uid: str
) -> bytes:
    """The encoded group for a data set with these UIDs, our implementation, and what else the file's had.

    A UID that is blank is left out.
    """
    elements = dict(others)
    elements[0x00020001] = _element(0x00020001, b"OB", b"\0\1")
    elements[0x00020010] = _text(0x00020010, b"UI", transfer_syntax_uid)
    elements[0x00020012] = _text(0x00020012, b"UI", IMPLEMENTATION_CLASS_UID)
    elements[0x00020013] = _text(0x00020013, b"SH", IMPLEMENTATION_VERSION_NAME)
    for tag, uid in ((0x00020002, sop_class_uid), (0x00020003, sop_instance_uid)):
        if uid:
            elements[tag] = _text(tag, b"UI", uid)
    body = b"".join(encoded for _, encoded in sorted(elements.items()))
    return _element(0x00020000, b"UL", len(body).to_bytes(4, "little")) + body


def others_of(file_meta: "Dataset") -> dict[int, bytes]:
    """The elements of a group that are not ours to set, encoded. Raises NotWritable."""
    return guarded(0x00020000, partial(_others, file_meta))


def uid_of(file_meta: "Dataset", tag: int) -> str:
    """The text of a UID of a group; empty if it has none. Raises NotWritable."""
    return guarded(tag, partial(_present, file_meta, tag))


def _others(file_meta: "Dataset") -> dict[int, bytes]:
    layout = Layout(False, True)
    kept = (file_meta[tag] for tag in list(file_meta.keys()) if tag not in _OURS)
    return {int(each.tag): plain(each, layout) or encode(each, file_meta, layout) for each in kept}


def _present(file_meta: "Dataset", tag: int) -> str:
    element = file_meta.get(tag)
    return "" if element is None or element.value is None else str(element.value)


def _text(tag: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    return _element(tag, vr, value + (b"\0" if vr == b"UI" else b" ") * (len(value) & 1))


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    if vr in LONG_VRS:
        return _LONG.pack(tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value
    return _SHORT.pack(tag >> 16, tag & 0xFFFF, vr, len(value)) + value
