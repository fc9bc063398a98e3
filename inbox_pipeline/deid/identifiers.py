"""The direct identifiers of one source data set, and where they stand in a text.

Belongs here: gathering them element by element, finding them. Does not belong here: what of a value counts, which is
said in `telling.py`; searching files (`verify.py`), cleaning (`descriptors.py`).

Dates are looked for in every spelling of the same day; those that another date of the data set becomes when it is moved
are not (`freeze`). UIDs that PS3.6 does not register are looked for as a whole, or with more components behind them.
What the policy keeps in the open (manufacturer, model ...) does not count although it stands elsewhere, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from inbox_pipeline.deid.folding import fold
from inbox_pipeline.deid.identifier import DATES, Identifier, Kind, made
from inbox_pipeline.deid.identifying import KEPT_IN_THE_OPEN, kind_of
from inbox_pipeline.deid.table import standard_uids
from inbox_pipeline.deid.telling import identifiers_of

_REMEMBERED = 16_384
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_UID = re.compile(r"\d+(?:\.\d+)+")
_UID_IN_TEXT = re.compile(r"(?<!\d)(?<!\d\.)\d+(?:\.\d+){3,}")
_DAY = re.compile(r"(?<!\d)(\d{4})[-.]?(\d\d)[-.]?(\d\d)")
_DUMMY_DAYS = frozenset({date(1900, 1, 1), date(1, 1, 1)})
_IN_THE_OPEN = frozenset({Kind.NAME, Kind.DEVICE, Kind.INSTITUTION})
"""What a manufacturer's or model's name may be as well. Numbers and ids are not."""


class Hit(NamedTuple):
    """Where an identifier stands in folded text, and which."""

    start: int
    end: int
    identifier: Identifier


@dataclass(frozen=True, repr=False)
class Identifiers:
    """All identifiers of a source data set. Its representation shows none of them."""

    patterned: frozenset[Identifier]
    """Names, ids, phone numbers, addresses, institutions, devices."""
    days: frozenset[Identifier]
    uids: frozenset[str]

    def narrowed(self, wanted: Callable[[Identifier], bool], uids: bool) -> Identifiers:
        """Return some of them; UIDs all or none."""
        return Identifiers(
            frozenset(filter(wanted, self.patterned)),
            frozenset(filter(wanted, self.days)),
            self.uids if uids else frozenset(),
        )

    def hits(self, folded: str, *, cleaning: bool = False) -> Iterator[Hit]:
        """Yield everything that stands in folded text.

        Args:
            folded: text after `fold`.
            cleaning: whether identifiers count that are `in_text`.
        """
        for identifier in (*self.patterned, *self.days):
            if cleaning or not identifier.in_text:
                for match in identifier.pattern.finditer(folded):
                    yield Hit(*match.span(), identifier)
        for match in _UID_IN_TEXT.finditer(folded) if self.uids else ():
            if any(beginning in self.uids for beginning in beginnings(match[0])):
                yield Hit(*match.span(), ANY_UID)


def uids_in(text: str) -> list[str]:
    """Return what looks like a UID in a text."""
    return _UID_IN_TEXT.findall(text)


def beginnings(uid: str) -> Iterator[str]:
    """A UID and what is left when components are taken off its end."""
    while uid:
        yield uid
        uid = uid.rpartition(".")[0]


ANY_UID = made(Kind.UID, ("uid",))
"""What a hit on a UID says; UIDs are looked up, not searched for one by one."""
NOTHING = Identifiers(frozenset(), frozenset(), frozenset())


class IdentifierCollector:
    """Gathers the identifiers of one data set from its original elements, at any depth and in any order."""

    def __init__(self) -> None:
        self._found: set[Identifier] = set()
        self._open: set[str] = set()
        self._days: set[tuple[date, Kind | None]] = set()
        self._uids: set[str] = set()

    def add(self, tag: int, vr: str, text: str) -> None:
        r"""Take one element that the profile does not keep, or one of `KEPT_IN_THE_OPEN`.

        Which elements hold identifiers, of those that the profile treats, is decided here.

        Args:
            tag: the public tag, or a private one.
            vr: the VR of the data dictionary.
            text: the decoded original value; several separated by ``\``.
        """
        if tag in KEPT_IN_THE_OPEN:
            self._open.update(_PIECE.findall(fold(text)))
            return
        kind = kind_of(tag, vr)
        if kind is Kind.UID:
            self._uids.update(_original_uids(text))
        elif kind in DATES:
            self._days.update((day, kind) for day in _days(text))
        elif kind is not None:
            self._found.update(identifiers_of(kind, text))

    def add_all(self, other: IdentifierCollector) -> None:
        """Take what another one has gathered of the same data set."""
        self._found |= other._found
        self._open |= other._open
        self._days |= other._days
        self._uids |= other._uids

    def __bool__(self) -> bool:
        """Whether anything was gathered."""
        return bool(self._found or self._open or self._days or self._uids)

    def freeze(self, days: int | None = None) -> Identifiers:
        """Return what was gathered.

        Args:
            days: by how many days dates go back in the output; a date that another one becomes is left out. None if
                dates are removed or left as they are.
        """
        found = self._found
        if self._open:
            found = {one for one in found if one.kind not in _IN_THE_OPEN or not self._open.issuperset(one.words)}
        return Identifiers(frozenset(found), frozenset(self._looked_for(days)), frozenset(self._uids))

    def _looked_for(self, days: int | None) -> Iterator[Identifier]:
        """Each day once; a birth date stays one, although the data set has the same date elsewhere."""
        births = {day for day, kind in self._days if kind is Kind.BIRTH_DATE}
        all_days = {day for day, _ in self._days}
        becoming = {_earlier(day, days) for day in all_days} if days else set()
        for day in all_days - becoming - _DUMMY_DAYS:
            yield made(Kind.BIRTH_DATE if day in births else Kind.DATE, (day.isoformat(),))


def _earlier(day: date, days: int) -> date | None:
    try:
        return day - timedelta(days)
    except OverflowError:
        return None


@lru_cache(maxsize=_REMEMBERED)
def _original_uids(text: str) -> tuple[str, ...]:
    uids = (part.strip(" \0") for part in text.split("\\"))
    return tuple(uid for uid in uids if _UID.fullmatch(uid) and uid not in standard_uids() and uid.count(".") > 2)


@lru_cache(maxsize=_REMEMBERED)
def _days(text: str) -> tuple[date, ...]:
    found = []
    for match in _DAY.finditer(text):
        try:
            found.append(date(*map(int, match.groups())))
        except ValueError:
            continue
    return tuple(found)
