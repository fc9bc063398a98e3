"""Keeping former generations of sessions and withdrawn sessions for a while, then deleting them.

Belongs here: what goes into the trash after a commit, and for how long anything is kept. Does not belong here: the
folder (`store/trash.py`), when it is emptied (`pipeline/schedules.py`).
"""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

from inbox_pipeline.services.site import Site
from inbox_pipeline.store import trash
from inbox_pipeline.store.catalog import withdrawals
from inbox_pipeline.store.staging import Staging

KEPT = dt.timedelta(days=30)


def put_away(site: Site, staging: Staging, only: int | None = None) -> None:
    """Move the generations that a request has replaced out of its staging folder; with `only`, that session's.

    Raises:
        OSError: the trash cannot be written.
    """
    for number, folder in staging.formers().items():
        if only in (None, number):
            trash.put(folder, site.settings.trash_path, f"{staging.request_id}-{number}", dt.datetime.now(dt.UTC))


def empty_trash(site: Site, now: dt.datetime) -> int:
    """Delete what has lain in the trash for longer than `KEPT`, and return how many folders that were.

    A withdrawn session of whose files a source is gone stays: it is the only copy.

    Args:
        site: the site.
        now: the clock, aware.

    Raises:
        OSError: something cannot be deleted.
    """
    old = [path for path, moment in trash.entries(site.settings.trash_path) if now - moment > KEPT]
    gone = [path for path in old if _may_go(site, path)]
    for path in gone:
        shutil.rmtree(path)
    return len(gone)


def _may_go(site: Site, path: Path) -> bool:
    session_id = trash.undone_session(path)
    if session_id is None:
        return True
    with site.catalog.write() as connection:
        return withdrawals.may_be_deleted(connection, session_id)
