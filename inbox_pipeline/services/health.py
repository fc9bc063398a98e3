"""Whether the site can do its work, and the counts that an operator watches.

Belongs here: heartbeats and the checks behind `/readyz`, `doctor` and `/metrics`. Does not belong here: HTTP, and
starting or stopping processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from inbox_pipeline.errors import InboxError
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import vitals

FRESH_SECONDS = 30.0
"""A heartbeat older than this counts as none."""

DAEMON = "daemon"
WORKER = "worker"
_NOT_ASKED = "not checked, as the catalog does not answer"


@dataclass(frozen=True)
class Counts:
    """Requests by status and ledger files by disposition."""

    requests: dict[str, int]
    files: dict[str, int]


def beat(site: Site, name: str) -> None:
    """Record that a process is alive: `daemon`, or `worker:<n>`; to be called every few seconds.

    Raises:
        Unavailable: `catalog_unavailable`.
    """
    with site.catalog.write() as connection:
        vitals.write_heartbeat(connection, name)


def readiness(site: Site) -> dict[str, str | None]:
    """Return for each check (`catalog`, `archive`, `daemon`, `worker`) what is wrong, or None when it passes."""
    return {"catalog": None, "archive": _archive(site)} | _catalog_and_processes(site)


def counts(site: Site) -> Counts:
    """Return the counts for `/metrics`.

    Raises:
        Unavailable: `catalog_unavailable`.
    """
    with site.catalog.read() as connection:
        return Counts(vitals.requests_by_status(connection), vitals.files_by_disposition(connection))


def _archive(site: Site) -> str | None:
    writable = os.access(site.settings.archive_path, os.W_OK | os.X_OK)
    return None if writable else "the archive folder is missing or cannot be written"


def _catalog_and_processes(site: Site) -> dict[str, str | None]:
    try:
        with site.catalog.read() as connection:
            ages = vitals.heartbeat_ages(connection)
    except InboxError as error:
        return {"catalog": error.sentence, DAEMON: _NOT_ASKED, WORKER: _NOT_ASKED}
    return {kind: _alive(kind, ages) for kind in (DAEMON, WORKER)}


def _alive(kind: str, ages: dict[str, float]) -> str | None:
    """Return None when one process of the kind has a fresh heartbeat, else how long the last one is ago."""
    known = [age for name, age in ages.items() if name == kind or name.startswith(f"{kind}:")]
    if not known:
        return "no heartbeat yet"
    return None if min(known) < FRESH_SECONDS else f"last heartbeat {min(known):.0f} s ago"
