"""What must hold across the files of a batch: references resolve as before, patients stay apart, intervals stay.

Belongs here: judging facts of sources and outputs; results carry counts and never a value. Does not belong here:
reading files, showing results.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

Place = Hashable
"""Where an element stands, the same in source and output: the path of tags, with the numbers of items."""


@dataclass(frozen=True, repr=False)
class Side:
    """Facts of one file, as it was or as it became."""

    defined: Mapping[Place, str] = field(default_factory=dict)
    """UIDs that the file bears: SOP instance, series, study, frame of reference."""
    referenced: Mapping[Place, str] = field(default_factory=dict)
    """UIDs of other objects."""
    patient: tuple[str, ...] = ()
    """Who it is of: `Patient.identity`, or the new PatientID."""
    dates: Mapping[Place, date] = field(default_factory=dict)
    """Of a source only those that the policy moves."""
    markers: frozenset[int] = frozenset()
    """Tags of `Policy.markers` and the codes that are there with a value."""


class FileFacts(NamedTuple):
    """One file of a batch that came through."""

    source: Side
    output: Side


class Check(NamedTuple):
    """One judgement: how many things were looked at, and how many are wrong."""

    name: str
    checked: int
    failed: int

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong; true also if there was nothing to look at."""
        return self.failed == 0


def judge(files: Iterable[FileFacts], markers: Collection[int]) -> tuple[Check, ...]:
    """Return all checks of a batch.

    Args:
        files: all files of the batch that came through.
        markers: the tags that each output must have.
    """
    batch = list(files)
    return (
        _uids_consistent(batch),
        _references_resolve(batch),
        _patients_apart(batch),
        _patients_whole(batch),
        _intervals_kept(batch),
        _markers_present(batch, frozenset(markers)),
    )


def _uids_consistent(batch: list[FileFacts]) -> Check:
    """One original UID, one new one, wherever it is defined or referenced; two originals, two new ones."""
    forth, back = _relation(_uid_pairs(batch))
    return Check("uids_consistent", len(forth), _ambiguous(forth) + _ambiguous(back))


def _uid_pairs(batch: list[FileFacts]) -> Iterator[tuple[str, str]]:
    for source, output in batch:
        for before, after in ((source.defined, output.defined), (source.referenced, output.referenced)):
            yield from ((uid, after[place]) for place, uid in before.items() if place in after)


def _references_resolve(batch: list[FileFacts]) -> Check:
    """A reference to a UID that a file of the batch bears does so afterwards, to that of the same file."""
    becomes: dict[str, set[str]] = defaultdict(set)
    for source, output in batch:
        for place, uid in source.defined.items():
            becomes[uid].add(output.defined.get(place, ""))
    resolving = [
        (output.referenced.get(place), becomes[uid])
        for source, output in batch
        for place, uid in source.referenced.items()
        if uid in becomes
    ]
    return Check("references_resolve", len(resolving), sum(after not in new for after, new in resolving))


def _patients_apart(batch: list[FileFacts]) -> Check:
    _, back = _relation(_patients(batch))
    return Check("patients_not_merged", len(back), _ambiguous(back))


def _patients_whole(batch: list[FileFacts]) -> Check:
    forth, _ = _relation(_patients(batch))
    return Check("patients_not_split", len(forth), _ambiguous(forth))


def _patients(batch: list[FileFacts]) -> Iterator[tuple[Hashable, Hashable]]:
    return ((source.patient, output.patient) for source, output in batch)


def _intervals_kept(batch: list[FileFacts]) -> Check:
    """All dates of a patient are moved by the same number of days; what is no longer there cannot be wrong."""
    offsets: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for source, output in batch:
        offsets[source.patient] += (
            (output.dates[place] - day).days for place, day in source.dates.items() if place in output.dates
        )
    agreeing = sum(Counter(days).most_common(1)[0][1] for days in offsets.values() if days)
    checked = sum(map(len, offsets.values()))
    return Check("intervals_kept", checked, checked - agreeing)


def _markers_present(batch: list[FileFacts], markers: frozenset[int]) -> Check:
    return Check("markers_present", len(batch), sum(not markers <= output.markers for _, output in batch))


def _relation(
    pairs: Iterable[tuple[Hashable, Hashable]],
) -> tuple[Mapping[Hashable, set[Hashable]], Mapping[Hashable, set[Hashable]]]:
    """What each first one goes with, and each second one."""
    forth: dict[Hashable, set[Hashable]] = defaultdict(set)
    back: dict[Hashable, set[Hashable]] = defaultdict(set)
    for first, second in pairs:
        forth[first].add(second)
        back[second].add(first)
    return forth, back


def _ambiguous(relation: Mapping[Hashable, set[Hashable]]) -> int:
    return sum(len(others) > 1 for others in relation.values())
