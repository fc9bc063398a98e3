"""Zip files that are made as they are sent: Python's library reads them, also beyond the limits of the old fields."""

from __future__ import annotations

import datetime as dt
import io
import random
import zipfile
import zlib
from collections.abc import Iterator, Sequence

import pytest

from inbox_pipeline.web.zipping import Member, zip_length, zipped

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 6, tzinfo=dt.UTC)


def member(name: str, content: bytes) -> Member:
    return Member(name, len(content), MOMENT, lambda: zlib.crc32(content), lambda: iter([content]))


def read(members: Sequence[Member]) -> zipfile.ZipFile:
    content = b"".join(zipped(members))
    assert len(content) == zip_length(members)
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return archive


@pytest.mark.parametrize("contents", [[], [b""], [b"abc", b"", b"x" * 100_000]])
def test_members(contents: list[bytes]) -> None:
    names = [f"S/scans/1-ä/{number}.dcm" for number in range(len(contents))]
    with read([member(name, content) for name, content in zip(names, contents, strict=True)]) as archive:
        assert [archive.read(name) for name in archive.namelist()] == contents
        assert archive.namelist() == names
        assert all(info.date_time == (2026, 1, 2, 3, 4, 6) for info in archive.infolist())
        assert all(info.flag_bits & 8 == 0 for info in archive.infolist())


def test_more_members_than_two_bytes_count() -> None:
    with read([member(str(number), b"") for number in range(70_000)]) as archive:
        assert len(archive.namelist()) == 70_000


class Sparse(io.RawIOBase):
    """A zip file of which only the ends of long members are kept in memory."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self.size, self.held = 0, []
        for piece in pieces:
            if len(piece) < 1 << 20:
                self.held.append((self.size, piece))
            self.size += len(piece)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (self.size if whence == 2 else self.at if whence == 1 else 0)
        return self.at

    def tell(self) -> int:
        return self.at

    def read(self, size: int = -1) -> bytes:
        start, piece = next((start, piece) for start, piece in self.held if start <= self.at < start + len(piece))
        found = piece[self.at - start :][: None if size < 0 else size]
        self.at += len(found)
        return found


def test_sizes_and_places_beyond_four_bytes() -> None:
    mebibyte = bytes(1 << 20)
    large = Member("large", 5 << 30, MOMENT, lambda: 7, lambda: (mebibyte for _ in range(5 << 10)))
    members = [large, member("small", b"after")]
    sparse = Sparse(zipped(members))
    assert sparse.size == zip_length(members)
    with zipfile.ZipFile(sparse) as archive:
        assert [(info.filename, info.file_size) for info in archive.infolist()] == [("large", 5 << 30), ("small", 5)]
        assert archive.getinfo("small").header_offset > 5 << 30


def test_nothing_is_read_before_it_is_taken() -> None:
    taken = []

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            taken.append(number)
            yield random.Random(number).randbytes(1 << 10)

    made = zipped([Member("a", 100 << 10, MOMENT, lambda: 1, pieces)])
    next(made)
    next(made)
    assert taken == [0]
