"""Prearchive sessions as people see them, and the rows that change when one is archived.

Belongs here: reading waiting sessions and their files, their states, the hand-over of their files to an archived
session. Does not belong here: what may be done in which state (`intake/prearchive.py`), the work
(`services/from_prearchive.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.prearchive import MOVING
from inbox_pipeline.store.catalog import relabelled
from inbox_pipeline.store.catalog.requests import FINAL
from inbox_pipeline.store.catalog.schema import (
    DELETED,
    HANDED_OVER,
    RESTORING,
    WITHDRAWING,
    WITHDRAWN,
    instances,
    ledger,
    request_sessions,
    requests,
    scans,
    sessions,
)
from inbox_pipeline.store.texts import can_hold

SOURCE = "prearchive"
"""`source` of the requests that archive a prearchive session."""

_ELSEWHERE = ("ARCHIVED", WITHDRAWING, WITHDRAWN, RESTORING, DELETED, HANDED_OVER)
_WAITING = sessions.c.prearchive_timestamp.is_not(None) & sessions.c.state.not_in(_ELSEWHERE)
_BECAME = (
    "disposition",
    "reason",
    "archived_path",
    "archived_sha256",
    "archived_md5",
    "archived_bytes",
    "staged_name",
    "sop_instance_uid",
    "sop_class_uid",
    "series_uid",
    "study_uid",
    "study_date",
    "study_time",
    "series_description",
    "frames",
    "scan_label",
    "session_id",
)
"""The columns of a ledger row that say what became of its file."""


def waiting(connection: Connection, project_ids: Collection[str] | None = None) -> Sequence[RowMapping]:
    """Return the prearchive sessions of some projects, of all when None, by project, timestamp and label."""
    query = sa.select(sessions).where(_WAITING)
    if project_ids is not None:
        query = query.where(sessions.c.project_id.in_(list(project_ids)))
    by = (sessions.c.project_id, sessions.c.prearchive_timestamp, sessions.c.label)
    return connection.execute(query.order_by(*by)).mappings().all()


def find(connection: Connection, project_id: str, timestamp: str, label: str) -> RowMapping | None:
    """Return the prearchive session at a place, or None."""
    if not can_hold(timestamp, label):
        return None
    here = (sessions.c.project_id == project_id) & (sessions.c.prearchive_timestamp == timestamp)
    query = sa.select(sessions).where(_WAITING, here, sessions.c.label_key == label.casefold())
    return connection.execute(query).mappings().one_or_none()


def get(connection: Connection, session_id: int) -> RowMapping | None:
    """Return a session, wherever it is, or None."""
    return connection.execute(sa.select(sessions).where(sessions.c.id == session_id)).mappings().one_or_none()


def change(connection: Connection, session: RowMapping, **values: Any) -> bool:
    """Change a session's row if it is still in its state; return whether it was."""
    here = (sessions.c.id == session["id"]) & (sessions.c.state == session["state"])
    return connection.execute(sa.update(sessions).where(here).values(values)).rowcount == 1


def plans(connection: Connection, session_id: int) -> Sequence[RowMapping]:
    """Return the planned sessions of the requests that have ended in a session."""
    query = sa.select(request_sessions).where(request_sessions.c.session_id == session_id)
    return connection.execute(query.order_by(request_sessions.c.request_id)).mappings().all()


def files(connection: Connection, session_id: int) -> Sequence[RowMapping]:
    """Return the files of a session by path: the ledger rows that they were imported by, with what they are now."""
    now = (
        instances.c.path,
        instances.c.sop_instance_uid.label("uid"),
        instances.c.sha256,
        instances.c.md5,
        instances.c.bytes.label("size"),
        scans.c.label.label("scan"),
        scans.c.series_uid.label("series"),
    )
    query = (
        sa.select(ledger, *now)
        .join_from(instances, scans, instances.c.scan_id == scans.c.id)
        .join(ledger, instances.c.ledger_id == ledger.c.id)
        .where(instances.c.session_id == session_id)
        .order_by(instances.c.path)
    )
    return connection.execute(query).mappings().all()


def holds_identifiers(connection: Connection, session_id: int) -> bool:
    """Return whether a file of a session, as it is now, still holds one of its patient's identifiers."""
    query = sa.select(ledger.c.id).join_from(instances, ledger, instances.c.ledger_id == ledger.c.id)
    here = (instances.c.session_id == session_id) & (ledger.c.identifiers > 0)
    return connection.execute(query.where(here).limit(1)).first() is not None


