"""The queue between requests and runs: what may start, whose lease ran out, which launch got lost.

Belongs here: questions and changes that the engine's sensors and launcher make. Does not belong here: Dagster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy.engine import RowMapping

from inbox_pipeline.intake.requests import overlaps
from inbox_pipeline.services.ending import FRUITLESS_LIMIT, WORKER_DIED, give_back
from inbox_pipeline.services.guards import look, need_of
from inbox_pipeline.services.lease import owner_is_dead
from inbox_pipeline.services.requests import cancel_row
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import leases, requests
from inbox_pipeline.store.catalog.engine import now_seconds


@dataclass(frozen=True)
class Launch:
    """A request whose next attempt may start."""

    request_id: int
    attempt: int
    project_id: str


@dataclass(frozen=True)
class Expired:
    """A request whose run stopped renewing its lease."""

    request_id: int
    attempt: int
    run_id: str | None


@dataclass(frozen=True)
class Waiting:
    """A queued request and for how many seconds it has been waiting."""

    request_id: int
    attempt: int
    seconds: float


def due_launches(site: Site, limit: int) -> list[Launch]:
    """Return queued requests that may start now, oldest first: no older active request's folder overlaps theirs.

    A request that a guard keeps from starting is not among them.
    """
    with site.catalog.read() as connection:
        now = now_seconds(connection)
        rows = requests.active(connection)
        due = [row for row in rows if row["status"] == "Queued" and row["queued_at"] <= now and not _blocked(row, rows)]
        if not due:
            return []
        surroundings = look(site, connection)
        free = (row for row in due if surroundings.hindrance(need_of(connection, row)) is None)
        return [Launch(row["id"], row["attempt"], row["project_id"]) for row in islice(free, limit)]


def expired(site: Site) -> list[Expired]:
    """Return the requests whose lease ran out, or whose worker is known to be dead on this machine."""
    with site.catalog.read() as connection:
        rows = leases.leased(connection)
        gone = [row for row in rows if not leases.held(connection, row) or owner_is_dead(row["lease_owner"])]
    return [Expired(row["id"], row["attempt"], row["dagster_run_id"]) for row in gone]


def requeue(site: Site, item: Expired) -> str:
    """Queue the next attempt of a request whose worker died, or end it after too many such attempts in a row.

    Returns `queued`, `failed`, or `held` when the lease was renewed meanwhile.
    """
    with site.catalog.write() as connection:
        row = requests.get(connection, item.request_id)
        if row is None or row["attempt"] != item.attempt or row["lease_token"] is None:
            return "held"
        if leases.held(connection, row) and not owner_is_dead(row["lease_owner"]):
            return "held"
        return give_back(connection, item.request_id, WORKER_DIED, ("worker_died", {"count": FRUITLESS_LIMIT}))


def queued_since(site: Site) -> list[Waiting]:
    """Return every queued request that nothing blocks, with its waiting time."""
    with site.catalog.read() as connection:
        now = now_seconds(connection)
        rows = requests.active(connection)
    queued = [row for row in rows if row["status"] == "Queued" and not _blocked(row, rows)]
    return [Waiting(row["id"], row["attempt"], now - row["queued_at"]) for row in queued]


def relaunch(site: Site, request_id: int, attempt: int) -> bool:
    """Ask for a new run of a queued request whose launch got lost; return whether it was still that attempt."""
    with site.catalog.write() as connection:
        row = requests.get(connection, request_id)
        if row is None or row["status"] != "Queued" or row["attempt"] != attempt:
            return False
        requests.update(connection, request_id, attempt=attempt + 1, queued_at=now_seconds(connection))
        return True


def cancel_run(site: Site, request_id: int) -> bool:
    """Cancel a request for the engine's terminate; return whether there was anything to cancel."""
    with site.catalog.write() as connection:
        row = requests.get(connection, request_id)
        if row is None or row["status"] in requests.FINAL:
            return False
        cancel_row(connection, row)
        return True


def request_of_run(site: Site, run_id: str) -> int | None:
    """Return the request whose current attempt is that run, or None."""
    with site.catalog.read() as connection:
        return requests.by_run(connection, run_id)


def _blocked(row: RowMapping, active: Sequence[RowMapping]) -> bool:
    return any(other["id"] < row["id"] and overlaps(other["source_path"], row["source_path"]) for other in active)
