"""What the pipeline must make of each sample session: the table, and the comparison with what it made.

Belongs here: expected outcomes as data. Does not belong here: making the samples and importing them.

By the words of DESIGN section 5: a session that waits as CONFLICT has not reached its destination, so its request is
Failed; the outcome is `partial` when another session of the request did reach its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inbox_pipeline.demo.samples import CLEAN_MR, DAMAGED, TO_DEIDENTIFY, TWO_PATIENTS, TWO_STUDIES

A_PSEUDONYM = "a pseudonym"
"""Stands for a label that depends on the site's secret."""
_PSEUDONYM = re.compile(r"[PS]-[0-9A-Z]{6}-[0-9A-Z]{6}")


@dataclass(frozen=True)
class ExpectedSession:
    """One session that a request makes."""

    subject: str
    session: str
    state: str
    reason: str | None
    files: int
    missing_slices: int = 0


@dataclass(frozen=True)
class Expected:
    """What becomes of one sample folder; `story` says why in words."""

    folder: str
    story: str
    status: str
    outcome: str
    reasons: Mapping[tuple[str, str], int]
    sessions: tuple[ExpectedSession, ...]


EXPECTED = (
    Expected(
        CLEAN_MR,
        "A clean MR session: three series, and one in three other encodings.",
        "Completed",
        "complete",
        {("archived", "archived"): 34},
        (ExpectedSession("FAKE_CLEAN", "FAKE-MR-001", "ARCHIVED", None, 34),),
    ),
    Expected(
        TWO_STUDIES,
        "A CT visit during which the console was rebooted: two studies, one patient, so both ask for one label.",
        "Failed",
        "partial",
        {("archived", "archived"): 24, ("prearchived", "label_taken"): 10},
        (
            ExpectedSession("FAKE_REBOOT", "FAKE-CT-002", "ARCHIVED", None, 24),
            ExpectedSession("FAKE_REBOOT", "FAKE-CT-002", "CONFLICT", "label_taken", 10),
        ),
    ),
    Expected(
        TWO_PATIENTS,
        "One study that holds two patients: nothing is merged, both parts wait for a person.",
        "Failed",
        "failed",
        {("prearchived", "patient_conflict"): 32},
        (
            ExpectedSession("FAKE_FIRST", "FAKE-MIX-003A", "CONFLICT", "patient_conflict", 20),
            ExpectedSession("FAKE_SECOND", "FAKE-MIX-003B", "CONFLICT", "patient_conflict", 12),
        ),
    ),
    Expected(
        DAMAGED,
        "A copy that went wrong: a truncated file, a PDF, and a slice that is missing.",
        "Completed",
        "partial",
        {("archived", "archived"): 34, ("not_dicom", "not_dicom"): 1, ("rejected", "truncated"): 1},
        (ExpectedSession("FAKE_DAMAGED", "FAKE-MR-004", "ARCHIVED", None, 34, missing_slices=1),),
    ),
    Expected(
        TO_DEIDENTIFY,
        "The clean MR session once more, into a project with policy basic: de-identified, under pseudonyms.",
        "Completed",
        "complete",
        {("archived", "archived"): 34},
        (ExpectedSession(A_PSEUDONYM, A_PSEUDONYM, "ARCHIVED", None, 34),),
    ),
)


def differences(expected: Expected, request: Mapping[str, Any]) -> list[str]:
    """Return in words how a request's JSON differs from what was expected; empty when it does not."""
    by_disposition: dict[str, int] = {}
    for (disposition, _), count in expected.reasons.items():
        by_disposition[disposition] = by_disposition.get(disposition, 0) + count
    wanted: dict[str, Any] = {
        "status": expected.status,
        "outcome": expected.outcome,
        "files by disposition": by_disposition,
        "files by reason": {reason: count for (_, reason), count in expected.reasons.items()},
        "sessions": sorted(expected.sessions, key=_order),
    }
    found: dict[str, Any] = {
        "status": request["status"],
        "outcome": request["outcome"],
        "files by disposition": request["files"]["by_disposition"],
        "files by reason": request["files"]["by_reason"],
        "sessions": sorted(map(_session, request["sessions"]), key=_order),
    }
    return [f"{name}: expected {wanted[name]}, found {found[name]}" for name in wanted if wanted[name] != found[name]]


def _session(row: Mapping[str, Any]) -> ExpectedSession:
    missing = sum(f["count"] for f in row["findings"] if f["code"] == "missing_instances")
    subject, session = (
        A_PSEUDONYM if _PSEUDONYM.fullmatch(row[name]) else row[name] for name in ("subject", "session")
    )
    return ExpectedSession(subject, session, row["state"], row["reason"], row["files"], missing)


def _order(session: ExpectedSession) -> tuple[str, str, str]:
    return session.session, session.state, session.subject
