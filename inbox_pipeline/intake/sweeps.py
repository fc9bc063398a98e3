"""When a folder of the inbox has become a request: the decision of the scheduled sweeps, pure.

Belongs here: comparing two observations and a clock. Does not belong here: looking at the disk or filing requests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class SeenFile:
    """A file as a sweep saw it: path relative to the folder, size in bytes, mtime in ns, inode as text."""

    source_path: bytes
    size: int
    mtime_ns: int
    inode: str

    @property
    def path_digest(self) -> str:
        """The path as a fixed-length key."""
        return hashlib.sha256(self.source_path).hexdigest()

    @property
    def signature(self) -> str:
        """What tells this state of the file from another."""
        return f"{self.size}:{self.mtime_ns}:{self.inode}"


@dataclass(frozen=True)
class Observation:
    """What was seen of a folder: `fingerprint` of all its files, when, and since when unchanged (epoch seconds)."""

    fingerprint: str
    observed_at: float
    unchanged_since: float


@dataclass(frozen=True)
class Decision:
    """The new observation to remember, and the files to import now (empty: not yet, or nothing new)."""

    observation: Observation
    due: tuple[SeenFile, ...]


def fingerprint(files: Iterable[SeenFile]) -> str:
    """Return a digest of the paths, sizes, mtimes and inodes of a folder's files."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda f: f.source_path):
        digest.update(b"%d:%s" % (len(file.source_path), file.source_path))
        digest.update(file.signature.encode() + b"\n")
    return digest.hexdigest()


def decide(
    before: Observation | None,
    files: Collection[SeenFile],
    imported: Collection[tuple[str, str]],
    now: float,
    quiet_seconds: float,
) -> Decision:
    """Decide whether a folder is quiet, and which of its files are due.

    Args:
        before: the last observation of the folder, or None.
        files: what lies in it now.
        imported: (path digest, signature) of the files that earlier sweeps have asked to import.
        now: the clock, epoch seconds.
        quiet_seconds: for how long nothing may have changed.

    A clock that stepped back and files dated in the future count as a change: quiet time starts anew.
    """
    seen = fingerprint(files)
    unsteady = before is None or before.fingerprint != seen or now < before.observed_at or _from_future(files, now)
    since = now if unsteady or before is None else before.unchanged_since
    observation = Observation(seen, now, since)
    if unsteady or now - since < quiet_seconds:
        return Decision(observation, ())
    known = set(imported)
    due = [file for file in files if (file.path_digest, file.signature) not in known]
    return Decision(observation, tuple(sorted(due, key=lambda f: f.source_path)))


def _from_future(files: Iterable[SeenFile], now: float) -> bool:
    return any(file.mtime_ns > now * 1e9 for file in files)
