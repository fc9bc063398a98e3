"""One direct identifier, and the expression that finds it in a text.

Belongs here: kinds, boundaries, what may stand between the parts. Does not belong here: which values identify
(`telling.py`), the identifiers of a file (`identifiers.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cached_property, lru_cache

from inbox_pipeline.deid.date_spellings import pattern_of

_REMEMBERED = 16_384
_BETWEEN = r"[\W_]*"


class Kind(Enum):
    """What an identifier is; all that a finding says of it."""

    NAME = "name"
    ID = "id"
    PHONE = "phone"
    ADDRESS = "address"
    INSTITUTION = "institution"
    DEVICE = "device"
    BIRTH_DATE = "birth date"
    DATE = "date"
    UID = "uid"


DATES = frozenset({Kind.DATE, Kind.BIRTH_DATE})


@dataclass(frozen=True, repr=False, eq=False)
class Identifier:
    """One thing to look for. Equal ones are the same object (`_made`), so that what is prepared for it lasts."""

    kind: Kind
    words: tuple[str, ...]
    """Folded parts, in the order in which they stand; of a date its ISO form, of a UID itself."""
    inside: bool = False
    """Whether letters may stand before and behind it."""
    weak: bool = False
    """Whether it stands for itself in texts only, not among numbers and codes."""
    in_text: bool = False
    """Whether it counts where a text is cleaned, and not where a file is judged."""
    spelled: str = ""
    """How it was written, without separators, if folding loses letters of it."""

    @property
    def joined(self) -> str:
        """Its parts without separators."""
        return "".join(self.words)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The expression that finds it in folded text (not a UID, of which there may be thousands)."""
        if self.kind in DATES:
            return pattern_of(date.fromisoformat(self.joined), thorough=self.kind is Kind.BIRTH_DATE)
        first, last = self.words[0], self.words[-1]
        zeros = "0*" if first[0].isdigit() and self.kind is not Kind.PHONE else ""
        body = _BETWEEN.join(map(re.escape, self.words))
        return re.compile(f"{self._edge(first[0], behind=False)}{zeros}{body}{self._edge(last[-1], behind=True)}")

    def _edge(self, character: str, *, behind: bool) -> str:
        """What must not stand beside the first or last character."""
        look, turned = ("(?!", r"\.\d") if behind else ("(?<!", r"\d\.")
        if character.isdigit():
            letters = r"[^\W\d_]" if self.weak else ""
            return f"{look}\\d){look}{turned})" + (f"{look}{letters})" if letters else "")
        return "" if self.inside else f"{look}[^\\W\\d_])"


@lru_cache(maxsize=_REMEMBERED)
def made(
    kind: Kind,
    words: tuple[str, ...],
    inside: bool = False,
    weak: bool = False,
    in_text: bool = False,
    spelled: str = "",
) -> Identifier:
    """Return the one object for an identifier."""
    return Identifier(kind, words, inside, weak, in_text, spelled)