def knows_patient(connection: Connection, project_id: str, patient_keys: Collection[str]) -> bool:
    """Return whether a project has a session of one of the patients."""
    here = (sessions.c.project_id == project_id) & (sessions.c.state != DELETED)
    query = sa.select(sessions.c.id).join_from(request_sessions, sessions).where(here)
    of_patient = request_sessions.c.patient_key.in_(list(patient_keys))
    return connection.execute(query.where(of_patient).limit(1)).first() is not None


def moving(connection: Connection) -> Sequence[RowMapping]:
    """Return the sessions that are on their way to another project's prearchive."""
    query = sa.select(sessions).where(sessions.c.state == MOVING).order_by(sessions.c.id)
    return connection.execute(query).mappings().all()


def begin_move(connection: Connection, session: RowMapping, project_id: str) -> bool:
    """Say that a session is on its way to another project; return whether it was still in its state."""
    return change(connection, session, state=MOVING, state_before=session["state"], moving_to=project_id)


def end_move(connection: Connection, session: RowMapping, path: str) -> bool:
    """Let a session be the other project's, and the requests that made it tell so; return if it was on its way."""
    former = [session[name] for name in ("project_id", "subject_label", "label")]
    arrived = {"project_id": session["moving_to"], "path": path, "labelled_as": session["labelled_as"] or former}
    if not change(connection, session, state=session["state_before"], **arrived, **_AT_REST):
        return False
    plans_here = request_sessions.c.session_id == session["id"]
    connection.execute(sa.update(request_sessions).where(plans_here).values(project_id=session["moving_to"]))
    inside = sa.func.substr(ledger.c.archived_path, len(session["path"]) + 1)
    files_here = (ledger.c.session_id == session["id"]) & ledger.c.archived_path.is_not(None)
    connection.execute(sa.update(ledger).where(files_here).values(archived_path=sa.literal(path).concat(inside)))
    return True


def take_move_back(connection: Connection, session: RowMapping, **values: Any) -> bool:
    """Leave a session where it is; return whether it was on its way."""
    return change(connection, session, **{"state": session["state_before"], **values}, **_AT_REST)


_AT_REST = {"state_before": None, "moving_to": None}


def hand_over(connection: Connection, request_id: int, former_id: int, session_id: int) -> list[int]:
    """Let the requests that made a prearchive session have ended in an archived one; return their numbers.

    Their ledger rows say what became of the files, the archived instances lead to those rows, and the prearchive
    session holds nothing any more.

    Args:
        connection: a writing transaction.
        request_id: the request that has archived the session.
        former_id: the prearchive session.
        session_id: the archived session.
    """
    hand_on(connection, request_id, relabelled.makers(connection, former_id))
    makers = [plan["request_id"] for plan in plans(connection, former_id)]
    ended = {"session_id": session_id, "state": "ARCHIVED", "reason": None}
    connection.execute(sa.update(request_sessions).where(request_sessions.c.session_id == former_id).values(ended))
    mine = (sessions.c.id == session_id) & (sessions.c.request_id == request_id)
    connection.execute(sa.update(sessions).where(mine).values(request_id=makers[0]))
    connection.execute(sa.delete(instances).where(instances.c.session_id == former_id))
    connection.execute(sa.delete(scans).where(scans.c.session_id == former_id))
    gone = {"state": HANDED_OVER, "state_before": None}
    connection.execute(sa.update(sessions).where(sessions.c.id == former_id).values(gone))
    return makers


def handed_over(connection: Connection) -> Sequence[RowMapping]:
    """Return the sessions that wait for the trash though the request that archived them, `archived_by`, has ended."""
    query = (
        sa.select(sessions, requests.c.id.label("archived_by"))
        .join_from(sessions, requests, requests.c.prearchive_session_id == sessions.c.id)
        .where(sessions.c.state == HANDED_OVER, requests.c.status.in_(FINAL))
        .order_by(sessions.c.id)
    )
    return connection.execute(query).mappings().all()


def hand_on(connection: Connection, request_id: int, made_by: Mapping[str, int]) -> None:
    """Let the ledger rows by which files were imported say what a later request has made of them.

    The instances that it has written lead to those rows.

    Args:
        connection: a writing transaction.
        request_id: the later request.
        made_by: those ledger rows by the keyed digest of the file's original UID.
    """
    moved = connection.execute(sa.select(ledger).where(ledger.c.request_id == request_id)).mappings().all()
    for row in moved:
        became = {name: row[name] for name in _BECAME}
        first = made_by.get(row["sop_key"])
        connection.execute(sa.update(ledger).where(ledger.c.id == first).values(became))
        connection.execute(sa.update(instances).where(instances.c.ledger_id == row["id"]).values(ledger_id=first))
