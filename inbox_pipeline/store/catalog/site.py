"""Site-wide settings by name, and the audit trail.

Belongs here: the `site` and `audit` tables. Does not belong here: what the settings mean.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from inbox_pipeline.store.catalog.engine import insert_if_absent
from inbox_pipeline.store.catalog.schema import audit, site

LAST_LINES = 1000
CLOCK_ACCEPTED = "clock_accepted"


def get_value(connection: Connection, name: str, default: str = "") -> str:
    """Return a site setting, or `default`."""
    value = connection.execute(sa.select(site.c.value).where(site.c.name == name)).scalar_one_or_none()
    return default if value is None else str(value)


def get_values(connection: Connection, defaults: Mapping[str, str]) -> dict[str, str]:
    """Return the site settings that `defaults` names, those not on record as it says."""
    rows = connection.execute(sa.select(site.c.name, site.c.value).where(site.c.name.in_(defaults)))
    return {**defaults, **{row.name: row.value for row in rows}}


def set_value(connection: Connection, name: str, value: str) -> None:
    """Set a site setting."""
    changed = connection.execute(sa.update(site).where(site.c.name == name).values(value=value)).rowcount
    if not changed:
        connection.execute(sa.insert(site).values(name=name, value=value))


def next_number(connection: Connection, name: str) -> int:
    """Count a site-wide counter up by one and return it; the caller's transaction makes it unique."""
    insert_if_absent(connection, site, {"name": name, "value": "0"})
    bumped = (
        sa.update(site)
        .where(site.c.name == name)
        .values(value=sa.cast(sa.cast(site.c.value, sa.BigInteger) + 1, sa.Text))
    )
    connection.execute(bumped)
    return int(get_value(connection, name))


def newest_record(connection: Connection) -> dt.datetime | None:
    """Return the newest time among the last lines of the audit trail, from that on at which the clock was accepted."""
    accepted = int(get_value(connection, CLOCK_ACCEPTED, "0"))
    last = sa.select(audit.c.at).where(audit.c.id >= accepted).order_by(audit.c.id.desc()).limit(LAST_LINES).subquery()
    newest: dt.datetime | None = connection.execute(sa.select(sa.func.max(last.c.at))).scalar_one()
    return newest


def accept_clock(connection: Connection, actor: str) -> None:
    """Note in the audit trail that the clock is right now, whatever times are above that line."""
    record(connection, actor, "site.accept_clock", "site")
    line = connection.execute(sa.select(sa.func.max(audit.c.id))).scalar_one()
    set_value(connection, CLOCK_ACCEPTED, str(line))


def record(connection: Connection, actor: str, action: str, target: str, **detail: Any) -> None:
    """Add a line to the audit trail; `detail` holds ids and settings, never patient values."""
    row = {"at": dt.datetime.now(dt.UTC), "actor": actor, "action": action, "object": target, "detail": detail}
    connection.execute(sa.insert(audit).values(row))
