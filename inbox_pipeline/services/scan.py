"""Step 1, scan: one ledger row per file found, from its header alone.

Belongs here: looking at each entry of the folder and writing what it is. Does not belong here: grouping (`validate.py`)
and the walk itself (`store/inbox.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy.engine import RowMapping

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services.care import KILLS_WORKER, Care
from inbox_pipeline.services.examine import Asked, ended, entries, examine, open_folder
from inbox_pipeline.services.policies import PolicyChoice, pseudonyms_of
from inbox_pipeline.services.profile import Profile
from inbox_pipeline.services.routing import routing_of
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import leases, ledger, requests
from inbox_pipeline.store.catalog.leases import Lease
from inbox_pipeline.store.fresh import FRESH
from inbox_pipeline.store.inbox import Entry, Requested


def scan(site: Site, lease: Lease, care: Care, check: Callable[[], None]) -> None:
    """Fill the ledger of a request; a file that has been staged or committed keeps its row.

    Args:
        site: the site.
        lease: the attempt's lease on the request.
        care: for files that are bad for whoever reads them.
        check: called between files; raises when the work must stop.

    Raises:
        Rejected: `path_gone`.
    """
    request_id = lease.request_id
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
        known = ledger.known_paths(connection, request_id)
        only = requests.listed_files(connection, request_id)
        if row is None:
            raise Rejected("request_not_found", "The request is gone.", "")
        routing = routing_of(connection, row["routing"])
    choice = PolicyChoice.of(row)
    profile = Profile(choice, pseudonyms_of(site.secret, row["project_id"])) if choice.basic else None
    asked = Asked(row["subject_label"], row["session_label"], site.secret, profile, routing)
    rows = _Rows(site, lease)
    found = set()
    with open_folder(row["source_path"]) as folder:
        for entry in entries(folder, only if row["only_listed"] else None):
            check()
            digest = requests.path_digest(entry.source_path)
            found.add(digest)
            old = known.get(digest)
            if old is None or (old["disposition"] not in ledger.COMMITTED and not old["staged_name"]):
                rows.add(digest, old, _examined(folder, entry, asked, care, check))
    rows.flush()
    rows.again = [_gone(old) for digest, old in known.items() if digest not in found and _open(old)]
    rows.flush()


class _Rows:
    """Rows that are to be written: those of files seen for the first time, and those seen again."""

    def __init__(self, site: Site, lease: Lease) -> None:
        self._site, self._lease = site, lease
        self.fresh: list[dict[str, Any]] = []
        self.again: list[dict[str, Any]] = []

    def add(self, path_digest: str, old: RowMapping | None, seen: dict[str, Any]) -> None:
        """Add what was seen of a file; one that is found to kill workers is written at once."""
        if old is None:
            self.fresh.append({"request_id": self._lease.request_id, "path_digest": path_digest, **seen})
        else:
            self.again.append({"row_id": old["id"], "deleted_at": None, **seen})
        if seen["reason"] == KILLS_WORKER and (old is None or old["reason"] != KILLS_WORKER):
            self.flush(further=1)
        elif len(self.fresh) + len(self.again) >= ledger.BATCH:
            self.flush()

    def flush(self, further: int = 0) -> None:
        """Write the rows, and by how many files that are out of the way now this attempt has got further."""
        with self._site.catalog.write() as connection:
            ledger.insert(connection, self.fresh)
            ledger.update_rows(connection, self.again)
            leases.count_durable(connection, self._lease, further)
        self.fresh, self.again = [], []


def _examined(folder: Requested, entry: Entry, asked: Asked, care: Care, check: Callable[[], None]) -> dict[str, Any]:
    """Look at one entry, unless it kills workers."""
    named = {"source_path": entry.source_path, "path_digest": requests.path_digest(entry.source_path)}
    if care.is_deadly(requests.path_digest(entry.source_path)):
        return examine(folder, replace(entry, kind=KILLS_WORKER), asked)
    return care.read(folder, named, partial(examine, folder, entry, asked), check)


def _open(old: RowMapping) -> bool:
    """Return whether a row may still change when its file is gone: a duplicate that was cleaned up is done with."""
    return old["disposition"] not in ledger.COMMITTED and old["deleted_at"] is None


def _gone(old: RowMapping) -> dict[str, Any]:
    return {"row_id": old["id"], "deleted_at": None, **FRESH, **ended("source_vanished")}
