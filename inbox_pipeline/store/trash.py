"""The trash: former generations of sessions, kept for a while.

Belongs here: its folder and the names in it. Does not belong here: when something goes there or away
(`services/trash.py`).

An entry is a folder named after the request and session that replaced it and the moment, `7-1.20260301_101112131`;
what is in it is the session as it was.
"""

from __future__ import annotations

import datetime as dt
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from inbox_pipeline.store.archive import prearchive_timestamp
from inbox_pipeline.store.filesystem import fsync_directory, sync_file_system
from inbox_pipeline.store.staging import PART

_STAMP = "%Y%m%d_%H%M%S%f"


def put(folder: Path, trash: Path, name: str, moment: dt.datetime) -> None:
    """Move a folder into the trash, by a rename where that can be.

    Raises:
        OSError: the trash cannot be written.
    """
    target = trash / f"{name}.{prearchive_timestamp(moment)}"
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(folder, target)
        shutil.rmtree(folder)
    fsync_directory(trash)


def entries(trash: Path) -> Iterator[tuple[Path, dt.datetime]]:
    """Yield what lies in the trash with the moment at which it was put there; other names are left alone."""
    for path in sorted(trash.iterdir()) if trash.is_dir() else []:
        moment = _moment(path.name.removesuffix(PART).rpartition(".")[2])
        if moment is not None:
            yield path, moment


def _moment(stamp: str) -> dt.datetime | None:
    try:
        return dt.datetime.strptime(stamp, _STAMP).replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def _copy(folder: Path, target: Path) -> None:
    part = target.with_name(target.name + PART)
    shutil.copytree(folder, part)
    sync_file_system(part)
    part.rename(target)
