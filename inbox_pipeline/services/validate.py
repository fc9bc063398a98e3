"""Step 2, validate: which copies count, which sessions the files make, and where each goes.

Belongs here: fetching what the pure decisions need and writing what they say. Does not belong here: the decisions
(`intake/copies.py`, `intake/sessions.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.merging import ARCHIVED_ALREADY
from inbox_pipeline.intake.reasons import disposition_of
from inbox_pipeline.intake.routing import Routing
from inbox_pipeline.intake.sessions import (
    Destination,
    PlannedSession,
    studies_under_one_label,
)
from inbox_pipeline.services.accounts import get_account
from inbox_pipeline.services.chosen_labels import GIVEN_AWAY, concerned
from inbox_pipeline.services.destination import may_join, merge_of
from inbox_pipeline.services.examine import open_folder
from inbox_pipeline.services.grouping import Row, facts, judge, plan_rows
from inbox_pipeline.services.identification import Naming, identified, known_projects
from inbox_pipeline.services.present import Present, present_in
from inbox_pipeline.services.routing import routing_of
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import commits, ledger, projects, requests
from inbox_pipeline.store.inbox import Requested


def validate(site: Site, request_id: int, check: Callable[[], None]) -> None:
    """Decide every pending file's session, scan or final disposition, and write the plan.

    Raises:
        Rejected: `several_studies_one_label`, before any byte is written; `path_gone`, `project_gone`.
    """
    with site.catalog.read() as connection:
        request = requests.get(connection, request_id)
        rows = ledger.pending(connection, request_id)
        given_away = ledger.with_reason(connection, request_id, GIVEN_AWAY)
        committed = ledger.committed_digests(connection, request_id)
        numbers = [
            planned["number"]
            for planned in requests.planned_sessions(connection, request_id)
            if planned["intent_token"] or planned["session_id"]
        ]
        destination = destination_of(connection, request, max(numbers, default=0) + 1)
        if request is None:
            raise Rejected("request_not_found", "The request is gone.", "")
        merge = merge_of(connection, request)
        present = present_in(connection, request, rows)
        routing = routing_of(connection, request["routing"])
    _refuse_one_label(site, request_id, rows, request["session_label"])
    with open_folder(request["source_path"]) as folder:
        known = {row_id: instance["source_sha256"] for row_id, instance in present.instances.items()}
        verdicts, digests = judge(folder, rows, committed, check, known, replaces=merge.replaces)
        verdicts |= concerned(given_away, rows)
        kept = [row for row in rows if verdicts.get(row["id"], ARCHIVED_ALREADY) == ARCHIVED_ALREADY]
        sessions = plan_rows(folder, kept, destination)
        present.name_subjects(sessions)
        named = _named(site, request, folder, kept, sessions, routing)
    planned = [_plan_row(request, session, named.get(session.number)) for session in sessions]
    _write(site, request_id, rows, verdicts, digests, sessions, planned, present)


def _named(
    site: Site,
    request: RowMapping,
    folder: Requested,
    rows: Sequence[Row],
    sessions: Sequence[PlannedSession],
    routing: Routing,
) -> dict[int, dict[str, Any]]:
    """Return by which rules the sessions are named; names of rules alone, since they are stored."""
    account = get_account(site, request["username"])
    known = known_projects(site, account)
    naming = Naming(request["project_id"], request["subject_label"], request["session_label"], routing, known)
    return identified(folder, rows, sessions, naming, labels=False)


def destination_of(connection: Connection, request: Row | None, first_number: int) -> Destination:
    """Return what the request and its project say about where sessions go.

    Raises:
        Rejected: `project_gone`.
    """
    project = projects.get_project(connection, request["project_id"]) if request else None
    if request is None or project is None:
        raise Rejected("project_gone", "The destination project no longer exists.", "File a new request.")
    merge = merge_of(connection, request)
    existing = commits.archived_sessions(connection, project["id"])
    labels = {session["label_key"] for session in existing if not may_join(merge, session, request)}
    return Destination(project["prearchive_code"], request["auto_archive"], labels, first_number)


def _refuse_one_label(site: Site, request_id: int, rows: Sequence[Row], label: str | None) -> None:
    studies = studies_under_one_label((facts(row) for row in rows), label)
    if studies:
        with site.catalog.write() as connection:
            ledger.close_pending(connection, request_id, "several_studies_one_label", "rejected")
        raise Rejected(
            "several_studies_one_label",
            f"An explicit session label was given for files of {studies} studies.",
            "Import each study's folder by itself, or leave EXPT_LABEL out.",
            {"studies": studies},
        )


def _write(
    site: Site,
    request_id: int,
    rows: Sequence[Row],
    verdicts: Mapping[int, str],
    digests: Mapping[int, str],
    sessions: Sequence[PlannedSession],
    planned: Sequence[Mapping[str, Any]],
    present: Present,
) -> None:
    placed = {row_id: (session.number, scan) for session in sessions for row_id, scan in session.scans.items()}
    changes = [
        _change(row, verdicts.get(row["id"]), digests.get(row["id"]), placed.get(row["id"]))
        | present.place(row, verdicts.get(row["id"]))
        for row in rows
    ]
    for start in range(0, len(changes), ledger.BATCH):
        with site.catalog.write() as connection:
            ledger.update_rows(connection, changes[start : start + ledger.BATCH])
    with site.catalog.write() as connection:
        requests.replace_plan(connection, request_id, planned)


def _change(row: Row, verdict: str | None, digest: str | None, place: tuple[int, str] | None) -> dict[str, Any]:
    number, scan = place or (None, None)
    return {
        "row_id": row["id"],
        "disposition": disposition_of(verdict) if verdict else "pending",
        "reason": verdict or "waiting",
        "source_sha256": digest or row["source_sha256"],
        "session_number": number,
        "scan_label": scan,
    }


def _plan_row(request: RowMapping, session: PlannedSession, named: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "request_id": request["id"],
        "number": session.number,
        "project_id": request["project_id"],
        "subject_label": session.subject_label,
        "session_label": session.session_label,
        "study_key": session.study_key,
        "patient_key": session.patient_key,
        "subject_rule": session.subject_rule,
        "session_rule": session.session_rule,
        "destination": session.destination,
        "state": session.state,
        "reason": session.reason,
        "findings": session.findings,
        "identified": named,
    }
