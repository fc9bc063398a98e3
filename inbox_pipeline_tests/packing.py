"""Archive files made for tests, honest and hostile.

Belongs here: packing bytes under names. Does not belong here: assertions, what the bytes are.
"""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import zstandard

Members = Iterable[tuple[str, bytes]]
KINDS = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.zst")
LINK_MODE = stat.S_IFLNK | 0o777


def packed(path: Path, members: Members) -> Path:
    """Write an archive file of the kind that its name tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zipped(members) if path.name.lower().endswith(".zip") else compressed(path.name, tarred(members)))
    return path


def compressed(name: str, data: bytes) -> bytes:
    """Compress the bytes of a tar file as its name tells."""
    compressors: dict[str, Callable[[bytes], bytes]] = {
        "gz": gzip.compress,
        "xz": lzma.compress,
        "st": zstandard.ZstdCompressor(write_checksum=True).compress,
    }
    return compressors.get(name.lower()[-2:], bytes)(data)


def zipped(members: Members, mode: int = stat.S_IFREG | 0o644, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file; names are written as they are given."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.external_attr, info.compress_type = name, mode << 16, method
            archive.writestr(info, data)
    return target.getvalue()


def tarred(members: Members, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """Return a tar file whose members are all of one kind; `target` is where links lead."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, len(data) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def folder_packed(folder: Path, path: Path) -> Path:
    """Pack all files of a folder under their relative paths."""
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    return packed(path, [(str(each.relative_to(folder)), each.read_bytes()) for each in files])


def zeros_zipped(megabytes: int) -> bytes:
    """Return a zip bomb: one member of zeros."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.dcm", "w") as member:
        for _ in range(megabytes):
            member.write(bytes(1 << 20))
    return target.getvalue()


def zeros_tarred(megabytes: int) -> bytes:
    """Return a gzip bomb: a tar file with one member of zeros, written without ever being whole in memory."""
    target = io.BytesIO()
    info = tarfile.TarInfo("bomb.dcm")
    info.size = megabytes << 20
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1) as packer:
        packer.write(info.tobuf())
        for _ in range(megabytes):
            packer.write(bytes(1 << 20))
        packer.write(bytes(1024))
    return target.getvalue()
