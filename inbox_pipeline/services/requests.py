"""Import requests as people see them: file, look, cancel, retry.

Belongs here: the refusals of contract section 1.2 in their order, who may see a request, the Request JSON and ledger
rows of DESIGN section 6. Does not belong here: HTTP, and the work on a request (`steps.py`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.reasons import FROM_ARCHIVE, refusal
from inbox_pipeline.intake.requests import (
    ImportParameters,
    read_parameters,
    refuse_illegal_labels,
    refuse_unsupported,
)
from inbox_pipeline.services.accounts import Account, is_owner, may_edit, owns
from inbox_pipeline.services.ending import end_request, phase_of, session_uri
from inbox_pipeline.services.examine import is_packed
from inbox_pipeline.services.guards import Surroundings, look, need_of
from inbox_pipeline.services.policies import PolicyChoice
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import inbox
from inbox_pipeline.store.catalog import commits, leases, ledger, merges, projects, requests, withdrawals
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.catalog.engine import now_seconds
from inbox_pipeline.store.catalog.ledger import Tally
from inbox_pipeline.store.inbox_archive import InboxArchive

LIST_BATCH = 500
"""So many requests are asked about at once."""


@dataclass(frozen=True)
class Filed:
    """A filed request, or the active one that asks for the same."""

    request_id: int
    existing: bool


def file_request(
    site: Site,
    account: Account,
    parameters: Iterable[tuple[str, str]],
    source: str = "rest",
    only: Sequence[bytes] = (),
    note: Callable[[Connection, int], None] | None = None,
) -> Filed:
    """File an import request, or return the active one of the same user, path and parameters.

    The latter also when that one has taken its label or emptied the folder already.

    Args:
        parameters: the query's pairs (contract section 1.1).
        source: `rest` or `sweep`.
        only: the files to import, relative to the path, when not the whole folder.
        note: called with the id of a new request in the transaction that makes it.

    Raises:
        Rejected: a refusal of contract section 1.2, in its order; nothing was created.
    """
    asked = read_parameters(parameters)
    real_path, project_id = _permitted(site, account, asked)
    same_key = _same_key(account.login, real_path, asked.recorded, only)
    with site.catalog.read() as connection:
        first = requests.active_of(connection, same_key)
    if first is not None:
        return Filed(first, existing=True)
    _refuse_target(site, real_path, project_id, asked)
    return _insert(site, account, asked, real_path, project_id, same_key, source, only, note)


def accept(site: Site, account: Account, asked: ImportParameters) -> tuple[bytes, str]:
    """Return the real path and the project of a request that may be filed.

    Raises:
        Rejected: a refusal of contract section 1.2, in its order.
    """
    real_path, project_id = _permitted(site, account, asked)
    _refuse_target(site, real_path, project_id, asked)
    return real_path, project_id


def request_json(site: Site, request_id: int, account: Account) -> dict[str, Any]:
    """Return the Request JSON (DESIGN section 6); XNAT's members are left out while null.

    Raises:
        Rejected: `request_not_found`, also for a request of somebody else in a project that one does not own.
    """
    with site.catalog.read() as connection:
        return _as_json(site, connection, [_visible(connection, request_id, account)])[0]


def list_requests(
    site: Site, account: Account, *, active: bool, before: int | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Return the Request JSON of every request that the user may see, newest first.

    Args:
        active: only those that have not ended.
        before: only those with a smaller number: the last one of the page that was read before.
        limit: how many at most.
    """
    with site.catalog.read() as connection:
        rows = requests.listing(connection, None if account.admin else account.id, active, before, limit)
        return _as_json(site, connection, rows)


def ledger_rows(site: Site, request_id: int, account: Account) -> Iterator[dict[str, Any]]:
    """Return the ledger's rows (DESIGN section 6), read batch by batch.

    Raises:
        Rejected: `request_not_found`, before the first row.
    """
    with site.catalog.read() as connection:
        request = _visible(connection, request_id, account)
    return _ledger(site, request)


def cancel(site: Site, account: Account, request_id: int) -> None:
    """Cancel a request: at once while it waits, else at its run's next look.

    Raises:
        Rejected: `request_not_found` or `request_final`.
    """
    with site.catalog.write() as connection:
        row = _visible(connection, request_id, account)
        if row["status"] in requests.FINAL:
            raise refusal("request_final")
        cancel_row(connection, row)
        site_store.record(connection, account.login, "request.cancel", str(request_id))


