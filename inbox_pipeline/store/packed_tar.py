"""Members of a tar file, compressed or not: listed and unpacked going forward through one stream.

Belongs here: tar and the compressions around it. Does not belong here: limits and names (`packed.py`).

A compressed stream has no way back: what lies before is reached by beginning anew. Callers that go through the members
in their order read it once.
"""

from __future__ import annotations

import lzma
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, BinaryIO, Protocol, cast

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.store.inbox import FILE, SPECIAL
from inbox_pipeline.store.packed import LINK, Broken, Member, OverLimits

MOST_HEADER_BYTES = 1 << 20
"""So much may be read about one member, its long name and attributes included."""
MOST_WINDOW_BYTES = 1 << 27
"""So much memory a decompressor may ask for, as the strongest levels of the usual programs do."""
_STEP = 1 << 18
_BLOCK = tarfile.BLOCKSIZE
_FAULTS = (
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OverflowError,
    RecursionError,
    ValueError,
)
"""What the standard library makes of bytes that are no tar file, besides the system's errors."""


class Forward(Protocol):
    """Bytes that are read forward."""

    def read(self, count: int, /) -> bytes:
        """Return up to `count` bytes, none at the end."""
        ...


Decompressor = Callable[[BinaryIO], Forward]


class Tar:
    """A tar file.

    Args:
        file: the archive file.
        inside: reads what is within its compression.
        allowed: how many bytes it may unpack to.
    """

    def __init__(self, file: BinaryIO, inside: Decompressor, allowed: int) -> None:
        self._stream = _Unpacked(file, inside, allowed)

    def members(self) -> Iterator[Member]:
        """Yield the members in their order, folders left out. Raises Broken, OverLimits, OSError."""
        with _faults_told():
            headers = _Headers(self._stream)
            tar = tarfile.TarFile(fileobj=cast("IO[bytes]", headers), errors="surrogateescape")
            while (info := tar.next()) is not None:
                if info.size < 0:
                    raise Broken
                if not info.isdir():
                    yield Member(_name(info), info.size, _kind(info), info.offset_data)
                headers.left = MOST_HEADER_BYTES
                cast(Any, tar).members = []  # what has been listed is not needed again
            self._finish(tar.offset)

    def unpacked(self, member: Member) -> Iterator[bytes]:
        """Yield a member's bytes in pieces. Raises Broken, OverLimits, OSError."""
        with _faults_told():
            self._stream.seek(member.place)
            left = member.size
            while left:
                piece = self._stream.read(min(left, _STEP))
                if not piece:
                    raise Broken
                left -= len(piece)
                yield piece

    def _finish(self, end: int) -> None:
        """Require the mark that ends a tar file, and read on to the checksum of what is compressed."""
        self._stream.seek(end)
        if self._stream.read(_BLOCK) != bytes(_BLOCK):
            raise Broken
        while self._stream.read(_STEP):
            pass


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        yield
    except _FAULTS:
        raise Broken from None


class _Headers:
    """What `tarfile` reads: all but the members' bytes, and not without end."""

    def __init__(self, stream: _Unpacked) -> None:
        self._stream = stream
        self.left = MOST_HEADER_BYTES
        self.tell, self.seek = stream.tell, stream.seek

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes. Raises OverLimits, Broken."""
        if count < 0:
            raise Broken
        self.left -= count
        if self.left < 0:
            raise OverLimits
        return self._stream.read(count)


class _Unpacked:
    """The bytes within a compression, from any place; a way back begins at the start."""

    def __init__(self, file: BinaryIO, inside: Decompressor, allowed: int) -> None:
        self._file, self._inside, self._allowed = file, inside, allowed
        self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        self._bytes, self._position = self._inside(self._file), 0

    def tell(self) -> int:
        """Return where the next byte comes from."""
        return self._position

    def seek(self, position: int) -> int:
        """Move to a place, or to the end if that lies before it. Raises OverLimits."""
        if position < self._position:
            self._begin()
        while self._position < position and self.read(min(_STEP, position - self._position)):
            pass
        return self._position

    def read(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the end. Raises OverLimits."""
        pieces = []
        while count and (piece := self._bytes.read(count)):
            pieces.append(piece)
            count -= len(piece)
            self._position += len(piece)
        if self._position > self._allowed:
            raise OverLimits
        return b"".join(pieces)


def decompressor(name: str) -> Decompressor:
    """Return what reads within the compression that a name in lower case ends with.

    Raises:
        Rejected: `archive_file_not_supported`.
    """
    if name.endswith((".tgz", ".tar.gz")):
        return partial(_Streams, _Gzip)
    if name.endswith(".tar.xz"):
        return partial(_Streams, _xz)
    return _zstd() if name.endswith(".tar.zst") else lambda file: file


class _Gzip:
    """One gzip stream, decompressed as `lzma` does it; its checksum is compared."""

    def __init__(self) -> None:
        self._inside = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        return self._inside.eof

    @property
    def needs_input(self) -> bool:
        """Whether all that was given has been used."""
        return not self._inside.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What follows the stream."""
        return self._inside.unused_data

    def decompress(self, data: bytes, most: int) -> bytes:
        """Return up to `most` bytes. Raises zlib.error."""
        return self._inside.decompress(self._inside.unconsumed_tail + data, most)


class _Streams:
    """Compressed streams, one behind the other, with zero bytes between and after them."""

    def __init__(self, fresh: Callable[[], _Gzip | lzma.LZMADecompressor], file: BinaryIO) -> None:
        self._fresh, self._file = fresh, file
        self._inside, self._ahead = fresh(), b""

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes, none at the end. Raises EOFError, zlib.error, LZMAError."""
        while not self._inside.eof or self._next():
            packed = (self._ahead or self._file.read(_STEP)) if self._inside.needs_input else b""
            starved = self._inside.needs_input and not packed
            self._ahead = b""
            piece = self._inside.decompress(packed, count)
            if piece:
                return piece
            if starved and not self._inside.eof:
                raise EOFError
        return b""

    def _next(self) -> bool:
        """Go on with another stream behind the one that has ended, if there is one."""
        rest = self._inside.unused_data or self._file.read(_STEP)
        rest = rest.lstrip(b"\0")
        if rest:
            self._inside, self._ahead = self._fresh(), rest
        return bool(rest)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_WINDOW_BYTES)


def _zstd() -> Decompressor:
    """Return how a zstd file is read. Raises Rejected: `archive_file_not_supported`."""
    try:
        import zstandard  # noqa: PLC0415 - an extra
    except ImportError:
        raise refusal("archive_file_not_supported") from None

    return lambda file: _Zstd(zstandard, file)


class _Zstd:
    """A zstd file, of one frame or several."""

    def __init__(self, zstandard: Any, file: BinaryIO) -> None:
        bounded = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW_BYTES)
        self._inside = bounded.stream_reader(file, read_across_frames=True, closefd=False)
        self._error = zstandard.ZstdError

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes, none at the end. Raises Broken."""
        try:
            return cast(bytes, self._inside.read(count))
        except self._error:
            raise Broken from None


def _name(info: tarfile.TarInfo) -> bytes:
    """Return a name as the bytes that the archive holds."""
    return info.name.encode("utf-8", "surrogateescape")


def _kind(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return LINK
    return FILE if info.isreg() and not info.issparse() else SPECIAL
