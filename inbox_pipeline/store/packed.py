"""Members of archive files: what one is, which names are taken, and how much may be unpacked.

Belongs here: what zip and tar files have in common. Does not belong here: their formats (`packed_zip.py`,
`packed_tar.py`), opening members for callers (`inbox_archive.py`).

Nothing is ever unpacked to a disk, so that no name can lead anywhere; names that try are refused nevertheless, because
whoever packed them meant harm, or packed what he did not mean to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from inbox_pipeline.store.inbox import FILE

MOST_MEMBERS = 100_000
MOST_MEMBER_BYTES = 1 << 31
"""A member is unpacked into memory as a whole; a larger one must be unpacked by hand."""
FREE_BYTES = 1 << 26
MOST_RATIO = 200
MOST_BYTES = 1 << 40
"""An archive may unpack to 200 times its own size, and in any case to 64 MiB, but never to more than 1 TiB."""
MOST_NAME_BYTES, MOST_DEPTH = 4096, 64
LINK, NAME, ENCRYPTED, UNSUPPORTED, TOO_LARGE, DAMAGED = (
    "member_link",
    "member_name_unsafe",
    "member_encrypted",
    "member_unsupported",
    "member_too_large",
    "member_damaged",
)
OVER_LIMITS, BROKEN = "archive_over_limits", "archive_damaged"
WHOLE = b"."
"""The path of what is said of the archive as a whole; no member has it."""
_DRIVE = re.compile(rb"[A-Za-z]:")
_SEPARATORS = re.compile(rb"[/\\]")


class OverLimits(Exception):
    """An archive holds more than is unpacked of one."""


class Broken(Exception):
    """An archive, or a member of it, cannot be read to its end."""


@dataclass(frozen=True)
class Member:
    """One member that is not a folder: its name, unpacked size in bytes, kind as of an `Entry`, and where it lies.

    `place` is for the reader that listed it.
    """

    name: bytes
    size: int
    kind: str = FILE
    place: Any = None


def allowance(packed_bytes: int) -> int:
    """Return how many bytes an archive of a size may unpack to."""
    return min(max(FREE_BYTES, MOST_RATIO * packed_bytes), MOST_BYTES)


def plain_name(name: bytes) -> bytes:
    """Return a member's name without what means nothing in it: `./` and doubled slashes."""
    kept = [part for part in name.split(b"/") if part not in (b"", b".")]
    return b"/" * name.startswith(b"/") + b"/".join(kept)


def is_safe(name: bytes) -> bool:
    """Return whether a name stays below where it would be unpacked, on any system, and is of a reasonable length."""
    parts = _SEPARATORS.split(name)
    leads_away = not parts[0] or _DRIVE.match(name) is not None or b".." in parts
    return not leads_away and b"\0" not in name and len(name) <= MOST_NAME_BYTES and len(parts) <= MOST_DEPTH


class Names:
    """The paths under which an archive's members stand in the ledger, each once, and what its links would redirect."""

    def __init__(self) -> None:
        self._taken = {WHOLE}
        self._links: set[bytes] = set()

    def path_of(self, name: bytes) -> bytes:
        """Return the path for a member; of a name that comes again, one that says so."""
        base = name[:MOST_NAME_BYTES] or b"(no name)"
        path, number = base, 1
        while path in self._taken:
            number += 1
            path = b"%s (%d)" % (base, number)
        self._taken.add(path)
        return path

    def add_link(self, name: bytes) -> None:
        """Remember a link, through which later members may try to lead."""
        self._links.add(name)

    def leads_through_link(self, name: bytes) -> bool:
        """Return whether a name would be unpacked through a link of the same archive."""
        parts = name.split(b"/")
        return bool(self._links) and any(b"/".join(parts[:end]) in self._links for end in range(1, len(parts)))