def cancel_row(connection: Connection, row: RowMapping) -> None:
    """Cancel an unfinished request in the caller's transaction."""
    if row["status"] == "Queued" and row["lease_token"] is None:
        end_request(connection, row["id"], ("cancelled", {}))
    else:
        requests.update(connection, row["id"], cancel_requested=True)


def retry(site: Site, account: Account, request_id: int) -> None:
    """Queue another attempt for the files that a finished request did not archive.

    Raises:
        Rejected: `request_not_found`, `request_active`, `nothing_to_retry`, `archive_again`, `request_withdrawn` or
            `request_deleted`.
    """
    with site.catalog.write() as connection:
        row = _visible(connection, request_id, account)
        if row["status"] not in requests.FINAL:
            raise refusal("request_active")
        if row["outcome"] == "complete":
            raise refusal("nothing_to_retry")
        if row["prearchive_session_id"]:
            raise refusal("archive_again")
        if row["reason"] == withdrawals.REASON:
            raise refusal("request_withdrawn")
        if row["reason"] == FROM_ARCHIVE:
            raise refusal("request_deleted")
        reopen(connection, row)
        again = {"status": "Queued", "phase": "queued", "attempt": row["attempt"] + 1, "dagster_run_id": None}
        requests.update(connection, request_id, **again, queued_at=now_seconds(connection))
        site_store.record(connection, account.login, "request.retry", str(request_id))


def reopen(connection: Connection, row: RowMapping) -> None:
    """Make an ended request workable again: its unfinished files pending, its verdict gone."""
    ledger.reopen(connection, row["id"])
    leases.forget_deaths(connection, row["id"])
    requests.update(
        connection,
        row["id"],
        steps_done=0,
        checks=None,
        outcome=None,
        reason=None,
        verdict=None,
        resolution=None,
        finished_at=None,
        cancel_requested=False,
        cleanup_state="pending" if row["cleanup"] else "off",
    )


def _permitted(site: Site, account: Account, asked: ImportParameters) -> tuple[bytes, str]:
    """Contract 1.2, steps 2 to 7, and the labels: what does not depend on what earlier requests have done."""
    refuse_unsupported(asked)
    real_path = _accepted_path(site, account, asked)
    project_id = _accepted_project(site, account, asked.project_id)
    if asked.prevent_anon:
        _refuse_bare_import(site, account, project_id)
    refuse_illegal_labels(asked)
    return real_path, project_id


def _refuse_bare_import(site: Site, account: Account, project_id: str) -> None:
    """Refuse to import without anonymization where it is not for this user, or not for this project."""
    if not is_owner(site, account, project_id):
        raise refusal("prevent_anon_denied")
    with site.catalog.read() as connection:
        project = projects.get_project(connection, project_id)
    if project is not None and PolicyChoice.of(project).basic:
        raise refusal("policy_forbids", name="prevent_anon")


def _refuse_target(site: Site, real_path: bytes, project_id: str, asked: ImportParameters) -> None:
    """Contract 1.2, steps 8 and 9."""
    _refuse_folder(real_path)
    _refuse_taken_label(site, project_id, asked)


def _accepted_path(site: Site, account: Account, asked: ImportParameters) -> bytes:
    """Contract 1.2, steps 3 to 6; whether a path exists is told only to those who may edit its project."""
    root = site.settings.inbox_path
    if not asked.path:
        raise refusal("path_missing")
    if not asked.path.startswith("/") or "\x00" in asked.path:
        raise refusal("path_outside_inbox")
    real_path = inbox.confined(asked.path, root)
    if real_path is None:
        raise refusal("path_outside_inbox")
    inbox_project = inbox.first_component(real_path, root)
    allowed = bool(inbox_project) and _editable(site, account, inbox_project) is not None
    if not os.path.lexists(real_path) and (allowed or account.admin):
        raise refusal("path_not_found")
    if not allowed:
        raise refusal("inbox_project_denied")
    return real_path


def _accepted_project(site: Site, account: Account, project_id: str) -> str:
    """Contract 1.2, step 7; returns the project's ID as it is written in the catalog."""
    if not project_id:
        raise refusal("project_missing")
    found = _editable(site, account, project_id)
    if found is None:
        raise refusal("project_denied")
    return found


