"""Step 1, scan: one ledger row per file found, from its header alone.

Belongs here: looking at each entry of the folder and writing what it is. Does not belong here: grouping (`validate.py`)
and the walk itself (`store/inbox.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.header import Header, read_header
from inbox_pipeline.dicom.litter import HEAD_BYTES, os_litter
from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.identify import Identity, identify
from inbox_pipeline.intake.labels import scan_label
from inbox_pipeline.intake.modalities import known_modality
from inbox_pipeline.intake.pseudonymous import pseudonymous
from inbox_pipeline.intake.reasons import disposition_of
from inbox_pipeline.services.chosen_labels import GIVEN_AWAY, identifies
from inbox_pipeline.services.policies import PolicyChoice, pseudonyms_of
from inbox_pipeline.services.profile import Profile
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import ledger, requests
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


def scan(site: Site, request_id: int, check: Callable[[], None]) -> None:
    """Fill the ledger of a request; a file that has been staged or committed keeps its row.

    Args:
        check: called between files; raises when the work must stop.

    Raises:
        Rejected: `path_gone`.
    """
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
        known = ledger.known_paths(connection, request_id)
        only = requests.listed_files(connection, request_id)
    if row is None:
        raise Rejected("request_not_found", "The request is gone.", "")
    choice = PolicyChoice.of(row)
    profile = Profile(choice, pseudonyms_of(site.secret, row["project_id"])) if choice.basic else None
    asked = Asked(row["subject_label"], row["session_label"], site.secret, profile)
    found = set()
    fresh: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    with open_folder(row["source_path"]) as folder:
        for entry in entries(folder, only if row["only_listed"] else None):
            check()
            digest = requests.path_digest(entry.source_path)
            found.add(digest)
            old = known.get(digest)
            if old is None:
                fresh.append({"request_id": request_id, "path_digest": digest, **examine(folder, entry, asked)})
            elif old["disposition"] not in ledger.COMMITTED and not old["staged_name"]:
                again.append({"row_id": old["id"], "deleted_at": None, **examine(folder, entry, asked)})
            if len(fresh) + len(again) >= ledger.BATCH:
                _write(site, fresh, again)
    again_gone = [_gone(old) for digest, old in known.items() if digest not in found and _open(old)]
    _write(site, fresh, again)
    _write(site, [], again_gone)


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
    base = {**ledger.FRESH, **_FACTS, **stat, "source_path": entry.source_path}
    if entry.kind != FILE:
        return base | _ended(entry.kind)
    try:
        with folder.open(entry.source_path) as stream:
            return base | _read(stream, entry, asked)
    except OSError:
        return base | _ended("unreadable")


def _read(stream: BinaryIO, entry: Entry, asked: Asked) -> dict[str, Any]:
    litter = os_litter(entry.source_path, stream.read(HEAD_BYTES))
    if litter:
        return _ended(litter)
    stream.seek(0)
    try:
        header = read_header(stream, size=entry.size)
    except NotReadable as error:
        return _ended(_CODES.get(error.code, error.code))
    uids = (header.sop_class_uid, header.sop_instance_uid, header.study_instance_uid, header.series_instance_uid)
    if not all(uids):
        return _ended("missing_uid")
    identity = identify(header, asked.subject_label, asked.session_label)
    if asked.profile is None:
        return _facts(header, identity, asked.secret)
    given_away = identifies(identity, header, stream, entry.size, asked.profile)
    facts = _facts(header, pseudonymous(identity, header, asked.profile.pseudonyms), asked.secret)
    return facts | (_ended(GIVEN_AWAY) if given_away else {})


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


def _ended(code: str) -> dict[str, Any]:
    return {"disposition": disposition_of(code), "reason": code}


def _open(old: Any) -> bool:
    """Return whether a row may still change when its file is gone: a duplicate that was cleaned up is done with."""
    return old["disposition"] not in ledger.COMMITTED and old["deleted_at"] is None


def _gone(old: Any) -> dict[str, Any]:
    return {"row_id": old["id"], "deleted_at": None, **ledger.FRESH, **_ended("source_vanished")}


def _write(site: Site, fresh: list[dict[str, Any]], again: list[dict[str, Any]]) -> None:
    with site.catalog.write() as connection:
        ledger.insert(connection, fresh)
        ledger.update_rows(connection, again)
    fresh.clear()
    again.clear()
