"""Anonymization scripts in the catalog with their lookup tables, every version of them.

Belongs here: the queries on `scripts`. Does not belong here: whether a script compiles and whether it is switched on
(`services/scripts.py`).
"""

from __future__ import annotations

import datetime as dt
import hashlib

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.projects import get_project
from inbox_pipeline.store.catalog.schema import scripts
from inbox_pipeline.store.catalog.site import next_number

SITE_COUNTER = "site_script_version"
_ABOUT = (
    scripts.c.id,
    scripts.c.project_id,
    scripts.c.version,
    scripts.c.digest,
    scripts.c.author,
    scripts.c.created_at,
    (scripts.c.text == "").label("removed"),
    scripts.c.lookup.is_not(None).label("has_lookup"),
)
_WHOLE = (*_ABOUT, scripts.c.text, scripts.c.lookup)


def text_digest(text: str, lookup: str | None = None) -> str:
    """Return the SHA-256 of a script's text, in hexadecimal digits; a lookup table follows it after a NUL."""
    content = text if lookup is None else f"{text}\0{lookup}"
    return hashlib.sha256(content.encode("utf-8")).hexdigest()


def newest(connection: Connection, project_id: str | None) -> RowMapping | None:
    """Return the newest version of a project's script, or of the site's (None)."""
    query = sa.select(*_WHOLE).where(_of(project_id)).order_by(scripts.c.version.desc()).limit(1)
    return connection.execute(query).mappings().one_or_none()


def by_id(connection: Connection, script_id: int) -> RowMapping | None:
    """Return one version of a script, or None."""
    return connection.execute(sa.select(scripts).where(scripts.c.id == script_id)).mappings().one_or_none()


def versions(connection: Connection, project_id: str | None) -> list[RowMapping]:
    """Return every version of a project's script, or of the site's (None), newest first and without their texts."""
    query = sa.select(*_ABOUT).where(_of(project_id)).order_by(scripts.c.version.desc())
    return list(connection.execute(query).mappings())


def get_version(connection: Connection, project_id: str | None, version: int) -> RowMapping | None:
    """Return one version of a project's script, or of the site's (None)."""
    query = sa.select(*_WHOLE).where(_of(project_id) & (scripts.c.version == version))
    return connection.execute(query).mappings().one_or_none()


def add_version(
    connection: Connection, project_id: str | None, text: str, author: str, lookup: str | None = None
) -> RowMapping:
    """Store the next version of a script and return its row."""
    row = {
        "project_id": project_id,
        "version": _next_version(connection, project_id),
        "digest": text_digest(text, lookup),
        "text": text,
        "lookup": lookup,
        "author": author,
        "created_at": dt.datetime.now(dt.UTC),
    }
    connection.execute(sa.insert(scripts).values(row))
    query = sa.select(*_WHOLE).where(_of(project_id) & (scripts.c.version == row["version"]))
    return connection.execute(query).mappings().one()


def _of(project_id: str | None) -> sa.ColumnElement[bool]:
    return scripts.c.project_id.is_(None) if project_id is None else scripts.c.project_id == project_id


def _next_version(connection: Connection, project_id: str | None) -> int:
    """Count up under a lock, so that two writers at once get two numbers."""
    if project_id is None:
        return next_number(connection, SITE_COUNTER)
    get_project(connection, project_id, lock=True)
    row = newest(connection, project_id)
    return 1 if row is None else int(row["version"]) + 1
