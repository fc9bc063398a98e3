"""Linking tables: the way back from a project's pseudonyms, for its owners alone, every reading audited.

Belongs here: writing what an import replaced, and reading it. Does not belong here: the file (`store/linking.py`),
roles (`accounts.py`), and how identifiers are replaced.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from inbox_pipeline.errors import Unavailable
from inbox_pipeline.services.maps import Pairs
from inbox_pipeline.services.scopes import existing_project
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.linking import PATIENT, UID, LinkingTable


def link(site: Site, project_id: str, request_id: int, pairs: Pairs) -> None:
    """Add what became of the identifiers of some of a request's files.

    Raises:
        Unavailable: `storage_failed`.
    """
    table = _table(site, project_id)
    try:
        table.add(request_id, PATIENT, pairs.patients)
        table.add(request_id, UID, pairs.uids)
    except (OSError, sqlite3.Error) as error:
        raise _failed(error) from None


def linked(site: Site, actor: str, project_id: str) -> list[dict[str, Any]]:
    """Return a project's linking table, and write down who read it.

    Raises:
        Rejected: `project_not_found`.
        Unavailable: `storage_failed`.
    """
    with site.catalog.write() as connection:
        project = str(existing_project(connection, project_id)["id"])
        site_store.record(connection, actor, "linking.read", project)
    try:
        return _table(site, project).rows()
    except sqlite3.Error as error:
        raise _failed(error) from None


def _table(site: Site, project_id: str) -> LinkingTable:
    return LinkingTable(site.settings.linking_path / f"{project_id}.db")


def _failed(error: Exception) -> Unavailable:
    kind = type(error).__name__
    return Unavailable("storage_failed", f"The linking table cannot be used ({kind}).", "Check its file and the disk.")
