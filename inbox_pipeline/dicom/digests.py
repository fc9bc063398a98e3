"""Copying one file's bytes once while taking all digests of them.

Belongs here: segments of an output, the sequential pass over the source, SHA-256 and MD5.
Does not belong here: which bytes go where.
"""

import hashlib
import threading
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

from inbox_pipeline.dicom.errors import Truncated

BUFFER_BYTES = 1 << 18


class Segment(NamedTuple):
    """A piece of the output: `data`, or else the source's bytes from `start` to `end`; `pixel` marks pixel data."""

    start: int = 0
    end: int = 0
    data: bytes | None = None
    pixel: bool = False


class Held(NamedTuple):
    """Bytes of the source that have been read already, and where they begin there."""

    start: int
    data: bytes


NOTHING_HELD = Held(0, b"")


class Digests(NamedTuple):
    """Hexadecimal digests of one pass, and the output's size in bytes. None are those that were not taken.

    `pixel_sha256` is None without pixel data, too.
    """

    source_sha256: str
    output_sha256: str
    output_md5: str | None
    pixel_sha256: str | None
    output_bytes: int


class Sink:
    """Writes to a stream whole pieces at a time and keeps digests and count of what was written."""

    def __init__(self, dest: BinaryIO, *, md5: bool, pixel: bool) -> None:
        self._dest = dest
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self.pixel = hashlib.sha256() if pixel else None
        self.has_pixel = False
        self.count = 0

    def write(self, piece: bytes | memoryview, *, pixel: bool = False) -> None:
        """Write all of `piece`, also to a raw stream that takes less at a time."""
        view = memoryview(piece)
        self.sha256.update(view)
        if self.md5 is not None:
            self.md5.update(view)
        self.count += len(view)
        if pixel and self.pixel is not None:
            self.has_pixel = True
            self.pixel.update(view)
        while view:
            taken = self._dest.write(view)
            view = view[len(view) if taken is None else taken :]

    def digests(self, source_sha256: str) -> Digests:
        """All digests, given the source's."""
        pixel = self.pixel.hexdigest() if self.pixel is not None and self.has_pixel else None
        md5 = self.md5.hexdigest() if self.md5 is not None else None
        return Digests(source_sha256, self.sha256.hexdigest(), md5, pixel, self.count)


_OF_THREAD = threading.local()


def _buffer() -> memoryview:
    """The one buffer of this thread, for file after file: a new one would cost more than a small file's reading."""
    if not hasattr(_OF_THREAD, "buffer"):
        _OF_THREAD.buffer = memoryview(bytearray(BUFFER_BYTES))
    buffer: memoryview = _OF_THREAD.buffer
    return buffer


class _Source:
    """The source from its start to its end: `head` and `held` from memory, the rest through one buffer, all hashed."""

    def __init__(self, stream: BinaryIO, size: int, head: bytes, held: Held) -> None:
        self._stream = stream
        self._head = memoryview(head)
        self._held_from, self._held = held.start, memoryview(held.data)
        self._buffer = _buffer()
        self._position, self._read_to = len(head), -1
        self.size = size
        self.sha256 = hashlib.sha256(head)

    def copy(self, start: int, end: int, sink: Sink, pixel: bool) -> None:
        """Write the bytes from `start` to `end`; ranges outside the head must be asked for in ascending order."""
        held = min(end, len(self._head))
        if start < held:
            sink.write(self._head[start:held], pixel=pixel)
            start = held
        self.skip_to(start)
        while self._position < end:
            sink.write(self._next(end), pixel=pixel)

    def skip_to(self, position: int) -> None:
        """Read and hash up to `position` without writing."""
        while self._position < position:
            self._next(position)

    def _next(self, end: int) -> memoryview:
        within = self._position - self._held_from
        if 0 <= within < len(self._held):
            piece = self._held[within : within + end - self._position]
        else:
            piece = self._read(self._held_from if within < 0 and self._held_from < end else end)
        self._position += len(piece)
        self.sha256.update(piece)
        return piece

    def _read(self, end: int) -> memoryview:
        if self._read_to != self._position:
            self._stream.seek(self._position)
        part = self._buffer[: min(len(self._buffer), end - self._position)]
        count = self._stream.readinto(part)  # type: ignore[attr-defined]  # typeshed's BinaryIO lacks it
        if not count:
            raise Truncated(f"the stream ends at offset {self._position} of {self.size}")
        self._read_to = self._position + count
        return part[:count]


def copy_segments(
    stream: BinaryIO,
    size: int,
    head: bytes,
    segments: Iterable[Segment],
    dest: BinaryIO,
    *,
    held: Held = NOTHING_HELD,
    md5: bool = True,
    pixel: bool = True,
) -> Digests:
    """Write `segments` in order to `dest` and read all `size` bytes of `stream` once; `head` holds its first bytes.

    What is `held` is not read again. Segments of the source must ascend.

    Raises Truncated if the stream turns out shorter than `size`.
    """
    source, sink = _Source(stream, size, head, held), Sink(dest, md5=md5, pixel=pixel)
    for segment in segments:
        if segment.data is not None:
            sink.write(segment.data, pixel=segment.pixel)
        else:
            sink.has_pixel |= segment.pixel and pixel
            source.copy(segment.start, segment.end, sink, segment.pixel)
    source.skip_to(size)
    return sink.digests(source.sha256.hexdigest())
