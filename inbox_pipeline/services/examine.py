"""What one entry of a folder is, from its header alone: the columns that a ledger begins with.

Belongs here: opening a folder, its entries, and looking at each. Does not belong here: the catalog (`scan.py`),
grouping (`grouping.py`) and the walk itself (`store/inbox.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.header import Header, read_header
from inbox_pipeline.dicom.headers import Headers
from inbox_pipeline.dicom.litter import HEAD_BYTES, os_litter
from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.identify import Identity, identify
from inbox_pipeline.intake.labels import scan_label
from inbox_pipeline.intake.modalities import known_modality
from inbox_pipeline.intake.pseudonymous import pseudonymous
from inbox_pipeline.intake.reasons import disposition_of
from inbox_pipeline.services.chosen_labels import GIVEN_AWAY, identifies
from inbox_pipeline.services.profile import Profile
from inbox_pipeline.store.fresh import FRESH
from inbox_pipeline.store.inbox import FILE, Entry, InboxFolder
from inbox_pipeline.store.secret import Secret

LARGEST_INSTANCE_NUMBER = 2**31 - 1
_CODES = {"empty": "empty_file"}
_FACTS: dict[str, Any] = {
    "study_key": None,
    "series_key": None,
    "sop_key": None,
    "frame_key": None,
    "patient_key": None,
    "modality": None,
    "scan_label_asked": None,
    "instance_number": None,
    "subject_label": None,
    "session_label": None,
    "subject_rule": None,
    "session_rule": None,
    "auto_archive": None,
}


@dataclass(frozen=True)
class Asked:
    """What a scan must know of the request: explicit labels, the key for identifiers, and what cleans if anything."""

    subject_label: str | None
    session_label: str | None
    secret: Secret
    profile: Profile | None = None
    headers: Headers = field(default_factory=Headers)


def open_folder(real_path: bytes) -> InboxFolder:
    """Open a requested folder.

    Raises:
        Rejected: `path_gone`.
    """
    try:
        return InboxFolder(real_path)
    except OSError:
        raise Rejected("path_gone", "The requested folder is no longer there or cannot be opened.", "") from None


def entries(folder: InboxFolder, only: list[bytes] | None) -> Iterator[Entry]:
    """Yield what a request covers: the whole folder, or the files that it names and that are still there."""
    if only is None:
        yield from folder.walk()
        return
    for source_path in only:
        entry = folder.entry(source_path)
        yield entry or Entry(source_path, "source_vanished")


def examine(folder: InboxFolder, entry: Entry, asked: Asked) -> dict[str, Any]:
    """Return the ledger's columns for one entry, read from its header."""
    stat = {"bytes": entry.size, "mtime_ns": entry.mtime_ns, "inode": entry.inode}
    base = {**FRESH, **_FACTS, **stat, "source_path": entry.source_path}
    if entry.kind != FILE:
        return base | ended(entry.kind)
    try:
        with folder.open(entry.source_path) as stream:
            return base | _read(stream, entry, asked)
    except OSError:
        return base | ended("unreadable")


def _read(stream: BinaryIO, entry: Entry, asked: Asked) -> dict[str, Any]:
    litter = os_litter(entry.source_path, stream.read(HEAD_BYTES))
    if litter:
        return ended(litter)
    stream.seek(0)
    try:
        header = read_header(stream, size=entry.size, headers=asked.headers)
    except NotReadable as error:
        return ended(_CODES.get(error.code, error.code))
    uids = (header.sop_class_uid, header.sop_instance_uid, header.study_instance_uid, header.series_instance_uid)
    if not all(uids):
        return ended("missing_uid")
    identity = identify(header, asked.subject_label, asked.session_label)
    if asked.profile is None:
        return _facts(header, identity, asked.secret)
    given_away = identifies(identity, header, stream, entry.size, asked.profile)
    facts = _facts(header, pseudonymous(identity, header, asked.profile.pseudonyms), asked.secret)
    return facts | (ended(GIVEN_AWAY) if given_away else {})


def _facts(header: Header, identity: Identity, secret: Secret) -> dict[str, Any]:
    number = header.instance_number
    return {
        **header_keys(header, secret),
        "modality": known_modality(header.modality),
        "scan_label_asked": scan_label(header.series_number, header.series_instance_uid or ""),
        "instance_number": number if number is not None and abs(number) <= LARGEST_INSTANCE_NUMBER else None,
        "subject_label": identity.subject_label,
        "session_label": identity.session_label,
        "subject_rule": identity.subject_rule,
        "session_rule": identity.session_rule,
        "auto_archive": identity.auto_archive,
    }


def header_keys(header: Header, secret: Secret) -> dict[str, str]:
    """Return the keyed digests by which files are grouped; a blank PatientID gives no patient."""
    patient = (header.patient_id or "").strip()
    return {
        "study_key": secret.digest("uid", header.study_instance_uid or ""),
        "series_key": secret.digest("uid", header.series_instance_uid or ""),
        "sop_key": secret.digest("uid", header.sop_instance_uid or ""),
        "frame_key": secret.digest("uid", header.frame_of_reference_uid) if header.frame_of_reference_uid else "",
        "patient_key": secret.digest("patient", patient, (header.issuer_of_patient_id or "").strip())
        if patient
        else "",
    }


def ended(code: str) -> dict[str, Any]:
    """Return a row's disposition and reason once nothing more is to be found out."""
    return {"disposition": disposition_of(code), "reason": code}
