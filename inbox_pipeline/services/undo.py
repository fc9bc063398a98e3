"""Undo: the sessions of a request withdrawn to the trash, and restored from it.

Belongs here: what may be undone and by whom, the order of rows and folders, going on with an interrupted undo. Does not
belong here: the rows (`store/catalog/withdrawals.py`), and for how long the trash is kept (`trash.py`).

A session is out of sight with the first transaction and back in sight with the last one; the folder is moved in
between, by a rename where that can be. What a process leaves undone when it dies, the reconcile sensor finishes.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.prearchive import LOCKED
from inbox_pipeline.intake.reasons import FROM_ARCHIVE, refusal
from inbox_pipeline.intake.verdict import plural
from inbox_pipeline.services import parts
from inbox_pipeline.services.accounts import Account, is_owner
from inbox_pipeline.services.ending import give_verdict_back, judge_anew, keep_verdict, retell
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.storage import storing
from inbox_pipeline.services.trash import KEPT
from inbox_pipeline.store import archive, trash
from inbox_pipeline.store.catalog import commits, projects, requests, withdrawals
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.catalog.parts import lock_owner
from inbox_pipeline.store.catalog.schema import DELETED, RESTORING, WITHDRAWING, WITHDRAWN
from inbox_pipeline.store.filesystem import fsync_directory, remove_tree


def undo(site: Site, account: Account, request_id: int) -> dict[str, Any]:
    """Withdraw every session that a request has made; all of them, or none.

    Returns what the person who asks must know: `sessions` by number, accession id and state, `kept_until`, and
    `only_copies`, the number of files whose sources are gone.

    Raises:
        Rejected: `request_not_found`, `forbidden`, `request_active`, `nothing_to_undo`, `session_joined`,
            `session_moved`, `session_changed`, `session_busy` or `session_missing`; nothing was changed.
        Unavailable: `storage_failed`; the undo goes on by itself.
    """
    _require_owner(site, account, request_id)
    moment = _now()
    with site.catalog.write() as connection:
        row = _ended(connection, request_id)
        if row["reason"] == withdrawals.REASON:
            raise refusal("request_withdrawn")
        made = [s for s in withdrawals.sessions_of(connection, request_id) if s["state"] not in withdrawals.GONE]
        _refuse_undo(site, connection, row, made)
        if not all(withdrawals.begin_withdrawal(connection, session, moment) for session in made):
            raise refusal("session_busy")
        _end_withdrawn(connection, row)
        only = sum(withdrawals.only_copies(connection, session) for session in made)
        _record(connection, account, "request.undo", request_id, made, only)
    finish(site)
    return _told(site, request_id, None if only else moment + KEPT, only)


def restore(site: Site, account: Account, request_id: int) -> dict[str, Any]:
    """Bring every session of a request back that an undo has withdrawn; returns as `undo`, `kept_until` null.

    Raises:
        Rejected: `request_not_found`, `forbidden`, `not_withdrawn`, `project_not_found`, `restore_too_late`,
            `session_missing`, `session_busy` or `place_taken`; nothing was changed.
        Unavailable: `storage_failed`; the restoration goes on by itself.
    """
    _require_owner(site, account, request_id)
    with site.catalog.write() as connection:
        row = requests.get(connection, request_id)
        if row is None or row["reason"] != withdrawals.REASON:
            raise refusal("not_withdrawn")
        gone = [s for s in _undone(connection, request_id) if s["state"] in (WITHDRAWN, DELETED)]
        refuse_restore(site, connection, gone)
        if not all(withdrawals.change(connection, session, WITHDRAWN, state=RESTORING) for session in gone):
            raise refusal("session_busy")
        _record(connection, account, "request.restore", request_id, gone, 0)
    finish(site)
    with site.catalog.read() as connection:
        if any(session["state"] == WITHDRAWN for session in _undone(connection, request_id)):
            raise refusal("place_taken")
    return _told(site, request_id, None, 0)


def finish(site: Site) -> list[int]:
    """Move every session whose rows say that it is on its way, and return their requests' numbers.

    To be called by whoever comes by: two that do it at once do it once.

    Raises:
        Unavailable: `storage_failed`.
    """
    with site.catalog.read() as connection:
        found = withdrawals.moving(connection)
    for session in found:
        going = session["state"] == WITHDRAWING
        with storing():
            if session["part_of"]:
                parts.take_out(site, session) if going else parts.put_in(site, session)
            else:
                _withdraw(site, session) if going else _bring_back(site, session)
    return sorted({session["request_id"] for session in found})


def place_of(session: RowMapping) -> str:
    """Return where a withdrawn session lay, relative to its tree."""
    if session["state_before"] == "ARCHIVED":
        return archive.archive_target(session["project_id"], session["label"])
    return archive.prearchive_target(session["project_id"], session["prearchive_timestamp"], session["label"])


def _require_owner(site: Site, account: Account, request_id: int) -> None:
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
    owner = row is not None and is_owner(site, account, row["project_id"])
    if row is None or not (owner or row["username"] == account.login):
        raise refusal("request_not_found")
    if not owner:
        raise refusal("forbidden")


def _ended(connection: Connection, request_id: int) -> RowMapping:
    row = requests.get(connection, request_id)
    if row is None:
        raise refusal("request_not_found")
    if row["status"] not in requests.FINAL:
        raise refusal("request_active")
    return row


def _refuse_undo(site: Site, connection: Connection, row: RowMapping, made: Sequence[RowMapping]) -> None:
    """Refuse what would take more away than the request brought, or what somebody is working on."""
    if not made:
        raise refusal("nothing_to_undo")
    for session in made:
        if session["request_id"] != row["id"]:
            raise refusal("session_joined")
        if session["project_id"] != row["project_id"]:
            raise refusal("session_moved")
        if withdrawals.is_shared(connection, session):
            raise refusal("session_changed")
        refuse_busy(connection, session, session["path"])
        if not (_tree(site, session["state"]) / session["path"]).is_dir():
            raise refusal("session_missing")


def refuse_restore(site: Site, connection: Connection, gone: Sequence[RowMapping]) -> None:
    """Refuse to restore sessions of a project.

    Raises:
        Rejected: `project_not_found`, `restore_too_late`, `session_missing`, `session_busy` or `place_taken`.
    """
    if any(projects.get_project(connection, session["project_id"], lock=True) is None for session in gone):
        raise refusal("project_not_found")
    if any(session["state"] == DELETED for session in gone):
        raise refusal("restore_too_late")
    for session in gone:
        refuse_busy(connection, session, place_of(session))
        archived = session["state_before"] == "ARCHIVED"
        taken = archived and commits.label_exists(connection, session["project_id"], session["label"])
        if not (site.settings.trash_path / session["path"]).is_dir():
            raise refusal("session_missing")
        if taken or os.path.lexists(_tree(site, session["state_before"]) / place_of(session)):
            raise refusal("place_taken")


def refuse_busy(connection: Connection, session: RowMapping, target: str) -> None:
    """Refuse a session whose label a live commit has locked; the lock is only looked at.

    Raises:
        Rejected: `session_busy`.
    """
    looker, label = lock_owner(session), session["label"]
    if session["state"] in LOCKED:
        raise refusal("session_busy")
    free = commits.take_lock(connection, session["project_id"], label, looker)
    if not free or withdrawals.is_intended(connection, session, target):
        raise refusal("session_busy")
    commits.release_lock(connection, session["project_id"], label, looker)


def _end_withdrawn(connection: Connection, row: RowMapping) -> None:
    """Give the request the verdict of an undo, and keep the one that it had."""
    keep_verdict(connection, row)
    judge_anew(connection, row["id"], (withdrawals.REASON, {}))


def _withdraw(site: Site, session: RowMapping) -> None:
    """Move a session's folder to the trash, wherever an earlier try got to, and say so."""
    source = _tree(site, session["state_before"]) / session["path"]
    target = site.settings.trash_path / _name(session)
    if not target.exists():
        with suppress(FileNotFoundError):  # somebody else moves it, or has deleted it: then `verify` misses it there
            trash.put(source, site.settings.trash_path, trash.stem(session["id"]), session["withdrawn_at"])
    remove_tree(source)
    fsync_directory(source.parent)
    with site.catalog.write() as connection:
        withdrawals.change(connection, session, WITHDRAWING, state=WITHDRAWN, path=_name(session))


