"""Facts of a source and of what it became, read from both files by pydicom, so that the rewriter does not judge itself.

Belongs here: UIDs, dates and markers with the places where they stand, for `deid/crossfile.py`. Does not belong here:
judging them, and which files (`checks.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, BinaryIO

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.crossfile import FileFacts, Place, Side
from inbox_pipeline.deid.policy import METHOD_CODES, Policy
from inbox_pipeline.deid.pseudonyms import Patient
from inbox_pipeline.deid.table import standard_uids
from inbox_pipeline.dicom.quiet import quiet
from inbox_pipeline.script.references import FRAME_OF_REFERENCE, INSTANCE, SERIES, STUDY

if TYPE_CHECKING:
    from pydicom import Dataset

MOST_DATES = 32
"""So many dates of a file are compared; in enhanced objects the dates of thousands of frames repeat each other."""
_DEFINING = frozenset({INSTANCE, SERIES, STUDY, FRAME_OF_REFERENCE})
_PATIENT_ID, _ISSUER, _SOP_CLASS = 0x00100020, 0x00100021, 0x00080016
_KINDS = frozenset({"UI", "DA", "DT", "SQ"})

Path = tuple[int, ...]
Values = Mapping[Path, list[str]]
"""Values by the tags that lead to them, in the order of the file."""


@dataclass(frozen=True)
class Looked:
    """Facts of one file of a batch, and how many of its references lead to places that the output no longer has."""

    facts: FileFacts
    removed: int


def look(source: BinaryIO, output: BinaryIO, policy: Policy) -> Looked:
    """Read the facts of a source and of its output.

    References and dates are compared where source and output have the same number of them at one place; a sequence
    from which scripts or the policy took items is left out, and its references count as removed.

    Raises:
        Exception: whatever pydicom raises for a file that it cannot read.
    """
    with quiet():
        before, after = _read(source), _read(output)
        old, new = _values(before), _values(after)
        shared = {path for path, values in old.items() if len(new.get(path, ())) == len(values)}
        moved = _moved(shared, policy, _text(before, _SOP_CLASS))
        patient = Patient(*(_text(before, tag) for tag in (_PATIENT_ID, _ISSUER, STUDY))).identity
        facts = FileFacts(
            Side(_defined(old), _referenced(old, shared), patient, _dates(old, moved)),
            Side(
                _defined(new),
                _referenced(new, shared),
                (_text(after, _PATIENT_ID),),
                _dates(new, moved),
                _present(after, {*policy.markers(), METHOD_CODES}),
            ),
        )
    everywhere = _referenced(old, old.keys())
    return Looked(facts, len(everywhere) - len(facts.source.referenced))


def _read(stream: BinaryIO) -> Dataset:
    import pydicom  # noqa: PLC0415 - costs half a second

    return pydicom.dcmread(stream, stop_before_pixels=True, force=True)


def _values(dataset: Dataset) -> Values:
    found: dict[Path, list[str]] = defaultdict(list)
    for path, value in _walk(dataset, ()):
        found[path].append(value)
    return found


def _walk(dataset: Dataset, path: Path) -> Iterator[tuple[Path, str]]:
    """UIDs and dates at every depth, private ones left out; UN is read as what the dictionary says."""
    for tag in sorted(int(tag) for tag in dataset.keys()):  # noqa: SIM118 - a data set is no mapping of its elements
        raw = dataset.get_item(tag)
        if tag >> 16 & 1 or raw is None or _vr(tag, raw.VR) not in _KINDS:
            continue
        element = dataset[tag]
        if element.VR == "SQ":
            for item in element.value:
                yield from _walk(item, (*path, tag))
        else:
            yield from (((*path, tag), str(value)) for value in _several(element.value))


def _vr(tag: int, stated: str | None) -> str:
    from pydicom.datadict import dictionary_VR  # noqa: PLC0415 - costs half a second

    try:
        return stated if stated and stated != "UN" else str(dictionary_VR(tag))
    except KeyError:
        return "UN"


def _several(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) else list(value)


def _defined(values: Values) -> dict[Place, str]:
    return {(tag,): values[(tag,)][0] for tag in _DEFINING if values.get((tag,))}


def _referenced(values: Values, places: Collection[Path]) -> dict[Place, str]:
    return {
        (path, number): value
        for path in places
        if len(path) > 1 or path[0] not in _DEFINING
        for number, value in enumerate(values[path])
        if value[:2].rstrip(".").isdigit() and "." in value and value not in standard_uids()
    }


def _moved(places: Collection[Path], policy: Policy, sop_class_uid: str) -> list[Path]:
    """The places whose dates the policy moves."""
    actions = policy.actions(sop_class_uid)
    return [
        path
        for path in sorted(places)
        if (actions.at_root(path[0]) if len(path) == 1 else actions.within(path[-2], path[-1])) is Action.SHIFT
    ]


def _dates(values: Values, places: list[Path]) -> dict[Place, date]:
    found: dict[Place, date] = {}
    for path in places:
        for number, value in enumerate(values[path]):
            day = _day(value)
            if day is not None and len(found) < MOST_DATES:
                found[path, number] = day
    return found


def _day(text: str) -> date | None:
    digits = text.strip()[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if len(digits) == len("YYYYMMDD") else None
    except ValueError:
        return None


def _present(dataset: Dataset, tags: Collection[int]) -> frozenset[int]:
    return frozenset(tag for tag in tags if tag in dataset and dataset[tag].value)


def _text(dataset: Dataset, tag: int) -> str:
    return str(dataset[tag].value or "") if tag in dataset else ""
