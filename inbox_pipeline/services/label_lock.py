"""The lock on a session's label, as a request that works waits for it.

Belongs here: taking it in time, or giving the worker back. Does not belong here: the lock's row
(`store/catalog/commits.py`) and what is done under it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import RowMapping

from inbox_pipeline.errors import Unavailable
from inbox_pipeline.services.lease import lost
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import commits, leases
from inbox_pipeline.store.catalog.leases import Lease

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.25


Plan = Mapping[str, Any] | RowMapping


def wait_for_label(site: Site, lease: Lease, plan: Plan, phase: str, check: Callable[[], None]) -> None:
    """Take the lock on a planned session's label, for a request that is in `phase`.

    Raises:
        Unavailable: `lock_busy`.
        LeaseLost: another attempt has taken over.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while not _locked(site, lease, plan, phase):
        check()
        if time.monotonic() > deadline:
            raise Unavailable("lock_busy", "Another request is committing a session of that label.", "")
        time.sleep(POLL_SECONDS)


@contextmanager
def label_locked(site: Site, lease: Lease, plan: RowMapping, phase: str, check: Callable[[], None]) -> Iterator[None]:
    """Have the lock inside. What ends the work leaves it: to the next attempt, or to whoever finds it abandoned.

    Raises:
        Unavailable, LeaseLost: as `wait_for_label`.
    """
    wait_for_label(site, lease, plan, phase, check)
    yield
    with site.catalog.write() as connection:
        commits.release_lock(connection, plan["project_id"], plan["session_label"], lease.request_id)


def _locked(site: Site, lease: Lease, plan: Plan, phase: str) -> bool:
    with site.catalog.write() as connection:
        if not leases.update_held(connection, lease, phase=phase):
            raise lost(lease.request_id)
        return commits.take_lock(connection, plan["project_id"], plan["session_label"], lease.request_id)
