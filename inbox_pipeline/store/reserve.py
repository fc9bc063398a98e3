"""The reserve: a file whose only use is that it can be deleted when a disk is full, so that the stop can be recorded.

Belongs here: making it and giving it up. Does not belong here: when (`services/guards.py`, `pipeline/reconcile.py`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from inbox_pipeline.store.filesystem import fsync_path

NAME = "reserve"
SIZE = 4 << 20
"""Bytes of a reserve: enough for SQLite to write what a stopped request says, and for a few of Dagster's events."""


def keep(folder: Path, spare: int) -> bool:
    """Make the reserve of a folder if it is not there whole and leaves `spare` bytes free; return whether it is there.

    It is filled with noise, which no file system stores in less than it is.
    """
    path = folder / NAME
    if is_whole(folder):
        return True
    if shutil.disk_usage(folder).free < SIZE + spare:
        return False
    try:
        path.write_bytes(os.urandom(SIZE))
        fsync_path(path)
    except OSError:  # the space went, or may not be used: there is no reserve then
        return False
    return True


def is_whole(folder: Path) -> bool:
    """Return whether the reserve of a folder is there, with all its bytes."""
    path = folder / NAME
    return path.exists() and path.stat().st_size == SIZE


def give_up(folder: Path) -> bool:
    """Delete the reserve of a folder; return whether there was one."""
    try:
        (folder / NAME).unlink()
    except FileNotFoundError:
        return False
    return True
