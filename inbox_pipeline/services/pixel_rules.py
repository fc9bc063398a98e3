"""Trying device rules on files: which one fires, and what would be done.

Belongs here: reading a file's header for a decision. Does not belong here: the decision (`deid`), anything that writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inbox_pipeline.deid.pixel_decision import PixelDecision, PixelOptions, decide
from inbox_pipeline.deid.pixel_faces import FACES_NOT_REMOVED
from inbox_pipeline.deid.pixel_facts import read_facts
from inbox_pipeline.deid.pixel_rules import Rules
from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.rewrite import edited


def explained(path: Path, rules: Rules, options: PixelOptions) -> dict[str, Any]:
    """Return what would be done about one file's pixels, with no value of it.

    The members are `path`, `kind` (`keep`, `blank`, `hold`, `exclude` or `unreadable`), `rule`, `reason`, `detail`,
    `rectangles` (each left, top, right, bottom) and `findings`. Raises OSError.
    """
    decisions: list[PixelDecision] = []
    try:
        with path.open("rb") as stream:
            edited(stream, lambda dataset: decisions.append(decide(read_facts(dataset, rules.wanted), rules, options)))
    except NotReadable:
        return _row(path, PixelDecision("unreadable", detail="no DICOM file that can be read"))
    return _row(path, decisions[0])


def _row(path: Path, decision: PixelDecision) -> dict[str, Any]:
    return {
        "path": str(path),
        "kind": decision.kind,
        "rule": decision.rule,
        "reason": decision.reason,
        "detail": decision.detail,
        "rectangles": [[area.left, area.top, area.right, area.bottom] for area in decision.rectangles],
        "findings": [FACES_NOT_REMOVED] if decision.face else [],
    }
