"""Importing into a session that exists: what joins it, what is in it already, in which scans (DESIGN section 5).

Belongs here: the rules of re-import and append, in their order, and of scan numbers (contract sections 2.5 and 4.5).
Does not belong here: copies within a request (`copies.py`), building the session's next generation (`services`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from inbox_pipeline.intake.labels import same
from inbox_pipeline.intake.sessions import free_scan_label

NOT_MERGED = frozenset({"", "none"})
AUTO_ARCHIVE_OVERWRITE_CODE = 5
ARCHIVED_ALREADY = "duplicate_archived"
CONFLICTING = "sop_uid_conflict"


@dataclass(frozen=True)
class Merge:
    """Whether a request may add to existing sessions, and whether its files replace those with the same UID."""

    allowed: bool
    replaces: bool

    @classmethod
    def of(cls, overwrite: str, overwrite_files: bool, prearchive_code: int = 0) -> Merge:
        """Return what the parameters say: any value but `none` appends, `delete` also replaces.

        Args:
            overwrite: the parameter, "" when absent.
            overwrite_files: the parameter, which counts only with the other one.
            prearchive_code: the project's; 5 is as good as `overwrite_files` (contract section 4.3).
        """
        word = overwrite.strip().lower()
        replaces = word == "delete" or overwrite_files or prearchive_code == AUTO_ARCHIVE_OVERWRITE_CODE
        return cls(word not in NOT_MERGED, replaces)


@dataclass(frozen=True)
class Incoming:
    """A file that would join a session; `uid` is its SOP Instance UID as it would be archived."""

    row_id: int
    sop_key: str
    source_sha256: str
    uid: str


@dataclass(frozen=True)
class Held:
    """An instance that the session has."""

    sop_key: str
    source_sha256: str
    uid: str


def judge_incoming(incoming: Iterable[Incoming], held: Iterable[Held], *, replaces: bool) -> dict[int, str]:
    """Return the reason of each file that does not join the session.

    The same original UID and source digest is `duplicate_archived`; the same UID with another digest conflicts, unless
    it replaces; so does a file that would be archived under the UID of an instance that stays.
    """
    incoming = list(incoming)
    by_key = {each.sop_key: each for each in held}
    leaving = {file.sop_key for file in incoming if replaces and _differs(file, by_key.get(file.sop_key))}
    staying = {each.uid: each.sop_key for each in by_key.values() if each.sop_key not in leaving}
    verdicts = {file.row_id: _judged(file, by_key.get(file.sop_key), staying, replaces) for file in incoming}
    return {row_id: verdict for row_id, verdict in verdicts.items() if verdict}


def _differs(file: Incoming, same_uid: Held | None) -> bool:
    return same_uid is not None and same_uid.source_sha256 != file.source_sha256


def _judged(file: Incoming, same_uid: Held | None, staying: Mapping[str, str], replaces: bool) -> str:
    if same_uid is not None and not _differs(file, same_uid):
        return ARCHIVED_ALREADY
    if same_uid is not None and not replaces:
        return CONFLICTING
    return CONFLICTING if staying.get(file.uid, file.sop_key) != file.sop_key else ""


@dataclass(frozen=True)
class Series:
    """A series of a request: the scan that it was given there, the one that it asked for, its key and modality."""

    scan_label: str
    asked: str
    series_key: str
    modality: str


def merged_scans(incoming: Sequence[Series], existing: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the session's scan for each scan of a request.

    A series that the session has goes on where it is. Another one gets the scan that it had in the request if that is
    free, else `N-MODk` of the number that it asked for.

    Args:
        incoming: the request's series in the order of their scans.
        existing: the keys of the series in each of the session's scans.
    """
    home = {key: label for label, keys in existing.items() for key in keys}
    used = {same(label) for label in existing}
    placed: dict[str, str] = {}
    for series in incoming:
        label = home.get(series.series_key)
        if label is None:
            label = series.scan_label
            if same(label) in used:
                label = free_scan_label(series.asked, series.modality, used)
            used.add(same(label))
        placed[series.scan_label] = label
    return placed
