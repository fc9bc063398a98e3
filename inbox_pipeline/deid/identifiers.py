"""The direct identifiers of one source data set, and where they stand in a text.

Belongs here: which values identify, how much of one must be seen for it to count, and in which spellings. Does not
belong here: searching files (`verify.py`), cleaning (`descriptors.py`), what is removed (`policy.py`).

What counts, so that short and common values do not alarm or blank half a header:

- Names (VR PN, and ids that are words): every word of three letters or more that is not in the hand-made vocabulary
  counts by itself, as a whole word; eight letters or more count within a word, too. Two-letter words, and words of the
  vocabulary, count beside another word of the same name, in any order, with anything or nothing between them (`Li^Wu`,
  `WU, LI`, `longrose`). A name that holds a placeholder (`Phantom^Head`, ANONYMOUS) has no such pairs, and single
  letters, initials among them, never count. Umlauts are also looked for as two letters, and the other way about.
- Ids (PatientID, accession number ...): from four letters and digits on, with any separators between their parts. A
  number of four or five digits is `weak`: it stands for itself only in texts and as a whole word. Shorter ones, and
  words of the vocabulary (HEAD, ANON, MR), do not count. Leading zeros may be missing, and the letters before a number
  of six digits or more.
- Phone numbers: seven digits or more. Addresses, institutions: line by line, if a line holds a word of five letters or
  more that is not in the vocabulary; the address of a person also by each such word.
- Dates: every spelling of the same day. Of dates that are moved, those do not count that another date of the data set
  becomes (`freeze`).
- UIDs that PS3.6 does not register: whole, or with more components behind them.
- What the policy keeps in the open (manufacturer, model ...) does not count although it stands elsewhere, too.

Some words count `in_text` only: a physician named Dixon is taken out of a description, but a file is not held back
because its sequence has that name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from functools import cached_property, lru_cache
from itertools import islice, permutations
from typing import NamedTuple

from inbox_pipeline.deid.date_spellings import pattern_of
from inbox_pipeline.deid.folding import fold, is_unspaced
from inbox_pipeline.deid.identifying import Sort, sort_of
from inbox_pipeline.deid.table import standard_uids
from inbox_pipeline.deid.vocabulary import ambiguous, core, known, placeholders

_REMEMBERED = 16_384
_WORD = re.compile(r"[^\W_]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_PREFIXED = re.compile(r"[a-z]{1,5}(\d{6,})")
"""An id whose letters say of what kind it is."""
_BETWEEN = r"[\W_]*"
_UID = re.compile(r"\d+(?:\.\d+)+")
_UID_IN_TEXT = re.compile(r"(?<!\d)(?<!\d\.)\d+(?:\.\d+){3,}")
_LINES = re.compile(r"[,;\\\r\n|]+")
_DAY = re.compile(r"(?<!\d)(\d{4})[-.]?(\d\d)[-.]?(\d\d)")
_LONG_NAME = 8
_LONG_ID = 8
_STRONG_NUMBER = 6
_SHORTEST_ID = 4
_SHORTEST_PHONE = 7
_SHORTEST_OF_LINE = 5
_UMLAUTS = {"a": "ä", "o": "ö", "u": "ü"}
_IN_TWO = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "AE", "Ö": "OE", "Ü": "UE", "å": "aa", "Å": "AA", "ø": "oe", "Ø": "OE"}
)
_DIGRAPH = re.compile(r"(?<=[^aeiou])([aou])e(?=[^aeiou])")
_FROM_DIGRAPH = 6
_LONGEST_NAME = 6
"""So many words of a name are paired with each other."""
_DUMMY_DAYS = frozenset({date(1900, 1, 1), date(1, 1, 1)})


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
_IN_THE_OPEN = frozenset({Kind.NAME, Kind.DEVICE, Kind.INSTITUTION})
"""What a manufacturer's or model's name may be as well. Numbers and ids are not."""


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


_SHORTEST = {Kind.ID: _SHORTEST_ID, Kind.DEVICE: 5}
"""So many letters and digits an id has at least, to count."""


@lru_cache(maxsize=_REMEMBERED)
def _made(
    kind: Kind,
    words: tuple[str, ...],
    inside: bool = False,
    weak: bool = False,
    in_text: bool = False,
    spelled: str = "",
) -> Identifier:
    return Identifier(kind, words, inside, weak, in_text, spelled)


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


ANY_UID = _made(Kind.UID, ("uid",))
"""What a hit on a UID says; UIDs are looked up, not searched for one by one."""
NOTHING = Identifiers(frozenset(), frozenset(), frozenset())


class IdentifierCollector:
    """Gathers the identifiers of one data set from its original elements, at any depth and in any order."""

    def __init__(self) -> None:
        self._found: set[Identifier] = set()
        self._open: set[str] = set()
        self._days: set[tuple[date, Kind]] = set()
        self._uids: set[str] = set()

    def add(self, tag: int, vr: str, text: str) -> None:
        r"""Take one element that the profile does not keep, or one of `KEPT_IN_THE_OPEN`.

        Which elements hold identifiers, of those that the profile treats, is decided here.

        Args:
            tag: the public tag, or a private one.
            vr: the VR of the data dictionary.
            text: the decoded original value; several separated by ``\``.
        """
        sort = sort_of(tag, vr)
        if sort is None or not text:
            return
        if sort is Sort.UID:
            self._uids.update(_original_uids(text))
        elif sort in {Sort.DATE, Sort.BIRTH_DATE}:
            self._days.update((day, _KINDS[sort]) for day in _days(text))
        elif sort is Sort.OPEN:
            self._open.update(_PIECE.findall(fold(text)))
        else:
            self._found.update(_identifiers(sort, text))

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
            yield _made(Kind.BIRTH_DATE if day in births else Kind.DATE, (day.isoformat(),))


def _earlier(day: date, days: int) -> date | None:
    try:
        return day - timedelta(days)
    except OverflowError:
        return None


_KINDS = {
    Sort.DATE: Kind.DATE,
    Sort.BIRTH_DATE: Kind.BIRTH_DATE,
    Sort.ID: Kind.ID,
    Sort.DEVICE: Kind.DEVICE,
    Sort.ADDRESS: Kind.ADDRESS,
    Sort.INSTITUTION: Kind.INSTITUTION,
}


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


@lru_cache(maxsize=_REMEMBERED)
def _identifiers(sort: Sort, text: str) -> frozenset[Identifier]:
    """What identifies in one element of several values."""
    return frozenset(one for part in text.split("\\") for one in _of_value(sort, part))


def _of_value(sort: Sort, text: str) -> Iterable[Identifier]:
    if sort is Sort.NAME:
        return (one for group in text.split("=") for one in _of_name(group))
    if sort is Sort.PHONE:
        return _of_phone(text)
    if sort in {Sort.ADDRESS, Sort.INSTITUTION}:
        return _of_place(_KINDS[sort], text)
    return _of_id(_KINDS[sort], text)


# --- names


def _of_name(group: str) -> Iterator[Identifier]:
    """The words of one component group, alone and in pairs; what looks like an id is one."""
    words = _words_as_written(group, _LETTERS)
    for word, written in words.items():
        yield from _alone(word, written)
    for part in group.replace("^", " ").split():
        if any(character.isdigit() for character in part):
            yield from _of_id(Kind.ID, part)
    if not placeholders().intersection(words):
        yield from _pairs(dict(islice(words.items(), _LONGEST_NAME)))


def _words_as_written(text: str, pattern: re.Pattern[str]) -> dict[str, str]:
    """Distinct folded words of a text, each with what stands there."""
    return {fold(word): word for word in pattern.findall(unicodedata.normalize("NFC", text))}


def _alone(word: str, written: str) -> Iterator[Identifier]:
    """A word that says who it is by itself, if it does."""
    if word in placeholders() or not _says_something(word):
        return
    unspaced, ambiguous_word = is_unspaced(word), word in core()
    in_text = ambiguous_word or (len(word) == 2 and not unspaced)
    for spelling, spelled in _spellings(word, written):
        inside = unspaced or (len(spelling) >= _LONG_NAME and not ambiguous_word)
        weak = len(spelling) <= 3 and not unspaced
        yield _made(Kind.NAME, (spelling,), inside, weak, in_text, "" if spelled.isascii() else spelled)


def _says_something(word: str) -> bool:
    """Whether a word of a name can count by itself; one of the vocabulary only if it is a common name, too."""
    return len(word) >= 2 and (word not in core() or (len(word) > 2 and word in ambiguous()))


def _spellings(word: str, written: str) -> Iterator[tuple[str, str]]:
    """A folded word as it is, with umlauts in two letters if it has any, and with umlauts for what may be some."""
    yield word, written
    in_two = fold(written.translate(_IN_TWO))
    if in_two != word:
        yield in_two, in_two
    if len(word) >= _FROM_DIGRAPH and written.isascii():
        umlauts = _DIGRAPH.sub(lambda match: _UMLAUTS[match[1]], word)
        if umlauts != word and fold(umlauts) not in known():
            yield fold(umlauts), umlauts


def _pairs(words: dict[str, str]) -> Iterator[Identifier]:
    """Two words of a name beside each other."""
    for first, second in permutations(words, 2):
        written = words[first] + words[second]
        if _tells_much(first, second):
            yield _made(
                Kind.NAME, (first, second), is_unspaced(first + second), spelled="" if written.isascii() else written
            )


def _tells_much(first: str, second: str) -> bool:
    if is_unspaced(first) or is_unspaced(second):
        return True
    return min(len(first), len(second)) >= 2 and len(first) + len(second) >= 4


# --- ids


def _of_id(kind: Kind, text: str) -> Iterator[Identifier]:
    """An id as a whole; the words of one that is made of words, as people write names into ids."""
    written = _words_as_written(text, _WORD)
    words = [fold(word) for word in _WORD.findall(text)]
    named = {word: as_is for word, as_is in written.items() if word.isalpha() and len(word) >= 3}
    joined = "".join(words)
    if named and (len(named) >= 2 or joined.isalpha()):
        yield from _of_id_of_words(kind, {word: as_is for word, as_is in named.items() if word not in known()})
    if joined.isdigit():
        yield from _of_number(kind, words, joined)
    elif len(joined) >= _SHORTEST[kind] and not _is_plain(words, joined):
        spelled = "" if text.isascii() else "".join(_WORD.findall(text))
        yield _made(kind, tuple(_PIECE.findall(" ".join(words))), len(joined) >= _LONG_ID, spelled=spelled)
        if numbered := _PREFIXED.fullmatch(joined):
            yield from _of_number(kind, [numbered[1]], numbered[1])


def _of_id_of_words(kind: Kind, named: dict[str, str]) -> Iterator[Identifier]:
    """The words of an id that are no vocabulary. A machine's name is not a person's."""
    for word, written in named.items():
        if kind is not Kind.DEVICE and len(word) >= _SHORTEST_ID:
            yield from _alone(word, written)


def _is_plain(words: list[str], joined: str) -> bool:
    """Whether an id is only vocabulary or a placeholder: HEAD, ANON, T1, `Head Phantom`, `dcm2niix`."""
    return joined in known() or all(word in known() or word in placeholders() for word in words)


def _of_number(kind: Kind, words: list[str], joined: str) -> Iterator[Identifier]:
    """A number with its zeros, and one without them, which may be short enough to be weak."""
    bare = joined.lstrip("0")
    if len(bare) < _SHORTEST[kind]:
        return
    yield _made(kind, tuple(words), weak=len(joined) < _STRONG_NUMBER)
    if len(words) == 1 and bare != joined:
        yield _made(kind, (bare,), weak=len(bare) < _STRONG_NUMBER)


# --- phone numbers, addresses, institutions


def _of_phone(text: str) -> Iterator[Identifier]:
    if any(character.isalpha() for character in text):
        yield from _of_telecom(text)
    digits = [character for character in fold(text) if character.isdigit()]
    if len(digits) >= _SHORTEST_PHONE:
        yield _made(Kind.PHONE, tuple(digits))


def _of_telecom(text: str) -> Iterator[Identifier]:
    """A mail address or the like, as a whole."""
    words = _WORD.findall(fold(text))
    if len("".join(words)) >= _LONG_ID and not known().issuperset(words):
        yield _made(Kind.PHONE, tuple(words))


def _of_place(kind: Kind, text: str) -> Iterator[Identifier]:
    for line in _LINES.split(text):
        written = _WORD.findall(unicodedata.normalize("NFC", line))
        words = [fold(word) for word in written]
        telling = [word for word in words if _tells_place(word)]
        if telling:
            yield _made(kind, tuple(words), spelled="" if line.isascii() else "".join(written))
        if kind is Kind.ADDRESS:
            yield from (_made(kind, (word,), len(word) >= _LONG_NAME) for word in telling)


def _tells_place(word: str) -> bool:
    if is_unspaced(word):
        return len(word) >= 2
    return word.isalpha() and len(word) >= _SHORTEST_OF_LINE and word not in known() and word not in placeholders()
