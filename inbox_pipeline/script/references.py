"""References that follow a UID which a script has replaced.

Belongs here: finding the UIDs in one data set that stand for something elsewhere, and exchanging them. Does not belong
here: knowing which UID was replaced by which (the caller tells).

The Study, Series and SOP Instance UID at the root say what a data set is; they are no references and stay as the
scripts left them. So does every element that a script has set or kept.
"""

import re
from collections.abc import Callable, Collection

from pydicom import Dataset
from pydicom.dataelem import RawDataElement

from inbox_pipeline.dicom.quiet import quiet
from inbox_pipeline.script.edits import Change, Edits, Location
from inbox_pipeline.script.levels import Level, Root
from inbox_pipeline.script.texts import set_text

STUDY, SERIES, INSTANCE, FRAME_OF_REFERENCE = 0x0020000D, 0x0020000E, 0x00080018, 0x00200052
OWN = frozenset([STUDY, SERIES, INSTANCE])

_UID = re.compile(rb"[0-2]\.[0-9]+(?:\.[0-9]+)+")

NewUid = Callable[[str], str | None]
"""Given a UID of the source: what has replaced it, or None if it stayed."""


def follow(dataset: Dataset, new_uid: NewUid, touched: Collection[Location]) -> tuple[Change, ...]:
    """Exchange every UID that refers to something whose UID was replaced; edits in place, returns the changes.

    `touched` are the places that scripts have decided on. Sequences without such a UID are not even decoded.
    Raises Failure if an element cannot be decoded.
    """
    edits = Edits()
    try:
        with quiet():
            _follow_level(Root(dataset, edits), new_uid, frozenset(touched))
    except BaseException:
        edits.undo()
        raise
    return tuple(edits.changes)


def _follow_level(level: Level, new_uid: NewUid, touched: frozenset[Location]) -> None:
    for tag in level.tags():
        here = (*level.location, tag)
        if here in touched or here[0] in OWN or not _may_refer(level, tag, new_uid):
            continue
        if level.vr(tag) == "UI":
            _exchange(level, tag, new_uid)
        for item in level.items(tag):
            _follow_level(item, new_uid, touched)


def _may_refer(level: Level, tag: int, new_uid: NewUid) -> bool:
    """Whether an element has the VR of UIDs or sequences, or none that is known, and such a UID in its bytes."""
    entry = level.entry(tag)
    if entry is None or entry.VR not in (None, "UI", "SQ", "UN"):
        return False
    if not isinstance(entry, RawDataElement) or not isinstance(entry.value, bytes):
        return True
    return any(_is_replaced(found[0].decode("ascii"), new_uid) for found in _UID.finditer(entry.value))


def _is_replaced(text: str, new_uid: NewUid) -> bool:
    """Whether bytes begin with a replaced UID; the next element's first byte may look like one more digit."""
    return new_uid(text) is not None or new_uid(text[:-1]) is not None


def _exchange(level: Level, tag: int, new_uid: NewUid) -> None:
    old = (level.text(tag) or "").split("\\")
    new = [new_uid(uid) or uid for uid in old]
    if new != old:
        set_text(level, tag, "\\".join(new))
