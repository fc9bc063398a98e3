"""The rows of what is undone or deleted: sessions on their way to the trash, in it, and on their way back.

Belongs here: reading and changing sessions and ledger for that. Does not belong here: what may be undone or deleted
(`services/undo.py`, `services/deletion.py`), the folders, and single scans (`parts.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.merging import ARCHIVED_ALREADY
from inbox_pipeline.intake.reasons import FROM_ARCHIVE
from inbox_pipeline.store.catalog.digests import forget_unused
from inbox_pipeline.store.catalog.ledger import COMMITTED
from inbox_pipeline.store.catalog.schema import (
    DELETED,
    RESTORING,
    WITHDRAWING,
    WITHDRAWN,
    instances,
    ledger,
    request_sessions,
    requests,
    sessions,
)

REASON = "withdrawn"
GONE = (WITHDRAWING, WITHDRAWN, RESTORING, DELETED)


def sessions_of(connection: Connection, request_id: int) -> Sequence[RowMapping]:
    """Return the sessions in which a request's plans have ended, with `number`, in order."""
    query = (
        sa.select(sessions, request_sessions.c.number)
        .join_from(request_sessions, sessions)
        .where(request_sessions.c.request_id == request_id)
        .order_by(request_sessions.c.number)
    )
    return connection.execute(query).mappings().all()


def sessions_of_subject(connection: Connection, subject_id: int) -> Sequence[RowMapping]:
    """Return the sessions of a subject that are in the archive, or on their way back to it."""
    here = (sessions.c.subject_id == subject_id) & sessions.c.state.in_(("ARCHIVED", RESTORING))
    query = sa.select(sessions).where(here, sessions.c.part_of.is_(None)).order_by(sessions.c.id)
    return connection.execute(query).mappings().all()


def count_files(connection: Connection, session_id: int) -> int:
    """Return how many files a session has."""
    query = sa.select(sa.func.count()).where(instances.c.session_id == session_id)
    return int(connection.execute(query).scalar_one())


def is_shared(connection: Connection, session: RowMapping) -> bool:
    """Return whether files of another import have gone into a session, or were found there already."""
    others = (request_sessions.c.session_id == session["id"]) & (request_sessions.c.request_id != session["request_id"])
    query = sa.select(request_sessions.c.number).join(requests, requests.c.id == request_sessions.c.request_id)
    imports = requests.c.prearchive_session_id.is_(None)
    return connection.execute(query.where(others, imports).limit(1)).first() is not None


def is_intended(connection: Connection, session: RowMapping, target: str) -> bool:
    """Return whether a commit is under way that gives a session a new generation, or takes its place."""
    open_intent = request_sessions.c.intent_token.is_not(None) & request_sessions.c.session_id.is_(None)
    here = (request_sessions.c.intent_into == session["id"]) | (request_sessions.c.intent_target == target)
    return (
        connection.execute(sa.select(request_sessions.c.number).where(open_intent, here).limit(1)).first() is not None
    )


def only_copies(connection: Connection, session: RowMapping) -> int:
    """Return how many of the sources of a session's files have been deleted after their import, by any request."""
    gone = sa.select(sa.func.count()).where(ledger.c.deleted_at.is_not(None))
    own, found = gone.where(ledger.c.session_id == session["id"]), gone.where(_relies_on(session))
    return sum(int(connection.execute(query).scalar_one()) for query in (own, found))


def requests_of(connection: Connection, session: RowMapping) -> list[int]:
    """Return the requests that have put files into a session, or found theirs there already."""
    query = sa.select(request_sessions.c.request_id).where(request_sessions.c.session_id == _owner(session))
    return sorted(set(connection.execute(query).scalars()))


def _owner(session: RowMapping) -> int:
    """Return the session in which requests have ended: of a scan that was deleted, the one that it was taken from."""
    return int(session["part_of"] or session["id"])


def _relies_on(session: RowMapping) -> sa.ColumnElement[bool]:
    """The ledger rows of files that were found in a session already, byte for byte."""
    ended = request_sessions.c.session_id == _owner(session)
    here = (request_sessions.c.request_id == ledger.c.request_id, request_sessions.c.number == ledger.c.session_number)
    plan = sa.exists(sa.select(request_sessions.c.number).where(ended, *here).correlate(ledger))
    held = sa.select(instances.c.sop_key).where(instances.c.session_id == session["id"])
    of_requests = ledger.c.request_id.in_(sa.select(request_sessions.c.request_id).where(ended))
    found = ledger.c.session_id.is_(None) & ledger.c.reason.in_((ARCHIVED_ALREADY, FROM_ARCHIVE))
    return of_requests & found & ledger.c.sop_key.in_(held) & plan


def moving(connection: Connection) -> Sequence[RowMapping]:
    """Return the sessions that are on their way to the trash or back."""
    here = sessions.c.state.in_((WITHDRAWING, RESTORING))
    return connection.execute(sa.select(sessions).where(here).order_by(sessions.c.id)).mappings().all()


