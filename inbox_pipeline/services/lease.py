"""Holding a request's lease while a step works: take or resume it, renew it in a thread, notice loss and cancel.

Belongs here: who may take a lease and how it is kept. Does not belong here: the rows (`store/catalog/leases.py`) and
the steps.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.errors import Cancelled, InboxError, LeaseLost, Rejected
from inbox_pipeline.intake.requests import overlaps
from inbox_pipeline.services.requests import reopen
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import leases, requests
from inbox_pipeline.store.catalog.leases import Lease

RENEWALS_PER_LEASE = 6
LOOK_SECONDS = 0.25


class Keeper:
    """A held lease, renewed by a thread; `check` is called between files."""

    def __init__(self, site: Site, lease: Lease, end: InboxError | None) -> None:
        self.site = site
        self.lease = lease
        self._stop = threading.Event()
        self._end = end
        self._thread = threading.Thread(target=self._renew, name=f"lease-{lease.request_id}", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing; the lease itself stays until it is released or runs out."""
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raise what ended the work from outside, if anything did.

        Raises:
            LeaseLost: another attempt holds the lease.
            Cancelled: the request was cancelled.
        """
        if self._end is not None:
            raise self._end

    def wait(self, seconds: float) -> None:
        """Let some time pass.

        Raises:
            LeaseLost, Cancelled: as `check`, within a quarter of a second.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, LOOK_SECONDS))
        self.check()

    def _renew(self) -> None:
        pause = self.site.settings.lease_seconds / RENEWALS_PER_LEASE
        while self._end is None and not self._stop.wait(pause):
            try:
                self._end = renewed(self.site, self.lease)
            except InboxError:
                continue  # the database is away; the lease runs on by the database's clock until it answers


def renewed(site: Site, lease: Lease) -> InboxError | None:
    """Renew a lease; return what should end the work, or None."""
    with site.catalog.write() as connection:
        row = leases.renew(connection, lease, site.settings.lease_seconds)
    if row is None:
        return lost(lease.request_id)
    return cancelled(lease.request_id) if row["cancel_requested"] else None


@contextmanager
def hold(site: Site, request_id: int, run_id: str) -> Iterator[Keeper]:
    """Take or resume the request's lease for a run and keep it while the body works.

    Raises:
        Rejected: the run may not work on this request; nothing was changed.
    """
    lease = _take_or_resume(site, request_id, run_id)
    end = renewed(site, lease)
    if isinstance(end, LeaseLost):
        raise end
    keeper = Keeper(site, lease, end)
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()


def lost(request_id: int) -> LeaseLost:
    """Return the error of a run whose lease has passed to another."""
    return LeaseLost(
        "lease_lost",
        f"Another run has taken over request {request_id}; this one stopped and changed nothing more.",
        "Follow the newer run.",
    )


def cancelled(request_id: int) -> Cancelled:
    """Return the error of a run whose request was cancelled."""
    return Cancelled("cancelled", f"Request {request_id} was cancelled.", "Retry it to import what is left.")


def _take_or_resume(site: Site, request_id: int, run_id: str) -> Lease:
    with site.catalog.write() as connection:
        row = requests.get(connection, request_id)
        if row is None:
            raise Rejected("request_not_found", f"There is no request {request_id}.", "Check the number.")
        if row["dagster_run_id"] == run_id and row["lease_token"]:
            return Lease(request_id, row["attempt"], row["lease_token"], run_id)
        _refuse(connection, row, run_id)
        if row["status"] == "Failed":
            reopen(connection, row)
        return leases.take(connection, row, run_id, owner(), site.settings.lease_seconds)


def _refuse(connection: Connection, row: RowMapping, run_id: str) -> None:
    """Refuse a run that may not be the request's next attempt.

    A request whose worker died before it saw a cancel may be taken: the attempt sees the cancel at once, settles what
    the dead one left, and ends it.

    Raises:
        Rejected: `request_final`, `cancelled`, `request_leased`, `run_superseded` or `path_waits`.
    """
    request_id = row["id"]
    if row["status"] == "Completed":
        raise Rejected("request_final", f"Request {request_id} is completed already; nothing was changed.", "")
    if row["outcome"] == "cancelled":
        raise Rejected("cancelled", f"Request {request_id} was cancelled; nothing was changed.", "Retry the request.")
    if leases.held(connection, row):
        raise Rejected(
            "request_leased", f"Request {request_id} is being worked on by another run; nothing was changed.", ""
        )
    if leases.is_former_run(connection, request_id, run_id):
        raise Rejected("run_superseded", f"A newer attempt of request {request_id} exists; nothing was changed.", "")
    for other in requests.active(connection):
        if other["id"] < request_id and overlaps(other["source_path"], row["source_path"]):
            raise Rejected(
                "path_waits", f"Request {request_id} waits for request {other['id']}, whose folder overlaps.", ""
            )


def owner() -> str:
    """Return who this process is: machine, boot, pid and start time."""
    return f"{socket.gethostname()}:{_boot_id()}:{os.getpid()}:{process_start(os.getpid())}"


def owner_is_dead(name: str | None) -> bool:
    """Return whether a lease's owner was a process of this machine that no longer runs."""
    parts = (name or "").rsplit(":", 3)
    if len(parts) != 4 or parts[0] != socket.gethostname():
        return False
    return parts[1] != _boot_id() or process_start(int(parts[2])) != parts[3]


def process_start(pid: int) -> str:
    """Return a process's start time in clock ticks since boot (proc(5), field 22), "" when it does not run."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except OSError:
        return ""


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return file.read(8).decode()
    except OSError:
        return ""
