"""The tables of PS3.15 annex E as this package ships them: attributes, content items, safe private elements.

Belongs here: reading the generated files (`tools/make_deid_tables.py`), rows as tuples, the few rows of our own.
Does not belong here: what a policy makes of a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

from inbox_pipeline.deid.options import FULL_DATES, INSTITUTION, MODIFIED_DATES
from inbox_pipeline.deid.options import UIDS as RETAIN_UIDS

PRIVATE = "private"
UNSTATED_VR = "??"


class Attribute(NamedTuple):
    """A row of Table E.1-1: `pattern` is a tag as 8 hexadecimal digits, with x for any, or PRIVATE."""

    pattern: str
    vr: str
    basic: str
    options: Mapping[str, str]
    retired: bool
    name: str

    @property
    def tag(self) -> int | None:
        """The tag as a number; None for a pattern of several."""
        return None if "x" in self.pattern or self.pattern == PRIVATE else int(self.pattern, 16)


class ContentItem(NamedTuple):
    """A row of Table E.3.4-1: what is done to content items of this concept."""

    scheme: str
    code: str
    value_type: str
    basic: str
    options: Mapping[str, str]
    meaning: str


_DATES = {FULL_DATES: "K", MODIFIED_DATES: "C"}
_UNLISTED: tuple[tuple[str, str, Mapping[str, str], dict[str, str]], ...] = (
    (
        "DA",
        "X",
        _DATES,
        {
            "00140102": "Secondary Review Date",
            "00141020": "Expiry Date",
            "00143076": "Date of Gain Calibration",
            "00144076": "Procedure Creation Date",
            "00144078": "Procedure Expiration Date",
            "0014407A": "Procedure Last Modified Date",
        },
    ),
    (
        "DT",
        "X",
        _DATES,
        {
            "00080404": "Item Inventory DateTime",
            "00080416": "Expiration DateTime",
            "0008041F": "Study Update DateTime",
            "40101025": "Route Segment Start Time",
            "40101026": "Route Segment End Time",
            "4010102B": "Alarm Decision Time",
            "40101041": "OOI Owner Creation Time",
        },
    ),
    (
        "PN",
        "X",
        {},
        {
            "00140104": "Secondary Reviewer Name",
            "00142006": "Evaluator Name",
            "0040A067": "Document Author (Trial)",
        },
    ),
    (
        "UI",
        "U",
        {RETAIN_UIDS: "K", INSTITUTION: "K"},
        {
            "0040E011": "Retrieve Location UID",
            "0040E030": "Repository Unique ID",
            "0040E031": "Home Community ID",
        },
    ),
    (
        "UI",
        "U",
        {RETAIN_UIDS: "K"},
        {
            "00041432": "Private Record UID",
            "00081167": "Multi-frame Source SOP Instance UID",
            "00083012": "Radiopharmaceutical Administration Event UID",
            "0018991E": "Target Frame of Reference UID",
            "00200242": "SOP Instance UID of Concatenation Source",
            "00209312": "Volume Frame of Reference UID",
            "00209313": "Table Frame of Reference UID",
            "00280304": "Referenced Color Palette Instance UID",
            "0040A021": "Findings Group UID (Trial)",
            "0040A022": "Referenced Findings Group UID (Trial)",
            "00440102": "Assertion UID",
            "00440108": "Referenced Assertion UID",
            "00687004": "Model Group UID",
            "0070031B": "Referenced Fiducial UID",
            "00701209": "Volumetric Presentation Input Set UID",
            "00701904": "Referenced Content Item",
            "0072007F": "Selector UI Value",
            "300A0675": "Equipment Frame of Reference UID",
            "3010001F": "Segmentation Template UID",
        },
    ),
)

BEYOND_THE_TABLE = tuple(
    Attribute(tag, vr, basic, options, False, name)
    for vr, basic, options, names in _UNLISTED
    for tag, name in names.items()
)
"""Dates, names and UIDs of instances that the data dictionary holds and Table E.1-1 does not list."""


@lru_cache(maxsize=1)
def attributes() -> tuple[Attribute, ...]:
    """Return Table E.1-1, 657 rows in edition 2026d, in the order of tags."""
    return tuple(
        Attribute(pattern, vr, basic, _options(options), bool(retired), name)
        for pattern, vr, basic, options, retired, name in _profile()["attributes"]
    )


@lru_cache(maxsize=1)
def content_items() -> tuple[ContentItem, ...]:
    """Return Table E.3.4-1, 214 rows in edition 2026d."""
    return tuple(
        ContentItem(scheme, code, value_type, basic, _options(options), meaning)
        for scheme, code, value_type, basic, options, meaning in _profile()["content_items"]
    )


def source() -> dict[str, Any]:
    """Return what both tables were made from: edition, digests, corrections."""
    return dict(_profile()["source"])


@lru_cache(maxsize=1)
def safe_private() -> Mapping[tuple[int, str, int], str]:
    """Return Table E.3.10-1: (group, private creator, element in its block) to VR, UNSTATED_VR where it gives none."""
    return dict(_safe_private_rows())


@lru_cache(maxsize=1)
def standard_uids() -> frozenset[str]:
    """Return every UID that PS3.6 annex A registers: classes, transfer syntaxes, frames of reference, schemes."""
    return frozenset(f"1.2.840.10008.{below}" for below in _lines("standard_uids.txt"))


@lru_cache(maxsize=16_384)
def vr_of(tag: int) -> str:
    """Return the VR of a public element, of an ambiguous one the first; UN for one that nobody knows."""
    stated = _stated_vrs().get(tag, UNSTATED_VR)
    if stated != UNSTATED_VR:
        return stated[:2]
    from pydicom.datadict import dictionary_VR  # noqa: PLC0415 - half a second

    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "UN"


@lru_cache(maxsize=1)
def _stated_vrs() -> Mapping[int, str]:
    return {row.tag: row.vr for row in (*attributes(), *BEYOND_THE_TABLE) if row.tag is not None}


def read_json(name: str) -> Any:
    """Read one of the generated files."""
    return json.loads(_file(name))


def _safe_private_rows() -> Iterator[tuple[tuple[int, str, int], str]]:
    for line in _lines("safe_private.txt"):
        group, creator, elements = line.split("|")
        for element in elements.split():
            yield (int(group, 16), creator, int(element[:2], 16)), element[2:]


def _options(text: str) -> Mapping[str, str]:
    return dict(part.split("=") for part in text.split())


@lru_cache(maxsize=1)
def _profile() -> Any:
    return read_json("profile.json")


def _lines(name: str) -> list[str]:
    return [line for line in _file(name).splitlines() if not line.startswith("#")]


def _file(name: str) -> str:
    return (resources.files("inbox_pipeline.deid") / "data" / name).read_text("utf-8")
