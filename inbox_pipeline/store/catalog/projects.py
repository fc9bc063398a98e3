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

from inbox_pipeline.store.catalog.schema import memberships, projects, users
from inbox_pipeline.store.texts import can_hold


def project_key(project_id: str) -> str:
    """Return the form under which project ids are compared, without case."""
    return project_id.casefold()


def get_project(connection: Connection, project_id: str, *, lock: bool = False) -> RowMapping | None:
    """Return a project's row by its id, matched without case; `lock` keeps others from changing it meanwhile."""
    if not can_hold(project_id):
        return None
    query = sa.select(projects).where(projects.c.id_key == project_key(project_id))
    return connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()


def all_projects(connection: Connection) -> list[RowMapping]:
    """Return every project's row, in the order of their ids."""
    return list(connection.execute(sa.select(projects).order_by(projects.c.id_key)).mappings())


def add_project(connection: Connection, project_id: str, values: Mapping[str, Any]) -> None:
    """Insert a project; the columns not in `values` take their defaults."""
    row = {"id": project_id, "id_key": project_key(project_id), "created_at": dt.datetime.now(dt.UTC), **values}
    connection.execute(sa.insert(projects).values(row))


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
