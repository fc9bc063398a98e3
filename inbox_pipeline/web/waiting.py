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
from inbox_pipeline.intake.prearchive import CONFLICTS
from inbox_pipeline.intake.reasons import ending
from inbox_pipeline.services import prearchive
from inbox_pipeline.services.site import Site

WAIT_SECONDS = 600.0
"""XNAT's `sessionArchiveTimeoutInterval`."""
POLL_SECONDS = 0.25


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
    """Return why a session is not as it was asked for: its own code, 409 for a conflict where XNAT answers 500."""
    reason = ending(row["reason"])
    status = HTTPStatus.CONFLICT if row["reason"] in CONFLICTS else HTTPStatus.INTERNAL_SERVER_ERROR
    return Rejected(row["reason"], row["verdict"], reason.hint, {"status": int(status)})
