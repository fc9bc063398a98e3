"""Rows of import requests: filing, reading, listing, ending.

Belongs here: the `requests` and `requested_files` tables apart from leases. Does not belong here: who may see a request
(`services/requests.py`), leases and attempts (`leases.py`), the files themselves (`ledger.py`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.engine import now_seconds
from inbox_pipeline.store.catalog.schema import (
    memberships,
    request_sessions,
    requested_files,
    requests,
    sessions,
    users,
)

FINAL = ("Failed", "Completed")
RUNNING = ("Accepted", "Trawling", "Importing", "Processed")


def utc_now() -> dt.datetime:
    """Return the moment, aware, UTC."""
    return dt.datetime.now(dt.UTC)


def path_digest(source_path: bytes) -> str:
    """Return the fixed-length key of a path."""
    return hashlib.sha256(source_path).hexdigest()


def insert(connection: Connection, values: Mapping[str, Any], only: Iterable[bytes] = ()) -> int:
    """File a request as Queued and return its id; `only` names its files when it is not for a whole folder."""
    moment = utc_now()
    row = {**values, "created_at": moment, "updated_at": moment, "queued_at": now_seconds(connection)}
    key = connection.execute(sa.insert(requests).values(row)).inserted_primary_key
    request_id = int(key[0]) if key else 0
    listed = [{"request_id": request_id, "path_digest": path_digest(path), "source_path": path} for path in only]
    if listed:
        connection.execute(sa.insert(requested_files), listed)
    return request_id


def get(connection: Connection, request_id: int) -> RowMapping | None:
    """Return a request, or None."""
    return connection.execute(sa.select(requests).where(requests.c.id == request_id)).mappings().one_or_none()


def listing(
    connection: Connection, viewer: int | None, active: bool, before: int | None = None, limit: int | None = None
) -> Sequence[RowMapping]:
    """Return the imports of a user, by key, and of the projects owned (of everybody when None), newest first.

    With `before` those with a smaller number, with `limit` at most so many.
    """
    query = sa.select(requests).where(requests.c.prearchive_session_id.is_(None)).order_by(requests.c.id.desc())
    if before is not None:
        query = query.where(requests.c.id < before)
    if viewer is not None:
        login = sa.select(users.c.login).where(users.c.id == viewer).scalar_subquery()
        owned = (memberships.c.user_id == viewer) & (memberships.c.role == "owner")
        projects = sa.select(memberships.c.project_id).where(owned)
        query = query.where((requests.c.username == login) | requests.c.project_id.in_(projects))
    if active:
        query = query.where(requests.c.status.not_in(FINAL))
    return connection.execute(query.limit(limit)).mappings().all()


def active(connection: Connection) -> Sequence[RowMapping]:
    """Return every request that has not ended, oldest first."""
    query = sa.select(requests).where(requests.c.status.not_in(FINAL)).order_by(requests.c.id)
    return connection.execute(query).mappings().all()


def active_of(connection: Connection, same_key: str) -> int | None:
    """Return the oldest request of that key that has not ended, or None."""
    query = sa.select(requests.c.id).where(requests.c.same_key == same_key, requests.c.status.not_in(FINAL))
    return connection.execute(query.order_by(requests.c.id).limit(1)).scalar_one_or_none()


def listed_files(connection: Connection, request_id: int) -> list[bytes]:
    """Return the files that a request names, in byte order."""
    query = sa.select(requested_files.c.source_path).where(requested_files.c.request_id == request_id)
    return sorted(connection.execute(query).scalars())


def update(connection: Connection, request_id: int, **values: Any) -> None:
    """Change a request's row, whoever holds its lease."""
    row = {**values, "updated_at": utc_now()}
    connection.execute(sa.update(requests).where(requests.c.id == request_id).values(row))


def planned_sessions(connection: Connection, request_id: int) -> Sequence[RowMapping]:
    """Return a request's sessions in order, with `accession`, `path` and `timestamp` of those that exist."""
    return plans_of(connection, [request_id])[request_id]


def plans_of(connection: Connection, request_ids: Sequence[int]) -> dict[int, list[RowMapping]]:
    """Return the sessions of each of some requests as `planned_sessions` does."""
    query = (
        sa.select(
            request_sessions,
            sessions.c.accession,
            sessions.c.state.label("session_state"),
            sessions.c.subject_label.label("session_subject"),
            sessions.c.prearchive_timestamp,
            sessions.c.withdrawn_at,
            sessions.c.path.label("session_path"),
        )
        .join_from(request_sessions, sessions, isouter=True)
        .where(request_sessions.c.request_id.in_(request_ids))
        .order_by(request_sessions.c.number)
    )
    found: dict[int, list[RowMapping]] = {request_id: [] for request_id in request_ids}
    for row in connection.execute(query).mappings():
        found[row["request_id"]].append(row)
    return found


def replace_plan(connection: Connection, request_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the sessions that a request has planned but not yet begun to commit."""
    untouched = request_sessions.c.intent_token.is_(None) & request_sessions.c.session_id.is_(None)
    connection.execute(sa.delete(request_sessions).where(request_sessions.c.request_id == request_id, untouched))
    if rows:
        connection.execute(sa.insert(request_sessions), list(rows))


def update_session(connection: Connection, request_id: int, number: int, **values: Any) -> None:
    """Change one planned session of a request."""
    here = (request_sessions.c.request_id == request_id) & (request_sessions.c.number == number)
    connection.execute(sa.update(request_sessions).where(here).values(values))


def by_run(connection: Connection, run_id: str) -> int | None:
    """Return the request whose current attempt is that Dagster run, or None."""
    query = sa.select(requests.c.id).where(requests.c.dagster_run_id == run_id)
    return connection.execute(query).scalar_one_or_none()
