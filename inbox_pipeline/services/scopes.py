"""What settings and scripts belong to: the site, or one of its projects.

Belongs here: finding a project, and the site's settings as they are in force. Does not belong here: changing either.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.setting_rules import NUMBERS, SITE_DEFAULTS, SWITCHES
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.catalog.projects import get_project


def existing_project(connection: Connection, project_id: str) -> RowMapping:
    """Return a project's row; its ID is matched without case.

    Raises:
        Rejected: `project_not_found`.
    """
    row = get_project(connection, project_id)
    if row is None:
        raise refusal("project_not_found")
    return row


def project_exists(site: Site, project_id: str) -> bool:
    """Return whether there is a project of that ID, matched without case."""
    with site.catalog.read() as connection:
        return get_project(connection, project_id) is not None


def known_project_id(site: Site, project_id: str) -> str:
    """Return a project's ID as it is written in the catalog.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.read() as connection:
        return str(existing_project(connection, project_id)["id"])


def site_settings(connection: Connection) -> dict[str, Any]:
    """Return the site's settings, switches as booleans and numbers as integers."""
    return {name: _typed(name, text) for name, text in site_store.get_values(connection, SITE_DEFAULTS).items()}


def _typed(name: str, text: str) -> bool | int | str:
    if name in SWITCHES:
        return text == "true"
    return int(text) if name in NUMBERS else text
