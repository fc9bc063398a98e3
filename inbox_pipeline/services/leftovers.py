"""Staging folders of requests that have ended: a process that died between the end and the deletion leaves one.

Belongs here: finding and deleting them. Does not belong here: staging itself (`store/staging.py`), and requests that
have not ended, whose next attempt takes their folder over.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import RowMapping

from inbox_pipeline.services.site import Site
from inbox_pipeline.services.trash import put_away
from inbox_pipeline.store import staging
from inbox_pipeline.store.catalog import requests
from inbox_pipeline.store.filesystem import remove_tree
from inbox_pipeline.store.staging import GONE, Staging


def remove_leftovers(site: Site) -> list[int]:
    """Delete the staging folders of ended requests, and return those requests' numbers.

    Raises:
        OSError: something cannot be deleted.
    """
    found = staging.folders(site.settings.staging_path)
    with site.catalog.read() as connection:
        rows = {request_id: requests.get(connection, request_id) for request_id in found.values()}
    done = [path for path, request_id in found.items() if path.name.startswith(GONE) or _has_ended(rows[request_id])]
    for path in done:
        _remove(site, path, found[path])
    return sorted({found[path] for path in done})


def _has_ended(row: RowMapping | None) -> bool:
    return row is None or (row["status"] in requests.FINAL and row["lease_token"] is None)


def _remove(site: Site, path: Path, request_id: int) -> None:
    if path.name.startswith(GONE):
        remove_tree(path)
        return
    left = Staging(site.settings.staging_path, request_id, path.name.partition(".")[2])
    put_away(site, left)
    left.remove()
