"""Step 2, validate: which copies count, which sessions the files make, and where each goes.

Belongs here: fetching what the pure decisions need and writing what they say. Does not belong here: the decisions
(`intake/copies.py`, `intake/sessions.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.header import read_header
from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.copies import Copy, judge_copies, needing_digests
from inbox_pipeline.intake.reasons import disposition_of
from inbox_pipeline.intake.sessions import (
    Destination,
    FileFacts,
    PlannedSession,
    plan_sessions,
    studies_under_one_label,
)
from inbox_pipeline.services.chosen_labels import GIVEN_AWAY, concerned
from inbox_pipeline.services.scan import open_folder
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import commits, ledger, projects, requests
from inbox_pipeline.store.inbox import InboxFolder, stream_sha256

Row = RowMapping | Mapping[str, Any]
"""A ledger or request row, from the catalog or, in a dry run, from memory."""


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
            if planned["intent_token"]
        ]
        destination = destination_of(connection, request, max(numbers, default=0) + 1)
    if request is None:
        raise Rejected("request_not_found", "The request is gone.", "")
    _refuse_one_label(site, request_id, rows, request["session_label"])
    with open_folder(request["source_path"]) as folder:
        verdicts, digests = judge(folder, rows, committed, check)
        verdicts |= concerned(given_away, rows)
        kept = [row for row in rows if row["id"] not in verdicts]
        sessions = plan_rows(folder, kept, destination)
    _write(site, request_id, request["project_id"], rows, verdicts, digests, sessions)


def judge(
    folder: InboxFolder, rows: Sequence[Row], committed: Mapping[str, str], check: Callable[[], None]
) -> tuple[dict[int, str], dict[int, str]]:
    """Return the reason of each file that is no longer imported, and the digests that were read to decide."""
    copies = [Copy(row["id"], row["source_path"], row["sop_key"]) for row in rows]
    wanted = needing_digests(copies, committed)
    digests: dict[int, str] = {}
    unread: dict[int, str] = {}
    for copy in copies:
        if copy.row_id in wanted:
            check()
            try:
                with folder.open(copy.source_path) as stream:
                    digests[copy.row_id] = stream_sha256(stream)
            except OSError:
                unread[copy.row_id] = "unreadable"
    readable = [copy for copy in copies if copy.row_id not in unread]
    return judge_copies(readable, digests, committed) | unread, digests


def plan_rows(folder: InboxFolder, rows: Iterable[Row], destination: Destination) -> list[PlannedSession]:
    """Return the sessions that ledger rows make; reads one header per study for its order."""
    files = [facts(row) for row in rows]
    firsts: dict[str, bytes] = {}
    for file in sorted(files, key=lambda f: f.source_path):
        firsts.setdefault(file.study_key, file.source_path)
    order = {study: _order(folder, source_path) for study, source_path in firsts.items()}
    return plan_sessions(files, order, destination)


def destination_of(connection: Connection, request: Row | None, first_number: int) -> Destination:
    """Return what the request and its project say about where sessions go.

    Raises:
        Rejected: `project_gone`.
    """
    project = projects.get_project(connection, request["project_id"]) if request else None
    if request is None or project is None:
        raise Rejected("project_gone", "The destination project no longer exists.", "File a new request.")
    labels = commits.archived_labels(connection, project["id"])
    return Destination(project["prearchive_code"], request["auto_archive"], labels, first_number)


def facts(row: Row) -> FileFacts:
    """Return what the plan must know of a ledger row."""
    return FileFacts(
        row_id=row["id"],
        source_path=row["source_path"],
        study_key=row["study_key"],
        series_key=row["series_key"],
        patient_key=row["patient_key"],
        subject_label=row["subject_label"],
        session_label=row["session_label"],
        subject_rule=row["subject_rule"],
        session_rule=row["session_rule"],
        scan_label=row["scan_label_asked"],
        modality=row["modality"],
        instance_number=row["instance_number"],
        auto_archive=row["auto_archive"],
    )


def _order(folder: InboxFolder, source_path: bytes) -> tuple[str, ...]:
    """Return a study's sort key: date, time, UID; read from its first file, since the ledger holds none of them."""
    try:
        with folder.open(source_path) as stream:
            size = stream.seek(0, 2)
            header = read_header(stream, size=size)
    except (OSError, NotReadable):
        return ("", "", "")
    return (header.study_date or "", header.study_time or "", header.study_instance_uid or "")


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
    project_id: str,
    rows: Sequence[Row],
    verdicts: Mapping[int, str],
    digests: Mapping[int, str],
    sessions: Sequence[PlannedSession],
) -> None:
    placed = {row_id: (session.number, scan) for session in sessions for row_id, scan in session.scans.items()}
    changes = [_change(row, verdicts.get(row["id"]), digests.get(row["id"]), placed.get(row["id"])) for row in rows]
    planned = [_plan_row(request_id, project_id, session) for session in sessions]
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


def _plan_row(request_id: int, project_id: str, session: PlannedSession) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "number": session.number,
        "project_id": project_id,
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
    }
