"""Facts about file systems, and the calls that make bytes durable.

Belongs here: fsync of files and directories, syncfs, hard links, the exchange of two names, which file system a path
lies on. Does not belong here: the layout of the inbox, staging or archive.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

NETWORK_TYPES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "9p", "fuse.sshfs", "fuse.glusterfs"}
)

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT_EXCHANGE = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
_CANNOT_LINK = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def existing_parent(path: Path) -> Path:
    """Return `path`, or its nearest ancestor that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def same_file_system(*paths: Path) -> bool:
    """Return whether all paths (or their nearest existing ancestors) lie on one file system."""
    return len({existing_parent(path).stat().st_dev for path in paths}) <= 1


def network_file_system(path: Path) -> str | None:
    """Return the type of the network file system that `path` lies on, or None when it is local.

    Reads the kernel's mount table (proc(5), mountinfo); a system without one counts as local.
    """
    table = Path("/proc/self/mountinfo")
    if not table.exists():
        return None
    target = str(existing_parent(path).resolve())
    best, kind = "", ""
    for line in table.read_text(encoding="utf-8", errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        mount = before.split(" ")[4].replace("\\040", " ")
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, after.split(" ")[0]
    return kind if kind in NETWORK_TYPES else None


def fsync_directory(path: Path) -> None:
    """Make the entries of a directory durable."""
    fsync_path(path, os.O_DIRECTORY)


def fsync_path(path: Path, flags: int = 0) -> None:
    """Make the bytes of a file durable."""
    handle = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(path: Path) -> None:
    """Make everything written to the file system of `path` durable, in one call (syncfs(2)).

    Raises:
        OSError: when the kernel reports a write-back error.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(path, os.O_RDONLY)
    try:
        if libc.syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), "syncfs failed")
    finally:
        os.close(handle)


def make_directories(path: Path, *, above: Path) -> None:
    """Create `path` and its missing parents below `above`, each made durable in its parent."""
    missing = []
    while path != above and not path.exists():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        fsync_directory(directory.parent)


def exchange(one: Path, other: Path) -> bool:
    """Let two existing names change places in one instant; return False where system or file system cannot.

    `renameat2(2)` with RENAME_EXCHANGE; neither name is made durable.

    Raises:
        OSError: for any other reason, such as a name that is gone.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code))


def remove_tree(path: Path) -> None:
    """Delete a folder with all that is in it, whoever else does the same at the same time."""
    while path.exists():
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue


def link_file(source: Path, target: Path) -> None:
    """Give a file a second name, with the folders above it; where that cannot be, a copy.

    Neither name may be written in place from then on.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        shutil.copyfile(source, target)
