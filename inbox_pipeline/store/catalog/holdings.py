"""What the archive and prearchive should hold, as the catalog has it.

Belongs here: reading sessions and instances for verification, and what it found. Does not belong here: the trees on
disk (`store/archive.py`) and the comparison (`services/verify.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.prearchive import MOVING
from inbox_pipeline.store.catalog.schema import (
    DELETED,
    HANDED_OVER,
    RESTORING,
    WITHDRAWING,
    UtcDateTime,
    instances,
    request_sessions,
    scans,
    sessions,
)

_NOWHERE = (WITHDRAWING, RESTORING, HANDED_OVER, DELETED)
_KNOWN_AT = sa.func.coalesce(sessions.c.read_at, sessions.c.created_at)
"""When a session was last read, or arrived."""


def kept_sessions(connection: Connection, project_id: str | None) -> list[RowMapping]:
    """Return the sessions of a project, or of all (None): archived, in the prearchive, on their way, withdrawn."""
    query = sa.select(sessions).where(sessions.c.state != DELETED).order_by(sessions.c.project_id, sessions.c.path)
    if project_id is not None:
        query = query.where((sessions.c.project_id == project_id) | (sessions.c.moving_to == project_id))
    return list(connection.execute(query).mappings())


def instance_digests(connection: Connection, session_id: int) -> dict[str, str]:
    """Return the SHA-256 of each instance of a session by its path relative to the session's folder."""
    query = sa.select(instances.c.path, instances.c.sha256).where(instances.c.session_id == session_id)
    return {row.path: row.sha256 for row in connection.execute(query)}


def total_bytes(connection: Connection) -> int:
    """Return the size of all that is kept, in bytes."""
    query = sa.select(sa.func.coalesce(sa.func.sum(scans.c.bytes), 0)).join_from(scans, sessions)
    return int(connection.execute(query.where(sessions.c.state.not_in(_NOWHERE))).scalar_one())


def longest_unread(connection: Connection, before: dt.datetime) -> list[RowMapping]:
    """Return the sessions that were not read since a moment, the one longest unread first; none that is on its way."""
    unread = sessions.c.read_at.is_(None) | (sessions.c.read_at < before)
    query = sa.select(sessions).where(unread, sessions.c.state.not_in((*_NOWHERE, MOVING)))
    return list(connection.execute(query.order_by(_KNOWN_AT, sessions.c.id)).mappings())


def note_reading(
    connection: Connection, session: RowMapping, moment: dt.datetime, damage: Sequence[Mapping[str, str]]
) -> bool:
    """Keep when a session was read and what was found; return False, changing nothing, if it has changed meanwhile."""
    if not unchanged(connection, session):
        return False
    values = {"read_at": moment, "damage": list(damage) or None}
    connection.execute(sa.update(sessions).where(sessions.c.id == session["id"]).values(values))
    return True


def readings(connection: Connection) -> tuple[int, dt.datetime | None]:
    """Return how many sessions were damaged when they were last read, and since when the longest unread one is so."""
    kept = sessions.c.state.not_in(_NOWHERE)
    damaged = sa.select(sa.func.count()).where(kept, sessions.c.damage.is_not(None))
    oldest = sa.select(sa.type_coerce(sa.func.min(_KNOWN_AT), UtcDateTime)).where(kept)
    return int(connection.execute(damaged).scalar_one()), connection.execute(oldest).scalar_one()


def unchanged(connection: Connection, session: RowMapping) -> bool:
    """Return whether a session is still in the place and generation of its row, and no commit is about to change it."""
    columns = (sessions.c.manifest_digest, sessions.c.state, sessions.c.path)
    now = connection.execute(sa.select(*columns).where(sessions.c.id == session["id"])).mappings().one_or_none()
    same = now is not None and all(now[name] == session[name] for name in now)
    return same and session["path"] not in coming_targets(connection)


def is_place_known(connection: Connection, path: str) -> bool:
    """Return whether a session lies at a place in the archive, or is about to be shown there."""
    here = (sessions.c.path == path) & (sessions.c.state == "ARCHIVED")
    there = connection.execute(sa.select(sessions.c.id).where(here).limit(1)).first()
    return there is not None or path in coming_targets(connection)


def coming_targets(connection: Connection) -> set[str]:
    """Return the places at which a commit is about to show a session or a new generation of one, or to or from which a
    scan is on its way.
    """
    coming = request_sessions.c.intent_token.is_not(None) & request_sessions.c.session_id.is_(None)
    part = sessions.alias("part")
    on_its_way = (part.c.part_of > 0) & part.c.state.in_((WITHDRAWING, RESTORING))
    query = sa.union_all(
        sa.select(request_sessions.c.intent_target).where(coming),
        sa.select(sessions.c.path).join_from(part, sessions, part.c.part_of == sessions.c.id).where(on_its_way),
    )
    return {str(target) for target in connection.execute(query).scalars()}
