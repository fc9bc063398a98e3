"""The commit: a staged session appears in the archive or prearchive whole, or not at all (DESIGN section 3).

Belongs here: the order of the commit's steps and the recovery from an interrupted one. Does not belong here: each
step's rows (`store/catalog/commits.py`) and renames (`store/archive.py`).

Steps: (1) catalog XML, everything in staging durable; (2) intent, durable; (3) rename, durable; (4) rows and
dispositions in one transaction. Recovery of an intent: target there with its digest: go on at 4; staging there: at 3;
neither: fail loudly.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.deid.pixel_faces import FACES_NOT_REMOVED
from inbox_pipeline.dicom.sop_classes import scan_type, session_type
from inbox_pipeline.errors import LeaseLost, Rejected, Unavailable
from inbox_pipeline.intake.sessions import ARCHIVE, PREARCHIVE
from inbox_pipeline.services.anonymize import storage_failed
from inbox_pipeline.services.lease import lost
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import archive
from inbox_pipeline.store.catalog import commits, leases, ledger, requests
from inbox_pipeline.store.catalog.leases import Lease
from inbox_pipeline.store.staging import Staging

LOCK_WAIT_SECONDS = 600.0
_LEFT = {"identifiers_left": "identifiers", FACES_NOT_REMOVED: "face"}
LOCK_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Intent:
    """Where a session will appear, and the digest of what will appear there."""

    destination: str
    target: str
    timestamp: str | None
    manifest_digest: str


def commit_sessions(site: Site, lease: Lease, staging: Staging, check: Callable[[], None]) -> None:
    """Commit every planned session of a request that is not committed yet, in order.

    Raises:
        Rejected: `commit_lost`.
        Unavailable: `storage_failed`, `lock_busy`.
        LeaseLost: another attempt has taken over.
    """
    with site.catalog.read() as connection:
        plans = requests.planned_sessions(connection, lease.request_id)
    for plan in plans:
        if plan["session_id"] is None and plan["state"] != "EMPTY":
            if plan["intent_token"] is None:
                check()
            _commit(site, lease, staging, plan)


def settle_intents(site: Site, lease: Lease, staging: Staging, *, finish: bool) -> None:
    """Before a request ends early: finish a commit whose session is visible already.

    One that is not visible yet is finished too where `finish` says so (a cancel), else taken back (a failure).
    """
    with site.catalog.read() as connection:
        plans = requests.planned_sessions(connection, lease.request_id)
    for plan in plans:
        intent = _recorded(plan)
        if intent is None or plan["session_id"] is not None:
            continue
        if staging.session_path(plan["number"]).exists() and not finish:
            with site.catalog.write() as connection:
                requests.update_session(connection, lease.request_id, plan["number"], intent_token=None)
        else:
            _commit(site, lease, staging, plan)


def _commit(site: Site, lease: Lease, staging: Staging, plan: RowMapping) -> None:
    with site.catalog.read() as connection:
        rows = ledger.staged(connection, lease.request_id, plan["number"])
    if not rows:
        _leave_out(site, lease.request_id, plan["number"])
        return
    try:
        intent = _recorded(plan) or _prepare(site, lease, staging, plan, rows)
        _show(site, staging, plan, intent)
    except OSError as error:
        raise storage_failed(error) from None
    with site.catalog.write() as connection:
        _write_rows(connection, lease, plan, intent, rows)


def _leave_out(site: Site, request_id: int, number: int) -> None:
    """Note that a session has no file to commit: an ERROR if any was lost, with their commonest reason."""
    with site.catalog.write() as connection:
        reason = ledger.commonest_loss(connection, request_id, number)
        ended = {"state": "ERROR", "reason": reason} if reason else {"state": "EMPTY", "reason": "no_files"}
        requests.update_session(connection, request_id, number, **ended)


def _prepare(site: Site, lease: Lease, staging: Staging, plan: RowMapping, rows: Sequence[RowMapping]) -> Intent:
    """Steps 1 and 2: complete the staged tree, make it durable, and record where it will go."""
    digest = _complete_tree(staging, plan["number"], rows)
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while (intent := _intend(site, lease, plan, rows, digest)) is None:
        if time.monotonic() > deadline:
            raise Unavailable("lock_busy", "Another request has been committing that session label for too long.", "")
        time.sleep(LOCK_POLL_SECONDS)
    return intent


def _complete_tree(staging: Staging, number: int, rows: Sequence[RowMapping]) -> str:
    """Write each scan's catalog, drop what the ledger does not know, sync, and return the manifest's digest.

    Raises:
        Rejected: `commit_lost`.
    """
    manifest: dict[str, str] = {}
    for scan_label, files in groupby(rows, key=lambda row: row["scan_label"]):
        manifest |= _complete_scan(staging.scan_path(number, scan_label), scan_label, list(files))
    present = staging.files(number)
    if not manifest.keys() <= present:
        raise _commit_lost("A staged file vanished before its commit.")
    staging.drop(number, present - manifest.keys())
    staging.sync()
    return archive.manifest_digest(manifest.items())


def _complete_scan(scan_path: Path, scan_label: str, files: Sequence[RowMapping]) -> dict[str, str]:
    entries = [
        archive.CatalogEntry(
            row["staged_name"],
            row["sop_instance_uid"],
            row["instance_number"],
            row["archived_md5"],
            row["archived_bytes"],
        )
        for row in files
    ]
    name = archive.scan_catalog_name(scan_label)
    sha256 = archive.write_file(scan_path / name, archive.scan_catalog(files[0]["series_uid"], entries))
    base = f"SCANS/{scan_label}/DICOM/"
    return {base + name: sha256} | {base + row["staged_name"]: row["archived_sha256"] for row in files}


def _left_findings(rows: Sequence[RowMapping]) -> list[dict[str, str | int]]:
    """Tell of files that still hold identifiers, as they may under policy `none`, and of images that show faces."""
    counts = {code: sum(1 for row in rows if row[column]) for code, column in _LEFT.items()}
    return [{"code": code, "count": count} for code, count in counts.items() if count]


def _intend(site: Site, lease: Lease, plan: RowMapping, rows: Sequence[RowMapping], digest: str) -> Intent | None:
    """Record the intent if the lease is held and the label is ours; None while another request commits that label."""
    with site.catalog.write() as connection:
        if not leases.update_held(connection, lease, phase="committing"):
            raise lost(lease.request_id)
        if not commits.take_lock(connection, plan["project_id"], plan["session_label"], lease.request_id):
            return None
        destination, reason = _final_destination(site, connection, plan)
        intent = _intent(site, connection, plan, destination, digest)
        state = plan["state"] if reason == plan["reason"] else "CONFLICT"
        requests.update_session(
            connection,
            lease.request_id,
            plan["number"],
            destination=destination,
            state=state,
            reason=reason,
            findings=[*plan["findings"], *_left_findings(rows)],
            intent_token=lease.token,
            intent_target=intent.target,
            intent_timestamp=intent.timestamp,
            manifest_digest=digest,
        )
        return intent


def _final_destination(site: Site, connection: Connection, plan: RowMapping) -> tuple[str, str | None]:
    """Send a session to the prearchive after all when its label was taken since the plan was made."""
    if plan["destination"] != ARCHIVE:
        return PREARCHIVE, plan["reason"]
    target = archive.archive_target(plan["project_id"], plan["session_label"])
    taken = commits.label_exists(connection, plan["project_id"], plan["session_label"])
    if taken or (site.settings.archive_path / target).exists():
        return PREARCHIVE, "session_exists"
    return ARCHIVE, None


def _intent(site: Site, connection: Connection, plan: RowMapping, destination: str, digest: str) -> Intent:
    if destination == ARCHIVE:
        return Intent(ARCHIVE, archive.archive_target(plan["project_id"], plan["session_label"]), None, digest)
    moment = dt.datetime.now(dt.UTC)
    while True:
        timestamp = archive.prearchive_timestamp(moment)
        free = not (site.settings.prearchive_path / plan["project_id"] / timestamp).exists()
        if free and not commits.timestamp_taken(connection, plan["project_id"], timestamp):
            target = archive.prearchive_target(plan["project_id"], timestamp, plan["session_label"])
            return Intent(PREARCHIVE, target, timestamp, digest)
        moment += dt.timedelta(milliseconds=1)


def _recorded(plan: RowMapping) -> Intent | None:
    """Return the intent of an interrupted commit, or None."""
    if plan["intent_token"] is None:
        return None
    return Intent(plan["destination"], plan["intent_target"], plan["intent_timestamp"], plan["manifest_digest"])


def _show(site: Site, staging: Staging, plan: RowMapping, intent: Intent) -> None:
    """Step 3, unless an interrupted commit got that far already.

    Raises:
        Rejected: `commit_lost`.
    """
    root = site.settings.archive_path if intent.destination == ARCHIVE else site.settings.prearchive_path
    staged = staging.session_path(plan["number"])
    if staged.exists():
        archive.show_session(staged, root, intent.target)
        return
    final = root / intent.target
    if not staging.path.exists():
        raise lost(staging.request_id)
    if not final.exists() or archive.manifest_digest(archive.read_manifest(final)) != intent.manifest_digest:
        raise _commit_lost(
            "A staged session vanished before its commit, or what lies at its place is not what was staged."
        )


def _commit_lost(sentence: str) -> Rejected:
    return Rejected("commit_lost", sentence, "Check who else writes to the staging, archive and prearchive folders.")


def _write_rows(
    connection: Connection, lease: Lease, plan: RowMapping, intent: Intent, rows: Sequence[RowMapping]
) -> None:
    """Step 4: the session, its scans and instances, the dispositions, and the lock's release, all or nothing."""
    if not leases.update_held(connection, lease, status="Processed"):
        raise LeaseLost("lease_lost", "Another attempt has taken over.", "Follow the newer run.")
    request = requests.get(connection, lease.request_id)
    current = next(p for p in requests.planned_sessions(connection, lease.request_id) if p["number"] == plan["number"])
    session_id = _insert_session(connection, request, current, intent, rows)
    for scan_label, files in groupby(rows, key=lambda row: row["scan_label"]):
        _insert_scan(connection, session_id, scan_label, list(files))
    archived = intent.destination == ARCHIVE
    disposition, reason = ("archived", "archived") if archived else ("prearchived", current["reason"])
    ledger.update_rows(connection, [_committed(row, disposition, reason, intent, session_id) for row in rows])
    state = "ARCHIVED" if archived else current["state"]
    requests.update_session(connection, lease.request_id, plan["number"], session_id=session_id, state=state)
    commits.release_lock(connection, plan["project_id"], plan["session_label"], lease.request_id)
    leases.count_durable(connection, lease, 1)


