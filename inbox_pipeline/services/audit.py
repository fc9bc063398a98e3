"""The audit trail as administrators read it: who did what, when.

Belongs here: choosing lines and their members. Does not belong here: writing them, which the change itself does in its
own transaction (`store/catalog/site.py`), and who may read them (`web`, `cli`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import audit as store

MOST_LINES = 1000


@dataclass(frozen=True)
class Wanted:
    """Which lines are wanted; None leaves a member open.

    Args:
        actor: the login of the person, `cli:<name>` for a terminal, `system`, or `(unknown)` for a failed log-in.
        action: an action (`user.create`), or all that begin with a word (`user`).
        target: what was changed: a login, a project's ID, a request's number, `site`.
        since: earliest time, aware.
        until: the time before which, aware.
        before: the id below which: the last one of the page that was read before.
        limit: how many lines at most, up to 1,000.
    """

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    before: int | None = None
    limit: int = 100


def read_audit(site: Site, wanted: Wanted) -> list[dict[str, Any]]:
    """Return lines of the audit trail, newest first; `at` is ISO 8601 in UTC."""
    named = {"actor": wanted.actor, "object": wanted.target}
    exact = {name: value for name, value in named.items() if value is not None}
    with site.catalog.read() as connection:
        rows = store.lines(connection, wanted.limit, wanted.before, exact, wanted.action, wanted.since, wanted.until)
    return [_line(row) for row in rows]


def _line(row: Any) -> dict[str, Any]:
    members = ("id", "actor", "action", "object", "detail")
    return {"at": row.at.isoformat()} | {name: getattr(row, name) for name in members}
