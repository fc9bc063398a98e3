"""What people say of archived sessions and scans: a scan's quality, notes; which of it can be kept.

Belongs here: the values that are allowed. Does not belong here: who may say it, storing it (`services/remarks.py`),
and XNAT's names (`web`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from inbox_pipeline.intake.reasons import refusal

USABLE = "usable"
"""The quality of a scan that nobody has judged."""
QUALITIES = (USABLE, "questionable", "unusable")
LONGEST_NOTE = 4000
QUALITY, NOTE = "quality", "note"
OF_SESSIONS: tuple[str, ...] = (NOTE,)
OF_SCANS: tuple[str, ...] = (NOTE, QUALITY)
_NOT_IN_A_NOTE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def checked(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return values as they are kept; None, or a blank one, takes back what was said.

    Raises:
        Rejected: `quality_unknown`, `note_illegal`.
    """
    return {name: _quality(value) if name == QUALITY else _note(value) for name, value in given.items()}


def _quality(value: str | None) -> str | None:
    quality = (value or "").strip().casefold()
    if quality and quality not in QUALITIES:
        raise refusal("quality_unknown")
    return quality or None


def _note(value: str | None) -> str | None:
    note = (value or "").strip()
    if len(note) > LONGEST_NOTE or _NOT_IN_A_NOTE.search(note):
        raise refusal("note_illegal")
    return note or None
