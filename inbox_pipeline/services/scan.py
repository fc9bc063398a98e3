"""Step 1, scan: one ledger row per file found, from its header alone.

Belongs here: looking at each entry of the folder and writing what it is. Does not belong here: grouping (`validate.py`)
and the walk itself (`store/inbox.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services.examine import Asked, ended, entries, examine, open_folder
from inbox_pipeline.services.policies import PolicyChoice, pseudonyms_of
from inbox_pipeline.services.profile import Profile
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import ledger, requests
from inbox_pipeline.store.fresh import FRESH


def scan(site: Site, request_id: int, check: Callable[[], None]) -> None:
    """Fill the ledger of a request; a file that has been staged or committed keeps its row.

    Args:
        check: called between files; raises when the work must stop.

    Raises:
        Rejected: `path_gone`.
    """
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
        known = ledger.known_paths(connection, request_id)
        only = requests.listed_files(connection, request_id)
    if row is None:
        raise Rejected("request_not_found", "The request is gone.", "")
    choice = PolicyChoice.of(row)
    profile = Profile(choice, pseudonyms_of(site.secret, row["project_id"])) if choice.basic else None
    asked = Asked(row["subject_label"], row["session_label"], site.secret, profile)
    found = set()
    fresh: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    with open_folder(row["source_path"]) as folder:
        for entry in entries(folder, only if row["only_listed"] else None):
            check()
            digest = requests.path_digest(entry.source_path)
            found.add(digest)
            old = known.get(digest)
            if old is None:
                fresh.append({"request_id": request_id, "path_digest": digest, **examine(folder, entry, asked)})
            elif old["disposition"] not in ledger.COMMITTED and not old["staged_name"]:
                again.append({"row_id": old["id"], "deleted_at": None, **examine(folder, entry, asked)})
            if len(fresh) + len(again) >= ledger.BATCH:
                _write(site, fresh, again)
    again_gone = [_gone(old) for digest, old in known.items() if digest not in found and _open(old)]
    _write(site, fresh, again)
    _write(site, [], again_gone)


def _open(old: Any) -> bool:
    """Return whether a row may still change when its file is gone: a duplicate that was cleaned up is done with."""
    return old["disposition"] not in ledger.COMMITTED and old["deleted_at"] is None


def _gone(old: Any) -> dict[str, Any]:
    return {"row_id": old["id"], "deleted_at": None, **FRESH, **ended("source_vanished")}


def _write(site: Site, fresh: list[dict[str, Any]], again: list[dict[str, Any]]) -> None:
    with site.catalog.write() as connection:
        ledger.insert(connection, fresh)
        ledger.update_rows(connection, again)
    fresh.clear()
    again.clear()