def _editable(site: Site, account: Account, project_id: str) -> str | None:
    with site.catalog.read() as connection:
        project = projects.get_project(connection, project_id)
    if project is None or not may_edit(site, account, project["id"]):
        return None
    return str(project["id"])


def _refuse_folder(real_path: bytes) -> None:
    """Contract 1.2, step 8; what is in an archive file is found out by the run."""
    packed = is_packed(real_path)
    if not packed and not Path(os.fsdecode(real_path)).is_dir():
        raise refusal("path_not_a_folder")
    try:
        if packed:
            InboxArchive(real_path).close()
        elif not inbox.has_children(real_path):
            raise refusal("folder_empty")
    except OSError:
        raise refusal("folder_unreadable") from None


def _refuse_taken_label(site: Site, project_id: str, asked: ImportParameters) -> None:
    """Contract 1.2, step 9; a session that may be added to refuses nothing."""
    if not asked.session_label:
        return
    with site.catalog.read() as connection:
        taken = commits.label_exists(connection, project_id, asked.session_label)
        joins = asked.merge.allowed and merges.archived_session(connection, project_id, asked.session_label)
    if taken and not joins:
        raise refusal("session_exists")


def _insert(
    site: Site,
    account: Account,
    asked: ImportParameters,
    real_path: bytes,
    project_id: str,
    same_key: str,
    source: str,
    only: Sequence[bytes],
    note: Callable[[Connection, int], None] | None,
) -> Filed:
    with site.catalog.write() as connection:
        first = requests.active_of(connection, same_key)
        if first is not None:
            return Filed(first, existing=True)
        subject = commits.find_subject(connection, project_id, asked.subject_label) if asked.subject_label else None
        joined = merges.archived_session(connection, project_id, asked.session_label) if asked.session_label else None
        values = {
            "username": account.login,
            "source": source,
            "source_path": real_path,
            "parameters": asked.recorded,
            "same_key": same_key,
            "project_id": project_id,
            "subject_label": subject["label"] if subject else asked.subject_label,
            "session_label": joined["label"] if joined else asked.session_label,
            "only_listed": bool(only),
            "auto_archive": asked.auto_archive,
            "prevent_anon": asked.prevent_anon,
            "cleanup": asked.cleanup,
            "cleanup_state": "pending" if asked.cleanup else "off",
        }
        request_id = requests.insert(connection, values, only)
        detail = {"project": project_id, "source": source} | ({"prevent_anon": True} if asked.prevent_anon else {})
        site_store.record(connection, account.login, "request.file", str(request_id), **detail)
        if note is not None:
            note(connection, request_id)
    return Filed(request_id, existing=False)


def _same_key(login: str, real_path: bytes, parameters: dict[str, str], only: Sequence[bytes]) -> str:
    named = {name: value for name, value in parameters.items() if name != "path"}
    digest = hashlib.sha256(json.dumps([login, sorted(named.items())]).encode() + real_path)
    for source_path in sorted(only):
        digest.update(b"\x00" + source_path)
    return digest.hexdigest()


def _visible(connection: Connection, request_id: int, account: Account) -> RowMapping:
    row = requests.get(connection, request_id)
    if row is None or not (row["username"] == account.login or owns(connection, account, row["project_id"])):
        raise refusal("request_not_found")
    return row


