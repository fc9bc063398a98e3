"""A zip file that is written as it is sent: no temporary copy, a piece of a file in memory at a time.

Belongs here: members to bytes. Does not belong here: which members, and where their bytes come from.

Members are deflated, lightly: readers that take a zip file as a stream can find the end of such a member only, since
its size stands behind it (APPNOTE 4.4.4, bit 3).
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

LEVEL = 1


@dataclass(frozen=True)
class Member:
    """A member of a zip file: its name, its size in bytes, its time, and its bytes."""

    name: str
    size: int
    moment: dt.datetime
    pieces: Iterator[bytes]


class _Pipe(io.RawIOBase):
    """Takes what is written until it is fetched; it cannot be sought."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held.append(bytes(data))
        return len(self._held[-1])

    def fetch(self) -> bytes:
        held, self._held = b"".join(self._held), []
        return held


def zipped(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield a zip file of members, in their order.

    Raises:
        Exception: whatever reading a member raises; what was yielded is then no whole zip file.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for member in members:
            yield from _added(archive, pipe, member)
    yield pipe.fetch()


def _added(archive: zipfile.ZipFile, pipe: _Pipe, member: Member) -> Iterator[bytes]:
    info = zipfile.ZipInfo(member.name, member.moment.timetuple()[:6])
    info.compress_type, info.file_size, info.external_attr = zipfile.ZIP_DEFLATED, member.size, 0o644 << 16
    with archive.open(info, "w") as target:
        for piece in member.pieces:
            target.write(piece)
            if ready := pipe.fetch():
                yield ready
    yield pipe.fetch()
