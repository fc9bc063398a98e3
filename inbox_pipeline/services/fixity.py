"""Fixity: a part of the archive read again each night, so that all of it is read within a month.

Belongs here: which sessions come next, for how long, and what is kept of what was found. Does not belong here: the
comparison itself (`verify.py`), the clock (`pipeline/fixity.py`), and how it is shown.

The session whose last reading, or arrival, is the longest ago comes first. A part ends when it has read its share of
the archive's bytes, or when its time is over; a session that was begun is finished.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.engine import RowMapping

from inbox_pipeline.intake.verdict import plural
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import Difference, Verification, compare_session
from inbox_pipeline.store.catalog import holdings

CYCLE = dt.timedelta(days=30)
"""Within this time every session is read, as long as the nights suffice."""
PARTS_PER_NIGHT = 12
PART_SECONDS = 300.0
"""So long a part reads at most: an hour a night in all."""
LEAST_BYTES = 1 << 30
"""A part reads at least so much, and a small archive whole, once a night."""
REST = dt.timedelta(hours=20)
"""A session that was read so recently is not read again."""


@dataclass(frozen=True)
class Part:
    """What a part of the archive was found to be: what was read, and by session's name each kind of difference."""

    read: Verification
    damaged: dict[str, list[Difference]] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """How the archive stands: sessions whose last reading found a difference, and days since the oldest reading."""

    damaged: int
    oldest_days: int

    @property
    def problem(self) -> str | None:
        """What an operator must look at, or None."""
        if self.damaged:
            counted = f"{self.damaged:,} {plural(self.damaged, 'session')}"
            return f"{counted} not as the catalog says; `inbox-pipeline verify` names each difference"
        if self.oldest_days > CYCLE.days:
            return f"the oldest reading is {self.oldest_days:,} days ago; the nights do not suffice"
        return None


def check_part(site: Site, now: dt.datetime, seconds: float = PART_SECONDS) -> Part:
    """Read the next part of the archive, prearchive and trash again, and keep what was found with each session.

    Args:
        site: the site.
        now: the clock, aware.
        seconds: after so many no further session is begun.

    Raises:
        Unavailable: `catalog_unavailable`.
    """
    part = Part(Verification())
    deadline = time.monotonic() + seconds
    with site.catalog.read() as connection:
        share = max(LEAST_BYTES, holdings.total_bytes(connection) // (CYCLE.days * PARTS_PER_NIGHT))
        sessions = holdings.longest_unread(connection, now - REST)
    for session in sessions:
        if part.read.bytes >= share or time.monotonic() >= deadline:
            break
        found = compare_session(site, session, part.read)
        with site.catalog.write() as connection:
            if holdings.note_reading(connection, session, now, [_kept(each) for each in found]) and found:
                part.damaged[_name(session)] = found
    return part


def standing(site: Site, now: dt.datetime) -> Standing:
    """Return how the archive stands by its last readings."""
    with site.catalog.read() as connection:
        damaged, oldest = holdings.readings(connection)
    return Standing(damaged, (now - oldest).days if oldest else 0)


def by_kind(part: Part) -> Iterator[dict[str, str | int]]:
    """Yield a row for each damaged session and kind of difference: names and counts, never paths."""
    for name, differences in part.damaged.items():
        for kind in sorted({each.kind for each in differences}):
            yield {"session": name, "difference": kind, "count": sum(each.kind == kind for each in differences)}


def _kept(difference: Difference) -> dict[str, str]:
    return {"kind": difference.kind, "path": difference.path}


def _name(session: RowMapping) -> str:
    if session["part_of"]:
        return f"deleted scan {session['id']}"
    return str(session["accession"] or f"prearchive session {session['id']}")