def _bring_back(site: Site, session: RowMapping) -> None:
    """Move a session's folder to where it was, wherever an earlier try got to, and say so.

    If something else lies there by now, the session stays in the trash.
    """
    root, target = _tree(site, session["state_before"]), place_of(session)
    kept = site.settings.trash_path / session["path"]
    if not os.path.lexists(root / target):
        with suppress(FileNotFoundError):  # somebody else moves it, or has deleted it
            trash.take_back(kept, root, target, site.settings.staging_path)
    if not kept.exists() or archive.holds(root / target, archive.manifest_digest(archive.read_manifest(kept))):
        trash.drop(kept)
        with site.catalog.write() as connection:
            if withdrawals.end_restoration(connection, session, target):
                _end_restored(connection, session)
    else:
        with site.catalog.write() as connection:
            withdrawals.change(connection, session, RESTORING, state=WITHDRAWN)


def _end_restored(connection: Connection, session: RowMapping) -> None:
    """Let the requests that made a session say that it is back; an undo is over once all that it took is."""
    row = requests.get(connection, session["request_id"])
    if session["reason"] != FROM_ARCHIVE and row is not None and row["before_undo"]:
        states = {each["state"] for each in _undone(connection, row["id"])}
        if not states & {RESTORING, WITHDRAWN}:
            give_verdict_back(connection, row)
    if session["subject_id"]:
        commits.set_subject_deleted(connection, session["subject_id"], None)
    for request_id in withdrawals.requests_of(connection, session):
        retell(connection, request_id)


