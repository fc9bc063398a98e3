"""The rows of an undo: sessions on their way to the trash, in it, and on their way back.

Belongs here: reading and changing sessions, ledger and request for an undo and a restore. Does not belong here: what
may be undone and the folders (`services/undo.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.digests import forget_unused
from inbox_pipeline.store.catalog.ledger import COMMITTED
from inbox_pipeline.store.catalog.schema import (
    DELETED,
    RESTORING,
    WITHDRAWING,
    WITHDRAWN,
    ledger,
    request_sessions,
    requests,
    sessions,
)

REASON = "withdrawn"


def sessions_of(connection: Connection, request_id: int) -> Sequence[RowMapping]:
    """Return the sessions in which a request's plans have ended, with `number`, in order."""
    query = (
        sa.select(sessions, request_sessions.c.number)
        .join_from(request_sessions, sessions)
        .where(request_sessions.c.request_id == request_id)
        .order_by(request_sessions.c.number)
    )
    return connection.execute(query).mappings().all()


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
    """Return how many of a session's sources have been deleted after their import."""
    numbers = sa.select(request_sessions.c.number).where(
        request_sessions.c.session_id == session["id"], request_sessions.c.request_id == session["request_id"]
    )
    here = (ledger.c.request_id == session["request_id"]) & ledger.c.session_number.in_(numbers)
    query = sa.select(sa.func.count()).where(here, ledger.c.deleted_at.is_not(None))
    return int(connection.execute(query).scalar_one())


def moving(connection: Connection) -> Sequence[RowMapping]:
    """Return the sessions that are on their way to the trash or back."""
    here = sessions.c.state.in_((WITHDRAWING, RESTORING))
    return connection.execute(sa.select(sessions).where(here).order_by(sessions.c.id)).mappings().all()


def begin_withdrawal(connection: Connection, session: RowMapping, moment: dt.datetime, reason: str = REASON) -> bool:
    """Take a session out of sight, and its files out of the ledger's count of what has arrived.

    Returns whether the session was still as it is given.
    """
    values = {"state": WITHDRAWING, "state_before": session["state"], "withdrawn_at": moment}
    if not change(connection, session, session["state"], **values):
        return False
    files = (ledger.c.session_id == session["id"]) & ledger.c.disposition.in_(COMMITTED)
    connection.execute(sa.update(ledger).where(files).values(disposition="rejected", reason=reason))
    return True


def end_restoration(connection: Connection, session: RowMapping, path: str) -> bool:
    """Show a session again as it was; return whether it was still being restored."""
    before = session["state_before"]
    values = {"state": before, "state_before": None, "withdrawn_at": None, "path": path}
    if not change(connection, session, RESTORING, **values):
        return False
    arrived = {"disposition": "archived", "reason": "archived"}
    if before != "ARCHIVED":
        arrived = {"disposition": "prearchived", "reason": session["reason"] or "ready_for_review"}
    files = (ledger.c.session_id == session["id"]) & (ledger.c.reason == REASON)
    connection.execute(sa.update(ledger).where(files).values(arrived))
    return True


def may_be_deleted(connection: Connection, session_id: int) -> bool:
    """Say that a session in the trash is deleted, and return whether it may be.

    It may not while the source of any of its files is gone: then the trash holds the only copy.
    """
    session = connection.execute(sa.select(sessions).where(sessions.c.id == session_id)).mappings().one_or_none()
    if session is None or session["state"] not in (WITHDRAWN, DELETED):
        return False
    if session["state"] == WITHDRAWN and only_copies(connection, session):
        return False
    if not change(connection, session, session["state"], state=DELETED):
        return False
    here = sa.select(request_sessions.c.request_id).where(request_sessions.c.session_id == session_id)
    for request_id in connection.execute(here.distinct()).scalars().all():
        forget_unused(connection, request_id)
    return True


def change(connection: Connection, session: RowMapping, expected: str, **values: Any) -> bool:
    """Change a session's row if it is still in a state; return whether it was."""
    here = (sessions.c.id == session["id"]) & (sessions.c.state == expected)
    return connection.execute(sa.update(sessions).where(here).values(values)).rowcount == 1
