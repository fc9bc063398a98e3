"""The archive as people browse it: projects, subjects, sessions, scans and files, a page at a time.

Belongs here: reading archived rows with filters, order and page in SQL, and finding one by name; the scans and files of
any session. Does not belong here: which sessions are in the prearchive or withdrawn (`prearchive.py`,
`withdrawals.py`), and the columns of XNAT's lists (`web`).

`reader` is always the key of the user who asks, to whom only projects of which that user is a member are shown, or None
for one who may read every project.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.sql import ColumnElement, Select

from inbox_pipeline.intake.remarks import USABLE
from inbox_pipeline.store.catalog.conditions import Condition, holds, like
from inbox_pipeline.store.catalog.schema import instances, memberships, projects, scans, sessions, subjects, users
from inbox_pipeline.store.texts import can_hold

Fields = Mapping[str, ColumnElement[Any]]


@dataclass(frozen=True)
class Wanted:
    """Which rows of a list are wanted.

    `patterns` are alternatives by field, compared without case, in which `*` and `%` stand for any text; `days` are the
    first and the last date of sessions; `condition` is what else must hold; `order` are fields, with `-` before those
    that descend.
    """

    patterns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    days: tuple[dt.date, dt.date] | None = None
    order: Sequence[str] = ()
    limit: int | None = None
    offset: int = 0
    condition: Condition | None = None


@dataclass(frozen=True)
class Page:
    """Rows of a list, and how many match on all its pages."""

    rows: Sequence[RowMapping]
    total: int


_TOTAL = "total"
PROJECT_FIELDS: Fields = {"id": projects.c.id, "title": projects.c.title, "created_at": projects.c.created_at}
SUBJECT_FIELDS: Fields = {
    "accession": subjects.c.accession,
    "label": subjects.c.label,
    "project_id": subjects.c.project_id,
    "created_at": subjects.c.created_at,
}
SESSION_FIELDS: Fields = {
    "accession": sessions.c.accession,
    "label": sessions.c.label,
    "project_id": sessions.c.project_id,
    "subject_accession": subjects.c.accession,
    "subject_label": subjects.c.label,
    "xsi_type": sessions.c.xsi_type,
    "modality": sessions.c.modality,
    "study_uid": sessions.c.study_uid,
    "date": sessions.c.date,
    "time": sessions.c.time,
    "note": sessions.c.note,
    "username": sessions.c.username,
    "created_at": sessions.c.created_at,
}
SCAN_FIELDS: Fields = {
    "label": scans.c.label,
    "type": scans.c.type,
    "series_description": scans.c.series_description,
    "xsi_type": scans.c.xsi_type,
    "modality": scans.c.modality,
    "series_uid": scans.c.series_uid,
    "frames": scans.c.frames,
    "quality": sa.func.coalesce(scans.c.quality, USABLE),
    "note": scans.c.note,
}
FILE_FIELDS: Fields = {"path": instances.c.path, "bytes": instances.c.bytes, "md5": instances.c.md5}

_SCANS_IN_ORDER = (sa.func.length(scans.c.label), scans.c.label)
"""Numbers in their order, since longer ones are larger."""


def projects_seen(connection: Connection, reader: int | None, wanted: Wanted) -> Page:
    """Return projects."""
    query = sa.select(projects).where(projects.c.deleted_at.is_(None), _readable(reader, projects.c.id))
    return _page(connection, query, PROJECT_FIELDS, wanted, projects.c.id_key)


def subjects_seen(connection: Connection, reader: int | None, project_id: str | None, wanted: Wanted) -> Page:
    """Return the subjects of a project, or of all of them (None)."""
    return _page(connection, _subjects(reader, project_id), SUBJECT_FIELDS, wanted, subjects.c.id)


def sessions_seen(
    connection: Connection, reader: int | None, project_id: str | None, subject_id: int | None, wanted: Wanted
) -> Page:
    """Return the archived sessions of a project and subject, or of all of them (None)."""
    return _page(connection, _sessions(reader, project_id, subject_id), SESSION_FIELDS, wanted, sessions.c.id)


def session_scans_seen(
    connection: Connection, reader: int | None, project_id: str | None, subject_id: int | None, wanted: Wanted
) -> Page:
    """Return a row for each scan of such sessions, in which the scan's columns begin with `scan_`."""
    columns = [scans.c[name].label(f"scan_{name}") for name in ("id", "files", *SCAN_FIELDS)]
    query = _sessions(reader, project_id, subject_id).join(scans, scans.c.session_id == sessions.c.id)
    return _page(connection, query.add_columns(*columns), SESSION_FIELDS, wanted, sessions.c.id, *_SCANS_IN_ORDER)


def scans_seen(connection: Connection, session_id: int, wanted: Wanted) -> Page:
    """Return the scans of a session, by number."""
    query = sa.select(scans).where(scans.c.session_id == session_id)
    return _page(connection, query, SCAN_FIELDS, wanted, *_SCANS_IN_ORDER)


