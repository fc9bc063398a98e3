"""A requested archive file, as if it were the folder that it would unpack to; nothing of it is unpacked to a disk.

Belongs here: its members as entries, opening one, deleting the file. Does not belong here: formats (`packed_zip.py`,
`packed_tar.py`) and what members are (`services/examine.py`).

A member is unpacked into memory that has no name on any disk, once each time it is opened: bytes that are not
anonymized stay in the inbox and in memory, and whoever reads a member has a file with a handle as of a folder's file.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from inbox_pipeline.store.inbox import FILE, UNREADABLE, Entry, NotOpened, Row, State, file_inode, timed
from inbox_pipeline.store.packed import (
    BROKEN,
    DAMAGED,
    LINK,
    MOST_MEMBER_BYTES,
    MOST_MEMBERS,
    NAME,
    OVER_LIMITS,
    TOO_LARGE,
    WHOLE,
    Broken,
    Member,
    Names,
    OverLimits,
    allowance,
    is_safe,
    plain_name,
)
from inbox_pipeline.store.packed_tar import Tar, decompressor
from inbox_pipeline.store.packed_zip import Zip

_NO_FOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True)
class _Listed:
    entry: Entry
    member: Member | None


class InboxArchive:
    """A requested archive file, opened once; what its name ends with tells its format.

    Members are listed as far as somebody has asked, so that one pass in their order reads a compressed file once.

    Raises:
        OSError: when the file is gone, is a link or no regular file, or cannot be opened.
        Rejected: `archive_file_not_supported`.
    """

    def __init__(self, real_path: bytes) -> None:
        self.real_path = real_path
        name = os.fsdecode(real_path).lower()
        inside = None if name.endswith(".zip") else decompressor(name)
        self._file = _opened(real_path)
        self._left = allowance(os.fstat(self._file.fileno()).st_size)
        self._reader: Zip | Tar = Zip(self._file) if inside is None else Tar(self._file, inside, self._left)
        self._names = Names()
        self._listed: list[_Listed] = []
        self._by_path: dict[bytes, Member] = {}
        self._listing = self._list()

    def close(self) -> None:
        """Release the handle."""
        self._file.close()

    def __enter__(self) -> InboxArchive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def walk(self) -> Iterator[Entry]:
        """Yield every member that is not a folder, in the archive's order.

        What cannot be listed to its end, or holds more than is unpacked, has an entry of its own, of the archive as a
        whole.
        """
        number = 0
        while number < len(self._listed) or self._list_next():
            yield self._listed[number].entry
            number += 1

    def entry(self, source_path: bytes) -> Entry | None:
        """Return the entry of one path, or None when there is nothing."""
        return next((entry for entry in self.walk() if entry.source_path == source_path), None)

    @contextmanager
    def open(self, source_path: bytes) -> Iterator[BinaryIO]:
        """Unpack a member into memory and open it for reading.

        Raises:
            NotOpened: `member_damaged`, `archive_over_limits`.
            OSError: when it is gone, no file, or the archive cannot be read.
        """
        member = self._find(source_path)
        with timed(os.memfd_create("member", os.MFD_CLOEXEC), "r+b") as file:
            self._unpack(member, file)
            file.seek(0)
            yield file

    def state(self, stream: BinaryIO) -> State:
        """Return the size of a member that was opened, and what tells this state of the archive from another."""
        info = os.fstat(self._file.fileno())
        return os.fstat(stream.fileno()).st_size, info.st_mtime_ns, _key(info)

    def in_order(self, rows: Sequence[Row]) -> list[Row]:
        """Return ledger rows in the archive's order, which is that of their ids."""
        return sorted(rows, key=lambda row: int(row["id"]))

    def delete(self) -> None:
        """Delete the archive file, durably, if its path still names what was opened.

        Raises:
            OSError: when it does not, or the file cannot be deleted.
        """
        folder, name = os.path.split(self.real_path)
        handle = os.open(folder, _NO_FOLLOW | os.O_DIRECTORY)
        try:
            there = os.stat(name, dir_fd=handle, follow_symlinks=False)
            if _key(there) != _key(os.fstat(self._file.fileno())):
                raise OSError("another file")
            os.unlink(name, dir_fd=handle)
            os.fsync(handle)
        finally:
            os.close(handle)

    def _find(self, source_path: bytes) -> Member:
        while source_path not in self._by_path and self._list_next():
            pass
        if source_path not in self._by_path:
            raise FileNotFoundError
        return self._by_path[source_path]

    def _unpack(self, member: Member, file: BinaryIO) -> None:
        size = 0
        try:
            for piece in self._reader.unpacked(member):
                size += len(piece)
                file.write(piece)
        except Broken:
            raise NotOpened(DAMAGED) from None
        except OverLimits:
            raise NotOpened(OVER_LIMITS) from None
        if size != member.size:
            raise NotOpened(DAMAGED)

    def _list_next(self) -> bool:
        """List one member more, if there is one."""
        listed = next(self._listing, None)
        if listed is None:
            return False
        self._listed.append(listed)
        if listed.member is not None and listed.entry.kind == FILE:
            self._by_path[listed.entry.source_path] = listed.member
        return True

    def _list(self) -> Iterator[_Listed]:
        try:
            for member in self._reader.members():
                if len(self._listed) >= MOST_MEMBERS:
                    raise OverLimits
                yield self._judged(member)
        except OverLimits:
            yield _Listed(Entry(WHOLE, OVER_LIMITS), None)
        except Broken:
            yield _Listed(Entry(WHOLE, BROKEN), None)
        except OSError:
            yield _Listed(Entry(WHOLE, UNREADABLE), None)

    def _judged(self, member: Member) -> _Listed:
        """Return a member with its path in the ledger and whether it may be opened."""
        name = plain_name(member.name)
        kind = self._kind(member, name)
        if member.kind == LINK:
            self._names.add_link(name)
        if kind == FILE:
            self._left -= member.size
        info = os.fstat(self._file.fileno())
        path = self._names.path_of(name if is_safe(name) else member.name)
        return _Listed(Entry(path, kind, member.size, info.st_mtime_ns, _key(info)), member)

    def _kind(self, member: Member, name: bytes) -> str:
        if not is_safe(name) or self._names.leads_through_link(name):
            return NAME
        if member.kind != FILE:
            return member.kind
        if member.size > self._left:
            return OVER_LIMITS
        return TOO_LARGE if member.size > MOST_MEMBER_BYTES else FILE


def _opened(real_path: bytes) -> BinaryIO:
    file = os.fdopen(os.open(real_path, _NO_FOLLOW), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("not a regular file")
    return file


def archive_entry(real_path: bytes) -> Entry:
    """Return an archive file as an entry of its own, under the path "". Raises OSError."""
    info = os.lstat(real_path)
    return Entry(b"", FILE, info.st_size, info.st_mtime_ns, file_inode(info))


def _key(info: os.stat_result) -> str:
    """Return a short name for a file in one state of its size; its modification time stands beside it."""
    return hashlib.sha256(f"{file_inode(info)}:{info.st_size}".encode()).hexdigest()[:40]
