"""Step 4 of the commit: all rows of a session that has appeared, in one transaction.

Belongs here: the session, its scans and instances, the dispositions, the lock's release; for a session that existed,
what its new generation changes. Does not belong here: the other steps (`commit.py`), the statements (`store/catalog`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import time
from itertools import groupby
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.dicom.sop_classes import scan_type, session_type
from inbox_pipeline.intake.sessions import ARCHIVE
from inbox_pipeline.services.from_prearchive import hand_over, is_review
from inbox_pipeline.services.intent import Intent
from inbox_pipeline.services.lease import lost
from inbox_pipeline.services.relabelling import is_relabelling, session_to_relabel
from inbox_pipeline.store import archive
from inbox_pipeline.store.catalog import commits, leases, ledger, merges, prearchive, relabelled, requests
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.catalog.leases import Lease

UNKNOWN_TYPE = "unknown"
"""XNAT's type of a scan that does not describe itself."""


def write_rows(connection: Connection, lease: Lease, number: int, intent: Intent, rows: Sequence[RowMapping]) -> None:
    """Write all that a committed session changes, or nothing.

    Raises:
        LeaseLost: another attempt has taken over.
    """
    request = requests.get(connection, lease.request_id)
    if request is None or not leases.update_held(connection, lease, status="Processed"):
        raise lost(lease.request_id)
    plan = next(p for p in requests.planned_sessions(connection, lease.request_id) if p["number"] == number)
    makers: dict[str, int] = {}
    if is_relabelling(request):
        makers = relabelled.makers(connection, request["prearchive_session_id"])
        session_id = _relabel_session(connection, request, plan, intent, rows)
    elif intent.into is None:
        session_id = _insert_session(connection, request, plan, intent, rows)
    else:
        session_id = _merge_session(connection, request, plan, intent, rows)
    archived = intent.destination == ARCHIVE
    disposition, reason = ("archived", "archived") if archived else ("prearchived", plan["reason"])
    ledger.update_rows(connection, [_committed(row, disposition, reason, intent, session_id) for row in rows])
    state = "ARCHIVED" if archived else plan["state"]
    requests.update_session(connection, lease.request_id, number, session_id=session_id, state=state)
    if is_relabelling(request):
        prearchive.hand_on(connection, request["id"], makers)
    elif is_review(request):
        hand_over(connection, request, {"id": session_id})
    commits.release_lock(connection, plan["project_id"], plan["session_label"], lease.request_id)
    leases.count_durable(connection, lease, 1)


def _insert_session(
    connection: Connection, request: RowMapping, plan: RowMapping, intent: Intent, rows: Sequence[RowMapping]
) -> int:
    archived = intent.destination == ARCHIVE
    subject = commits.subject_for(connection, plan["project_id"], plan["subject_label"]) if archived else None
    session_id = commits.insert_session(
        connection,
        {
            "accession": commits.new_accession(connection) if archived else None,
            "project_id": plan["project_id"],
            "subject_id": subject["id"] if subject else None,
            "subject_label": subject["label"] if subject else plan["subject_label"],
            "label": plan["session_label"],
            "state": "ARCHIVED" if archived else plan["state"],
            "reason": None if archived else plan["reason"],
            "prearchive_timestamp": intent.timestamp,
            "path": intent.target,
            "study_uid": rows[0]["study_uid"],
            **_moment(rows),
            **kinds_of(Counter(row["modality"] for row in rows)),
            "policy": request["policy"] or "none",
            "options": request["options"] or "",
            "scripts": plan["scripts"] or [],
            "manifest_digest": intent.manifest_digest,
            "request_id": plan["request_id"],
            "username": request["username"],
        },
    )
    for scan_label, files in _scans(rows):
        _insert_scan(connection, session_id, scan_label, files)
    return session_id


def _merge_session(
    connection: Connection, request: RowMapping, plan: RowMapping, intent: Intent, rows: Sequence[RowMapping]
) -> int:
    """Change the rows of the session that has a new generation, and return its id."""
    session = commits.session(connection, intent.into or 0)
    session_id = int(session["id"])
    merges.remove_instances(connection, session_id, [row["sop_key"] for row in rows])
    for scan_label, files in _scans(rows):
        scan = merges.scan_id(connection, session_id, scan_label)
        if scan is None:
            _insert_scan(connection, session_id, scan_label, files)
        else:
            merges.insert_instances(connection, session_id, scan, [_instance(row) for row in files])
    merges.recount(connection, session_id)
    kinds: Counter[str] = Counter()
    for modality, files_of_scan in merges.scan_modalities(connection, session_id):
        kinds[modality] += files_of_scan
    new_scripts = [script for script in plan["scripts"] or [] if script not in session["scripts"]]
    changes = {"manifest_digest": intent.manifest_digest, "scripts": [*session["scripts"], *new_scripts]}
    if (request["policy"] or "none") != session["policy"]:
        changes["policy"] = "none"
    if session["date"] is None:
        changes |= _moment(rows)
    merges.update_session(connection, session_id, **changes, **kinds_of(kinds))
    detail = {"request": request["id"], "session": plan["number"], "files": len(rows)}
    site_store.record(connection, request["username"], "session.merge", session["accession"], **detail)
    return session_id


