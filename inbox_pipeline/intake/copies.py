"""Copies of one SOP Instance UID within a request: which one is imported (DESIGN section 5).

Belongs here: the choice among copies. Does not belong here: reading files for their digests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inbox_pipeline.intake.merging import ARCHIVED_ALREADY, CONFLICTING


@dataclass(frozen=True)
class Copy:
    """A file that claims an instance: its row, its relative path, and the keyed digest of its SOP Instance UID."""

    row_id: int
    source_path: bytes
    sop_key: str


NOTHING_ARCHIVED: Mapping[int, str] = {}


def needing_digests(
    copies: Iterable[Copy], committed: Mapping[str, str], archived: Mapping[int, str] = NOTHING_ARCHIVED
) -> set[int]:
    """Return the rows whose source digest decides something: those that share a UID with another file.

    Args:
        copies: the files of the request that are still to be imported.
        committed: source digest by `sop_key` of the instances that this request has committed already.
        archived: by row, the source digest of the instance of that UID which the session has that the file would join.
    """
    by_uid = _by_uid(copies)
    shared = {c.row_id for key, same in by_uid.items() if len(same) > 1 or key in committed for c in same}
    return shared | archived.keys()


def judge_copies(
    copies: Iterable[Copy],
    digests: Mapping[int, str],
    committed: Mapping[str, str],
    archived: Mapping[int, str] = NOTHING_ARCHIVED,
    *,
    replaces: bool = False,
) -> dict[int, str]:
    """Return the reason for each file that is not imported because of another copy.

    The largest group of equal digests wins, at equal size the one with the smallest path in byte order; its smallest
    path is imported, its others are `duplicate_in_request`, all other groups `sop_uid_conflict`. A digest that this
    request has committed already wins over all. Before that, what the session has already is `duplicate_archived`, and
    what conflicts with it does so unless it `replaces` it.
    """
    copies = list(copies)
    verdicts = {
        c.row_id: ARCHIVED_ALREADY if digests[c.row_id] == archived[c.row_id] else CONFLICTING
        for c in copies
        if c.row_id in archived and c.sop_key not in committed
        if digests[c.row_id] == archived[c.row_id] or not replaces
    }
    for key, same in _by_uid(c for c in copies if c.row_id not in verdicts).items():
        if len(same) > 1 or key in committed:
            verdicts.update(_judge_group(same, digests, committed.get(key)))
    return verdicts


def _by_uid(copies: Iterable[Copy]) -> dict[str, list[Copy]]:
    by_uid: dict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        by_uid[copy.sop_key].append(copy)
    return by_uid


def _judge_group(same: list[Copy], digests: Mapping[int, str], committed: str | None) -> dict[int, str]:
    groups: dict[str, list[Copy]] = defaultdict(list)
    for copy in sorted(same, key=lambda c: c.source_path):
        groups[digests[copy.row_id]].append(copy)
    winner = committed or min(groups, key=lambda digest: (-len(groups[digest]), groups[digest][0].source_path))
    verdicts = {}
    for digest, members in groups.items():
        for position, copy in enumerate(members):
            if digest != winner:
                verdicts[copy.row_id] = CONFLICTING
            elif position or committed:
                verdicts[copy.row_id] = "duplicate_in_request"
    return verdicts
