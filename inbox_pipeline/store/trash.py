"""The trash: former generations of sessions and withdrawn sessions, kept for a while.

Belongs here: its folder and the names in it. Does not belong here: when something goes there or away
(`services/trash.py`).

An entry is a folder named after the request and session that replaced it and the moment, `7-1.20260301_101112131`;
what is in it is the session as it was. A session that was undone or deleted is named after its own row, `undo-12.` and
the moment; so is a scan that was deleted, which lies in it as it did in its session.
"""

from __future__ import annotations

import datetime as dt
import errno
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from inbox_pipeline.store.archive import prearchive_timestamp, show_session
from inbox_pipeline.store.filesystem import fsync_directory, remove_tree, sync_file_system
from inbox_pipeline.store.staging import PART

UNDONE = "undo-"
RESTORED = "restored-"
_STAMP = "%Y%m%d_%H%M%S%f"


def put(folder: Path, trash: Path, name: str, moment: dt.datetime) -> None:
    """Move a folder into the trash, by a rename where that can be.

    Raises:
        OSError: the trash cannot be written.
    """
    target = trash / entry_name(name, moment)
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(folder, target)
        shutil.rmtree(folder)
    fsync_directory(trash)


def take_back(entry: Path, root: Path, target: str, staging: Path) -> None:
    """Move a session from the trash to its place in a tree; from another file system by way of the staging folder.

    Raises:
        FileExistsError: something lies there already.
        OSError: the tree cannot be written.
    """
    try:
        show_session(entry, root, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copied = staging / f"restore-{entry.name}"
        if not copied.exists():
            _copy(entry, copied)
        show_session(copied, root, target)


def drop(entry: Path) -> None:
    """Delete an entry whose contents have been taken back; once that is begun, nothing takes it for an entry."""
    gone = entry.with_name(f"{RESTORED}{entry.name}")
    with suppress(FileNotFoundError):  # it was moved, not copied
        entry.rename(gone)
    remove_tree(gone)


def entry_name(name: str, moment: dt.datetime) -> str:
    """Return the name in the trash of what is put there at a moment."""
    return f"{name}.{prearchive_timestamp(moment)}"


def stem(session_id: int) -> str:
    """Return the name, without its moment, of a session in the trash that was undone or deleted."""
    return f"{UNDONE}{session_id}"


def undone_session(entry: Path) -> int | None:
    """Return the session that was undone or deleted and is that entry, or None for another kind of entry."""
    name = entry.name.partition(".")[0]
    number = name.removeprefix(UNDONE)
    return int(number) if name.startswith(UNDONE) and number.isdigit() else None


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
    remove_tree(part)
    shutil.copytree(folder, part)
    sync_file_system(part)
    part.rename(target)