def _undone(connection: Connection, request_id: int) -> list[RowMapping]:
    """Return the sessions of a request but those that were deleted from the archive, which no undo has taken."""
    return [s for s in withdrawals.sessions_of(connection, request_id) if s["reason"] != FROM_ARCHIVE]


def _record(
    connection: Connection, account: Account, action: str, request_id: int, made: Sequence[RowMapping], only: int
) -> None:
    named = [session["accession"] or f"session {session['number']}" for session in made]
    site_store.record(connection, account.login, action, str(request_id), sessions=named, only_copies=only)


def _told(site: Site, request_id: int, kept_until: dt.datetime | None, only: int) -> dict[str, Any]:
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
        made = withdrawals.sessions_of(connection, request_id)
    if row is None:
        raise Rejected("request_not_found", "The request is gone.", "")
    shown = [{name: session[name] for name in ("number", "accession", "state")} for session in made]
    return {
        "id": request_id,
        "verdict": row["verdict"],
        "sessions": shown,
        "only_copies": only,
        "kept_until": kept_until.isoformat() if kept_until else None,
        "sentence": _sentence(len(made), kept_until, only, withdrawn=row["reason"] == withdrawals.REASON),
    }


def _sentence(sessions: int, kept_until: dt.datetime | None, only: int, *, withdrawn: bool) -> str:
    counted = f"{sessions:,} {plural(sessions, 'session')}"
    if not withdrawn:
        return f"{counted} restored."
    if kept_until is None:
        files = f"{only:,} {plural(only, 'file')}"
        return (
            f"{counted} withdrawn to the trash. The sources of {files} were deleted after the import: the trash holds "
            f"the only copy, and keeps it until it is restored."
        )
    return f"{counted} withdrawn to the trash, and kept there until {kept_until:%Y-%m-%d}."


def _tree(site: Site, state: str) -> Path:
    return site.settings.archive_path if state == "ARCHIVED" else site.settings.prearchive_path


def _name(session: RowMapping) -> str:
    return trash.entry_name(trash.stem(session["id"]), session["withdrawn_at"])


def _now() -> dt.datetime:
    """Return the moment as precisely as a name in the trash holds it."""
    moment = dt.datetime.now(dt.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
