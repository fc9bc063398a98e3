"""The commit: a staged session appears in the archive or prearchive whole, or not at all (DESIGN section 3).

Belongs here: the order of the commit's steps and the recovery from an interrupted one, as docs/durability.md tables
them. Does not belong here: where a session goes (`destination.py`), an existing session's next generation
(`generation.py`), rows (`commit_rows.py`) and renames (`store/archive.py`).

Steps: (1) the label's lock, catalog XML, everything in staging durable; (2) intent, durable; (3) rename or exchange,
durable; (4) rows and dispositions in one transaction, which releases the lock; (5) an old generation to trash.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.deid.pixel_faces import FACES_NOT_REMOVED
from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.merging import ARCHIVED_ALREADY
from inbox_pipeline.intake.reasons import disposition_of
from inbox_pipeline.intake.sessions import ARCHIVE
from inbox_pipeline.services import generation, relabelling
from inbox_pipeline.services.commit_rows import write_rows
from inbox_pipeline.services.destination import Destination, destination_of
from inbox_pipeline.services.from_prearchive import hand_over, is_review, refuse_conflict
from inbox_pipeline.services.generation import Joining
from inbox_pipeline.services.intent import Intent, recorded
from inbox_pipeline.services.label_lock import wait_for_label
from inbox_pipeline.services.lease import lost
from inbox_pipeline.services.relabelling import is_relabelling
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.storage import storing
from inbox_pipeline.services.trash import put_away
from inbox_pipeline.store import archive
from inbox_pipeline.store.catalog import commits, leases, ledger, merges, requests
from inbox_pipeline.store.catalog.leases import Lease
from inbox_pipeline.store.staging import Staging

_LEFT = {"identifiers_left": "identifiers", FACES_NOT_REMOVED: "face"}


@dataclass(frozen=True)
class Built:
    """A session as it lies in staging, complete: where it goes, its digest, and what joins an existing session."""

    destination: Destination
    digest: str
    joining: Joining | None = None


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
            _commit(site, lease, staging, plan, check)


def settle_intents(site: Site, lease: Lease, staging: Staging, *, finish: bool) -> None:
    """Before a request ends early: finish a commit whose session is visible already.

    One that is not visible yet is finished too where `finish` says so (a cancel), else taken back (a failure).
    """
    with site.catalog.read() as connection:
        plans = requests.planned_sessions(connection, lease.request_id)
    for plan in plans:
        intent = recorded(plan)
        if intent is None or plan["session_id"] is not None:
            continue
        if finish or _is_shown(site, staging, plan["number"], intent):
            _finish(site, lease, staging, plan["number"], intent, resumed=True)
        else:
            with site.catalog.write() as connection:
                requests.update_session(connection, lease.request_id, plan["number"], intent_token=None)


def _commit(site: Site, lease: Lease, staging: Staging, plan: RowMapping, check: Callable[[], None]) -> None:
    journal = recorded(plan)
    with storing():
        if journal is None:
            put_away(site, staging, plan["number"])
        intent = journal or _prepare(site, lease, staging, plan, check)
    if intent is None:
        _leave_out(site, lease.request_id, plan)
    else:
        _finish(site, lease, staging, plan["number"], intent, resumed=journal is not None)


def _finish(site: Site, lease: Lease, staging: Staging, number: int, intent: Intent, *, resumed: bool) -> None:
    """Steps 3 and 4."""
    with storing():
        _show(site, staging, number, intent, resumed=resumed)
    with site.catalog.write() as connection:
        write_rows(connection, lease, number, intent, ledger.staged(connection, lease.request_id, number))


def _leave_out(site: Site, request_id: int, plan: RowMapping) -> None:
    """Note that a session has no file to commit.

    It has arrived if the archive had its files already; else it is an ERROR if any was lost, with their commonest
    reason.
    """
    number = plan["number"]
    with site.catalog.write() as connection:
        session = merges.archived_session(connection, plan["project_id"], plan["session_label"])
        reason = ledger.commonest_loss(connection, request_id, number)
        if session is not None and ledger.has_reason(connection, request_id, number, ARCHIVED_ALREADY):
            ended = {"state": "ARCHIVED", "reason": None, "session_id": session["id"]}
        elif reason:
            ended = {"state": "ERROR", "reason": reason}
        else:
            ended = {"state": "EMPTY", "reason": "no_files"}
        requests.update_session(connection, request_id, number, **ended)
        request = requests.get(connection, request_id)
        if request is not None and is_review(request):
            hand_over(connection, request, None if is_relabelling(request) else session)
        commits.release_lock(connection, plan["project_id"], plan["session_label"], request_id)


def _prepare(site: Site, lease: Lease, staging: Staging, plan: RowMapping, check: Callable[[], None]) -> Intent | None:
    """Steps 1 and 2: the session complete and durable in staging, and where it will go; None if no file is left."""
    while True:
        with site.catalog.read() as connection:
            rows = ledger.staged(connection, lease.request_id, plan["number"])
        if not rows:
            return None
        wait_for_label(site, lease, plan, "committing", check)
        with site.catalog.read() as connection:
            former = _former_label(connection, lease)
        if former is not None:
            wait_for_label(site, lease, former, "committing", check)
        built = _build(site, lease, staging, plan, rows)
        if built.joining is not None and not built.joining.joined:
            _note_verdicts(site, lease, built)
            return None
        intent = _intend(site, lease, plan, rows, built)
        if intent is not None:
            return intent


def _build(site: Site, lease: Lease, staging: Staging, plan: RowMapping, rows: Sequence[RowMapping]) -> Built:
    """Complete what will appear and make it durable.

    Raises:
        Rejected: `commit_lost`; what keeps a prearchive session out of the archive.
    """
    with site.catalog.read() as connection:
        request = requests.get(connection, lease.request_id)
        if request is None:
            raise lost(lease.request_id)
        relabels = is_relabelling(request)
        if relabels:
            destination = relabelling.destination_of(site, connection, request, plan)
        else:
            destination = destination_of(site, connection, request, plan, rows)
        members = merges.members(connection, destination.into["id"]) if destination.into else []
    _require_staged(staging, plan["number"], rows)
    if relabels:
        joining = relabelling.joining_of(destination, rows)
    else:
        joining = generation.join(members, rows, replaces=destination.replaces) if destination.into else None
    if is_review(request):
        refuse_conflict(destination.reason, joining, replaces=destination.replaces)
    if destination.into is None or joining is None:
        return Built(destination, _complete_tree(staging, plan["number"], rows))
    if not joining.joined:
        return Built(destination, "", joining)
    current = site.settings.archive_path / destination.into["path"]
    digest = generation.build(current, staging, plan["number"], joining)
    staging.sync()
    return Built(destination, digest, joining)


def _require_staged(staging: Staging, number: int, rows: Sequence[RowMapping]) -> None:
    """Raises Rejected: `commit_lost`."""
    names = {archive.file_path(row["scan_label"], row["staged_name"]) for row in rows}
    if not names <= staging.files(number):
        if not staging.path.exists():
            raise lost(staging.request_id)
        raise _commit_lost("A staged file vanished before its commit.")


def _complete_tree(staging: Staging, number: int, rows: Sequence[RowMapping]) -> str:
    """Write each scan's catalog, drop what the ledger does not know, sync, and return the manifest's digest."""
    manifest: dict[str, str] = {}
    for scan_label, files in groupby(rows, key=lambda row: row["scan_label"]):
        manifest |= _complete_scan(staging.scan_path(number, scan_label), scan_label, list(files))
    staging.drop(number, staging.files(number) - manifest.keys())
    staging.sync()
    return archive.manifest_digest(manifest.items())


def _complete_scan(scan_path: Path, scan_label: str, files: Sequence[RowMapping]) -> dict[str, str]:
    content = archive.scan_catalog(files[0]["series_uid"], generation.catalog_entries(files))
    sha256 = archive.write_file(scan_path / archive.scan_catalog_name(scan_label), content)
    digests = {archive.file_path(scan_label, row["staged_name"]): row["archived_sha256"] for row in files}
    return {archive.scan_catalog_path(scan_label): sha256} | digests


def _left_findings(rows: Sequence[RowMapping]) -> list[dict[str, str | int]]:
    """Tell of files that still hold identifiers, as they may under policy `none`, and of images that show faces."""
    counts = {code: sum(1 for row in rows if row[column]) for code, column in _LEFT.items()}
    return [{"code": code, "count": count} for code, count in counts.items() if count]


def _intend(site: Site, lease: Lease, plan: RowMapping, rows: Sequence[RowMapping], built: Built) -> Intent | None:
    """Record the intent if lease and lock are held; None if the lock was lost while the session was built."""
    with site.catalog.write() as connection:
        if not leases.update_held(connection, lease, phase="committing"):
            raise lost(lease.request_id)
        former = _former_label(connection, lease)
        for project_id, label in _labels(plan, former):
            if not commits.take_lock(connection, project_id, label, lease.request_id):
                return None
        intent = _intent(site, connection, plan, built)
        if built.joining is not None:
            _place_rows(connection, built, built.joining)
            rows = built.joining.joined
        findings = [*plan["findings"], *_left_findings(rows)]
        journal = _journal(lease, plan, intent, built.destination.reason)
        requests.update_session(connection, lease.request_id, plan["number"], findings=findings, **journal)
        return intent


def _labels(*plans: RowMapping | Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return [(each["project_id"], each["session_label"]) for each in plans if each is not None]


def _former_label(connection: Connection, lease: Lease) -> Mapping[str, Any] | None:
    """Return the label that a session is about to leave, in the form of a plan; None for any other request."""
    request = requests.get(connection, lease.request_id)
    return relabelling.former_label(connection, request) if request is not None and is_relabelling(request) else None


def _journal(lease: Lease, plan: RowMapping, intent: Intent, reason: str | None) -> dict[str, Any]:
    """Return the columns that tell of an intent, and why the session goes elsewhere than planned if it does."""
    return {
        "destination": intent.destination,
        "state": plan["state"] if reason == plan["reason"] else "CONFLICT",
        "reason": reason,
        "intent_token": lease.token,
        "intent_target": intent.target,
        "intent_timestamp": intent.timestamp,
        "intent_into": intent.into,
        "manifest_digest": intent.manifest_digest,
    }


def _intent(site: Site, connection: Connection, plan: RowMapping, built: Built) -> Intent:
    into, place = built.destination.into, built.destination.place
    if into is not None:
        return Intent(ARCHIVE, into["path"], None, built.digest, into["id"])
    if place == ARCHIVE:
        return Intent(place, archive.archive_target(plan["project_id"], plan["session_label"]), None, built.digest)
    moment = dt.datetime.now(dt.UTC)
    while True:
        timestamp = archive.prearchive_timestamp(moment)
        free = not (site.settings.prearchive_path / plan["project_id"] / timestamp).exists()
        if free and not commits.timestamp_taken(connection, plan["project_id"], timestamp):
            target = archive.prearchive_target(plan["project_id"], timestamp, plan["session_label"])
            return Intent(place, target, timestamp, built.digest)
        moment += dt.timedelta(milliseconds=1)


def _note_verdicts(site: Site, lease: Lease, built: Built) -> None:
    with site.catalog.write() as connection:
        if not leases.update_held(connection, lease, phase="committing"):
            raise lost(lease.request_id)
        if built.joining is not None:
            _place_rows(connection, built, built.joining)


def _place_rows(connection: Connection, built: Built, joining: Joining) -> None:
    """Note the scans of the files that join a session, and why the others do not."""
    ledger.update_rows(connection, [{"row_id": id_, "scan_label": scan} for id_, scan in joining.scans.items()])
    out = [row for row in joining.rows if row["id"] in joining.verdicts]
    ledger.update_rows(connection, [_stays_out(row, built, joining) for row in out])


def _stays_out(row: RowMapping, built: Built, joining: Joining) -> Mapping[str, Any]:
    reason = joining.verdicts[row["id"]]
    same = joining.archived_as(row) if reason == ARCHIVED_ALREADY else None
    session_path = built.destination.into["path"] if built.destination.into else ""
    return {
        "row_id": row["id"],
        "disposition": disposition_of(reason),
        "reason": reason,
        "staged_name": None,
        "archived_path": f"{session_path}/{same['path']}" if same else None,
        "archived_sha256": same["sha256"] if same else None,
    }


def _show(site: Site, staging: Staging, number: int, intent: Intent, *, resumed: bool) -> None:
    """Step 3, unless an interrupted commit got that far already.

    Raises:
        Rejected: `commit_lost`.
    """
    if intent.into is not None:
        shown = generation.show(site, staging, number, intent, resumed=resumed)
    elif staging.session_path(number).exists():
        root = site.settings.archive_path if intent.destination == ARCHIVE else site.settings.prearchive_path
        archive.show_session(staging.session_path(number), root, intent.target)
        shown = True
    else:
        shown = archive.holds(intent.final_path(site), intent.manifest_digest)
    if not shown and not staging.path.exists():
        raise lost(staging.request_id)
    if not shown:
        raise _commit_lost(
            "A staged session vanished before its commit, or what lies at its place is not what was staged."
        )


def _is_shown(site: Site, staging: Staging, number: int, intent: Intent) -> bool:
    if intent.into is not None:
        return generation.is_shown(site, staging, number, intent)
    return not staging.session_path(number).exists()


def _commit_lost(sentence: str) -> Rejected:
    return Rejected("commit_lost", sentence, "Check who else writes to the staging, archive and prearchive folders.")
