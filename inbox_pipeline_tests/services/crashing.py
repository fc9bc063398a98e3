"""Crashing an import at any of its effects on disk and catalog, in this process.

Belongs here: counting the effects, and ending the process' work before one of them as a SIGKILL would. Does not belong
here: which effect, and what must hold afterwards.

An effect is a call that changes a directory, makes bytes durable, or commits a transaction; bytes of a file that has no
name yet that anybody looks at do not count. A crash is a BaseException, which nothing of ours may catch; a transaction
that it meets is rolled back, and no `finally` in the work may change anything.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from inbox_pipeline.services import queue, steps
from inbox_pipeline.services.leftovers import remove_leftovers
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import filesystem
from inbox_pipeline.store.catalog import requests as request_rows
from inbox_pipeline.store.catalog.engine import Catalog


class Crash(BaseException):
    """The process is gone."""


class Effects:
    """Counts effects, and crashes before the one of a number.

    Args:
        crash_at: that number, from 0; None never crashes.
    """

    def __init__(self, crash_at: int | None = None) -> None:
        self.crash_at = crash_at
        self.seen: list[str] = []

    def happen(self, name: str) -> None:
        self.seen.append(name)
        if len(self.seen) - 1 == self.crash_at:
            raise Crash(name)


def _before(effects: Effects, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def effect(*args: Any, **kwargs: Any) -> Any:
        effects.happen(name)
        return real(*args, **kwargs)

    return effect


@contextmanager
def watched(effects: Effects) -> Iterator[None]:
    """Count the effects of the work inside, on disk and in the catalog."""
    real_write = Catalog.write

    @contextmanager
    def write(self: Catalog) -> Iterator[Any]:
        with real_write(self) as connection:
            yield connection
            effects.happen("transaction")

    places = [
        (Path, "rename"),
        (Path, "replace"),
        (Path, "hardlink_to"),
        (Path, "mkdir"),
        (Path, "write_bytes"),
        (Path, "unlink"),
        (os, "unlink"),
        (os, "rmdir"),
        (os, "fsync"),
        (shutil, "rmtree"),
        (filesystem, "exchange"),
    ]
    patches = [patch.object(owner, name, _before(effects, name, getattr(owner, name))) for owner, name in places]
    patches.append(patch.object(Catalog, "write", write))
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def attempt(site: Site, request_id: int, run_id: str, crash_at: int | None, since: str = "scan") -> Effects:
    """Run a request's steps and return their effects; crash before one of those of the step `since` or later."""
    effects = Effects(crash_at)
    for step in steps.STEPS:
        if steps.STEPS.index(step) < steps.STEPS.index(since):
            steps.run_step(site, request_id, step, run_id=run_id)
            continue
        with watched(effects):
            steps.run_step(site, request_id, step, run_id=run_id)
    return effects


def bury(site: Site, request_id: int) -> str:
    """Let the lease of a crashed attempt expire, as the reconcile sensor would find it, and sweep what is left over.

    Returns what becomes of the request, "" if it had ended.
    """
    remove_leftovers(site)
    with site.catalog.write() as connection:
        row = request_rows.get(connection, request_id)
        if row is None or row["status"] in request_rows.FINAL:
            return ""
        if row["lease_token"] is None:
            return "queued"
        request_rows.update(connection, request_id, lease_until=1.0, lease_owner=None)
    return next(queue.requeue(site, item) for item in queue.expired(site) if item.request_id == request_id)
