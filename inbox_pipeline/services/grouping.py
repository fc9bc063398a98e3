"""Which copies count and which sessions ledger rows make, whether they come from the catalog or from memory.

Belongs here: reading what the pure decisions need beyond the rows. Does not belong here: the decisions
(`intake/copies.py`, `intake/sessions.py`), the catalog (`validate.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.header import read_header
from inbox_pipeline.intake.copies import NOTHING_ARCHIVED, Copy, judge_copies, needing_digests
from inbox_pipeline.intake.sessions import Destination, FileFacts, PlannedSession, plan_sessions
from inbox_pipeline.store.inbox import Requested, stream_sha256

if TYPE_CHECKING:
    from sqlalchemy.engine import RowMapping

Row: TypeAlias = Union["RowMapping", Mapping[str, Any]]
"""A ledger or request row, from the catalog or, in a dry run, from memory."""


def judge(
    folder: Requested,
    rows: Sequence[Row],
    committed: Mapping[str, str],
    check: Callable[[], None],
    archived: Mapping[int, str] = NOTHING_ARCHIVED,
    *,
    replaces: bool = False,
) -> tuple[dict[int, str], dict[int, str]]:
    """Return the reason of each file that is no longer imported, and the digests that were read to decide.

    Args:
        folder: the requested folder.
        rows: the files that are still to be imported.
        committed: source digest by `sop_key` of what this request has committed.
        check: called between files.
        archived: by row, the source digest of the instance of that UID which the session has that the file would join.
        replaces: whether a file replaces such an instance.
    """
    copies = [Copy(row["id"], row["source_path"], row["sop_key"]) for row in folder.in_order(rows)]
    wanted = needing_digests(copies, committed, archived)
    digests: dict[int, str] = {}
    unread: dict[int, str] = {}
    for copy in copies:
        if copy.row_id in wanted:
            check()
            try:
                with folder.open(copy.source_path) as stream:
                    digests[copy.row_id] = stream_sha256(stream)
            except OSError:
                unread[copy.row_id] = "unreadable"
    readable = [copy for copy in copies if copy.row_id not in unread]
    return judge_copies(readable, digests, committed, archived, replaces=replaces) | unread, digests


def plan_rows(folder: Requested, rows: Sequence[Row], destination: Destination) -> list[PlannedSession]:
    """Return the sessions that ledger rows make; reads one header per study for its order."""
    files = [facts(row) for row in rows]
    firsts: dict[str, bytes] = {}
    for file in sorted(files, key=lambda f: f.source_path):
        firsts.setdefault(file.study_key, file.source_path)
    order = {study: _order(folder, source_path) for study, source_path in _in_order(folder, rows, firsts)}
    return plan_sessions(files, order, destination)


def _in_order(folder: Requested, rows: Sequence[Row], firsts: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """Return studies and the paths of their first files, in the order in which these are read with the least work."""
    wanted = set(firsts.values())
    ordered = folder.in_order([row for row in rows if row["source_path"] in wanted])
    return [(row["study_key"], row["source_path"]) for row in ordered]


def facts(row: Row) -> FileFacts:
    """Return what the plan must know of a ledger row."""
    return FileFacts(
        row_id=row["id"],
        source_path=row["source_path"],
        study_key=row["study_key"],
        series_key=row["series_key"],
        patient_key=row["patient_key"],
        subject_label=row["subject_label"],
        session_label=row["session_label"],
        subject_rule=row["subject_rule"],
        session_rule=row["session_rule"],
        scan_label=row["scan_label_asked"],
        modality=row["modality"],
        instance_number=row["instance_number"],
        auto_archive=row["auto_archive"],
    )


def _order(folder: Requested, source_path: bytes) -> tuple[str, ...]:
    """Return a study's sort key: date, time, UID; read from its first file, since the ledger holds none of them."""
    try:
        with folder.open(source_path) as stream:
            size = stream.seek(0, 2)
            header = read_header(stream, size=size)
    except (OSError, NotReadable):
        return ("", "", "")
    return (header.study_date or "", header.study_time or "", header.study_instance_uid or "")
