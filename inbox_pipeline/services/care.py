"""Care for files that are bad for whoever reads them: those at which workers died, those that are away for a moment.

Belongs here: marking the file that is being worked on, which files are not touched any more, when a source is tried
again. Does not belong here: the mark itself (`store/staging.py`), and the work on a file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from inbox_pipeline.services.grouping import Row
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.storage import TRANSIENT, storing
from inbox_pipeline.store.catalog import leases
from inbox_pipeline.store.inbox import UNREADABLE, Requested
from inbox_pipeline.store.staging import Marker, Staging

KILLS_WORKER = "kills_worker"
DEATHS = 2
"""A file at which so many workers died is not touched again."""

RETRY_PAUSES = (0.2, 1.0)
"""Seconds before a source that could not be read is tried again."""

PATIENCE_SECONDS = 60.0
"""So long an attempt waits for all such sources together."""


class Care:
    """What one attempt knows of its request's files, for as long as it works on them."""

    def __init__(self, site: Site, staging: Staging) -> None:
        with site.catalog.read() as connection:
            self._deadly = leases.deadly_files(connection, staging.request_id, DEATHS)
        with storing():
            self._marker = Marker(staging)
        self._patience = PATIENCE_SECONDS

    def __enter__(self) -> Care:
        return self

    def __exit__(self, *_: object) -> None:
        self._marker.close()

    def is_deadly(self, path_digest: str) -> bool:
        """Return whether workers have died at a file as often as they may."""
        return path_digest in self._deadly

    @contextmanager
    def at(self, path_digest: str) -> Iterator[None]:
        """Mark a file while the body works on it.

        Raises:
            Unavailable, Rejected: `storage_failed`, if there is no place for the mark.
        """
        with storing():
            self._marker.set(path_digest)
        try:
            yield
        finally:
            with storing():
                self._marker.set()

    def read(
        self, folder: Requested, row: Row, work: Callable[[], dict[str, Any]], check: Callable[[], None]
    ) -> dict[str, Any]:
        """Work on one source, marked, and again if it could not be read and may be readable in a moment.

        Args:
            folder: the requested folder.
            row: the source's `source_path` and `path_digest`.
            work: works on it and returns columns of its row, `reason` among them.
            check: called between tries; raises when the work must stop.
        """
        for pause in (*RETRY_PAUSES, None):
            with self.at(row["path_digest"]):
                became = work()
            if became["reason"] != UNREADABLE or pause is None or self._patience <= 0:
                break
            if not _is_transient(folder, row["source_path"]):
                break
            time.sleep(pause)
            self._patience -= pause
            check()
        return became


def _is_transient(folder: Requested, source_path: bytes) -> bool:
    """Return whether a source that could not be read opens now, or fails to by a transient error."""
    try:
        with folder.open(source_path):
            return True
    except OSError as error:
        return error.errno in TRANSIENT
