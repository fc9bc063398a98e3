"""Random access to a seekable binary stream through a small buffer.

Belongs here: reading few bytes at growing offsets, bounds against the stream's size, inflating a deflated data set.
Does not belong here: any knowledge of elements.
"""

import zlib
from typing import BinaryIO, Protocol

from inbox_pipeline.dicom.errors import OverLimits, Truncated, Unparsable

SMALLEST_READ = 1 << 10
LARGEST_READ = 1 << 18
HEADER_LIMIT = 1 << 28
INFLATED_LIMIT = 1 << 29
WHOLE_LIMIT = 1 << 29
"""So many bytes of one file are held in memory where it must be read as a whole."""
PART_LIMIT = 1 << 27
"""So many bytes besides pixel data are held in memory at once elsewhere; they are worked on in several copies."""
_STEP = 1 << 18


class Readable(Protocol):
    """What a window needs of a stream."""

    def seek(self, offset: int, /) -> int:
        """Move to an absolute offset."""
        ...

    def read(self, count: int, /) -> bytes:
        """Return up to `count` bytes."""
        ...


def require_room(count: int, limit: int) -> None:
    """Require that so many bytes may be held in memory. Raises OverLimits."""
    if count > limit:
        raise OverLimits(f"{count} bytes would be held in memory at once")


class Window:
    """A part of a stream held in `data`, moved on demand. Offsets and `size` are bytes from the stream's start.

    `limit` bounds all bytes read through the window, so that no crafted file makes a header scan read without end.
    """

    __slots__ = ("_left", "_reach", "_stream", "base", "data", "size")

    def __init__(self, stream: Readable, size: int, *, head: bytes = b"", limit: int = HEADER_LIMIT) -> None:
        self._stream = stream
        self._left = limit
        self._reach = SMALLEST_READ << 3
        self.size = size
        self.base = 0
        self.data = head

    def index(self, position: int, count: int) -> int:
        """Index into `data` where `count` bytes from `position` are held.

        Raises Truncated if they reach beyond the size or the stream ends early, Unparsable at the limit.
        """
        at = position - self.base
        if at >= 0 and at + count <= len(self.data):
            return at
        if position + count > self.size:
            raise Truncated(f"{count} bytes are missing at offset {position} of {self.size}")
        self._move(position, count)
        return 0

    def take(self, position: int, count: int) -> bytes:
        """`count` bytes from `position`; errors as `index`."""
        at = self.index(position, count)
        return self.data[at : at + count]

    def whole(self, start: int, end: int) -> bytes:
        """All bytes from `start` to `end`, read past the window and its limit. Raises Truncated, OverLimits."""
        require_room(end - start, WHOLE_LIMIT)
        self._stream.seek(start)
        data = self._stream.read(end - start)
        if len(data) < end - start:
            raise Truncated(f"the stream ends at offset {start + len(data)} of {self.size}")
        return data

    def _move(self, position: int, count: int) -> None:
        """Short reads after a jump, doubling ones along a run: skipped values are not read."""
        near = position <= self.base + len(self.data) + SMALLEST_READ
        self._reach = min(self._reach << 1, LARGEST_READ) if near else SMALLEST_READ
        wanted = min(max(count, self._reach), self.size - position)
        self._left -= wanted
        if self._left < 0:
            raise Unparsable("the header is larger than the limit")
        self._stream.seek(position)
        self.base, self.data = position, self._stream.read(wanted)
        if len(self.data) < count:
            raise Truncated(f"the stream ends at offset {position + len(self.data)} of {self.size}")


class Inflated:
    """A deflated data set (PS3.5 section A.5) read as if it were not; moving back starts over, memory stays flat."""

    def __init__(self, stream: BinaryIO, start: int) -> None:
        self._stream = stream
        self._start = start
        self._rewind()

    def _rewind(self) -> None:
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._source = self._start
        self._position = 0

    def seek(self, offset: int, /) -> int:
        """Move to `offset` of the inflated bytes by inflating up to it."""
        if offset < self._position:
            self._rewind()
        while self._position < offset:
            if not self.read(min(_STEP, offset - self._position)):
                break
        return self._position

    def read(self, count: int, /) -> bytes:
        """Up to `count` inflated bytes; fewer only at the end. Raises Unparsable on a broken deflate stream."""
        parts = []
        while count > 0 and (part := self._step(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _step(self, count: int) -> bytes:
        while not self._inflate.eof:
            raw = self._inflate.unconsumed_tail or self._raw()
            try:
                part = self._inflate.decompress(raw, count)
            except zlib.error:
                raise Unparsable("the deflated data set is broken") from None
            self._position += len(part)
            if part or not raw:
                return part
        return b""

    def _raw(self) -> bytes:
        self._stream.seek(self._source)
        raw = self._stream.read(SMALLEST_READ << 4)
        self._source += len(raw)
        return raw

    def measure(self, limit: int) -> int:
        """Number of inflated bytes. Raises Truncated without an end of stream, Unparsable beyond `limit` bytes."""
        self._rewind()
        while self.read(_STEP):
            if self._position > limit:
                raise Unparsable("the inflated data set is larger than the limit")
        if not self._inflate.eof:
            raise Truncated("the deflated data set has no end")
        size = self._position
        self._rewind()
        return size
