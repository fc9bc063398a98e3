"""Leases and attempts: who works on a request, by token and the database's clock (DESIGN section 3).

Belongs here: taking, renewing, checking and releasing a lease, and the record of attempts. Does not belong here: what a
run does with its lease (`services/lease.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.engine import now_seconds
from inbox_pipeline.store.catalog.requests import FINAL, utc_now
from inbox_pipeline.store.catalog.schema import attempts, requests


@dataclass(frozen=True)
class Lease:
    """A request's lease as a run holds it."""

    request_id: int
    attempt: int
    token: str
    run_id: str


def take(connection: Connection, row: RowMapping, run_id: str, owner: str, seconds: float) -> Lease:
    """Take a request's lease for a run: the queued attempt, or a new one after an attempt that began.

    The caller has locked the row's table by a writing transaction and decided that the run may have it.
    """
    attempt = row["attempt"] if _unbegun(connection, row) else row["attempt"] + 1
    token = secrets.token_hex(8)
    values = {
        "attempt": attempt,
        "status": "Accepted",
        "phase": "accepted",
        "outcome": None,
        "reason": None,
        "verdict": None,
        "resolution": None,
        "finished_at": None,
        "lease_token": token,
        "lease_until": now_seconds(connection) + seconds,
        "lease_owner": owner,
        "dagster_run_id": run_id,
        "updated_at": utc_now(),
    }
    connection.execute(sa.update(requests).where(requests.c.id == row["id"]).values(values))
    _end_open_attempts(connection, row["id"], "superseded")
    begun = {"request_id": row["id"], "attempt": attempt, "dagster_run_id": run_id, "token": token}
    connection.execute(sa.insert(attempts).values(**begun, started_at=utc_now()))
    return Lease(row["id"], attempt, token, run_id)


def renew(connection: Connection, lease: Lease, seconds: float) -> RowMapping | None:
    """Push the lease's end out and return the request's row, or None when the lease is another's."""
    mine = _mine(lease)
    until = now_seconds(connection) + seconds
    connection.execute(sa.update(requests).where(mine).values(lease_until=until))
    return connection.execute(sa.select(requests).where(mine)).mappings().one_or_none()


def update_held(connection: Connection, lease: Lease, **values: Any) -> bool:
    """Change a request's row only if the lease is still held; return whether it was."""
    row = {**values, "updated_at": utc_now()}
    return connection.execute(sa.update(requests).where(_mine(lease)).values(row)).rowcount == 1


def count_durable(connection: Connection, lease: Lease, files: int) -> None:
    """Add to the number of files that an attempt has made durable."""
    here = (attempts.c.request_id == lease.request_id) & (attempts.c.attempt == lease.attempt)
    connection.execute(sa.update(attempts).where(here).values(durable_files=attempts.c.durable_files + files))


def note_death(connection: Connection, request_id: int, token: str, path_digest: str) -> None:
    """Note at which file the worker of an attempt died; noting it again changes nothing."""
    here = (attempts.c.request_id == request_id) & (attempts.c.token == token)
    connection.execute(sa.update(attempts).where(here).values(died_at=path_digest))


def deadly_files(connection: Connection, request_id: int, deaths: int) -> set[str]:
    """Return the path digests of the files at which that many workers or more have died."""
    here = (attempts.c.request_id == request_id) & attempts.c.died_at.is_not(None)
    query = sa.select(attempts.c.died_at).where(here).group_by(attempts.c.died_at)
    return set(connection.execute(query.having(sa.func.count() >= deaths)).scalars())


def forget_deaths(connection: Connection, request_id: int) -> None:
    """Give every file of a request another chance."""
    connection.execute(sa.update(attempts).where(attempts.c.request_id == request_id).values(died_at=None))


def ended_alike(connection: Connection, request_id: int, end_reason: str) -> int:
    """Return how many of the latest attempts in a row ended for a reason and made no file durable."""
    ended = attempts.c.ended_at.is_not(None) & (attempts.c.request_id == request_id)
    query = sa.select(attempts.c.end_reason, attempts.c.durable_files).where(ended)
    rows = connection.execute(query.order_by(attempts.c.attempt.desc())).all()
    alike = takewhile(lambda row: row.end_reason == end_reason and not row.durable_files, rows)
    return sum(1 for _ in alike)


def release(connection: Connection, request_id: int, end_reason: str) -> None:
    """End the current attempt and give the lease back."""
    _end_open_attempts(connection, request_id, end_reason)
    free = {"lease_token": None, "lease_until": None, "lease_owner": None}
    connection.execute(sa.update(requests).where(requests.c.id == request_id).values(free))


def held(connection: Connection, row: RowMapping) -> bool:
    """Return whether a live run holds the request's lease."""
    return row["lease_until"] is not None and row["lease_until"] > now_seconds(connection)


def is_former_run(connection: Connection, request_id: int, run_id: str) -> bool:
    """Return whether a run was an earlier attempt of the request and has been replaced."""
    here = (attempts.c.request_id == request_id) & (attempts.c.dagster_run_id == run_id)
    return connection.execute(sa.select(attempts.c.attempt).where(here)).first() is not None


def leased(connection: Connection) -> Sequence[RowMapping]:
    """Return the requests that have a lease, live or expired."""
    query = sa.select(requests).where(requests.c.lease_token.is_not(None), requests.c.status.not_in(FINAL))
    return connection.execute(query).mappings().all()


def _mine(lease: Lease) -> sa.ColumnElement[bool]:
    return (requests.c.id == lease.request_id) & (requests.c.lease_token == lease.token)


def _unbegun(connection: Connection, row: RowMapping) -> bool:
    here = (attempts.c.request_id == row["id"]) & (attempts.c.attempt == row["attempt"])
    return connection.execute(sa.select(attempts.c.attempt).where(here)).first() is None


def _end_open_attempts(connection: Connection, request_id: int, end_reason: str) -> None:
    unended = (attempts.c.request_id == request_id) & attempts.c.ended_at.is_(None)
    connection.execute(sa.update(attempts).where(unended).values(ended_at=utc_now(), end_reason=end_reason))
