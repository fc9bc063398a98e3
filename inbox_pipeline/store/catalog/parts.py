"""The rows of a scan that is deleted: it becomes a session of its own in the trash, and a scan again when restored.

Belongs here: the transactions by which rows go from a session to such a part of it and back. Does not belong here: what
may be deleted (`services/deletion.py`), the folders (`services/parts.py`).
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.reasons import FROM_ARCHIVE
from inbox_pipeline.store.catalog import commits, merges, withdrawals
from inbox_pipeline.store.catalog.ledger import COMMITTED
from inbox_pipeline.store.catalog.schema import (
    DELETED,
    RESTORING,
    WITHDRAWING,
    WITHDRAWN,
    instances,
    ledger,
    scans,
    sessions,
)

_OF_SESSION = (
    "project_id",
    "subject_id",
    "subject_label",
    "label",
    "path",
    "study_uid",
    "policy",
    "options",
    "scripts",
    "request_id",
    "username",
)
PLACE = ("project_id", "subject_label", "label")
"""What must be as it was for a scan to be restored into its session: its files may tell of it."""


def insert_part(
    connection: Connection, session: RowMapping, scan: RowMapping, moment: dt.datetime, digest: str
) -> RowMapping:
    """Say that a scan is on its way to the trash, as what session; nothing else changes yet.

    Args:
        connection: a writing transaction.
        session: the archived session.
        scan: one of its scans.
        moment: when it was deleted.
        digest: of the manifest of what goes.
    """
    part_id = commits.insert_session(
        connection,
        {
            **{name: session[name] for name in _OF_SESSION},
            "state": WITHDRAWING,
            "state_before": session["state"],
            "reason": FROM_ARCHIVE,
            "withdrawn_at": moment,
            "modality": scan["modality"],
            "manifest_digest": digest,
            "part_of": session["id"],
            "part_scan": scan["label"],
        },
    )
    return commits.session(connection, part_id)


def lock_owner(session: RowMapping) -> int:
    """Return in whose name the label is locked for a session or part itself: no request has a negative number."""
    return -int(session["id"])


def end_split(connection: Connection, part: RowMapping, path: str) -> bool:
    """Take a scan's rows from its session, and let its label go; return whether it was still on its way."""
    if not withdrawals.change(connection, part, WITHDRAWING, state=WITHDRAWN, path=path):
        return False
    files = (ledger.c.session_id == part["part_of"]) & (ledger.c.scan_label == part["part_scan"])
    here = files & ledger.c.disposition.in_(COMMITTED)
    connection.execute(sa.update(ledger).where(here).values(session_id=part["id"]))
    _hand_over(connection, part, part["part_of"], part["id"])
    withdrawals.take_files(connection, part, FROM_ARCHIVE)
    _release(connection, part)
    return True


def end_join(connection: Connection, part: RowMapping) -> bool:
    """Give a scan's rows back to its session, and let its label go; return whether it was still on its way."""
    if not withdrawals.change(connection, part, RESTORING, state=DELETED):
        return False
    withdrawals.give_files_back(connection, part)
    _hand_over(connection, part, part["id"], part["part_of"])
    here = ledger.c.session_id == part["id"]
    connection.execute(sa.update(ledger).where(here).values(session_id=part["part_of"]))
    _release(connection, part)
    connection.execute(sa.delete(sessions).where(sessions.c.id == part["id"]))
    return True


def take_back(connection: Connection, part: RowMapping) -> None:
    """Leave a scan in the trash that could not be restored."""
    if withdrawals.change(connection, part, RESTORING, state=WITHDRAWN):
        _release(connection, part)


def is_free(connection: Connection, part: RowMapping) -> bool:
    """Return whether the session that a scan was taken from has neither another scan of its label nor one of its files.

    These were imported since.
    """
    label = (scans.c.session_id == part["part_of"]) & (scans.c.label == part["part_scan"])
    own = sa.select(instances.c.sop_instance_uid).where(instances.c.session_id == part["id"])
    keys = sa.select(instances.c.sop_key).where(instances.c.session_id == part["id"])
    same = instances.c.sop_instance_uid.in_(own) | instances.c.sop_key.in_(keys)
    files = (instances.c.session_id == part["part_of"]) & same
    taken = (sa.select(scans.c.id).where(label), sa.select(instances.c.id).where(files))
    return all(connection.execute(query.limit(1)).first() is None for query in taken)


def _hand_over(connection: Connection, part: RowMapping, source: int, target: int) -> None:
    """Let a scan and its instances be another session's."""
    scan = merges.scan_id(connection, source, part["part_scan"])
    connection.execute(sa.update(instances).where(instances.c.scan_id == scan).values(session_id=target))
    connection.execute(sa.update(scans).where(scans.c.id == scan).values(session_id=target))


def _release(connection: Connection, part: RowMapping) -> None:
    commits.release_lock(connection, part["project_id"], part["label"], lock_owner(part))
