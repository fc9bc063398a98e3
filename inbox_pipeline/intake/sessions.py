"""Grouping files into sessions and scans, and deciding where each session goes (contract 2.4, 2.5; DESIGN section 5).

Belongs here: from facts about files to planned sessions with their scans, destination and findings. Does not belong
here: which labels a file asks for (`identify.py`), copies of one instance (`copies.py`), and any I/O.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from inbox_pipeline.dicom.sop_classes import scan_type
from inbox_pipeline.intake.labels import same

ARCHIVE, PREARCHIVE = "archive", "prearchive"
AUTO_ARCHIVE_CODE = 4
MAX_GAP_FACTOR = 10
"""A series whose numbers span more than this many times its files is not numbered slice by slice."""


@dataclass(frozen=True)
class FileFacts:
    """What the ledger knows of a file that can be imported; keys are keyed digests, "" means blank in the header."""

    row_id: int
    source_path: bytes
    study_key: str
    series_key: str
    patient_key: str
    subject_label: str
    session_label: str
    subject_rule: str
    session_rule: str
    scan_label: str
    modality: str
    instance_number: int | None = None
    auto_archive: bool | None = None


@dataclass(frozen=True)
class Destination:
    """What the request and its project say about where sessions go."""

    prearchive_code: int
    auto_archive: bool | None = None
    taken_labels: Collection[str] = ()
    first_number: int = 1


@dataclass
class PlannedSession:
    """A session that a request will make. `reason` is None when it goes to the archive."""

    number: int
    study_key: str
    patient_key: str
    subject_label: str
    session_label: str
    subject_rule: str
    session_rule: str
    destination: str
    state: str
    reason: str | None
    scans: dict[int, str] = field(default_factory=dict)
    findings: list[dict[str, str | int]] = field(default_factory=list)


def studies_under_one_label(files: Iterable[FileFacts], explicit_label: str | None) -> int:
    """Return the number of studies that an explicit label would merge, or 0 when there is no such problem."""
    studies = {file.study_key for file in files}
    return len(studies) if explicit_label and len(studies) > 1 else 0


def plan_sessions(
    files: Iterable[FileFacts], study_order: Mapping[str, tuple[str, ...]], destination: Destination
) -> list[PlannedSession]:
    """Return the sessions that the files make, numbered in the order in which they take their labels.

    Args:
        files: the files to import, copies of one instance already decided.
        study_order: sort key of each study: study date, study time, Study Instance UID.
        destination: prearchive code, explicit auto-archive wish, labels taken in the project (compared form).
    """
    files = sorted(files, key=lambda f: f.source_path)
    torn = _studies_of_several_patients(files)
    groups = _groups(files, torn)
    ordered = sorted(groups.values(), key=lambda g: (*study_order[g[0].study_key], g[0].source_path))
    taken: set[str] = set(destination.taken_labels)
    given: set[str] = set()
    sessions = []
    for number, group in enumerate(ordered, destination.first_number):
        session = _plan_one(number, group, torn, taken, given, destination)
        sessions.append(session)
    return sessions


def _studies_of_several_patients(files: Iterable[FileFacts]) -> set[str]:
    patients: dict[str, set[str]] = defaultdict(set)
    for file in files:
        if file.patient_key:
            patients[file.study_key].add(file.patient_key)
    return {study for study, keys in patients.items() if len(keys) > 1}


def _groups(files: Iterable[FileFacts], torn: set[str]) -> dict[tuple[str, ...], list[FileFacts]]:
    """Group by study and session label; in a study of several patients also by patient, so that none are merged."""
    groups: dict[tuple[str, ...], list[FileFacts]] = defaultdict(list)
    for file in files:
        patient = file.patient_key if file.study_key in torn else ""
        groups[(file.study_key, same(file.session_label), patient)].append(file)
    return groups


def _plan_one(
    number: int,
    group: list[FileFacts],
    torn: set[str],
    taken: set[str],
    given: set[str],
    destination: Destination,
) -> PlannedSession:
    first = group[0]
    reason = _conflict(first, torn, taken, given)
    if reason is None:
        given.add(same(first.session_label))
    automatic = _is_automatic(group, destination)
    where = ARCHIVE if reason is None and automatic else PREARCHIVE
    session = PlannedSession(
        number=number,
        study_key=first.study_key,
        patient_key=next((f.patient_key for f in group if f.patient_key), ""),
        subject_label=first.subject_label,
        session_label=first.session_label,
        subject_rule=first.subject_rule,
        session_rule=first.session_rule,
        destination=where,
        state="CONFLICT" if reason else ("ARCHIVING" if where == ARCHIVE else "READY"),
        reason=reason or (None if where == ARCHIVE else "ready_for_review"),
    )
    session.scans = _scan_labels(group)
    session.findings = [*_label_findings(group), *_gap_findings(group, session.scans)]
    return session


def _conflict(first: FileFacts, torn: set[str], taken: set[str], given: set[str]) -> str | None:
    label = same(first.session_label)
    if first.study_key in torn:
        return "patient_conflict"
    if label in taken:
        return "session_exists"
    return "label_taken" if label in given else None


def _is_automatic(group: list[FileFacts], destination: Destination) -> bool:
    """Request parameter first, then the `AA:` assignment in the header, then the project's code."""
    if destination.auto_archive is not None:
        return destination.auto_archive
    wishes = [file.auto_archive for file in group if file.auto_archive is not None]
    return wishes[0] if wishes else destination.prearchive_code >= AUTO_ARCHIVE_CODE


