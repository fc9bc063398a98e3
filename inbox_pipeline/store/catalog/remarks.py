"""What people have said of archived sessions and scans, in the catalog.

Belongs here: reading and changing those columns. Does not belong here: which values there may be
(`intake/remarks.py`), who may change them (`services/remarks.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.schema import scans, sessions


def archived_session(connection: Connection, session_id: int) -> RowMapping | None:
    """Return a session if it is archived, else None; nobody else changes it until the transaction ends."""
    here = (sessions.c.id == session_id) & (sessions.c.state == "ARCHIVED")
    return connection.execute(sa.select(sessions).where(here).with_for_update()).mappings().one_or_none()


def scan_of(connection: Connection, session_id: int, label: str) -> RowMapping | None:
    """Return a session's scan, or None."""
    here = (scans.c.session_id == session_id) & (scans.c.label == label)
    return connection.execute(sa.select(scans).where(here).with_for_update()).mappings().one_or_none()


def remark_on_session(connection: Connection, session_id: int, values: Mapping[str, str | None]) -> None:
    """Change what is said of a session."""
    connection.execute(sa.update(sessions).where(sessions.c.id == session_id).values(values))


def remark_on_scan(connection: Connection, scan_id: int, values: Mapping[str, str | None]) -> None:
    """Change what is said of a scan."""
    connection.execute(sa.update(scans).where(scans.c.id == scan_id).values(values))
