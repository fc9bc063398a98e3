"""Scan and validate in memory, as an import does them with a catalog.

Belongs here: what dry runs and the commands that need no catalog make of a set of files. Does not belong here: the
decisions (`scan.py`, `validate.py`, `intake`), what then happens to the files, what a catalog adds (`plan.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from inbox_pipeline.intake.reasons import disposition_of
from inbox_pipeline.intake.requests import ImportParameters, read_parameters, refuse_illegal_labels
from inbox_pipeline.intake.sessions import AUTO_ARCHIVE_CODE, Destination, PlannedSession, studies_under_one_label
from inbox_pipeline.services.chosen_labels import GIVEN_AWAY, concerned
from inbox_pipeline.services.examine import Asked, examine
from inbox_pipeline.services.grouping import facts, judge, plan_rows
from inbox_pipeline.services.replacements import ROLE_NAMES, Bearer
from inbox_pipeline.store.inbox import Entry, Requested
from inbox_pipeline.store.secret import Secret

UNASSIGNED = "Unassigned"
ONE_LABEL = "several_studies_one_label"
_ANYWHERE = Destination(AUTO_ARCHIVE_CODE, auto_archive=True)

Row = dict[str, Any]


@dataclass(frozen=True)
class FolderPlan:
    """A row per file found, as in a ledger; the sessions; and how many studies ask for the one label given, if many."""

    rows: list[Row]
    sessions: list[PlannedSession]
    studies: int


def labels_asked(subject: str | None, session: str | None) -> ImportParameters:
    """Return explicit labels as a request holds them.

    Raises:
        Rejected: `subject_label_illegal`, `session_label_illegal`.
    """
    asked = read_parameters([("SUBJECT_ID", subject or ""), ("EXPT_LABEL", session or "")])
    refuse_illegal_labels(asked)
    return asked


def plan_entries(folder: Requested, covered: Iterable[Entry], asked: ImportParameters, grouping: Secret) -> FolderPlan:
    """Scan and validate entries of a folder; `grouping` makes the keys that group files, good for this one call."""
    labels = Asked(asked.subject_label, asked.session_label, grouping)
    return plan_examined(folder, (examine(folder, entry, labels) for entry in covered), asked.session_label)


def plan_examined(
    folder: Requested, examined: Iterable[Row], session_label: str | None, destination: Destination = _ANYWHERE
) -> FolderPlan:
    """Validate entries of a folder that have been examined.

    Args:
        folder: the folder.
        examined: a row for each.
        session_label: the one that was asked for.
        destination: where sessions go; without a catalog, to a place where no label is taken.
    """
    same: dict[str, str] = {}
    found = [{"id": n, **_sharing(row, same)} for n, row in enumerate(examined)]
    rows = [row for row in found if row["disposition"] == "pending"]
    studies = studies_under_one_label((facts(row) for row in rows), session_label)
    verdicts, _ = judge(folder, rows, {}, lambda: None)
    verdicts |= concerned((row for row in found if row["reason"] == GIVEN_AWAY), rows)
    if studies:
        verdicts = {row["id"]: ONE_LABEL for row in rows}
    for row_id, reason in verdicts.items():
        found[row_id] |= {"disposition": disposition_of(reason), "reason": reason}
    kept = [row for row in rows if row["id"] not in verdicts]
    return FolderPlan(found, plan_rows(folder, kept, destination), studies)


def _sharing(row: Row, same: dict[str, str]) -> Row:
    """Return a row whose texts are the objects of earlier rows that are equal: most are those of a whole series."""
    return {name: same.setdefault(text, text) if type(text) is str else text for name, text in row.items()}


def variables_of(project: str, session: PlannedSession) -> dict[str, str]:
    """Return what scripts see for a planned session."""
    return {"project": project, "subject": session.subject_label, "session": session.session_label}


def bearers_of(rows: Sequence[Row]) -> list[Bearer]:
    """Return which file bears which original UID."""
    keys = {tag: f"{name}_key" for tag, name in ROLE_NAMES.items()}
    return [Bearer(row["id"], {tag: row[name] for tag, name in keys.items()}) for row in rows]
