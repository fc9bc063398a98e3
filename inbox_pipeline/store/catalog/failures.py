"""Runs of failed log-ins in the catalog.

Belongs here: queries on `login_failures`. Does not belong here: how many failures are too many
(`services/throttle.py`), and whose they are: a key is a digest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from inbox_pipeline.store.catalog.engine import insert_if_absent
from inbox_pipeline.store.catalog.schema import login_failures as runs


def of_keys(connection: Connection, keys: Collection[str]) -> dict[str, sa.Row[Any]]:
    """Return the runs of these keys, over or not."""
    rows = connection.execute(sa.select(runs).where(runs.c.key.in_(keys)))
    return {row.key: row for row in rows}


def forget_ended(connection: Connection, began_before: dt.datetime, now: dt.datetime) -> None:
    """Remove the runs that are over: begun before that time, and not blocked any more."""
    connection.execute(sa.delete(runs).where(runs.c.began_at <= began_before, runs.c.blocked_until <= now))


def count_failure(connection: Connection, key: str, now: dt.datetime) -> int:
    """Add a failure to a key's run, begun now if there is none, and return how many the run has."""
    insert_if_absent(connection, runs, {"key": key, "failures": 0, "began_at": now, "blocked_until": now})
    connection.execute(sa.update(runs).where(runs.c.key == key).values(failures=runs.c.failures + 1))
    return int(connection.execute(sa.select(runs.c.failures).where(runs.c.key == key)).scalar_one())


def block(connection: Connection, key: str, until: dt.datetime) -> None:
    """Refuse a key until that time."""
    connection.execute(sa.update(runs).where(runs.c.key == key).values(blocked_until=until))


def take_off(connection: Connection, key: str, failures: int) -> None:
    """Take failures off a key's run that turned out to be a person's who knows the password."""
    left = sa.case((runs.c.failures > failures, runs.c.failures - failures), else_=0)
    connection.execute(sa.update(runs).where(runs.c.key == key).values(failures=left))


def forget(connection: Connection, key: str) -> bool:
    """End a key's run; returns whether there was one."""
    return connection.execute(sa.delete(runs).where(runs.c.key == key)).rowcount > 0
