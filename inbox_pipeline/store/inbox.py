"""The inbox on disk: confining paths, walking a folder, opening and deleting files without following links.

Belongs here: every touch of the inbox. Does not belong here: what a file is (`dicom`) and what becomes of it.

Paths inside a folder are relative bytes, because file names need not be UTF-8.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar

if TYPE_CHECKING:
    from sqlalchemy.engine import RowMapping

FILE, LINK_INSIDE, LINK_OUTSIDE, LINK_BROKEN, SPECIAL, UNREADABLE = (
    "file",
    "link_inside",
    "link_leaves_folder",
    "link_broken",
    "special_file",
    "unreadable",
)
_NO_FOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_BLOCK = _NO_FOLLOW | os.O_NONBLOCK
MOST_SECONDS, SLOWEST = 120.0, 1 << 20
"""A file may be worked on for two minutes, and a second more for each MiB of it."""

Row = TypeVar("Row", bound="RowMapping | Mapping[str, Any]")
"""A ledger row, from the catalog or from memory."""
State = tuple[int, int, str]
"""What tells one state of a file from another: size in bytes, modification time in ns, inode as text."""


@dataclass(frozen=True)
class Entry:
    """One thing found under the requested folder: relative path, kind (a constant of this module) and its stat."""

    source_path: bytes
    kind: str
    size: int = 0
    mtime_ns: int = 0
    inode: str = ""


def confined(path: str | bytes, root: Path) -> bytes | None:
    """Return the real path if it is `root` or lies below it once every link is resolved, else None."""
    real = os.path.realpath(os.fsencode(path))
    base = os.path.realpath(os.fsencode(root))
    return real if real == base or real.startswith(base.rstrip(b"/") + b"/") else None


def first_component(real_path: bytes, root: Path) -> str:
    """Return the name of the folder directly below `root` on the way to `real_path`, "" for the root itself."""
    base = os.path.realpath(os.fsencode(root))
    rest = real_path[len(base) :].lstrip(b"/")
    return os.fsdecode(rest.split(b"/", 1)[0])


def has_children(real_path: bytes) -> bool:
    """Return whether a folder holds anything.

    Raises:
        OSError: when it cannot be listed.
    """
    with os.scandir(real_path) as children:
        return next(children, None) is not None


def stream_sha256(stream: BinaryIO) -> str:
    """Return the SHA-256 of a stream from its present position, read through one small buffer."""
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 18):
        digest.update(chunk)
    return digest.hexdigest()


def file_inode(info: os.stat_result) -> str:
    """Return what names a file on its machine, apart from its path."""
    return f"{info.st_dev}:{info.st_ino}"


class NotOpened(OSError):
    """A file that is there cannot be worked on for a reason of its own; `code` is the ledger's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Timed(io.FileIO):
    """A file that can be read only for so long, whatever is done with it in between."""

    def __init__(self, handle: int, mode: str) -> None:
        super().__init__(handle, mode)
        self._began = time.monotonic()

    def read(self, size: int | None = -1, /) -> bytes:
        """Read. Raises NotOpened: `took_too_long`."""
        self._require_time()
        return super().read(-1 if size is None else size)

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer. Raises NotOpened: `took_too_long`."""
        self._require_time()
        return super().readinto(buffer)

    def _require_time(self) -> None:
        spent = time.monotonic() - self._began
        if spent > MOST_SECONDS and spent > MOST_SECONDS + os.fstat(self.fileno()).st_size / SLOWEST:
            raise NotOpened("took_too_long")


def timed(handle: int, mode: str = "rb") -> BinaryIO:
    """Return a file without buffer on an open handle, which it closes; reading it must end in time."""
    return _Timed(handle, mode)


class Requested(Protocol):
    """What a request names, opened: a folder, or an archive file as if it were one (`inbox_archive.py`)."""

    real_path: bytes

    def close(self) -> None:
        """Release the handles."""
        ...

    def __enter__(self) -> Requested: ...

    def __exit__(self, *_: object) -> None: ...

    def walk(self) -> Iterator[Entry]:
        """Yield every entry that is not a folder."""
        ...

    def entry(self, source_path: bytes) -> Entry | None:
        """Return the entry of one path, or None when there is nothing."""
        ...

    def open(self, source_path: bytes) -> AbstractContextManager[BinaryIO]:
        """Open a file for reading, with a handle of the system's. Raises OSError, NotOpened."""
        ...

    def state(self, stream: BinaryIO) -> State:
        """Return the state of a file that was opened, as its entry tells it."""
        ...

    def in_order(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return ledger rows in the order in which their files are read with the least work."""
        ...


class InboxFolder:
    """A requested folder, opened once; everything in it is reached from its handle, component by component.

    Raises:
        OSError: when the folder is gone, is a link, or cannot be opened.
    """

    def __init__(self, real_path: bytes) -> None:
        self.real_path = real_path
        self._root = os.open(real_path, _NO_FOLLOW | os.O_DIRECTORY)
        self._parent: tuple[bytes, int] = (b"", self._root)

    def close(self) -> None:
        """Release the handles."""
        self._leave()
        os.close(self._root)

    def __enter__(self) -> InboxFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def walk(self) -> Iterator[Entry]:
        """Yield every entry below the folder that is not a folder, in byte order; links are never followed.

        A folder that cannot be listed is an entry of its own, of kind `unreadable`.
        """
        stack = [b""]
        while stack:
            folder = stack.pop()
            try:
                children = self._children(folder)
            except OSError:
                yield Entry(folder or b".", UNREADABLE)
                continue
            folders = []
            for name, info in children:
                path = folder + b"/" + name if folder else name
                if info is not None and stat.S_ISDIR(info.st_mode):
                    folders.append(path)
                else:
                    yield self._entry(path, info)
            stack.extend(reversed(folders))

    def entry(self, source_path: bytes) -> Entry | None:
        """Return the entry of one path, `unreadable` for a folder, or None when there is nothing."""
        try:
            info = os.stat(self._name(source_path), dir_fd=self._enter(source_path), follow_symlinks=False)
        except OSError:
            return None
        return Entry(source_path, UNREADABLE) if stat.S_ISDIR(info.st_mode) else self._entry(source_path, info)

    @contextmanager
    def open(self, source_path: bytes) -> Iterator[BinaryIO]:
        """Open a regular file for reading, following no link on the way.

        Raises:
            OSError: when it is gone, a link, not a regular file, or unreadable.
        """
        handle = os.open(self._name(source_path), _NO_BLOCK, dir_fd=self._enter(source_path))
        with timed(handle) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError("not a regular file")
            yield file

    def state(self, stream: BinaryIO) -> State:
        """Return size, modification time and inode of a file that was opened, as they are now."""
        info = os.fstat(stream.fileno())
        return info.st_size, info.st_mtime_ns, file_inode(info)

    def in_order(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return ledger rows as they are: they come folder by folder."""
        return rows

    def unlink(self, source_path: bytes) -> None:
        """Delete a file, following no link on the way.

        Raises:
            OSError: when it cannot be deleted.
        """
        os.unlink(self._name(source_path), dir_fd=self._enter(source_path))

    def remove_empty_folders(self, source_path: bytes) -> None:
        """Remove the folders above a deleted file, as long as they are empty; the requested folder stays."""
        self._leave()
        while b"/" in source_path:
            source_path = source_path.rpartition(b"/")[0]
            try:
                os.rmdir(self._name(source_path), dir_fd=self._enter(source_path))
            except OSError:
                return
            finally:
                self._leave()

    def sync(self, source_path: bytes) -> None:
        """Make the deletion of a file durable in its folder, if that is still there."""
        with suppress(OSError):
            os.fsync(self._enter(source_path))

    def _children(self, folder: bytes) -> list[tuple[bytes, os.stat_result | None]]:
        handle = self._open_folder(folder)
        try:
            return [(name, _stat(name, handle)) for name in sorted(_names(handle))]
        finally:
            os.close(handle)

    def _entry(self, path: bytes, info: os.stat_result | None) -> Entry:
        if info is None:
            return Entry(path, UNREADABLE)
        if stat.S_ISLNK(info.st_mode):
            return Entry(path, self._link_kind(path))
        kind = FILE if stat.S_ISREG(info.st_mode) else SPECIAL
        return Entry(path, kind, info.st_size, info.st_mtime_ns, file_inode(info))

    def _link_kind(self, path: bytes) -> str:
        """Return where a link leads; one that cannot be followed to its end counts as broken, whatever the cause."""
        folder = self.real_path.rstrip(b"/") + b"/"
        try:
            target = os.path.realpath(folder + path, strict=True)
        except OSError:
            return LINK_BROKEN
        return LINK_INSIDE if target.startswith(folder) else LINK_OUTSIDE

    def _enter(self, source_path: bytes) -> int:
        """Return a handle on the folder of a path; the last one is kept open, since files come folder by folder."""
        folder = source_path.rpartition(b"/")[0]
        if folder != self._parent[0]:
            self._leave()
            self._parent = (folder, self._open_folder(folder))
        return self._parent[1]

    def _leave(self) -> None:
        if self._parent[1] != self._root:
            os.close(self._parent[1])
        self._parent = (b"", self._root)

    def _open_folder(self, folder: bytes) -> int:
        handle = os.dup(self._root)
        for name in folder.split(b"/") if folder else []:
            try:
                deeper = os.open(name, _NO_FOLLOW | os.O_DIRECTORY, dir_fd=handle)
            finally:
                os.close(handle)
            handle = deeper
        return handle

    @staticmethod
    def _name(source_path: bytes) -> bytes:
        return source_path.rpartition(b"/")[2]


def _names(folder: int) -> list[bytes]:
    """Return the names in an open folder; `os.scandir` gives str for a handle, so they are encoded back."""
    with os.scandir(folder) as children:
        return [os.fsencode(child.name) for child in children]


def _stat(name: bytes, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
