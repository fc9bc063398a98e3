"""Waiting for requests whose end XNAT's clients expect in the answer: archiving a session, giving it other labels.

Belongs here: for how long, and what is answered when a request has failed. Does not belong here: what is asked for.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

from sqlalchemy.engine import RowMapping
from starlette.concurrency import run_in_threadpool

from inbox_pipeline.errors import Rejected, Unavailable
from inbox_pipeline.intake.reasons import ending
from inbox_pipeline.services import prearchive
from inbox_pipeline.services.site import Site

WAIT_SECONDS = 600.0
"""XNAT's `sessionArchiveTimeoutInterval`."""
POLL_SECONDS = 0.25
FAULTS = frozenset(
    ("commit_lost", "internal_error", "pixel_rules_broken", "script_broken", "storage_failed", "worker_died")
)
"""The endings that are the site's fault, and not of the session, of what was asked, or of somebody else's work."""


async def wait_until_done(site: Site, request_id: int) -> None:
    """Return once a request has done what it was for.

    Raises:
        Rejected: why it has not.
        Unavailable: `archive_waits`, when it takes too long; the work goes on.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        row = await run_in_threadpool(prearchive.ended, site, request_id)
        if row is not None:
            break
        if time.monotonic() > deadline:
            raise Unavailable("archive_waits", "The work is not done yet; it goes on.", "List the session again.")
        await asyncio.sleep(POLL_SECONDS)
    if row["status"] != "Completed":
        raise not_done(row)


def not_done(row: RowMapping) -> Rejected:
    """Return why a session is not as it was asked for: its own code; where XNAT answers 500, 409 but for faults."""
    reason = ending(row["reason"])
    status = HTTPStatus.INTERNAL_SERVER_ERROR if row["reason"] in FAULTS else HTTPStatus.CONFLICT
    return Rejected(row["reason"], row["verdict"], reason.hint, {"status": int(status)})