def begin_withdrawal(connection: Connection, session: RowMapping, moment: dt.datetime, reason: str = REASON) -> bool:
    """Take a session out of sight, and its files out of the ledger's count of what has arrived.

    Returns whether the session was still as it is given.
    """
    values = {"state": WITHDRAWING, "state_before": session["state"], "withdrawn_at": moment}
    if reason == FROM_ARCHIVE:
        values["reason"] = reason
    if not change(connection, session, session["state"], **values):
        return False
    take_files(connection, session, reason)
    return True


def take_files(connection: Connection, session: RowMapping, reason: str) -> None:
    """Take a session's files out of the ledger's count of what has arrived; when deleted, with those found there."""
    gone = {"disposition": "rejected", "reason": reason}
    files = (ledger.c.session_id == session["id"]) & ledger.c.disposition.in_(COMMITTED)
    connection.execute(sa.update(ledger).where(files).values(gone))
    if reason == FROM_ARCHIVE:
        connection.execute(sa.update(ledger).where(_relies_on(session)).values(gone))


def give_files_back(connection: Connection, session: RowMapping) -> None:
    """Count the files of a session that was deleted from the archive as arrived again."""
    deleted = ledger.c.reason == FROM_ARCHIVE
    found = {"disposition": "duplicate", "reason": ARCHIVED_ALREADY}
    connection.execute(sa.update(ledger).where(_relies_on(session), deleted).values(found))
    files = (ledger.c.session_id == session["id"]) & deleted
    connection.execute(sa.update(ledger).where(files).values(disposition="archived", reason="archived"))


def end_restoration(connection: Connection, session: RowMapping, path: str) -> bool:
    """Show a session again as it was; return whether it was still being restored."""
    before, deleted = session["state_before"], session["reason"] == FROM_ARCHIVE
    values = {"state": before, "state_before": None, "withdrawn_at": None, "path": path}
    if not change(connection, session, RESTORING, **values, **({"reason": None} if deleted else {})):
        return False
    if deleted:
        give_files_back(connection, session)
        return True
    arrived = {"disposition": "archived", "reason": "archived"}
    if before != "ARCHIVED":
        arrived = {"disposition": "prearchived", "reason": session["reason"] or "ready_for_review"}
    files = (ledger.c.session_id == session["id"]) & (ledger.c.reason == REASON)
    connection.execute(sa.update(ledger).where(files).values(arrived))
    return True


def may_be_deleted(connection: Connection, session_id: int) -> bool:
    """Say that a session in the trash is deleted, and return whether it may be.

    It may not while the source of any of its files is gone, as then the trash holds the only copy, nor while a scan
    that was deleted from it can be restored.
    """
    session = connection.execute(sa.select(sessions).where(sessions.c.id == session_id)).mappings().one_or_none()
    if session is None or session["state"] not in (WITHDRAWN, DELETED):
        return False
    if session["state"] == WITHDRAWN and (only_copies(connection, session) or _has_parts(connection, session_id)):
        return False
    if not change(connection, session, session["state"], state=DELETED):
        return False
    here = sa.select(request_sessions.c.request_id).where(request_sessions.c.session_id == session_id)
    for request_id in connection.execute(here.distinct()).scalars().all():
        forget_unused(connection, request_id)
    return True


def _has_parts(connection: Connection, session_id: int) -> bool:
    here = (sessions.c.part_of == session_id) & (sessions.c.state != DELETED)
    return connection.execute(sa.select(sessions.c.id).where(here).limit(1)).first() is not None


def deleted(connection: Connection, project_id: str) -> Sequence[RowMapping]:
    """Return what was deleted from a project's archive and can be restored, latest first.

    These are sessions, with `accession` and the present `label` and `project_id` of the one that a scan was taken from.
    """
    whole = sessions.alias("whole")
    now = [sa.func.coalesce(whole.c[name], sessions.c[name]).label(name) for name in ("accession", "label")]
    project = sa.func.coalesce(whole.c.project_id, sessions.c.project_id)
    kept = [column for column in sessions.c if column.name not in ("accession", "label")]
    query = sa.select(*kept, *now).join_from(sessions, whole, sessions.c.part_of == whole.c.id, isouter=True)
    here = (sessions.c.reason == FROM_ARCHIVE) & sessions.c.state.in_((WITHDRAWING, WITHDRAWN, RESTORING))
    query = query.where(project == project_id, here)
    return connection.execute(query.order_by(sessions.c.withdrawn_at.desc(), sessions.c.id.desc())).mappings().all()


def change(connection: Connection, session: RowMapping, expected: str, **values: Any) -> bool:
    """Change a session's row if it is still in a state; return whether it was."""
    here = (sessions.c.id == session["id"]) & (sessions.c.state == expected)
    return connection.execute(sa.update(sessions).where(here).values(values)).rowcount == 1