def _relabel_session(
    connection: Connection, request: RowMapping, plan: RowMapping, intent: Intent, rows: Sequence[RowMapping]
) -> int:
    """Give an archived session its new labels, place and files, and return its id; its scans keep their rows.

    Raises:
        Rejected: `archived_changed`.
    """
    session_id = int(session_to_relabel(connection, request)["id"])
    relabelled.remove_instances(connection, session_id)
    for scan_label, files in _scans(rows):
        scan = merges.scan_id(connection, session_id, scan_label)
        if scan is None:
            _insert_scan(connection, session_id, scan_label, files)
        else:
            merges.insert_instances(connection, session_id, scan, [_instance(row) for row in files])
            relabelled.update_scan(connection, scan, **_described(files))
    merges.recount(connection, session_id)
    subject = commits.subject_for(connection, plan["project_id"], plan["subject_label"])
    values = {
        "project_id": plan["project_id"],
        "subject_id": subject["id"],
        "subject_label": subject["label"],
        "label": plan["session_label"],
        "path": intent.target,
        "manifest_digest": intent.manifest_digest,
        "scripts": plan["scripts"] or [],
        "study_uid": rows[0]["study_uid"],
        **_moment(rows),
    }
    relabelled.rename_session(connection, session_id, values)
    return session_id


def kinds_of(files: Counter[str]) -> dict[str, str]:
    """Return the columns that say what a session is, from the number of files of each modality."""
    return {"modality": files.most_common(1)[0][0], "xsi_type": session_type(set(files))}


def _moment(rows: Sequence[RowMapping]) -> dict[str, Any]:
    """Return the columns that say when a study was, by the first of its files that has a date."""
    dated = sorted((row["study_date"], row["study_time"] or time.max) for row in rows if row["study_date"])
    day, moment = dated[0] if dated else (None, time.max)
    return {"date": day, "time": None if moment == time.max else moment}


def _scans(rows: Sequence[RowMapping]) -> list[tuple[str, list[RowMapping]]]:
    return [(label, list(files)) for label, files in groupby(rows, key=lambda row: row["scan_label"])]


def _insert_scan(connection: Connection, session_id: int, scan_label: str, files: Sequence[RowMapping]) -> None:
    scan = {
        "session_id": session_id,
        "label": scan_label,
        **_described(files),
        "modality": files[0]["modality"],
        "xsi_type": scan_type(files[0]["modality"], files[0]["sop_class_uid"]),
        "files": len(files),
        "bytes": sum(row["archived_bytes"] for row in files),
        "frames": sum(row["frames"] or 1 for row in files),
    }
    commits.insert_scan(connection, scan, [_instance(row) for row in files])


def _described(files: Sequence[RowMapping]) -> dict[str, Any]:
    """Return the columns that say what a scan is, by its files as archived."""
    description = next((row["series_description"] for row in files if row["series_description"]), None)
    said = {"series_description": description, "type": description or UNKNOWN_TYPE}
    return {"series_uid": files[0]["series_uid"], **said}


def _instance(row: RowMapping) -> dict[str, Any]:
    return {
        "ledger_id": row["id"],
        "sop_instance_uid": row["sop_instance_uid"],
        "sop_class_uid": row["sop_class_uid"],
        "sop_key": row["sop_key"],
        "instance_number": row["instance_number"],
        "source_sha256": row["source_sha256"],
        "sha256": row["archived_sha256"],
        "md5": row["archived_md5"],
        "bytes": row["archived_bytes"],
        "path": archive.file_path(row["scan_label"], row["staged_name"]),
        "frames": row["frames"],
    }


def _committed(
    row: RowMapping, disposition: str, reason: str | None, intent: Intent, session_id: int
) -> dict[str, Any]:
    return {
        "row_id": row["id"],
        "disposition": disposition,
        "reason": reason,
        "archived_path": f"{intent.target}/{archive.file_path(row['scan_label'], row['staged_name'])}",
        "session_id": session_id,
    }
