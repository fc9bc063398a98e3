"""The prearchive's states: which operation is open in which, and where a failed one leads (contract sections 4.1, 4.4).

Belongs here: pure decisions. Does not belong here: rows (`store/catalog/prearchive.py`), the work (`services`).
"""

from __future__ import annotations

from inbox_pipeline.intake.entering import HINDRANCES

READY, CONFLICT, ERROR = "READY", "CONFLICT", "ERROR"
QUEUED_ARCHIVING, ARCHIVING, MOVING = "QUEUED_ARCHIVING", "ARCHIVING", "MOVING"
LOCKED = frozenset({QUEUED_ARCHIVING, ARCHIVING, MOVING})
"""States in which nothing else may be done to a session."""

CONFLICTS = HINDRANCES | {
    "archived_changed",
    "session_exists",
    "study_differs",
    "subject_differs",
    "patient_conflict",
    "session_damaged",
    "modality_differs",
    "files_exist",
}
"""Reasons that a reviewer can do something about: HTTP 409, where XNAT answers 500."""

CODES = {
    "session_exists": 1,
    "policy_differs": 3,
    "script_differs": 3,
    "keyed_elsewhere": 3,
    "identifiers_kept": 3,
    "subject_differs": 4,
    "study_differs": 5,
    "patient_conflict": 12,
    "session_damaged": 13,
    "files_exist": 14,
    "scan_renumbered": 16,
    "modality_differs": 19,
}
"""What XNAT's `validate-archive` numbers such findings (contract section 4.2)."""

_OPEN = {
    "archive": frozenset({READY, CONFLICT}),
    "delete": frozenset({READY, CONFLICT, ERROR}),
    "move": frozenset({READY, CONFLICT, ERROR}),
    "rebuild": frozenset({READY, CONFLICT, ERROR}),
}


def is_open(operation: str, state: str) -> bool:
    """Return whether an operation (`archive`, `delete`, `move`, `rebuild`) may begin in a state."""
    return state in _OPEN[operation]


def state_after(code: str, before: str) -> tuple[str, str | None]:
    """Return the state and reason of a session whose archiving has ended for a reason; `before` is what it was."""
    if code == "cancelled":
        return before, None
    return (CONFLICT if code in CONFLICTS else ERROR), code
