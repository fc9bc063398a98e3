"""A zip file that is written as it is sent: its length is known before, a piece of a file is in memory at a time.

Belongs here: the format (APPNOTE 6.3.10), for members that are stored. Does not belong here: which members, and where
their bytes come from.

Members are not compressed, since that takes twenty times as long as reading them. Their sizes and checksums stand
before them, so that readers that take a zip file as a stream find their ends. What is too large for the old fields
stands in those of zip64 (4.5.3).
"""

from __future__ import annotations

import datetime as dt
import struct
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

LONG, SHORT = 0xFFFFFFFF, 0xFFFF
"""What a field of four or two bytes holds if the value stands in those of zip64."""
_PLAIN, _ZIP64 = 20, 45
"""Versions of the format that are needed to extract."""
_UTF8 = 0x800
_UNIX, _MODE = 3, 0o100644 << 16
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")


@dataclass(frozen=True)
class Member:
    """A member of a zip file: name, size in bytes, time, and CRC-32 and bytes when they are asked for."""

    name: str
    size: int
    moment: dt.datetime
    crc: Callable[[], int]
    pieces: Callable[[], Iterator[bytes]]

    def header(self, crc: int) -> bytes:
        """Return what stands before the bytes (4.3.7)."""
        info = zipfile.ZipInfo(self.name, self.moment.timetuple()[:6])
        info.CRC, info.file_size, info.compress_size = crc, self.size, self.size
        return info.FileHeader(zip64=self.size >= LONG)


@dataclass(frozen=True)
class _Placed:
    """A member that has been written, where its header begins, and its checksum."""

    member: Member
    offset: int
    crc: int

    def entry(self) -> bytes:
        """Return its entry in the central directory (4.3.12)."""
        member, name = self.member, self.member.name.encode()
        large = [value for value in (member.size, member.size, self.offset) if value >= LONG]
        extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        needed, size, offset = _ZIP64 if large else _PLAIN, min(member.size, LONG), min(self.offset, LONG)
        flags = 0 if member.name.isascii() else _UTF8
        fields = (_UNIX << 8 | needed, needed, flags, zipfile.ZIP_STORED, *_dos_time(member.moment))
        lengths = (len(name), len(extra), 0, 0, 0)
        return _CENTRAL.pack(b"PK\1\2", *fields, self.crc, size, size, *lengths, _MODE, offset) + name + extra


def zip_length(members: Sequence[Member]) -> int:
    """Return the length of the zip file of some members."""
    offset, directory = 0, 0
    for member in members:
        directory += len(_Placed(member, offset, 0).entry())
        offset += len(member.header(0)) + member.size
    return offset + directory + len(_end(len(members), directory, offset))


def zipped(members: Sequence[Member]) -> Generator[bytes, None, None]:
    """Yield the zip file of some members, in their order.

    Raises:
        Exception: whatever reading a member raises; what was yielded is then no whole zip file.
    """
    offset, placed = 0, []
    for member in members:
        crc = member.crc()
        placed.append(_Placed(member, offset, crc))
        header = member.header(crc)
        yield header
        yield from member.pieces()
        offset += len(header) + member.size
    directory = b"".join(each.entry() for each in placed)
    yield directory + _end(len(placed), len(directory), offset)


def _end(count: int, size: int, offset: int) -> bytes:
    """Return what stands behind the central directory (4.3.14 to 4.3.16)."""
    most = (min(count, SHORT), min(size, LONG), min(offset, LONG))
    end = _END.pack(b"PK\5\6", 0, 0, most[0], *most, 0)
    if SHORT not in most[:1] and LONG not in most[1:]:
        return end
    end64 = _END64.pack(b"PK\6\6", _END64.size - 12, _ZIP64, _ZIP64, 0, 0, count, count, size, offset)
    return end64 + _LOCATOR.pack(b"PK\6\7", 0, offset + size, 1) + end


def _dos_time(moment: dt.datetime) -> tuple[int, int]:
    """Return time and date in the format of MS-DOS (4.4.6)."""
    day = (moment.year - 1980) << 9 | moment.month << 5 | moment.day
    return moment.hour << 11 | moment.minute << 5 | moment.second // 2, day