def _scan_labels(group: list[FileFacts]) -> dict[int, str]:
    """Give each series its scan id; further series that ask for a taken one get `N-MODk`."""
    by_series: dict[str, str] = {}
    used: set[str] = set()
    for file in group:
        if file.series_key not in by_series:
            by_series[file.series_key] = free_scan_label(file.scan_label, file.modality, used)
            used.add(same(by_series[file.series_key]))
    return {file.row_id: by_series[file.series_key] for file in group}


def free_scan_label(asked: str, modality: str, used: Collection[str]) -> str:
    """Return the scan id that a series gets: the one that it asks for, or the first free `N-MODk` (contract 2.5).

    Args:
        asked: the scan id that it asks for.
        modality: its modality.
        used: the scan ids that others have, in their compared form.
    """
    if same(asked) not in used:
        return asked
    kind = _kind(modality)
    k = 1
    while same(f"{asked}-{kind}{k}") in used:
        k += 1
    return f"{asked}-{kind}{k}"


def _kind(modality: str) -> str:
    """Return the two letters by which XNAT tells scans of one number apart, from the scan's type (contract 2.5)."""
    letters = scan_type(modality, None).removeprefix("xnat:")[:2].upper()
    return "PT" if letters == "PE" else letters


def _label_findings(group: list[FileFacts]) -> list[dict[str, str | int]]:
    subjects = {same(file.subject_label) for file in group}
    if len(subjects) > 1:
        return [{"code": "several_subject_labels", "count": len(subjects)}]
    return []


def _gap_findings(group: list[FileFacts], scans: Mapping[int, str]) -> list[dict[str, str | int]]:
    """Find series whose instance numbers have gaps: slices that never arrived."""
    numbers: dict[str, set[int]] = defaultdict(set)
    for file in group:
        if file.instance_number is not None:
            numbers[scans[file.row_id]].add(file.instance_number)
    findings: list[dict[str, str | int]] = []
    for scan, found in sorted(numbers.items()):
        span = max(found) - min(found) + 1
        if len(found) > 2 and len(found) < span <= MAX_GAP_FACTOR * len(found):
            findings.append({"code": "missing_instances", "scan": scan, "count": span - len(found)})
    return findings
