"""The rows that change when an archived session or a subject gets another label, subject or project.

Belongs here: requests that do so, and their statements. Does not belong here: the files (`services/relabelling.py`),
who may ask (`services/relabel.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.requests import FINAL
from inbox_pipeline.store.catalog.schema import instances, request_sessions, requests, scans, sessions, subjects

SOURCE = "relabel"
"""`source` of the requests that give an archived session another label, subject or project."""


def unfinished(connection: Connection, session_id: int) -> bool:
    """Return whether a request that is about a session has not ended."""
    here = (requests.c.prearchive_session_id == session_id) & requests.c.status.not_in(FINAL)
    return connection.execute(sa.select(requests.c.id).where(here).limit(1)).first() is not None


def former_places(connection: Connection) -> list[bytes]:
    """Return the paths at which requests that have not ended may leave a session's former folder for a moment."""
    here = (requests.c.source == SOURCE) & requests.c.status.not_in(FINAL)
    return list(connection.execute(sa.select(requests.c.source_path).where(here)).scalars())


def sessions_of(connection: Connection, subject_id: int) -> Sequence[RowMapping]:
    """Return the archived sessions of a subject."""
    here = (sessions.c.subject_id == subject_id) & (sessions.c.state == "ARCHIVED")
    return connection.execute(sa.select(sessions).where(here).order_by(sessions.c.id)).mappings().all()


def rename_subject(connection: Connection, subject_id: int, label: str) -> None:
    """Give a subject another label; its sessions follow one by one."""
    values = {"label": label, "label_key": label.casefold()}
    connection.execute(sa.update(subjects).where(subjects.c.id == subject_id).values(values))


def makers(connection: Connection, session_id: int) -> dict[str, int]:
    """Return the ledger rows by which a session's files were imported, by the keyed digest of the original UID."""
    query = sa.select(instances.c.sop_key, instances.c.ledger_id).where(instances.c.session_id == session_id)
    return {row.sop_key: row.ledger_id for row in connection.execute(query)}


def remove_instances(connection: Connection, session_id: int) -> None:
    """Remove the instances of a session, before those of its next generation come."""
    connection.execute(sa.delete(instances).where(instances.c.session_id == session_id))


def update_scan(connection: Connection, scan_id: int, **values: Any) -> None:
    """Change a scan's row."""
    connection.execute(sa.update(scans).where(scans.c.id == scan_id).values(values))


def rename_session(connection: Connection, session_id: int, values: Mapping[str, Any]) -> None:
    """Give a session its new labels and place, and let the requests that made it tell of it by them.

    Args:
        connection: a writing transaction.
        session_id: the session.
        values: its columns, `project_id`, `subject_label` and `label` among them.
    """
    row = {**values, "label_key": str(values["label"]).casefold(), "labelled_as": None}
    connection.execute(sa.update(sessions).where(sessions.c.id == session_id).values(row))
    labels = {
        "project_id": values["project_id"],
        "subject_label": values["subject_label"],
        "session_label": values["label"],
    }
    here = request_sessions.c.session_id == session_id
    connection.execute(sa.update(request_sessions).where(here).values(labels))
