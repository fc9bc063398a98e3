"""Deleting sources after an import, only as promise 1 allows (DESIGN section 2).

Belongs here: the proof before each deletion. Does not belong here: how a file is deleted (`store/inbox.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy.engine import RowMapping

from inbox_pipeline.services.examine import is_packed
from inbox_pipeline.services.label_lock import label_locked
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.archive import file_sha256
from inbox_pipeline.store.catalog import ledger, requests
from inbox_pipeline.store.catalog.leases import Lease
from inbox_pipeline.store.filesystem import fsync_path
from inbox_pipeline.store.inbox import InboxFolder, stream_sha256
from inbox_pipeline.store.inbox_archive import InboxArchive

BATCH = 200


def clean_up(site: Site, lease: Lease, check: Callable[[], None]) -> str:
    """Delete the sources whose archived bytes are proven, and return the request's cleanup state.

    A source goes only when its row is `archived` (or a `duplicate` of an archived one), the archived file was read
    again and matches its digest, and the source has not changed since the scan, byte for byte. `done`: nothing that was
    archived is left; `pending`: files wait in the prearchive; `partial`: a source could not be proven or deleted, or
    the requested folder was taken away. An archive file goes as a whole, or stays.

    Raises:
        Unavailable: `lock_busy`, a session is not at its place while another request adds to it.
        LeaseLost: another attempt has taken over.
    """
    request_id = lease.request_id
    with site.catalog.read() as connection:
        request = requests.get(connection, request_id)
        rows = ledger.deletable(connection, request_id)
        counts = ledger.counts(connection, request_id)
    if request is None or not request["cleanup"]:
        return "off"
    proven = _proven_digests(site, lease, rows, check)
    provable = [row for row in rows if row["source_sha256"] in proven]
    left = _delete_from(site, request["source_path"], provable, sum(counts.values()), check)
    if any(disposition == "prearchived" for disposition, _ in counts):
        return "pending"
    return "partial" if left or any(row["source_sha256"] not in proven for row in rows) else "done"


def _proven_digests(site: Site, lease: Lease, rows: Sequence[RowMapping], check: Callable[[], None]) -> set[str]:
    """Return the source digests whose archived file was read again and matches.

    A session may be between the two renames of another request's commit (docs/durability.md, `away`), for as long as
    that takes to be resumed: what was not proven is looked at again under its label's lock.
    """
    named = [row for row in rows if row["archived_path"]]
    proven = _proven(site, named, check)
    unproven = [row for row in named if row["source_sha256"] not in proven]
    if not unproven:
        return proven
    with site.catalog.read() as connection:
        plans = requests.planned_sessions(connection, lease.request_id)
    for plan in plans:
        of_session = [row for row in unproven if row["session_number"] == plan["number"]]
        if of_session:
            with label_locked(site, lease, plan, "cleanup", check):
                proven |= _proven(site, of_session, check)
    return proven


def _proven(site: Site, rows: Sequence[RowMapping], check: Callable[[], None]) -> set[str]:
    proven = set()
    for row in rows:
        check()
        if _is_proven(site.settings.archive_path / row["archived_path"], row["archived_sha256"]):
            proven.add(row["source_sha256"])
    return proven


def _is_proven(path: Path, sha256: str) -> bool:
    """Return whether an archived file is durable and has that digest, read past what memory holds of it."""
    try:
        fsync_path(path)
        return file_sha256(path) == sha256
    except OSError:
        return False


def _delete_from(
    site: Site, real_path: bytes, rows: Sequence[RowMapping], found: int, check: Callable[[], None]
) -> int:
    """Delete sources of a folder, or an archive file if all that was found in it may go; return how many are left."""
    if not rows:
        return 0
    if is_packed(real_path):
        return 0 if len(rows) == found and _delete_archive(site, real_path, rows, check) else found
    try:
        with InboxFolder(real_path) as folder:
            return _delete_all(site, folder, rows, check)
    except OSError:
        return found


def _delete_archive(site: Site, real_path: bytes, rows: Sequence[RowMapping], check: Callable[[], None]) -> bool:
    """Delete an archive file if each member is what was imported; one that is gone already counts as deleted."""
    if os.path.lexists(real_path):
        try:
            with InboxArchive(real_path) as archive:
                if not all(_unchanged(archive, row, check) for row in archive.in_order(rows)):
                    return False
                archive.delete()
        except OSError:
            return False
    with site.catalog.write() as connection:
        ledger.mark_deleted(connection, [row["id"] for row in rows])
    return True


def _unchanged(archive: InboxArchive, row: RowMapping, check: Callable[[], None]) -> bool:
    check()
    try:
        with archive.open(row["source_path"]) as stream:
            same = archive.state(stream) == (row["bytes"], row["mtime_ns"], row["inode"])
            return same and stream_sha256(stream) == row["source_sha256"]
    except OSError:
        return False


def _delete_all(site: Site, folder: InboxFolder, rows: Sequence[RowMapping], check: Callable[[], None]) -> int:
    """Delete sources in batches, each recorded once durable; return how many are left."""
    left = 0
    for start in range(0, len(rows), BATCH):
        gone = []
        for row in rows[start : start + BATCH]:
            check()
            deleted = _delete(folder, row)
            gone += [row["id"]] if deleted else []
            left += not deleted
        with site.catalog.write() as connection:
            ledger.mark_deleted(connection, gone)
    return left


def _delete(folder: InboxFolder, row: RowMapping) -> bool:
    """Delete one source if it is what was imported; a source that is gone already counts as deleted.

    It must be the file that was scanned, unchanged, and be so still once its bytes were compared.
    """
    try:
        with folder.open(row["source_path"]) as stream:
            if stream_sha256(stream) != row["source_sha256"] or not _is_as_scanned(folder, row):
                return False
        folder.unlink(row["source_path"])
        folder.sync(row["source_path"])
        folder.remove_empty_folders(row["source_path"])
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _is_as_scanned(folder: InboxFolder, row: RowMapping) -> bool:
    entry = folder.entry(row["source_path"])
    scanned = (row["bytes"], row["mtime_ns"], row["inode"])
    return entry is not None and (entry.size, entry.mtime_ns, entry.inode) == scanned
