"""Reading a session's files by a folder that stays open: the generation that it was opened as, whatever is renamed.

Belongs here: opening files below an open folder, and their bytes, held against a digest. Does not belong here: which
generation it is (`services/reading.py`).
"""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

PIECE_BYTES = 1 << 18
Pieces = Generator[bytes, None, None]


class NotAsArchived(Exception):
    """A file is not there, or its bytes are not those that were archived."""


class OpenFolder:
    """A folder, kept open; to be closed.

    Raises:
        OSError: it cannot be opened, or is not there.
    """

    def __init__(self, path: Path) -> None:
        self._handle: int | None = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self) -> OpenFolder:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; once closed, it stays so."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def pieces(self, name: str, sha256: str) -> Pieces:
        """Yield the bytes of a file, the last of them only if the digest of all is the one given.

        Raises:
            NotAsArchived: it is not, or the file cannot be read.
        """
        digest, held = hashlib.sha256(), b""
        for piece in self.stretch(name, 0, None):
            digest.update(piece)
            if held:
                yield held
            held = piece
        if digest.hexdigest() != sha256:
            raise NotAsArchived
        if held:
            yield held

    def stretch(self, name: str, first: int, length: int | None) -> Pieces:
        """Yield so many bytes of a file from one on, or all (None); they are held against nothing.

        Raises:
            NotAsArchived: the file cannot be read, or ends before.
        """
        handle = self._open(name)
        try:
            yield from _stretch(handle, first, length)
        finally:
            os.close(handle)

    def stream(self, name: str) -> BinaryIO:
        """Return a file opened for reading, to be closed; its bytes are held against nothing.

        Raises:
            NotAsArchived: it cannot be opened.
        """
        return open(self._open(name), "rb")

    def _open(self, name: str) -> int:
        try:
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._handle)
        except OSError:
            raise NotAsArchived from None

    def crc32(self, name: str, sha256: str) -> int:
        """Return the CRC-32 of a file of that digest.

        Raises:
            NotAsArchived: it has another digest, or cannot be read.
        """
        crc = 0
        for piece in self.pieces(name, sha256):
            crc = zlib.crc32(piece, crc)
        return crc

    def has(self, name: str) -> bool:
        """Return whether a file of that name is there."""
        try:
            return stat.S_ISREG(os.stat(name, dir_fd=self._handle, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def holds(self, name: str, sha256: str) -> bool:
        """Return whether a file is there with that digest."""
        try:
            self.crc32(name, sha256)
        except NotAsArchived:
            return False
        return True


def _stretch(handle: int, first: int, length: int | None) -> Iterator[bytes]:
    at, left = first, length
    while left is None or left > 0:
        try:
            piece = os.pread(handle, PIECE_BYTES if left is None else min(left, PIECE_BYTES), at)
        except OSError:
            raise NotAsArchived from None
        if not piece:
            if left is None:
                return
            raise NotAsArchived
        yield piece
        at += len(piece)
        left = None if left is None else left - len(piece)
