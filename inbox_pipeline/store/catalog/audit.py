"""Reading the audit trail.

Belongs here: queries on `audit`. Does not belong here: adding a line (`site.py`), and who may read them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from inbox_pipeline.store.catalog.schema import audit


def lines(
    connection: Connection,
    limit: int,
    before: int | None,
    exact: dict[str, str],
    action: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
) -> Sequence[sa.Row[Any]]:
    """Return the newest lines first, at most `limit` of those with ids below `before`.

    Args:
        exact: columns by the value that they must have.
        action: an action, or the part of actions before their dot.
        since: the earliest time.
        until: the time before which they were written.
    """
    query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
    query = query.where(*(audit.c[name] == value for name, value in exact.items()))
    if before is not None:
        query = query.where(audit.c.id < before)
    if action is not None:
        query = query.where((audit.c.action == action) | audit.c.action.startswith(f"{action}.", autoescape=True))
    if since is not None:
        query = query.where(audit.c.at >= since)
    if until is not None:
        query = query.where(audit.c.at < until)
    return connection.execute(query).all()
