"""An archived session gets another label, subject or project: what a run does for that, beside a review's steps.

Belongs here: whether the session is still the one that was asked about, where it goes, and what is left at its former
place. Does not belong here: who may ask (`relabel.py`), staging the files (`from_prearchive.py`), the commit's order
(`commit.py`) and its rows (`commit_rows.py`).

The session is built anew, whole, and takes its place as an import's does; it keeps its row and its accession id. The
locks on its label and on the new one are held until it is there.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import ending
from inbox_pipeline.intake.sessions import ARCHIVE
from inbox_pipeline.services.destination import Destination
from inbox_pipeline.services.generation import Joining
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import archive, trash
from inbox_pipeline.store.catalog import commits, holdings, prearchive
from inbox_pipeline.store.catalog.relabelled import SOURCE

ARCHIVED = "ARCHIVED"
MANIFEST = "manifest"
"""The parameter of such a request that says of which generation of the session it was asked."""


def is_relabelling(request: Mapping[str, Any] | RowMapping) -> bool:
    """Return whether a request gives an archived session another label, subject or project."""
    return bool(request["source"] == SOURCE)


def session_to_relabel(connection: Connection, request: RowMapping) -> RowMapping:
    """Return the session that a request is about, which must be what it was when it was asked for.

    Raises:
        Rejected: `archived_changed`.
    """
    session = prearchive.get(connection, request["prearchive_session_id"])
    same = session is not None and session["manifest_digest"] == request["parameters"][MANIFEST]
    if session is None or not same or session["state"] != ARCHIVED:
        raise _stop("archived_changed")
    return session


def former_label(connection: Connection, request: RowMapping) -> Mapping[str, Any]:
    """Return the label under which the session is now, in the form of a plan, to be locked like the new one."""
    session = prearchive.get(connection, request["prearchive_session_id"])
    if session is None:
        raise _stop("archived_changed")
    return {"project_id": session["project_id"], "session_label": session["label"]}


def destination_of(site: Site, connection: Connection, request: RowMapping, plan: RowMapping) -> Destination:
    """Return where the session goes; whoever acts on it holds the locks on both labels.

    It is a new generation of itself where its place stays the same, as it does for another subject.

    Raises:
        Rejected: `archived_changed`, `session_exists`.
    """
    session = session_to_relabel(connection, request)
    project_id, label = plan["project_id"], plan["session_label"]
    target = archive.archive_target(project_id, label)
    if target == session["path"]:
        return Destination(ARCHIVE, None, session, replaces=True)
    taken = commits.label_exists(connection, project_id, label, but=session["id"])
    if taken or os.path.lexists(site.settings.archive_path / target):
        raise _stop("session_exists")
    return Destination(ARCHIVE, None)


def joining_of(destination: Destination, rows: Sequence[RowMapping]) -> Joining | None:
    """Return the files of a generation that takes the session's own place: those that are staged and no others."""
    return Joining([], rows, {}, {row["id"]: row["scan_label"] for row in rows}) if destination.into else None


def settle_place(site: Site, request: RowMapping) -> None:
    """Put what is left at the former place into the trash, once the session is at the new one.

    What lies there may be another session's by now, if this is done a second time.

    Raises:
        OSError: the trash cannot be written.
    """
    former = Path(os.fsdecode(request["source_path"]))
    path = str(former.relative_to(site.settings.archive_path))
    there = former.exists()
    with site.catalog.read() as connection:
        ours = there and is_committed(connection, request) and not holdings.is_place_known(connection, path)
    if ours:
        trash.put(former, site.settings.trash_path, f"{request['id']}-relabelled", dt.datetime.now(dt.UTC))


def is_committed(connection: Connection, request: RowMapping) -> bool:
    """Return whether the session has its new labels."""
    plans = prearchive.plans(connection, request["prearchive_session_id"])
    return any(plan["request_id"] == request["id"] for plan in plans)


def _stop(code: str) -> Rejected:
    reason = ending(code)
    return Rejected(code, reason.sentence, reason.hint)
