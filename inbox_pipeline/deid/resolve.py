"""From a row of the profile to one action: options first, then the Type that the IOD asks for (PS3.15 section E.1.1).

Belongs here: the rules for compound codes, options and value representations. Does not belong here: tables.

Where more than one option speaks, cleaning goes before keeping: a calibration date under device identity and modified
dates is moved. What cannot be cleaned, because it is binary, falls back to the basic action.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.iod_types import Type
from inbox_pipeline.deid.options import CONTENT, FULL_DATES, GRAPHICS, MODIFIED_DATES
from inbox_pipeline.deid.table import Attribute, ContentItem

TEMPORAL_VRS = frozenset({"DA", "DT", "TM"})
TEXT_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
PATIENT_ID = 0x00100020
REFERENCES = frozenset({0x00081110, 0x00081111, 0x00081140, 0x00082112})
"""Referenced Study, Performed Procedure Step and Image, Source Image: kept with their UIDs replaced, so that what
referred to an instance refers to its de-identified copy. The profile lets them be removed where no IOD asks for them.
"""
CLEANED_BY_THEIR_ITEMS = frozenset({0x00340001, 0x00700001, 0x0040A073, 0x0040B020})
"""Sequences with action D whose identifying attributes have rows of their own: Flow Identifier, Graphic Annotation,
Verifying Observer, Waveform Annotation."""
REFERENCE_VALUES = frozenset({"COMPOSITE", "IMAGE", "UIDREF", "WAVEFORM"})
_TEMPORAL_VALUES = frozenset({"DATE", "DATETIME", "TIME"})


def attribute_action(row: Attribute, options: Collection[str], type_: Type) -> Action:
    """Return what is done to an attribute of the table.

    Args:
        row: its row.
        options: the options in force.
        type_: what the IOD asks for. UNKNOWN keeps the object valid: of a compound code the last applies.
    """
    chosen = {action: option for option, action in row.options.items() if option in options}
    if "C" in chosen:
        return _cleaned(row, chosen["C"], options) or _basic(row, type_)
    return _kept(row.vr) if "K" in chosen else _basic(row, type_)


def content_action(row: ContentItem, options: Collection[str]) -> Action:
    """Return what is done to a content item of Table E.3.4-1: ITEMS keeps it and cleans its attributes one by one.

    References stay with their UIDs replaced. Whether a template asks for an item is not known: X/D is D.
    """
    chosen = {row.options[option] for option in row.options.keys() & set(options)}
    if row.value_type in REFERENCE_VALUES:
        return Action.ITEMS
    if "C" in chosen:
        return Action.SHIFT if row.value_type in _TEMPORAL_VALUES else Action.TEXT
    if "K" in chosen:
        return Action.KEEP
    return Action.DUMMY if "D" in row.basic else Action.REMOVE


def unlisted_content_action(value_type: str, options: Collection[str]) -> Action:
    """Return what is done to a content item whose concept has no row: by what its value may tell."""
    if value_type == "TEXT":
        return Action.TEXT
    if value_type == "PNAME":
        return Action.DUMMY
    if value_type not in _TEMPORAL_VALUES:
        return Action.ITEMS
    if FULL_DATES in options:
        return Action.KEEP
    return Action.SHIFT if MODIFIED_DATES in options else Action.DUMMY


def _kept(vr: str) -> Action:
    if vr == "SQ":
        return Action.ITEMS
    return Action.AGE if vr == "AS" else Action.KEEP


def _cleaned(row: Attribute, option: str, options: Collection[str]) -> Action | None:
    """Return how to clean, None for what cannot be."""
    if option == GRAPHICS:
        return Action.GRAPHICS
    if row.vr == "SQ":
        return Action.TREE if CONTENT in row.options.keys() & set(options) else Action.ITEMS
    if row.vr in TEMPORAL_VRS:
        return Action.SHIFT
    return Action.TEXT if row.vr in TEXT_VRS else None


def _basic(row: Attribute, type_: Type) -> Action:
    """Return the basic action under an IOD, which may ask for more than the code says: then validity wins."""
    if row.tag in REFERENCES:
        return Action.ITEMS
    if row.tag == PATIENT_ID:
        return Action.DUMMY
    letter = _letter(row.basic.rstrip("*").split("/"), type_)
    if letter == "D" and row.tag in CLEANED_BY_THEIR_ITEMS:
        return Action.ITEMS
    return _BY_LETTER[letter]


def _letter(letters: list[str], type_: Type) -> str:
    if type_ is Type.UNKNOWN or letters in (["D"], ["U"]):
        return letters[-1]
    if type_ is Type.OPTIONAL:
        return letters[0]
    if type_ is Type.PRESENT:
        return "D" if letters == ["X", "D"] else "Z"
    return "D"


_BY_LETTER: Mapping[str, Action] = {"X": Action.REMOVE, "Z": Action.EMPTY, "D": Action.DUMMY, "U": Action.UID}
