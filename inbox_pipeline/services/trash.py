"""Keeping former generations of sessions for a while, then deleting them.

Belongs here: what goes into the trash after a commit, and for how long. Does not belong here: the folder
(`store/trash.py`), when it is emptied (`pipeline/schedules.py`).
"""

from __future__ import annotations

import datetime as dt
import shutil

from inbox_pipeline.services.site import Site
from inbox_pipeline.store import trash
from inbox_pipeline.store.staging import Staging

KEPT = dt.timedelta(days=30)


def put_away(site: Site, staging: Staging) -> None:
    """Move the generations that a request has replaced out of its staging folder.

    Raises:
        OSError: the trash cannot be written.
    """
    for number, folder in staging.formers().items():
        trash.put(folder, site.settings.trash_path, f"{staging.request_id}-{number}", dt.datetime.now(dt.UTC))


def empty_trash(site: Site, now: dt.datetime) -> int:
    """Delete what has lain in the trash for longer than `KEPT`, and return how many folders that were.

    Args:
        site: the site.
        now: the clock, aware.

    Raises:
        OSError: something cannot be deleted.
    """
    old = [path for path, moment in trash.entries(site.settings.trash_path) if now - moment > KEPT]
    for path in old:
        shutil.rmtree(path)
    return len(old)
