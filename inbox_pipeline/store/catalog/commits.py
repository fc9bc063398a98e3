"""The commit's rows: intent, lock, and the session with its scans and instances (DESIGN section 3, Commit).

Belongs here: the transactions of commit steps 2 and 4. Does not belong here: renames (`store/archive.py`) and the order
of the steps (`services/commit.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.catalog.engine import insert_if_absent, now_seconds
from inbox_pipeline.store.catalog.requests import utc_now
from inbox_pipeline.store.catalog.schema import (
    RESTORING,
    instances,
    request_sessions,
    requests,
    scans,
    session_locks,
    sessions,
    subjects,
)


def archived_sessions(connection: Connection, project_id: str) -> Sequence[RowMapping]:
    """Return a project's archived sessions: id, path, label in its compared form, subject, the request that made it."""
    named = (sessions.c.id, sessions.c.path, sessions.c.label_key, sessions.c.subject_label, sessions.c.request_id)
    query = sa.select(*named).where(sessions.c.project_id == project_id, sessions.c.state == "ARCHIVED")
    return connection.execute(query).mappings().all()


def label_exists(connection: Connection, project_id: str, label: str, but: int | None = None) -> bool:
    """Return whether the project has an archived session of that label, or any project one of that accession id.

    One that is being restored counts, the session `but` does not.
    """
    key = label.casefold()
    here = (sessions.c.project_id == project_id) & (sessions.c.label_key == key)
    accession = sa.func.lower(sessions.c.accession) == key
    there = sessions.c.state.in_(("ARCHIVED", RESTORING))
    query = sa.select(sessions.c.id).where(there).where(here | accession).where(sessions.c.id != (but or 0)).limit(1)
    return connection.execute(query).first() is not None


def timestamp_taken(connection: Connection, project_id: str, timestamp: str) -> bool:
    """Return whether a session of the project, or one about to be committed, has that prearchive timestamp."""
    made = sa.select(sessions.c.id).where(
        sessions.c.project_id == project_id, sessions.c.prearchive_timestamp == timestamp
    )
    coming = sa.select(request_sessions.c.number).where(
        request_sessions.c.project_id == project_id, request_sessions.c.intent_timestamp == timestamp
    )
    return any(connection.execute(query.limit(1)).first() for query in (made, coming))


def take_lock(connection: Connection, project_id: str, label: str, request_id: int) -> bool:
    """Take the lock on (project, session label) for a request; return whether it has it.

    A lock whose owner has no live lease and no intent under that label is taken over: what that owner had begun to
    build is its own, and it takes the lock anew before it goes on. A negative owner is no request: a session or a scan
    that is on its way to or from the trash, which releases the lock in the end whoever dies meanwhile.
    """
    key = {"project_id": project_id, "label_key": label.casefold()}
    insert_if_absent(connection, session_locks, {**key, "request_id": request_id})
    here = (session_locks.c.project_id == project_id) & (session_locks.c.label_key == key["label_key"])
    held = sa.select(session_locks.c.request_id).where(here).with_for_update()
    owner = connection.execute(held).scalar_one_or_none()
    if owner is None:  # released between the two statements, which PostgreSQL lets see different moments
        return False
    if owner != request_id and owner > 0 and _is_abandoned(connection, owner, project_id, key["label_key"]):
        mine = sa.update(session_locks).where(here, session_locks.c.request_id == owner).values(request_id=request_id)
        return connection.execute(mine).rowcount == 1
    return bool(owner == request_id)


def _is_abandoned(connection: Connection, request_id: int, project_id: str, label_key: str) -> bool:
    live = sa.select(requests.c.id).where(requests.c.id == request_id, requests.c.lease_until > now_seconds(connection))
    plans = sa.select(request_sessions.c.session_label).where(
        request_sessions.c.request_id == request_id,
        request_sessions.c.project_id == project_id,
        request_sessions.c.intent_token.is_not(None),
        request_sessions.c.session_id.is_(None),
    )
    intended = {label.casefold() for label in connection.execute(plans).scalars()}
    leaving = _leaves(connection, request_id, project_id, label_key)
    return label_key not in intended and not leaving and connection.execute(live).first() is None


