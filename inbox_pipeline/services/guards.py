"""What must hold before an attempt works: room on the disks, an archive that can be written, a clock that can be right.

Belongs here: looking, judging, and what a full disk still allows to be recorded. Does not belong here: how a request
waits (`ending.py`), who asks (`steps.py` before each step, `queue.py` before each launch), and the reserve file itself
(`store/reserve.py`).
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.errors import InboxError, Unavailable
from inbox_pipeline.intake.reasons import waiting
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import reserve
from inbox_pipeline.store.catalog import ledger, requests
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.filesystem import existing_parent

MARGIN = 16 << 20
"""Bytes that must stay free on each file system, beyond what the request's files need."""
ROWS_PER_FILE = 2 << 10
"""Bytes of the catalog that a file needs from its scan to its commit, at most."""
GROWTH = 50
"""An anonymized file is at most this fraction (1/50) larger than its source: markers and new UIDs."""
CLOCK_TOLERANCE = dt.timedelta(minutes=5)
"""So far may the clock be behind the newest time in the audit trail: several machines never agree quite."""
SHORTAGES = ("space_for_staging", "space_for_catalog", "space_for_dagster")
CODES = frozenset({*SHORTAGES, "archive_not_writable", "clock_behind"})

Result = TypeVar("Result")


@dataclass(frozen=True)
class Need:
    """What is still to be written for requests: files and the bytes of their sources."""

    files: int = 0
    size: int = 0


@dataclass(frozen=True)
class Place:
    """A folder that is written: the code of its shortage, its file system, and the bytes free there."""

    code: str
    device: int
    free: int


@dataclass(frozen=True)
class Surroundings:
    """What was found when it was looked: the places, whether both trees can be written, how far the clock is behind."""

    places: Sequence[Place]
    writable: bool
    behind: dt.timedelta

    def hindrance(self, need: Need) -> Unavailable | None:
        """Return why work with that need may not begin now, or None."""
        if self.behind > CLOCK_TOLERANCE:
            return _hindrance("clock_behind", seconds=int(self.behind.total_seconds()))
        if not self.writable:
            return _hindrance("archive_not_writable")
        return self._shortage(need)

    def _shortage(self, need: Need) -> Unavailable | None:
        """Places that share a file system need its space together."""
        wanted: Counter[int] = Counter()
        for place in self.places:
            wanted[place.device] += _bytes_for(place.code, need)
        for place in self.places:
            needed = wanted[place.device] + MARGIN
            if place.free < needed:
                return _hindrance(place.code, free=place.free, needed=needed)
        return None


def look(site: Site, connection: Connection) -> Surroundings:
    """Look at disks, trees and clock as they are now."""
    settings = site.settings
    folders = {"space_for_staging": settings.staging_path}
    if site.catalog.is_sqlite:
        folders["space_for_catalog"] = Path(site.catalog.url.database or "").parent
    folders["space_for_dagster"] = settings.dagster_home
    trees = (settings.archive_path, settings.prearchive_path)
    newest = site_store.newest_record(connection)
    behind = newest - dt.datetime.now(dt.UTC) if newest else dt.timedelta(0)
    return Surroundings([_place(*item) for item in folders.items()], all(map(_can_be_written, trees)), behind)


def need_of(connection: Connection, row: RowMapping) -> Need:
    """Return what a request has still to write, and every older one that is being worked on: they may need it first.

    Before its scan nobody knows how much a request will write.
    """
    if not row["steps_done"]:
        return Need()
    older = [other["id"] for other in requests.active(connection) if other["lease_token"] and other["id"] < row["id"]]
    return Need(*ledger.unwritten(connection, [*older, row["id"]]))


def require(site: Site, request_id: int) -> None:
    """Let an attempt go on, if nothing is in its way.

    Raises:
        Unavailable: one of `CODES`.
    """
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
        found = look(site, connection).hindrance(need_of(connection, row)) if row else None
    if found is not None:
        raise found


def accept_clock(site: Site, actor: str) -> None:
    """Let no time that is on record by now count against the clock any more: an earlier one was wrong."""
    with site.catalog.write() as connection:
        site_store.accept_clock(connection, actor)


def reserves(site: Site) -> list[Path]:
    """Return the folders that hold a reserve: HOME, and that of a catalog which lies elsewhere."""
    catalog = [Path(site.catalog.url.database or "").parent] if site.catalog.is_sqlite else []
    return list(dict.fromkeys([site.settings.home, *catalog]))


def keep_reserves(site: Site) -> None:
    """Make every reserve that is missing and for which there is space."""
    for folder in reserves(site):
        reserve.keep(folder, MARGIN)


def recorded(site: Site, write: Callable[[], Result]) -> Result:
    """Write a stop into the catalog; if that fails, once more with the space of the reserves.

    Raises:
        Unavailable: `catalog_unavailable`.
    """
    try:
        return write()
    except InboxError as error:
        freed = [reserve.give_up(folder) for folder in reserves(site)] if error.code == "catalog_unavailable" else []
        if not any(freed):
            raise
    return write()


def _hindrance(code: str, **figures: int) -> Unavailable:
    reason = waiting(code)
    told = ", ".join(f"{name} {value:,}" for name, value in figures.items())
    return Unavailable(code, f"{reason.sentence[:-1]} ({told})." if told else reason.sentence, reason.hint, figures)


def _bytes_for(code: str, need: Need) -> int:
    if code == "space_for_staging":
        return need.size + need.size // GROWTH
    return need.files * ROWS_PER_FILE if code == "space_for_catalog" else 0


def _place(code: str, folder: Path) -> Place:
    there = existing_parent(folder)
    return Place(code, there.stat().st_dev, shutil.disk_usage(there).free)


def _can_be_written(tree: Path) -> bool:
    return tree.is_dir() and os.access(tree, os.W_OK | os.X_OK)
