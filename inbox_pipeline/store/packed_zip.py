"""Members of a zip file: listed from its directory, unpacked one at a time.

Belongs here: zip. Does not belong here: limits and names (`packed.py`).
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from inbox_pipeline.store.inbox import FILE, SPECIAL
from inbox_pipeline.store.packed import ENCRYPTED, LINK, UNSUPPORTED, Broken, Member, OverLimits

MOST_DIRECTORY_BYTES = 24 << 20
"""The directory is held in memory as a whole."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UTF8, _ENCRYPTED = 0x800, 0x2041
_KINDS = {stat.S_IFLNK: LINK, stat.S_IFREG: FILE, 0: FILE}
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What the standard library makes of bytes that are no zip file, besides the system's errors."""


class Zip:
    """A zip file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = _Bounded(file)
        self._zip: zipfile.ZipFile | None = None

    def members(self) -> Iterator[Member]:
        """Yield the members in the order of the directory, folders left out. Raises Broken, OverLimits, OSError."""
        for info in self._opened().infolist():
            if not info.orig_filename.endswith("/"):
                yield Member(_name(info), info.file_size, _kind(info), info)

    def unpacked(self, member: Member) -> Iterator[bytes]:
        """Yield a member's bytes in pieces; its checksum is compared. Raises Broken, OSError."""
        try:
            with self._opened().open(member.place) as stream:
                while piece := stream.read(1 << 18):
                    yield piece
        except _FAULTS:
            raise Broken from None

    def _opened(self) -> zipfile.ZipFile:
        if self._zip is None:
            try:
                self._zip = zipfile.ZipFile(cast("IO[bytes]", self._file))
            except _FAULTS:
                raise Broken from None
        return self._zip


class _Bounded:
    """A file of which no more is read at once than a directory may take."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell, self.seekable = file.tell, file.seekable

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move. Raises ValueError for a place before the beginning, where a directory may say that something lies."""
        if whence == os.SEEK_SET and offset < 0:
            raise ValueError
        return self._file.seek(offset, whence)

    def read(self, count: int = -1) -> bytes:
        """Return up to `count` bytes. Raises OverLimits."""
        if count > MOST_DIRECTORY_BYTES:
            raise OverLimits
        return self._file.read(count if count >= 0 else MOST_DIRECTORY_BYTES)


def _name(info: zipfile.ZipInfo) -> bytes:
    """Return a name as the bytes that the directory holds."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")


def _kind(info: zipfile.ZipInfo) -> str:
    kind = _KINDS.get(stat.S_IFMT(info.external_attr >> 16), SPECIAL)
    if kind == FILE and info.flag_bits & _ENCRYPTED:
        return ENCRYPTED
    return UNSUPPORTED if kind == FILE and info.compress_type not in _METHODS else kind
