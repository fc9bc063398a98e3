"""What one entry of a folder is, from its header alone: the columns that a ledger begins with.

Belongs here: opening a folder, its entries, and looking at each. Does not belong here: the catalog (`scan.py`),
grouping (`grouping.py`) and the walk itself (`store/inbox.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from inbox_pipeline.dicom.errors import NotDicom, NotReadable
from inbox_pipeline.dicom.header import Header, read_header
from inbox_pipeline.dicom.headers import Headers
from inbox_pipeline.dicom.litter import HEAD_BYTES, os_litter
from inbox_pipeline.dicom.text import is_uid, stands_for_uid
from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.identify import Identity, identify
from inbox_pipeline.intake.labels import scan_label
from inbox_pipeline.intake.modalities import known_modality
from inbox_pipeline.intake.pseudonymous import pseudonymous
from inbox_pipeline.intake.reasons import disposition_of
from inbox_pipeline.intake.requests import is_archive_file
from inbox_pipeline.intake.routing import NO_ROUTING, Routing, RuleTooSlow
from inbox_pipeline.services.chosen_labels import GIVEN_AWAY, identifies
from inbox_pipeline.services.profile import Profile
from inbox_pipeline.store.fresh import FRESH
from inbox_pipeline.store.inbox import FILE, Entry, InboxFolder, NotOpened, Requested
from inbox_pipeline.store.inbox_archive import InboxArchive
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
    """What a scan must know of the request: explicit labels, the key for identifiers, what cleans if anything, and the
    administrators' rules."""

    subject_label: str | None
    session_label: str | None
    secret: Secret
    profile: Profile | None = None
    routing: Routing = NO_ROUTING
    headers: Headers = field(default_factory=Headers)


def open_folder(real_path: bytes) -> InboxFolder | InboxArchive:
    """Open a requested folder, or archive file.

    Raises:
        Rejected: `path_gone`, `archive_file_not_supported`.
    """
    try:
        return InboxArchive(real_path) if is_packed(real_path) else InboxFolder(real_path)
    except OSError:
        raise Rejected("path_gone", "The requested folder is no longer there or cannot be opened.", "") from None


def is_packed(real_path: bytes) -> bool:
    """Return whether a requested path is that of an archive file, by its name; a folder may be named so, too."""
    path = os.fsdecode(real_path)
    return is_archive_file(path) and not Path(path).is_dir()


def entries(folder: Requested, only: list[bytes] | None) -> Iterator[Entry]:
    """Yield what a request covers: the whole folder, or the files that it names and that are still there."""
    if only is None:
        yield from folder.walk()
        return
    for source_path in only:
        entry = folder.entry(source_path)
        yield entry or Entry(source_path, "source_vanished")


def examine(folder: Requested, entry: Entry, asked: Asked) -> dict[str, Any]:
    """Return the ledger's columns for one entry, read from its header."""
    stat = {"bytes": entry.size, "mtime_ns": entry.mtime_ns, "inode": entry.inode}
    base = {**FRESH, **_FACTS, **stat, "source_path": entry.source_path}
    if entry.kind != FILE:
        return base | ended(entry.kind)
    try:
        with folder.open(entry.source_path) as stream:
            return base | _read(stream, entry, asked)
    except NotReadable as error:
        return base | ended(_code(error, entry.source_path))
    except NotOpened as fault:
        return base | ended(fault.code)
    except OSError:
        return base | ended("unreadable")


def _read(stream: BinaryIO, entry: Entry, asked: Asked) -> dict[str, Any]:
    litter = os_litter(entry.source_path, stream.read(HEAD_BYTES))
    if litter:
        return ended(litter)
    stream.seek(0)
    header = read_header(stream, size=entry.size, headers=asked.headers, also=asked.routing.tags)
    fault = _uid_fault(header, cleaned=asked.profile is not None)
    if fault:
        return ended(fault)
    try:
        identity = identify(header, asked.subject_label, asked.session_label, asked.routing)
    except RuleTooSlow as slow:
        return ended("routing_failed") | {"detail": str(slow)}
    if asked.profile is None:
        return _facts(header, identity, asked.secret)
    given_away = identifies(identity, stream, entry.size, asked.profile)
    facts = _facts(header, pseudonymous(identity, header, asked.profile.pseudonyms), asked.secret)
    return facts | (ended(GIVEN_AWAY) if given_away else {})


def _code(error: NotReadable, source_path: bytes) -> str:
    """Return the reason for bytes that are no instance; of an archive file among them, that it was not opened."""
    if isinstance(error, NotDicom) and is_archive_file(os.fsdecode(source_path)):
        return "archive_not_opened"
    return _CODES.get(error.code, error.code)


def _uid_fault(header: Header, *, cleaned: bool) -> str | None:
    """Return why an instance cannot be filed by its UIDs, or None.

    A SOP Class UID that somebody blanked is the one that the file meta information names (PS3.10 section 7.1), unless
    the file is to be cleaned: what that does depends on the class, which the data set itself must then tell.
    """
    blanked = header.sop_class_uid == "" and not cleaned
    sop_class_uid = header.media_storage_sop_class_uid if blanked else header.sop_class_uid
    kinds = (header.transfer_syntax_uid, sop_class_uid)
    names = (header.sop_instance_uid, header.study_instance_uid, header.series_instance_uid)
    if not sop_class_uid or not all(names):
        return "missing_uid"
    fit = all(is_uid(kind) for kind in kinds) and all(stands_for_uid(name or "") for name in names)
    return None if fit else "uid_invalid"


def _facts(header: Header, identity: Identity, secret: Secret) -> dict[str, Any]:
    number = header.instance_number
    return {
        **header_keys(header, secret),
        "modality": known_modality(header.modality),
        "scan_label_asked": scan_label(header.series_number, header.series_instance_uid or ""),
        "instance_number": number if number is not None and abs(number) <= LARGEST_INSTANCE_NUMBER else None,
        "subject_label": identity.subject.label,
        "session_label": identity.session.label,
        "subject_rule": identity.subject.rule,
        "session_rule": identity.session.rule,
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
