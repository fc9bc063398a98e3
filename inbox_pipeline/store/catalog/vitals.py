"""What an operator watches: heartbeats of the processes that must be alive, and counts of requests and files.

Belongs here: heartbeats as rows of the `site` table, counts over whole tables. Does not belong here: when a heartbeat
is too old (`services/health.py`).
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from inbox_pipeline.store.catalog.engine import now_seconds
from inbox_pipeline.store.catalog.schema import ledger, requests, site
from inbox_pipeline.store.catalog.site import set_value

PREFIX = "heartbeat:"


def write_heartbeat(connection: Connection, name: str) -> None:
    """Record that the process of that name is alive, by the database's clock."""
    set_value(connection, PREFIX + name, f"{now_seconds(connection):.3f}")


def heartbeat_ages(connection: Connection) -> dict[str, float]:
    """Return the seconds since each process's last heartbeat, by name."""
    now = now_seconds(connection)
    statement = sa.select(site.c.name, site.c.value).where(site.c.name.startswith(PREFIX, autoescape=True))
    return {row.name.removeprefix(PREFIX): now - float(row.value) for row in connection.execute(statement)}


def requests_by_status(connection: Connection) -> dict[str, int]:
    """Return how many requests have each status."""
    statement = sa.select(requests.c.status, sa.func.count()).group_by(requests.c.status)
    return {str(status): int(count) for status, count in connection.execute(statement)}


def files_by_disposition(connection: Connection) -> dict[str, int]:
    """Return how many rows of the ledger have each disposition."""
    statement = sa.select(ledger.c.disposition, sa.func.count()).group_by(ledger.c.disposition)
    return {str(disposition): int(count) for disposition, count in connection.execute(statement)}
