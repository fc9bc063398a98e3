"""Deleting in the archive, and bringing back what was deleted (contract sections 5 and 6).

Belongs here: who may delete and restore projects, subjects, sessions and scans, what is refused, and the lines in the
audit trail. Does not belong here: moving folders (`undo.py`, `parts.py`), rows (`store/catalog`), HTTP.

Nothing is destroyed: what is deleted is withdrawn to the trash, as by an undo, and kept as long.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.reasons import FROM_ARCHIVE, refusal
from inbox_pipeline.services import undo
from inbox_pipeline.services.accounts import Account, is_owner
from inbox_pipeline.services.ending import retell
from inbox_pipeline.services.parts import manifest_of
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.storage import storing
from inbox_pipeline.services.trash import KEPT
from inbox_pipeline.store.catalog import commits, merges, parts, projects, requests, scripts, withdrawals
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.catalog.schema import DELETED, RESTORING, WITHDRAWN

ARCHIVED = "ARCHIVED"


def delete_session(site: Site, account: Account, session: RowMapping) -> None:
    """Delete an archived session with its files; its label is free again.

    Raises:
        Rejected: `forbidden`, `not_found`, `session_busy`, `session_missing`; nothing was changed.
        Unavailable: `storage_failed`; the deletion goes on by itself.
    """
    _require_owner(site, account, session["project_id"])
    with site.catalog.write() as connection:
        _withdraw(site, connection, account, [commits.session(connection, session["id"])])
    undo.finish(site)


def delete_subject(site: Site, account: Account, subject: RowMapping) -> None:
    """Delete a subject with all its archived sessions; all of them, or none.

    Raises:
        Rejected, Unavailable: as `delete_session`.
    """
    _require_owner(site, account, subject["project_id"])
    with site.catalog.write() as connection:
        commits.set_subject_deleted(connection, subject["id"], _now())
        held = withdrawals.sessions_of_subject(connection, subject["id"])
        _withdraw(site, connection, account, held)
        detail = {"project": subject["project_id"], "sessions": len(held)}
        site_store.record(connection, account.login, "subject.delete", subject["accession"], **detail)
    undo.finish(site)


def delete_scan(site: Site, account: Account, session: RowMapping, scan: RowMapping) -> None:
    """Delete a scan of an archived session with its files.

    Raises:
        Rejected: as `delete_session`; `last_scan`.
        Unavailable: `storage_failed`; the deletion goes on by itself.
    """
    _require_owner(site, account, session["project_id"])
    with site.catalog.write() as connection:
        found = commits.session(connection, session["id"])
        _require_deletable(site, connection, found)
        members = merges.members(connection, found["id"])
        going = [member for member in members if member["scan_label"] == scan["label"]]
        if not going:
            raise refusal("not_found")
        if len(going) == len(members):
            raise refusal("last_scan")
        with storing():
            whole, digest = manifest_of(site, found, members), manifest_of(site, found, going)
        if whole != found["manifest_digest"]:
            raise refusal("session_missing")
        part = parts.insert_part(connection, found, scan, _now(), digest)
        _lock(connection, part)
        detail = {"deleted": part["id"], "files": len(going)}
        site_store.record(connection, account.login, "scan.delete", found["accession"], **detail)
    undo.finish(site)


def delete_project(site: Site, account: Account, project_id: str) -> None:
    """Delete a project that holds nothing; what of it is in the trash can be restored once it is made again.

    Its members and script in force go with it, its requests and their ledgers stay.

    Raises:
        Rejected: `forbidden`, `project_not_found`, `project_not_empty`; nothing was changed.
    """
    _require_owner(site, account, project_id)
    with site.catalog.write() as connection:
        project = projects.get_project(connection, project_id, lock=True)
        if project is None:
            raise refusal("project_not_found")
        if not projects.is_empty(connection, project["id"]):
            raise refusal("project_not_empty")
        newest = scripts.newest(connection, project["id"])
        if newest is not None and not newest["removed"]:
            scripts.add_version(connection, project["id"], "", account.login)
        projects.delete_project(connection, project["id"], _now())
        site_store.record(connection, account.login, "project.delete", project["id"])


def list_deleted(site: Site, project_id: str) -> list[dict[str, Any]]:
    """Return what was deleted from a project's archive and can be restored, latest first.

    Members: `id`, `accession`, `session` (label), `scan` (None for a whole session), `files`, `deleted_at`,
    `only_copies` (sources that are gone), `kept_until` (None where it is the only copy).
    """
    with site.catalog.read() as connection:
        return [_described(connection, row) for row in withdrawals.deleted(connection, project_id)]


def restore(site: Site, account: Account, project_id: str, deleted_id: int) -> dict[str, Any]:
    """Bring a deleted session or scan back as it was, and return what `list_deleted` said of it.

    Raises:
        Rejected: `forbidden`, `deleted_not_found`, `restore_too_late`, `session_busy`, `session_missing`,
            `place_taken`, and of a scan `session_deleted`, `session_relabelled`; nothing was changed.
        Unavailable: `storage_failed`; the restoration goes on by itself.
    """
    _require_owner(site, account, project_id)
    with site.catalog.write() as connection:
        rows = withdrawals.deleted(connection, project_id)
        row = next((each for each in rows if each["id"] == deleted_id), None)
        if row is None:
            raise refusal("deleted_not_found")
        described = _described(connection, row)
        gone = commits.session(connection, deleted_id)
        if gone["part_of"]:
            _refuse_scan(site, connection, gone)
        else:
            undo.refuse_restore(site, connection, [gone])
        if not withdrawals.change(connection, gone, WITHDRAWN, state=RESTORING):
            raise refusal("session_busy")
        action = "scan.restore" if gone["part_of"] else "session.restore"
        site_store.record(connection, account.login, action, row["accession"], deleted=deleted_id)
    undo.finish(site)
    with site.catalog.read() as connection:
        still = any(each["id"] == deleted_id for each in withdrawals.deleted(connection, project_id))
    if still:
        raise refusal("place_taken")
    return described


def _require_owner(site: Site, account: Account, project_id: str) -> None:
    if not is_owner(site, account, project_id):
        raise refusal("forbidden")


def _withdraw(site: Site, connection: Connection, account: Account, held: Sequence[RowMapping]) -> None:
    for session in held:
        _require_deletable(site, connection, session)
        if not (site.settings.archive_path / session["path"]).is_dir():
            raise refusal("session_missing")
    for session in held:
        if not withdrawals.begin_withdrawal(connection, session, _now(), FROM_ARCHIVE):
            raise refusal("session_busy")
        for request_id in withdrawals.requests_of(connection, session):
            retell(connection, request_id)
        only = withdrawals.only_copies(connection, session)
        detail = {"project": session["project_id"], "deleted": session["id"], "only_copies": only}
        site_store.record(connection, account.login, "session.delete", session["accession"], **detail)


def _require_deletable(site: Site, connection: Connection, session: RowMapping) -> None:
    """Refuse a session that is not in the archive any more, or at which a request is at work."""
    if session["state"] != ARCHIVED:
        raise refusal("session_busy" if session["state"] == RESTORING else "not_found")
    for request_id in withdrawals.requests_of(connection, session):
        maker = requests.get(connection, request_id)
        if maker is not None and maker["status"] not in requests.FINAL:
            raise refusal("session_busy")
    undo.refuse_busy(connection, session, session["path"])


def _refuse_scan(site: Site, connection: Connection, part: RowMapping) -> None:
    """Refuse to put a scan into a session that is not what it was taken from."""
    session = commits.session(connection, part["part_of"])
    if session["state"] == DELETED:
        raise refusal("restore_too_late")
    if session["state"] != ARCHIVED:
        raise refusal("session_deleted")
    if any(session[name] != part[name] for name in parts.PLACE):
        raise refusal("session_relabelled")
    undo.refuse_busy(connection, session, session["path"])
    if not (site.settings.trash_path / part["path"]).is_dir():
        raise refusal("session_missing")
    if not parts.is_free(connection, part):
        raise refusal("place_taken")
    _lock(connection, part)


def _lock(connection: Connection, part: RowMapping) -> None:
    if not commits.take_lock(connection, part["project_id"], part["label"], parts.lock_owner(part)):
        raise refusal("session_busy")


def _described(connection: Connection, row: RowMapping) -> dict[str, Any]:
    only = withdrawals.only_copies(connection, row)
    return {
        "id": row["id"],
        "accession": row["accession"],
        "session": row["label"],
        "scan": row["part_scan"],
        "files": withdrawals.count_files(connection, row["id"]),
        "deleted_at": row["withdrawn_at"].isoformat(),
        "only_copies": only,
        "kept_until": None if only else (row["withdrawn_at"] + KEPT).isoformat(),
    }


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
