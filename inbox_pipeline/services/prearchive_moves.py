"""Prearchive sessions on their way to another project's prearchive: the folder follows what the catalog says.

Belongs here: the rename and the rows that follow it, by whoever comes by. Does not belong here: who may move what
(`prearchive.py`), archived sessions (`relabelling.py`).

The first transaction says where a session goes, the last one that it is there; the folder is renamed in between. What a
process leaves undone when it dies, the reconcile sensor finishes.
"""

from __future__ import annotations

import os
from contextlib import suppress

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.prearchive import ERROR, MOVING
from inbox_pipeline.services.ending import end_request
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.storage import storing
from inbox_pipeline.store import archive
from inbox_pipeline.store.catalog import prearchive, requests
from inbox_pipeline.store.filesystem import fsync_directory


def next_place(session: RowMapping) -> str | None:
    """Return where a session that is on its way will lie, relative to the prearchive; None for any other one."""
    if session["state"] != MOVING:
        return None
    return archive.prearchive_target(session["moving_to"], session["prearchive_timestamp"], session["label"])


def finish_moves(site: Site) -> list[int]:
    """Move every session whose row says that it is on its way, and return the keys of their rows.

    To be called by whoever comes by: two that do it at once do it once.

    Raises:
        Unavailable, Rejected: `storage_failed`; the session is still on its way.
    """
    with site.catalog.read() as connection:
        found = prearchive.moving(connection)
    for session in found:
        with storing():
            _move(site, session)
    return [int(session["id"]) for session in found]


def _move(site: Site, session: RowMapping) -> None:
    """Move a folder, wherever an earlier try got to, and say so.

    What has lost its folder, or finds another one at its place, stays where it was and says that.
    """
    root, target = site.settings.prearchive_path, str(next_place(session))
    source, final = root / session["path"], root / target
    with suppress(FileNotFoundError, FileExistsError):  # somebody else moves it, or has moved it
        archive.show_session(source, root, target)
    there, left = os.path.lexists(final), os.path.lexists(source)
    if there and not left:
        fsync_directory(final.parent)
        fsync_directory(source.parent)
    with site.catalog.write() as connection:
        if there and not left:
            if prearchive.end_move(connection, session, target):
                _tell(connection, session)
        elif left:
            prearchive.take_move_back(connection, session)
        else:
            prearchive.take_move_back(connection, session, state=ERROR, reason="prearchive_changed")


def _tell(connection: Connection, session: RowMapping) -> None:
    """Let the imports that made a session say where it is now."""
    for plan in prearchive.plans(connection, session["id"]):
        row = requests.get(connection, plan["request_id"])
        if row is not None and row["status"] in requests.FINAL and row["before_undo"] is None:
            end_request(connection, row["id"], None, row["cleanup_state"])
