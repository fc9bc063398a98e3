"""Projects and their members in the catalog.

Belongs here: the queries on `projects` and `memberships`. Does not belong here: which values are allowed and who may
change them (`services/projects.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.requests import FINAL
from inbox_pipeline.store.catalog.schema import (
    DELETED,
    HANDED_OVER,
    WITHDRAWING,
    WITHDRAWN,
    memberships,
    projects,
    requests,
    sessions,
    subjects,
    sweep_files,
    sweep_folders,
    users,
)
from inbox_pipeline.store.texts import can_hold

_DEFAULTS = {c.name: c.default.arg if isinstance(c.default, sa.ColumnDefault) else None for c in projects.c}


def project_key(project_id: str) -> str:
    """Return the form under which project ids are compared, without case."""
    return project_id.casefold()


def get_project(connection: Connection, project_id: str, *, lock: bool = False) -> RowMapping | None:
    """Return a project's row by its id, matched without case; `lock` keeps others from changing it meanwhile."""
    if not can_hold(project_id):
        return None
    query = sa.select(projects).where(projects.c.id_key == project_key(project_id), projects.c.deleted_at.is_(None))
    return connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()


def all_projects(connection: Connection) -> list[RowMapping]:
    """Return every project's row, in the order of their ids."""
    query = sa.select(projects).where(projects.c.deleted_at.is_(None)).order_by(projects.c.id_key)
    return list(connection.execute(query).mappings())


def add_project(connection: Connection, project_id: str, values: Mapping[str, Any]) -> None:
    """Insert a project, or make one again that was deleted; the columns not in `values` take their defaults."""
    row = {"id": project_id, "id_key": project_key(project_id), "created_at": dt.datetime.now(dt.UTC), **values}
    if was_deleted(connection, project_id):
        connection.execute(sa.update(projects).where(projects.c.id == project_id).values(_DEFAULTS | row))
    else:
        connection.execute(sa.insert(projects).values(row))


def was_deleted(connection: Connection, project_id: str) -> str | None:
    """Return the ID of a deleted project, as it was written, by its id matched without case; None if there is none."""
    here = (projects.c.id_key == project_key(project_id)) & projects.c.deleted_at.is_not(None)
    return connection.execute(sa.select(projects.c.id).where(here)).scalar_one_or_none()


def delete_project(connection: Connection, project_id: str, moment: dt.datetime) -> None:
    """Say that a project is none any more: without members, subjects and what sweeps have seen."""
    connection.execute(sa.update(projects).where(projects.c.id == project_id).values(deleted_at=moment, sweep=False))
    here = (subjects.c.project_id == project_id) & subjects.c.deleted_at.is_(None)
    connection.execute(sa.update(subjects).where(here).values(deleted_at=moment))
    for table in (memberships, sweep_folders, sweep_files):
        connection.execute(sa.delete(table).where(table.c.project_id == project_id))


def is_empty(connection: Connection, project_id: str) -> bool:
    """Return whether a project has no session but in the trash, and no request that has not ended."""
    here = (sessions.c.project_id == project_id) | (sessions.c.moving_to == project_id)
    held = sa.select(sessions.c.id).where(here)
    held = held.where(sessions.c.state.not_in((WITHDRAWING, WITHDRAWN, HANDED_OVER, DELETED)))
    active = sa.select(requests.c.id).where(requests.c.project_id == project_id, requests.c.status.not_in(FINAL))
    return all(connection.execute(query.limit(1)).first() is None for query in (held, active))


def change_project(connection: Connection, project_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of a project."""
    connection.execute(sa.update(projects).where(projects.c.id == project_id).values(dict(values)))


def user_id(connection: Connection, login: str) -> int | None:
    """Return the key of the user with that login, enabled or not."""
    query = sa.select(users.c.id).where(users.c.login == login)
    found = connection.execute(query).scalar_one_or_none() if can_hold(login) else None
    return None if found is None else int(found)


def members(connection: Connection, project_id: str) -> dict[str, str]:
    """Return the roles of a project's members by login."""
    query = (
        sa.select(users.c.login, memberships.c.role)
        .join(users, users.c.id == memberships.c.user_id)
        .where(memberships.c.project_id == project_id)
        .order_by(users.c.login)
    )
    return {row.login: row.role for row in connection.execute(query)}


def roles_of(connection: Connection, user: int) -> dict[str, str]:
    """Return a user's roles by project."""
    query = sa.select(memberships.c.project_id, memberships.c.role).where(memberships.c.user_id == user)
    return {row.project_id: row.role for row in connection.execute(query.order_by(memberships.c.project_id))}


def set_role(connection: Connection, project_id: str, user: int, role: str | None) -> None:
    """Give a user a role in a project, or take the user out (None)."""
    mine = (memberships.c.project_id == project_id) & (memberships.c.user_id == user)
    connection.execute(sa.delete(memberships).where(mine))
    if role is not None:
        connection.execute(sa.insert(memberships).values(project_id=project_id, user_id=user, role=role))
