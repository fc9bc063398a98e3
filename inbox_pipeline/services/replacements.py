"""Which UIDs the scripts of a request replace by which, found out when a reference asks for it.

Belongs here: from a UID in a source file to the file that bears it, and to the UID which that file will bear. Does not
belong here: finding references in a data set (`script/references.py`), editing (`recipe.py`).

Nothing is read in advance: scripts that replace no UID cost nothing, and of a file that is referred to, only the header
is edited once more, without being written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from inbox_pipeline.script.references import FRAME_OF_REFERENCE, INSTANCE, SERIES, STUDY

ROLE_NAMES = {INSTANCE: "sop", SERIES: "series", STUDY: "study", FRAME_OF_REFERENCE: "frame"}
"""The elements whose UIDs are referred to from elsewhere, and what the ledger calls them."""

ROLES = tuple(ROLE_NAMES)
REMEMBERED = 1 << 17

Uids = Mapping[int, str]
"""The UIDs of one file by tag: those of ROLES that it has."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """A file of the request: its number, and the keyed digests of its original UIDs by tag."""

    row_id: int
    keys: Mapping[int, str]


class Replacements:
    """Answers, for a UID of the source, what has replaced it in this request; None if nothing has.

    Several files bear the UID of a series, study or frame of reference: the first one of `bearers` whose UID the
    scripts replace decides.

    Args:
        bearers: the files of the request, in the order of their paths.
        roles: the tags of ROLES that scripts may replace.
        digest: gives the keyed digest of a UID.
        edited: gives the UIDs of a file after its scripts, by the file's number; none if it cannot be edited.
    """

    def __init__(
        self,
        bearers: Iterable[Bearer],
        roles: Iterable[int],
        digest: Callable[[str], str],
        edited: Callable[[int], Uids],
    ) -> None:
        self._roles = tuple(roles)
        self._digest = digest
        self._edited = lru_cache(REMEMBERED)(edited)
        self._bearers: dict[int, dict[str, list[int]]] = {role: defaultdict(list) for role in self._roles}
        for bearer in bearers:
            for role in self._roles:
                self._bearers[role][bearer.keys.get(role, "")].append(bearer.row_id)
        self._answer = lru_cache(REMEMBERED)(self._find)

    def __call__(self, uid: str) -> str | None:
        """Return the UID that stands in its place after the scripts, or None."""
        return self._answer(uid)

    def _find(self, uid: str) -> str | None:
        key = self._digest(uid)
        for role in self._roles:
            for row_id in self._bearers[role].get(key, ()):
                new = self._edited(row_id).get(role)
                if new and new != uid:
                    return new
        return None
