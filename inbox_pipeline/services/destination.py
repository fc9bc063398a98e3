"""Where a session goes in the end, decided under its label's lock: other requests may have come first.

Belongs here: whether a session enters the archive, joins one that is there, or waits in the prearchive. Does not belong
here: the plan made by `validate.py`, and building what appears (`commit.py`, `generation.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.dicom.sop_classes import FOLLOWING_TYPES, session_type
from inbox_pipeline.intake.labels import same
from inbox_pipeline.intake.merging import Merge
from inbox_pipeline.intake.requests import asked_merge
from inbox_pipeline.intake.sessions import ARCHIVE, PREARCHIVE
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import archive
from inbox_pipeline.store.catalog import commits, merges, prearchive, projects


@dataclass(frozen=True)
class Destination:
    """Where a session goes, why if not to the archive, and the archived session that it joins, if any."""

    place: str
    reason: str | None
    into: RowMapping | None = None
    replaces: bool = False


def merge_of(connection: Connection, request: Mapping[str, Any] | RowMapping) -> Merge:
    """Return what a request may do to existing sessions of its project."""
    project = projects.get_project(connection, request["project_id"])
    return asked_merge(request["parameters"], project["prearchive_code"] if project else 0)


def may_join(merge: Merge, session: RowMapping, request: Mapping[str, Any] | RowMapping) -> bool:
    """Return whether a request may add to a session: if it says so, or if it made the session itself."""
    return merge.allowed or session["request_id"] == request["id"]


def destination_of(
    site: Site,
    connection: Connection,
    request: Mapping[str, Any] | RowMapping,
    plan: Mapping[str, Any] | RowMapping,
    rows: Sequence[RowMapping],
) -> Destination:
    """Return where a planned session goes now; whoever acts on it holds the label's lock.

    Args:
        site: the site.
        connection: a connection to its catalog.
        request: the request.
        plan: its planned session.
        rows: the session's staged files.
    """
    if plan["destination"] != ARCHIVE:
        return Destination(PREARCHIVE, plan["reason"])
    project_id, label = plan["project_id"], plan["session_label"]
    session = merges.archived_session(connection, project_id, label)
    if session is None:
        taken = commits.label_exists(connection, project_id, label)
        target = site.settings.archive_path / archive.archive_target(project_id, label)
        return Destination(PREARCHIVE, "session_exists") if taken or target.exists() else Destination(ARCHIVE, None)
    merge = merge_of(connection, request)
    if not may_join(merge, session, request):
        return Destination(PREARCHIVE, "session_exists")
    reason = _hindrance(site, connection, session, plan, rows)
    if reason is None and request["source"] == prearchive.SOURCE and _crosses(session, rows):
        reason = "modality_differs"
    return Destination(PREARCHIVE, reason) if reason else Destination(ARCHIVE, None, session, merge.replaces)


def _hindrance(
    site: Site,
    connection: Connection,
    session: RowMapping,
    plan: Mapping[str, Any] | RowMapping,
    rows: Sequence[RowMapping],
) -> str | None:
    """Return why a session's files cannot join an archived one (contract section 4.5, step 8), or None."""
    before = merges.origins(connection, session["id"])
    if plan["study_key"] not in {origin["study_key"] for origin in before}:
        return "study_differs"
    if {row["study_uid"] for row in rows} != {session["study_uid"]}:
        return "study_differs"
    if len({plan["patient_key"], *(origin["patient_key"] for origin in before)} - {""}) > 1:
        return "patient_conflict"
    if same(plan["subject_label"]) != same(session["subject_label"]):
        return "subject_differs"
    return None if is_whole(connection, site.settings.archive_path, session) else "session_damaged"


def _crosses(session: RowMapping, rows: Sequence[RowMapping]) -> bool:
    """Return whether files make a session of another type than the one that they would join, as XNAT prevents.

    What follows images belongs to those of its study, whatever their type.
    """
    coming = session_type({row["modality"] for row in rows})
    return coming != session["xsi_type"] and coming not in FOLLOWING_TYPES


def is_whole(connection: Connection, root: Path, session: RowMapping) -> bool:
    """Return whether a session's folder, in the tree at `root`, holds what the catalog says, by names and sizes."""
    members = merges.members(connection, session["id"])
    sizes = archive.file_sizes(root / session["path"])
    catalogs = {archive.scan_catalog_path(member["scan_label"]) for member in members}
    expected = {member["path"]: member["bytes"] for member in members}
    return expected == {name: size for name, size in sizes.items() if name not in catalogs} and catalogs <= sizes.keys()
