"""The archive and prearchive trees: where a session lies, its catalog XML, its manifest, the rename that shows it.

Belongs here: XNAT's layout (contract section 5) and the commit's steps on disk (DESIGN section 3). Does not belong
here: the commit's rows (`catalog/commits.py`) and the decision which tree a session goes to.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from inbox_pipeline.store import filesystem
from inbox_pipeline.store.filesystem import fsync_directory, make_directories

ARC_FOLDER = "arc001"
_CATALOG_NAMESPACE = "http://nrg.wustl.edu/catalog"
_XNAT_NAMESPACE = "http://nrg.wustl.edu/xnat"
_CHUNK = 1 << 18


@dataclass(frozen=True)
class CatalogEntry:
    """A file of a scan, as its catalog XML lists it."""

    name: str
    sop_instance_uid: str
    instance_number: int | None
    md5: str
    size: int


def archive_target(project_id: str, session_label: str) -> str:
    """Return where a session lies in the archive, relative to it."""
    return f"{project_id}/{ARC_FOLDER}/{session_label}"


def prearchive_target(project_id: str, timestamp: str, session_label: str) -> str:
    """Return where a session lies in the prearchive, relative to it."""
    return f"{project_id}/{timestamp}/{session_label}"


def prearchive_timestamp(moment: dt.datetime) -> str:
    """Return XNAT's name of a prearchive timestamp folder: `yyyyMMdd_HHmmssSSS`."""
    return moment.strftime("%Y%m%d_%H%M%S") + f"{moment.microsecond // 1000:03d}"


def scan_catalog_name(scan_label: str) -> str:
    """Return the name of a scan's catalog XML."""
    return f"scan_{scan_label}_catalog.xml"


def scan_folder(scan_label: str) -> str:
    """Return where a scan lies, relative to the session."""
    return f"SCANS/{scan_label}"


def file_path(scan_label: str, name: str) -> str:
    """Return where a scan's file lies, relative to the session."""
    return f"{scan_folder(scan_label)}/DICOM/{name}"


def scan_catalog_path(scan_label: str) -> str:
    """Return where a scan's catalog XML lies, relative to the session."""
    return file_path(scan_label, scan_catalog_name(scan_label))


def scan_catalog(series_uid: str, entries: Iterable[CatalogEntry]) -> bytes:
    """Return the catalog XML of a scan's DICOM resource; equal inputs give equal bytes."""
    ET.register_namespace("cat", _CATALOG_NAMESPACE)
    ET.register_namespace("xnat", _XNAT_NAMESPACE)
    root = ET.Element(f"{{{_CATALOG_NAMESPACE}}}DCMCatalog", {"UID": series_uid})
    listing = ET.SubElement(root, f"{{{_CATALOG_NAMESPACE}}}entries")
    for entry in sorted(entries, key=lambda e: e.name):
        ET.SubElement(listing, f"{{{_CATALOG_NAMESPACE}}}entry", _attributes(entry))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="UTF-8", xml_declaration=True)) + b"\n"


def manifest_digest(files: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a session's manifest: its relative names with the SHA-256 of each file."""
    digest = hashlib.sha256()
    for name, sha256 in sorted(files):
        digest.update(f"{sha256}  {name}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read_manifest(session_path: Path) -> Iterator[tuple[str, str]]:
    """Yield (relative name, SHA-256) of every file of a session, read from the disk."""
    for path in sorted(session_path.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(session_path)), file_sha256(path)


def holds(session_path: Path, digest: str) -> bool:
    """Return whether a session is there and its files, read from the disk, have that manifest's digest."""
    return session_path.exists() and manifest_digest(read_manifest(session_path)) == digest


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read from the disk where the system can be asked to.

    Bytes that are not durable yet stay in memory whatever it is asked (posix_fadvise(2)).
    """
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, content: bytes) -> str:
    """Write a small file and return its SHA-256; the caller makes it durable."""
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def show_session(staged: Path, root: Path, target: str) -> None:
    """Rename a staged session to its place, and make the rename durable in both parents (commit step 3).

    Raises:
        FileNotFoundError: when another attempt has taken the staging folder over.
        FileExistsError: when something lies at the target already.
    """
    final = root / target
    make_directories(final.parent, above=root)
    if os.path.lexists(final):
        raise FileExistsError(final)
    staged.rename(final)
    fsync_directory(final.parent)
    fsync_directory(staged.parent)


def exchange_session(generation: Path, final: Path, former: Path) -> None:
    """Put a new generation in a session's place and the one that was there at `former` (commit step 3, merging).

    Where the file system cannot exchange two names, the session is away for an instant between two renames; the
    intent, which is durable by then, is their journal, and the same call goes on between them. After an exchange,
    `put_aside` goes on.

    Raises:
        FileNotFoundError: when another attempt has taken the staging folder over.
    """
    if not former.exists():
        if filesystem.exchange(generation, final):
            fsync_directory(final.parent)
            fsync_directory(generation.parent)
            put_aside(generation, former)
            return
        final.rename(former)
        fsync_directory(former.parent)
        fsync_directory(final.parent)
    generation.rename(final)
    fsync_directory(final.parent)
    fsync_directory(generation.parent)


def put_aside(generation: Path, former: Path) -> None:
    """Name what an exchange brought back from a session's place by what it is now."""
    generation.rename(former)
    fsync_directory(former.parent)


def file_sizes(session_path: Path) -> dict[str, int]:
    """Return the size in bytes of all that lies in a session and is no folder, by relative name; -1 for a link."""
    found = {}
    for path in session_path.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            found[str(path.relative_to(session_path))] = -1 if path.is_symlink() else path.stat().st_size
    return found


def _attributes(entry: CatalogEntry) -> dict[str, str]:
    attributes = {
        "URI": entry.name,
        "ID": entry.name,
        "UID": entry.sop_instance_uid,
        "format": "DICOM",
        "content": "RAW",
        "digest": entry.md5,
        "size": str(entry.size),
    }
    if entry.instance_number is not None:
        attributes["instanceNumber"] = str(entry.instance_number)
    return attributes | {"{http://www.w3.org/2001/XMLSchema-instance}type": "cat:dcmEntry"}