def _insert_session(
    connection: Connection,
    request: Mapping[str, Any] | RowMapping | None,
    plan: RowMapping,
    intent: Intent,
    rows: Sequence[RowMapping],
) -> int:
    archived = intent.destination == ARCHIVE
    subject = commits.subject_for(connection, plan["project_id"], plan["subject_label"]) if archived else None
    kinds = [row["modality"] for row in rows]
    return commits.insert_session(
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
            "modality": max(set(kinds), key=kinds.count),
            "xsi_type": session_type(set(kinds)),
            "policy": (request["policy"] if request else None) or "none",
            "options": (request["options"] if request else None) or "",
            "scripts": plan["scripts"] or [],
            "manifest_digest": intent.manifest_digest,
            "request_id": plan["request_id"],
            "username": request["username"] if request else "",
        },
    )


def _insert_scan(connection: Connection, session_id: int, scan_label: str, files: Sequence[RowMapping]) -> None:
    scan = {
        "session_id": session_id,
        "label": scan_label,
        "series_uid": files[0]["series_uid"],
        "modality": files[0]["modality"],
        "xsi_type": scan_type(files[0]["modality"], files[0]["sop_class_uid"]),
        "files": len(files),
        "bytes": sum(row["archived_bytes"] for row in files),
    }
    commits.insert_scan(connection, scan, [_instance(row) for row in files])


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
        "path": f"SCANS/{row['scan_label']}/DICOM/{row['staged_name']}",
    }


def _committed(
    row: RowMapping, disposition: str, reason: str | None, intent: Intent, session_id: int
) -> dict[str, Any]:
    return {
        "row_id": row["id"],
        "disposition": disposition,
        "reason": reason,
        "archived_path": f"{intent.target}/SCANS/{row['scan_label']}/DICOM/{row['staged_name']}",
        "session_id": session_id,
    }