def _as_json(site: Site, connection: Connection, rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
    surroundings = look(site, connection)
    found = []
    for start in range(0, len(rows), LIST_BATCH):
        some = rows[start : start + LIST_BATCH]
        ids = [row["id"] for row in some]
        tallies, plans = ledger.tallies(connection, ids), requests.plans_of(connection, ids)
        for row in some:
            standing = _standing(connection, row, surroundings)
            found.append(_request_json(row, standing, tallies[row["id"]], plans[row["id"]]))
    return found


def _request_json(
    row: RowMapping, standing: tuple[str, str | None], tallies: Sequence[Tally], plans: Sequence[RowMapping]
) -> dict[str, Any]:
    phase, reason = standing
    xnat = {
        "id": row["id"],
        "enabled": True,
        "created": _milliseconds(row["created_at"]),
        "timestamp": _milliseconds(row["updated_at"]),
        "disabled": 0,
        "username": row["username"],
        "sessionPath": _shown(row["source_path"]),
        "status": row["status"],
        "cleanupAfterImport": row["cleanup"],
        "resolution": row["resolution"],
        "parameters": row["parameters"],
    }
    ours = {
        "outcome": row["outcome"],
        "verdict": row["verdict"],
        "phase": phase,
        "reason": reason,
        "files": _files(tallies),
        "sessions": _sessions(row, tallies, plans),
        "bytes": row["bytes"],
        "attempt": row["attempt"],
        "dagster_run_id": row["dagster_run_id"],
        "cleanup": row["cleanup_state"],
        "created_at": row["created_at"].isoformat(),
        "finished_at": row["finished_at"].isoformat() if row["finished_at"] else None,
    }
    return {name: value for name, value in xnat.items() if value is not None} | ours


def _standing(connection: Connection, row: RowMapping, surroundings: Surroundings) -> tuple[str, str | None]:
    """Return phase and reason; of a queued request, what is in its way now, which a full disk may not let be noted."""
    hindrance = surroundings.hindrance(need_of(connection, row)) if row["status"] == "Queued" else None
    return (phase_of(hindrance.code), hindrance.code) if hindrance else (row["phase"], row["reason"])


def _files(tallies: Sequence[Tally]) -> dict[str, Any]:
    by_disposition: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    for tally in sorted(tallies, key=lambda each: (each.disposition, each.reason)):
        by_disposition[tally.disposition] += tally.files
        by_reason[tally.reason] += tally.files
    return {"found": by_disposition.total(), "by_disposition": dict(by_disposition), "by_reason": dict(by_reason)}


def _sessions(row: RowMapping, tallies: Sequence[Tally], plans: Sequence[RowMapping]) -> list[dict[str, Any]]:
    """Return the request's sessions; one that has not appeared is RECEIVING while the request runs, then ERROR."""
    files: Counter[int | None] = Counter()
    for tally in tallies:
        files[tally.session_number] += tally.files if tally.disposition in ledger.COMMITTED else 0
    absent = "ERROR" if row["status"] in requests.FINAL else "RECEIVING"
    return [
        {
            "project": session["project_id"],
            "subject": session["session_subject"] or session["subject_label"],
            "session": session["session_label"],
            "uri": session_uri(session),
            "state": _state(session, absent),
            "files": files[session["number"]],
            "reason": session["reason"],
            "findings": session["findings"],
            "identified": session["identified"],
        }
        for session in plans
        if session["state"] != "EMPTY"
    ]


def _state(session: RowMapping, absent: str) -> str:
    if session["session_id"] is None:
        return absent
    return str(session["session_state"] if session["withdrawn_at"] else session["state"])


def _ledger(site: Site, request: RowMapping) -> Iterator[dict[str, Any]]:
    after: bytes | None = None
    while True:
        with site.catalog.read() as connection:
            batch = ledger.rows(connection, request["id"], after)
        for row in batch:
            yield _ledger_row(request, row)
        if len(batch) < ledger.BATCH:
            return
        after = batch[-1]["source_path"]


def _ledger_row(request: RowMapping, row: RowMapping) -> dict[str, Any]:
    committed = row["disposition"] in ledger.COMMITTED
    return {
        "source_path": _shown(row["source_path"]),
        "disposition": row["disposition"],
        "reason": row["reason"],
        "detail": row["detail"],
        "bytes": row["bytes"],
        "source_sha256": row["source_sha256"],
        "archived_path": None if row["reason"] in (withdrawals.REASON, FROM_ARCHIVE) else row["archived_path"],
        "archived_sha256": row["archived_sha256"] if committed else None,
        "project": request["project_id"],
        "session": row["session_label"],
        "scan": row["scan_label"],
        "sop_instance_uid": row["sop_instance_uid"] if committed else None,
        "deleted_at": row["deleted_at"].isoformat() if row["deleted_at"] else None,
        "subject": row["subject_label"],
        "warnings": row["warnings"],
        "identifiers": row["identifiers"],
    }


def _shown(path: bytes) -> str:
    """Return a path as text; bytes that are not UTF-8 are written as escapes."""
    return path.decode("utf-8", "backslashreplace")


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)
