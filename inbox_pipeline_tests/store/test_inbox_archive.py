"""Archive files as folders: members whole and in order, everything hostile refused by reason, nothing written."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from inbox_pipeline.errors import Rejected
from inbox_pipeline.store import packed as limits
from inbox_pipeline.store.inbox import NotOpened
from inbox_pipeline.store.inbox_archive import InboxArchive
from inbox_pipeline_tests.packing import (
    KINDS,
    LINK_MODE,
    compressed,
    packed,
    tarred,
    zeros_tarred,
    zeros_zipped,
    zipped,
)

TARS = KINDS[1:]
NOISE = random.Random(1).randbytes(700_000)
MEMBERS = [("S/b.dcm", b"second" * 1000), ("S/a.dcm", NOISE), ("./empty", b"")]


def listed(path: Path) -> dict[bytes, str]:
    with InboxArchive(os.fsencode(path)) as archive:
        return {entry.source_path: entry.kind for entry in archive.walk()}


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def content(archive: InboxArchive, path: bytes) -> bytes:
    with archive.open(path) as stream:
        return stream.read()


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_whole_and_come_in_the_archives_order(tmp_path: Path, kind: str) -> None:
    with InboxArchive(os.fsencode(packed(tmp_path / f"x{kind.upper()}", MEMBERS))) as archive:
        found = {entry.source_path: (entry.kind, entry.size) for entry in archive.walk()}
        assert list(found.items()) == [
            (b"S/b.dcm", ("file", 6000)),
            (b"S/a.dcm", ("file", 700_000)),
            (b"empty", ("file", 0)),
        ]
        for name, data in reversed(MEMBERS):
            assert content(archive, name.removeprefix("./").encode()) == data


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_can_be_opened_while_others_are_listed(tmp_path: Path, kind: str) -> None:
    with InboxArchive(os.fsencode(packed(tmp_path / f"x{kind}", MEMBERS))) as archive:
        assert [content(archive, entry.source_path) for entry in archive.walk()] == [data for _, data in MEMBERS]
    with InboxArchive(os.fsencode(tmp_path / f"x{kind}")) as archive:
        assert content(archive, b"S/a.dcm") == NOISE
        with pytest.raises(FileNotFoundError), archive.open(b"other"):
            pass


@pytest.mark.parametrize("kind", (".tar.gz", ".tar.xz", ".tar.zst"))
@pytest.mark.parametrize("between", [b"", bytes(4)], ids=["joined", "padded"])
def test_a_compressed_file_may_be_of_several_streams(tmp_path: Path, kind: str, between: bytes) -> None:
    whole = tarred([("a", NOISE), ("b", NOISE[::-1])])
    parts = [compressed(kind, whole[start : start + 300_000]) for start in range(0, len(whole), 300_000)]
    path = written(tmp_path / f"x{kind}", (between if kind != ".tar.zst" else b"").join(parts))
    with InboxArchive(os.fsencode(path)) as archive:
        assert [content(archive, entry.source_path) for entry in archive.walk()] == [NOISE, NOISE[::-1]]


@pytest.mark.parametrize("kind", KINDS)
def test_folders_have_no_entry_and_names_need_not_be_utf8(tmp_path: Path, kind: str) -> None:
    names = ["F/", "M\udcfcller.dcm"] if kind != ".zip" else ["F/", "Müller.dcm"]
    path = packed(tmp_path / f"x{kind}", [(names[1], b"1")])
    assert list(listed(path)) == [os.fsencode(names[1])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    ["../out.dcm", "a/../../out.dcm", "/etc/out.dcm", "..\\out.dcm", "C:\\out.dcm", "\\\\host\\share", "d/" * 80 + "x"],
)
def test_names_that_lead_away_are_refused_and_listed(tmp_path: Path, kind: str, name: str) -> None:
    path = packed(tmp_path / f"x{kind}", [(name, b"1"), ("good", b"2")])
    assert listed(path) == {name.encode(): limits.NAME, b"good": "file"}
    with InboxArchive(os.fsencode(path)) as archive, pytest.raises(FileNotFoundError):
        content(archive, name.encode())


def test_a_name_with_nul_is_refused(tmp_path: Path) -> None:
    assert listed(written(tmp_path / "x.zip", zipped([("a\0b", b"1")]))) == {b"a\0b": limits.NAME}


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    data = zipped([("a", b"1")])
    for magic, at, head in ((b"PK\3\4", 26, 30), (b"PK\1\2", 28, 46)):
        start = data.find(magic)
        data = data[: start + at] + b"\0\0" + data[start + at + 2 : start + head] + data[start + head + 1 :]
    end = data.find(b"PK\5\6")
    sizes = struct.pack("<II", end - data.find(b"PK\1\2"), data.find(b"PK\1\2"))
    data = data[: end + 12] + sizes + data[end + 20 :]
    assert listed(written(tmp_path / "x.zip", data)) == {b"(no name)": limits.NAME}


def test_a_member_that_lies_before_the_beginning_is_damaged(tmp_path: Path) -> None:
    data = zipped([("a", b"1" * 100)])
    end = data.find(b"PK\5\6")
    moved = data[: end + 16] + struct.pack("<I", data.find(b"PK\1\2") + 50) + data[end + 20 :]
    assert damaged(written(tmp_path / "x.zip", moved)) == limits.DAMAGED


def test_links_and_what_leads_through_them_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = LINK_MODE << 16
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(link, "/etc")
        archive.writestr("link/x.dcm", b"1")
        archive.writestr("linked/x.dcm", b"1")
    found = listed(written(tmp_path / "x.zip", made.getvalue()))
    assert found == {b"link": limits.LINK, b"link/x.dcm": limits.NAME, b"linked/x.dcm": "file"}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (tarfile.SYMTYPE, limits.LINK),
        (tarfile.LNKTYPE, limits.LINK),
        (tarfile.CHRTYPE, "special_file"),
        (tarfile.BLKTYPE, "special_file"),
        (tarfile.FIFOTYPE, "special_file"),
    ],
)
def test_what_is_no_file_in_a_tar_file_is_refused(tmp_path: Path, kind: bytes, code: str) -> None:
    assert listed(written(tmp_path / "x.tar", tarred([("x", b"")], kind, "/etc/passwd"))) == {b"x": code}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_again_has_a_path_of_its_own(tmp_path: Path, kind: str) -> None:
    path = packed(tmp_path / f"x{kind}", [("a", b"1"), ("a", b"2"), ("a (2)", b"3"), ("./a", b"4")])
    with InboxArchive(os.fsencode(path)) as archive:
        found = {entry.source_path: content(archive, entry.source_path) for entry in archive.walk()}
    assert found == {b"a": b"1", b"a (2)": b"2", b"a (2) (2)": b"3", b"a (3)": b"4"}


def test_encrypted_and_unusual_members_of_a_zip_file_are_refused(tmp_path: Path) -> None:
    data = bytearray(zipped([("a", b"1" * 100)]))
    data[data.find(b"PK\3\4") + 6] |= 1
    data[data.find(b"PK\1\2") + 8] |= 1
    assert listed(written(tmp_path / "e.zip", bytes(data))) == {b"a": limits.ENCRYPTED}
    odd = zipped([("a", b"1" * 100)], method=zipfile.ZIP_BZIP2)
    assert listed(written(tmp_path / "o.zip", odd)) == {b"a": limits.UNSUPPORTED}


def damaged(path: Path) -> str:
    with InboxArchive(os.fsencode(path)) as archive, pytest.raises(NotOpened) as caught:
        for entry in archive.walk():
            content(archive, entry.source_path)
    return caught.value.code


def test_a_wrong_checksum_and_a_wrong_size_are_told(tmp_path: Path) -> None:
    data = bytearray(zipped([("a", NOISE)], method=zipfile.ZIP_STORED))
    data[1000] ^= 1
    assert damaged(written(tmp_path / "crc.zip", bytes(data))) == limits.DAMAGED
    lie = bytearray(zipped([("a", b"1" * 100)]))
    at = lie.find(b"PK\1\2") + 24
    lie[at : at + 4] = struct.pack("<I", 5000)
    assert damaged(written(tmp_path / "lie.zip", bytes(lie))) == limits.DAMAGED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.9])
def test_a_cut_archive_says_so(tmp_path: Path, kind: str, part: float) -> None:
    path = packed(tmp_path / f"x{kind}", [("a", NOISE), ("b", NOISE[::-1])])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    assert listed(path)[limits.WHOLE] == limits.BROKEN


@pytest.mark.parametrize("kind", TARS)
def test_a_tar_file_that_is_cut_between_members_says_so(tmp_path: Path, kind: str) -> None:
    whole = tarred([("a", b"1" * 512)])
    path = written(tmp_path / f"x{kind}", compressed(kind, whole[:1024]))
    assert listed(path) == {b"a": "file", limits.WHOLE: limits.BROKEN}


def test_a_broken_header_in_the_midst_of_a_tar_file_says_so(tmp_path: Path) -> None:
    data = bytearray(tarred([("a", b"1" * 512), ("b", b"2")]))
    data[1024 + 5] ^= 1
    assert listed(written(tmp_path / "x.tar", bytes(data))) == {b"a": "file", limits.WHOLE: limits.BROKEN}


@pytest.mark.parametrize("kind", (".tar.gz", ".tar.xz", ".tar.zst"))
def test_a_bit_that_flipped_within_a_compressed_tar_file_is_told(tmp_path: Path, kind: str) -> None:
    path = packed(tmp_path / f"x{kind}", [("a", NOISE)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert listed(path)[limits.WHOLE] == limits.BROKEN


@pytest.mark.parametrize("data", [b"", b"x", bytes(4096), b"PK\3\4" + bytes(100), NOISE])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_archive_says_so(tmp_path: Path, kind: str, data: bytes) -> None:
    found = listed(written(tmp_path / f"x{kind}", data))
    assert found == ({} if kind == ".tar" and data == bytes(4096) else {limits.WHOLE: limits.BROKEN})


@pytest.mark.parametrize("data", [zeros_zipped(200), zeros_tarred(200)], ids=["zip", "tar.gz"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, data: bytes) -> None:
    path = written(tmp_path / ("x.zip" if data.startswith(b"PK") else "x.tar.gz"), data)
    began = time.monotonic()
    found = listed(path)
    assert set(found.values()) == {limits.OVER_LIMITS}
    assert time.monotonic() - began < 10


def test_a_member_behind_a_bomb_is_listed_in_a_zip_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(100 << 20))
        archive.writestr("good", b"1")
    assert listed(tmp_path / "x.zip") == {b"bomb": limits.OVER_LIMITS, b"good": "file"}


def test_what_compresses_well_is_no_bomb_while_it_is_small(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.zip", [("mask.dcm", bytes(30 << 20))])
    with InboxArchive(os.fsencode(path)) as archive:
        assert len(content(archive, b"mask.dcm")) == 30 << 20


@pytest.mark.parametrize("kind", (".zip", ".tar"))
def test_too_many_members_end_the_listing(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inbox_pipeline.store.inbox_archive.MOST_MEMBERS", 3)
    found = listed(packed(tmp_path / f"x{kind}", [(str(number), b"") for number in range(5)]))
    assert found == {b"0": "file", b"1": "file", b"2": "file", limits.WHOLE: limits.OVER_LIMITS}


def test_a_member_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inbox_pipeline.store.inbox_archive.MOST_MEMBER_BYTES", 10)
    found = listed(packed(tmp_path / "x.tar", [("large", b"1" * 11), ("small", b"1" * 10)]))
    assert found == {b"large": limits.TOO_LARGE, b"small": "file"}


def test_attributes_without_end_are_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 64 << 20
    path = written(tmp_path / "x.tar", info.tobuf() + bytes(64 << 20))
    assert listed(path) == {limits.WHOLE: limits.OVER_LIMITS}


@pytest.mark.parametrize("size", [-512, -(1 << 40)])
def test_a_negative_size_does_not_lead_back(tmp_path: Path, size: int) -> None:
    info = tarfile.TarInfo("a")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" + (256**11 + size).to_bytes(11, "big")
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header[:512])
    assert listed(written(tmp_path / "x.tar", bytes(header) + bytes(2048))) == {limits.WHOLE: limits.BROKEN}


def test_a_changed_archive_has_another_state(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.zip", [("a", b"1")])
    with InboxArchive(os.fsencode(path)) as archive:
        (entry,) = archive.walk()
        with archive.open(b"a") as stream:
            assert archive.state(stream) == (entry.size, entry.mtime_ns, entry.inode)
            os.utime(path, (1, 1))
            assert archive.state(stream) != (entry.size, entry.mtime_ns, entry.inode)


def test_only_the_file_that_was_opened_is_deleted(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.zip", [("a", b"1")])
    with InboxArchive(os.fsencode(path)) as archive:
        path.rename(tmp_path / "y.zip")
        packed(path, [("b", b"2")])
        with pytest.raises(OSError, match="another file"):
            archive.delete()
    with InboxArchive(os.fsencode(path)) as archive:
        archive.delete()
    assert not path.exists()


def test_a_link_and_what_is_no_file_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "link.zip").symlink_to(packed(tmp_path / "x.zip", []))
    os.mkfifo(tmp_path / "pipe.zip")
    for name in ("link.zip", "pipe.zip", "none.zip"):
        with pytest.raises(OSError):
            InboxArchive(os.fsencode(tmp_path / name))


def test_zstd_without_its_package_is_refused_by_the_name_of_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "x.tar.zst", [])
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(Rejected) as caught:
        InboxArchive(os.fsencode(path))
    assert caught.value.code == "archive_file_not_supported"
    assert "zstd" in caught.value.hint


def looked_at(path: Path) -> None:
    """List and open everything; what is wrong must be told in the ways that callers know."""
    with InboxArchive(os.fsencode(path)) as archive:
        for entry in archive.walk():
            if entry.kind == "file":
                with contextlib.suppress(NotOpened), archive.open(entry.source_path) as stream:
                    assert len(stream.read()) == entry.size


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_archives_fail_only_in_known_ways(tmp_path: Path, kind: str) -> None:
    chance = random.Random(kind)
    whole = packed(tmp_path / f"whole{kind}", [("a", b"1" * 700), ("b" * 120, NOISE[:1000]), ("c/d", b"")]).read_bytes()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.choice((0, 0xFF, 0x80, chance.randrange(256)))
        looked_at(written(tmp_path / f"x{kind}", bytes(data)))
    for _ in range(100):
        inner = bytearray(tarred([("a" * 200, b"1" * 700), ("b", b"2")]))
        for _ in range(chance.randint(1, 6)):
            inner[chance.randrange(len(inner))] = chance.choice((0, 0xFF, 0x80, chance.randrange(256)))
        if kind != ".zip":
            looked_at(written(tmp_path / f"x{kind}", compressed(kind, bytes(inner))))
