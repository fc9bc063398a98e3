"""How a request ended: status, outcome and the sentence that says so (DESIGN section 5).

Belongs here: the one place that turns dispositions and session states into a verdict; everything else renders it. Does
not belong here: counting (SQL does) or showing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inbox_pipeline.intake.reasons import FROM_ARCHIVE, LITTER, ending

REACHED = frozenset({"ARCHIVED", "READY"})
LOST = frozenset({"rejected", "held", "failed"})
"""Dispositions of files that should have arrived and did not."""

CALLED_OFF = {"cancelled": "Cancelled", "withdrawn": "Withdrawn", FROM_ARCHIVE: "Deleted"}
"""Ends that somebody asked for, with the word that begins their sentence."""

REASON_WORDS = {
    "ready_for_review": "waiting for review",
    "session_exists": "waiting because the session exists already",
    "label_taken": "waiting because their label is taken",
    "patient_conflict": "waiting because their study holds several patients",
    "study_differs": "waiting because the session of their label is of another study",
    "subject_differs": "waiting because the session of their label is of another subject",
    "session_damaged": "waiting because the archived session of their label is damaged",
    "duplicate_in_request": "identical duplicates",
    "duplicate_archived": "archived already",
    "not_dicom": "not DICOM",
    "dicomdir": "DICOMDIR",
    "empty_file": "empty",
    "apple_double": "macOS resource forks",
    "os_litter": "operating system litter",
    "link_inside": "links within the folder",
    "special_file": "not regular files",
    "archive_not_opened": "archive files that were not opened",
    "script_rejected": "dropped by a script",
    "pixel_rule_exclude": "dropped by a pixel rule",
    "truncated": "truncated",
    "unparsable": "unreadable as DICOM",
    "missing_uid": "without a required UID",
    "uid_invalid": "with a UID that is none",
    "sop_uid_conflict": "with a conflicting SOP Instance UID",
    "link_leaves_folder": "links out of the folder",
    "link_broken": "broken links",
    "several_studies_one_label": "of several studies under one label",
    "member_link": "links in the archive file",
    "member_name_unsafe": "with an unsafe name in the archive file",
    "member_encrypted": "encrypted in the archive file",
    "member_unsupported": "packed by a method that is not supported",
    "member_too_large": "too large to unpack",
    "member_damaged": "damaged in the archive file",
    "archive_damaged": "for an archive file that cannot be read to its end",
    "archive_over_limits": "beyond what is unpacked of an archive file",
    "withdrawn": "withdrawn by an undo",
    "deleted_in_review": "deleted in review",
    FROM_ARCHIVE: "deleted from the archive",
    "script_error": "held by a script error",
    "routing_failed": "held because a routing expression takes too long on them",
    "label_identifies": "held because their label identifies the patient",
    "identifier_found": "held because they still hold an identifier",
    "script_no_effect": "held because a script's line had no effect",
    "reference_error": "held because a reference in them cannot be read",
    "anonymize_error": "held because they could not be rewritten",
    "burned_in_risk": "held because their images may show who the patient is",
    "over_limits": "held because working on them would take too much memory",
    "took_too_long": "held because working on them took too long",
    "document_not_cleaned": "held because they carry documents that cannot be cleaned",
    "pixel_rule_hold": "held by a pixel rule",
    "pixel_rule_error": "held because a pixel rule cannot be applied",
    "pixels_not_blanked": "held because their pixels could not be blanked",
    "kills_worker": "held because workers died at them",
    "text_in_pixels": "held because there may be text in their images",
    "unreadable": "that could not be read",
    "source_changed": "that changed while being imported",
    "source_vanished": "that vanished while being imported",
    "cancelled": "not reached before the cancel",
    "request_failed": "not reached before the request failed",
    "waiting": "not done",
}


@dataclass(frozen=True)
class SessionEnd:
    """Where one session of the request ended; `name` is its accession id, or None while it has none.

    A session of whose files none could be imported is in state ERROR.
    """

    number: int
    state: str
    reason: str | None
    name: str | None = None


@dataclass(frozen=True)
class Verdict:
    """The end of a request: wire `status`, `outcome`, a reason code and one sentence."""

    status: str
    outcome: str
    reason: str
    sentence: str


def judge(
    counts: Mapping[tuple[str, str], int], sessions: Sequence[SessionEnd], stop: tuple[str, Mapping[str, object]] | None
) -> Verdict:
    """Return the verdict.

    Args:
        counts: number of files by (disposition, reason).
        sessions: the sessions that the request made.
        stop: reason code and fields when the request was stopped (cancelled, failed) before its end, else None.
    """
    summary = _summary(counts, sessions)
    if stop is not None:
        return _stopped(stop, counts, summary)
    waiting = [session for session in sessions if session.state not in REACHED]
    if all(session.state == "ERROR" for session in sessions):
        return Verdict("Failed", "failed", "nothing_importable", f"Failed: no file could be imported. {summary}")
    if len(waiting) == len(sessions):
        return Verdict("Failed", "failed", "sessions_waiting", f"Failed: no session reached its destination. {summary}")
    if waiting or some_lost(counts):
        return Verdict("Failed" if waiting else "Completed", "partial", "partial", f"Partial: {summary}")
    return Verdict("Completed", "complete", "complete", f"Complete: {summary}")


def _stopped(stop: tuple[str, Mapping[str, object]], counts: Mapping[tuple[str, str], int], summary: str) -> Verdict:
    code, fields = stop
    reason = ending(code)
    if code in CALLED_OFF:
        return Verdict("Failed", "cancelled", code, f"{CALLED_OFF[code]}: {reason.sentence} {summary}")
    hint = reason.hint
    tail = f" {summary}" if counts else ""
    return Verdict("Failed", "failed", code, f"Failed: {reason.sentence.format(**fields)} {hint}{tail}")


def some_lost(counts: Mapping[tuple[str, str], int]) -> bool:
    """Return whether any file neither arrived nor is recognised litter."""
    return any(
        n and (disposition in LOST or (disposition == "not_dicom" and reason not in LITTER))
        for (disposition, reason), n in counts.items()
    )


def _summary(counts: Mapping[tuple[str, str], int], sessions: Sequence[SessionEnd]) -> str:
    """Say how many files ended where, and name the sessions by number and accession id."""
    found = sum(counts.values())
    archived = sum(n for (disposition, _), n in counts.items() if disposition == "archived")
    parts = [f"{archived:,} of {found:,} {plural(found, 'file')} archived{_where(sessions)}"]
    rest = sorted(
        ((n, reason) for (disposition, reason), n in counts.items() if n and disposition != "archived"), reverse=True
    )
    parts += [f"{n:,} {REASON_WORDS[reason]}" for n, reason in rest]
    return "; ".join([parts[0], ", ".join(parts[1:])] if rest else parts) + "."


def _where(sessions: Sequence[SessionEnd]) -> str:
    names = [f"{s.number}: {s.name}" for s in sessions if s.state == "ARCHIVED"]
    if not names:
        return ""
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f" in {len(names):,} {plural(len(names), 'session')} ({shown})"


def plural(count: int, noun: str) -> str:
    """Return the noun in the number that fits the count."""
    return noun if count == 1 else noun + "s"
