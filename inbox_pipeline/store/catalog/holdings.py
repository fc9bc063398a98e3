"""What the archive and prearchive should hold, as the catalog has it.

Belongs here: reading sessions and instances for verification. Does not belong here: the trees on disk
(`store/archive.py`) and the comparison (`services/verify.py`).
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.schema import DELETED, instances, request_sessions, sessions


def kept_sessions(connection: Connection, project_id: str | None) -> list[RowMapping]:
    """Return the sessions of a project, or all of them (None), archived, in the prearchive and withdrawn."""
    query = sa.select(sessions).where(sessions.c.state != DELETED).order_by(sessions.c.project_id, sessions.c.path)
    if project_id is not None:
        query = query.where(sessions.c.project_id == project_id)
    return list(connection.execute(query).mappings())


def instance_digests(connection: Connection, session_id: int) -> dict[str, str]:
    """Return the SHA-256 of each instance of a session by its path relative to the session's folder."""
    query = sa.select(instances.c.path, instances.c.sha256).where(instances.c.session_id == session_id)
    return {row.path: row.sha256 for row in connection.execute(query)}


def unchanged(connection: Connection, session: RowMapping) -> bool:
    """Return whether a session is still in the place and generation of its row, and no commit is about to change it."""
    columns = (sessions.c.manifest_digest, sessions.c.state, sessions.c.path)
    now = connection.execute(sa.select(*columns).where(sessions.c.id == session["id"])).mappings().one_or_none()
    same = now is not None and all(now[name] == session[name] for name in now)
    return same and session["path"] not in coming_targets(connection)


def coming_targets(connection: Connection) -> set[str]:
    """Return the places at which a commit is about to show a session or a new generation of one."""
    coming = request_sessions.c.intent_token.is_not(None) & request_sessions.c.session_id.is_(None)
    query = sa.select(request_sessions.c.intent_target).where(coming)
    return {str(target) for target in connection.execute(query).scalars()}
