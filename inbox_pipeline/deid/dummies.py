"""Values that are legal and say nothing, per value representation (PS3.15 section E.1.1, action D).

Belongs here: constants. Does not belong here: keys; whoever asks brings the token that tells values apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Item: TypeAlias = Mapping[int, tuple[str, "str | tuple[Item, ...]"]]
"""An item: tag to VR and value, which for SQ is items again."""

WORD = "ANONYMIZED"
_CONSTANTS = {
    "AE": WORD,
    "AS": "000Y",
    "CS": WORD,
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "LT": WORD,
    "ST": WORD,
    "TM": "000000",
    "UR": "urn:uuid:00000000-0000-0000-0000-000000000000",
    "UT": WORD,
}
_WITH_TOKEN = {"LO": "ANON-", "PN": "Anonymized^", "SH": "ANON-", "UC": "ANON-"}
_BYTES = {"AT": 4, "FD": 8, "FL": 4, "OB": 2, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}
_BYTES |= {"SL": 4, "SS": 2, "SV": 8, "UL": 4, "UN": 2, "US": 2, "UV": 8}

_CODE: Item = {0x00080100: ("SH", WORD), 0x00080102: ("SH", "99ANON"), 0x00080104: ("LO", "Anonymized")}
_TEXT_ITEM: Item = {
    0x0040A010: ("CS", "CONTAINS"),
    0x0040A040: ("CS", "TEXT"),
    0x0040A043: (
        "SQ",
        ({0x00080100: ("SH", "121106"), 0x00080102: ("SH", "DCM"), 0x00080104: ("LO", "Comment")},),
    ),
    0x0040A160: ("UT", WORD),
}
_ITEMS: Mapping[int, Item] = {
    0x0040A730: _TEXT_ITEM,
    0x00081072: {0x00080080: ("LO", WORD), 0x00401101: ("SQ", (_CODE,))},
}


def dummy_text(vr: str, token: str) -> str:
    """Return a value of a text VR; names, SH, LO and UC hold the token (at most 11 characters fit an SH).

    Raises:
        KeyError: for a VR that is not text; see `dummy_bytes`.
    """
    return f"{_WITH_TOKEN[vr]}{token}" if vr in _WITH_TOKEN else _CONSTANTS[vr]


def dummy_bytes(vr: str) -> bytes:
    """Return one value of a binary VR, zero in either byte order.

    Raises:
        KeyError: for a VR that is text or SQ.
    """
    return bytes(_BYTES[vr])


def dummy_item(tag: int) -> Item:
    """Return the one item of a sequence that must not be empty: a coded entry, unless the sequence holds other things.

    Content Sequence gets a comment (DCM 121106), Operator Identification a person whose code says nothing.
    """
    return _ITEMS.get(tag, _CODE)
