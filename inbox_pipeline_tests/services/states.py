"""Where a request is, from what lies on disk and in the catalog: the states of docs/durability.md.

Belongs here: telling them apart, for tests that crash and benchmarks that kill. Does not belong here: what must hold.
"""

from __future__ import annotations

import sqlalchemy as sa

from inbox_pipeline.services.intent import recorded
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import archive
from inbox_pipeline.store.catalog import requests
from inbox_pipeline.store.catalog.schema import session_locks


def state_of(site: Site, request_id: int) -> str:
    """Return the state of the commit of a request with one session."""
    with site.catalog.read() as connection:
        request = requests.get(connection, request_id)
        (plan,) = requests.planned_sessions(connection, request_id)
        lock = connection.execute(sa.select(session_locks).where(session_locks.c.request_id == request_id)).first()
    assert request is not None
    if request["status"] in requests.FINAL:
        return "ended"
    staging = next(iter(site.settings.staging_path.glob(f"{request_id}.*")), site.settings.staging_path / "none")
    generation, former = staging / "g1", staging / "former1"
    if plan["session_id"] is not None:
        return "recorded" if former.exists() else "put away"
    intent = recorded(plan)
    if intent is None:
        begun = generation.exists() or list(staging.rglob("*.xml"))
        return "staged" if lock is None else "building" if begun else "locked"
    place = intent.final_path(site)
    if not archive.holds(place, intent.manifest_digest):
        return "intended" if place.exists() or not former.exists() else "away"
    return "exchanged" if generation.exists() and not former.exists() else "shown"


def phase_of(site: Site, request_id: int) -> str:
    """Return the op that works on a request, or the state of its commit."""
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
        plans = requests.planned_sessions(connection, request_id)
    assert row is not None
    early = row["phase"] in ("queued", "accepted", "scan", "validate", "anonymize")
    return str(row["phase"]) if early or len(plans) != 1 else state_of(site, request_id)
