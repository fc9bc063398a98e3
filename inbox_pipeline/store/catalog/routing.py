"""Administrators' routing expressions in the catalog, every version of them.

Belongs here: the queries on `routing_rules`. Does not belong here: whether rules can be read (`intake/routing.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.schema import routing_rules
from inbox_pipeline.store.catalog.site import next_number


def newest(connection: Connection, target: str) -> RowMapping | None:
    """Return the newest version of the rules for a target, or None."""
    rows = versions(connection, target)
    return rows[0] if rows else None


def versions(connection: Connection, target: str) -> Sequence[RowMapping]:
    """Return every version of the rules for a target, newest first."""
    query = sa.select(routing_rules).where(routing_rules.c.target == target)
    return connection.execute(query.order_by(routing_rules.c.version.desc())).mappings().all()


def get_version(connection: Connection, target: str, version: int) -> RowMapping | None:
    """Return one version of the rules for a target, or None."""
    here = (routing_rules.c.target == target) & (routing_rules.c.version == version)
    return connection.execute(sa.select(routing_rules).where(here)).mappings().one_or_none()


def add_version(connection: Connection, target: str, text: str, enabled: bool, author: str) -> int:
    """Store the next version of the rules for a target and return its number; two writers at once get two numbers."""
    version = next_number(connection, f"{target}_routing_version")
    row = {
        "target": target,
        "version": version,
        "text": text,
        "enabled": enabled,
        "author": author,
        "created_at": dt.datetime.now(dt.UTC),
    }
    connection.execute(sa.insert(routing_rules).values(row))
    return version