def files_seen(connection: Connection, session_id: int, scan_ids: Sequence[int], wanted: Wanted) -> Page:
    """Return the files of some scans of a session by scan and path, with `scan_label` and `scan_type`."""
    columns = (instances, scans.c.label.label("scan_label"), scans.c.type.label("scan_type"))
    query = sa.select(*columns).join_from(instances, scans, instances.c.scan_id == scans.c.id)
    query = query.where(instances.c.session_id == session_id, instances.c.scan_id.in_(scan_ids))
    return _page(connection, query, FILE_FIELDS, wanted, *_SCANS_IN_ORDER, instances.c.path)


def find_subjects(
    connection: Connection, reader: int | None, project_id: str | None, name: str
) -> Sequence[RowMapping]:
    """Return the subject of an accession id, or those of a label; matched without case."""
    query = _subjects(reader, project_id)
    return _named(connection, query, subjects.c.accession, subjects.c.label_key, name)


def find_sessions(
    connection: Connection, reader: int | None, project_id: str | None, subject_id: int | None, name: str
) -> Sequence[RowMapping]:
    """Return the archived session of an accession id, or those of a label; matched without case."""
    query = _sessions(reader, project_id, subject_id)
    return _named(connection, query, sessions.c.accession, sessions.c.label_key, name)


def session_types(connection: Connection, reader: int | None) -> dict[tuple[str, str], int]:
    """Return how many archived sessions there are, by project and type."""
    seen = _sessions(reader, None, None).subquery()
    query = sa.select(seen.c.project_id, seen.c.xsi_type, sa.func.count()).group_by(seen.c.project_id, seen.c.xsi_type)
    return {(project_id, xsi_type): int(n) for project_id, xsi_type, n in connection.execute(query)}


def owners_seen(connection: Connection, reader: int | None) -> dict[str, list[str]]:
    """Return the logins of projects' owners, in order, by project."""
    query = sa.select(memberships.c.project_id, users.c.login).join(users, users.c.id == memberships.c.user_id)
    query = query.where(memberships.c.role == "owner", _readable(reader, memberships.c.project_id))
    owners: dict[str, list[str]] = {}
    for project_id, login in connection.execute(query.order_by(users.c.login)):
        owners.setdefault(project_id, []).append(login)
    return owners


def _readable(reader: int | None, project_id: ColumnElement[Any]) -> ColumnElement[bool]:
    if reader is None:
        return sa.true()
    return project_id.in_(sa.select(memberships.c.project_id).where(memberships.c.user_id == reader))


def _subjects(reader: int | None, project_id: str | None) -> Select[Any]:
    query = sa.select(subjects).where(subjects.c.deleted_at.is_(None), _readable(reader, subjects.c.project_id))
    return query if project_id is None else query.where(subjects.c.project_id == project_id)


def _sessions(reader: int | None, project_id: str | None, subject_id: int | None) -> Select[Any]:
    query = (
        sa.select(sessions, subjects.c.accession.label("subject_accession"))
        .join_from(sessions, subjects, sessions.c.subject_id == subjects.c.id)
        .where(sessions.c.state == "ARCHIVED", _readable(reader, sessions.c.project_id))
    )
    if project_id is not None:
        query = query.where(sessions.c.project_id == project_id)
    return query if subject_id is None else query.where(sessions.c.subject_id == subject_id)


def _named(
    connection: Connection, query: Select[Any], accession: ColumnElement[str], label_key: ColumnElement[str], name: str
) -> Sequence[RowMapping]:
    if not can_hold(name):
        return []
    key = name.casefold()
    found = connection.execute(query.where((sa.func.lower(accession) == key) | (label_key == key))).mappings().all()
    exact = [row for row in found if row["accession"].casefold() == key]
    return exact or found


def _page(connection: Connection, query: Select[Any], fields: Fields, wanted: Wanted, *key: ColumnElement[Any]) -> Page:
    query = query.where(*(_like(fields[name], patterns) for name, patterns in wanted.patterns.items()))
    if wanted.days is not None:
        query = query.where(fields["date"].between(*wanted.days))
    if wanted.condition is not None:
        query = query.where(holds(fields, wanted.condition))
    ordered = query.order_by(*(_ordering(fields, name) for name in wanted.order), *key)
    rows = connection.execute(ordered.limit(wanted.limit).offset(wanted.offset or None)).mappings().all()
    if wanted.limit is None and not wanted.offset:
        return Page(rows, len(rows))
    counted = sa.select(sa.func.count().label(_TOTAL)).select_from(query.subquery())
    return Page(rows, int(connection.execute(counted).scalar_one()))


def _ordering(fields: Fields, name: str) -> ColumnElement[Any]:
    column = fields[name.removeprefix("-")]
    return column.desc() if name.startswith("-") else column.asc()


def _like(column: ColumnElement[Any], patterns: Sequence[str]) -> ColumnElement[bool]:
    return sa.or_(sa.false(), *(like(column, each) for each in patterns))