def _leaves(connection: Connection, request_id: int, project_id: str, label_key: str) -> bool:
    """Return whether a request has an open intent to take an archived session away from a label."""
    query = (
        sa.select(sessions.c.id)
        .join_from(requests, sessions, requests.c.prearchive_session_id == sessions.c.id)
        .join(request_sessions, request_sessions.c.request_id == requests.c.id)
        .where(requests.c.id == request_id, sessions.c.state == "ARCHIVED")
        .where(sessions.c.project_id == project_id, sessions.c.label_key == label_key)
        .where(request_sessions.c.intent_token.is_not(None), request_sessions.c.session_id.is_(None))
    )
    return connection.execute(query.limit(1)).first() is not None


def release_lock(connection: Connection, project_id: str, label: str, request_id: int) -> None:
    """Release the lock on (project, session label) if the request has it."""
    connection.execute(
        sa.delete(session_locks).where(
            session_locks.c.project_id == project_id,
            session_locks.c.label_key == label.casefold(),
            session_locks.c.request_id == request_id,
        )
    )


def release_all(connection: Connection, request_id: int) -> None:
    """Release every lock that a request has."""
    connection.execute(sa.delete(session_locks).where(session_locks.c.request_id == request_id))


def find_subject(connection: Connection, project_id: str, name: str) -> RowMapping | None:
    """Return the subject of that label or accession id, matched without case, or None."""
    key = name.casefold()
    query = _subjects(project_id, key).where(subjects.c.deleted_at.is_(None))
    return connection.execute(query).mappings().first()


def _subjects(project_id: str, key: str) -> sa.Select[Any]:
    named = (subjects.c.label_key == key) | (sa.func.lower(subjects.c.accession) == key)
    return sa.select(subjects).where(subjects.c.project_id == project_id, named).order_by(subjects.c.id)


def subject_for(connection: Connection, project_id: str, label: str) -> RowMapping:
    """Return the subject of that label or accession id, created when it is absent, there again if it was deleted.

    Nobody deletes it before the transaction has ended.
    """
    known = connection.execute(_subjects(project_id, label.casefold())).mappings().first()
    if known is not None:
        set_subject_deleted(connection, known["id"], None)
    found = find_subject(connection, project_id, label)
    if found is None:
        number = site_store.next_number(connection, "last_subject")
        prefix = site_store.get_value(connection, "site_prefix", "INBOX")
        row = {"accession": f"{prefix}_S{number:05d}", "project_id": project_id, "label": label}
        insert_if_absent(connection, subjects, {**row, "label_key": label.casefold(), "created_at": utc_now()})
        found = find_subject(connection, project_id, label)
        assert found is not None  # noqa: S101 - inserted above, by this transaction or one that went before
    return found


def set_subject_deleted(connection: Connection, subject_id: int, moment: dt.datetime | None) -> None:
    """Say that a subject is deleted since a moment, or that it is there (None)."""
    connection.execute(sa.update(subjects).where(subjects.c.id == subject_id).values(deleted_at=moment))


def new_accession(connection: Connection) -> str:
    """Return the next accession id for an archived session."""
    number = site_store.next_number(connection, "last_session")
    return f"{site_store.get_value(connection, 'site_prefix', 'INBOX')}_E{number:05d}"


def insert_session(connection: Connection, values: Mapping[str, Any]) -> int:
    """Insert a session and return its id."""
    row = {**values, "label_key": str(values["label"]).casefold(), "created_at": utc_now()}
    key = connection.execute(sa.insert(sessions).values(row)).inserted_primary_key
    return int(key[0]) if key else 0


def insert_scan(connection: Connection, values: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> None:
    """Insert a scan with its instances."""
    key = connection.execute(sa.insert(scans).values(dict(values))).inserted_primary_key
    scan_id = int(key[0]) if key else 0
    connection.execute(
        sa.insert(instances), [{**file, "session_id": values["session_id"], "scan_id": scan_id} for file in files]
    )


def session(connection: Connection, session_id: int) -> RowMapping:
    """Return a session that exists."""
    return connection.execute(sa.select(sessions).where(sessions.c.id == session_id)).mappings().one()
