"""Whether an output still holds the patient's own original identifiers.

Belongs here: searching all bytes of an output that are not pixel data, and saying where something was found. Does not
belong here: which values identify (`identifiers.py`), what is done with a finding, reading files.

Two passes. The quick one deletes everything from the bytes that is no letter and no digit, turns capitals to small
letters, and asks whether any spelling of any identifier, treated alike, is in what is left. Separators, zero bytes of
UTF-16 and escape sequences do not hide anything from it, and most outputs end there. The exact one is for the others:
it walks the elements, decodes what they hold in every way it can be meant, and applies the rules of `identifiers.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from inbox_pipeline.deid.date_spellings import run_together
from inbox_pipeline.deid.folding import camel_parts, fold, is_unspaced
from inbox_pipeline.deid.grammar import is_grammar
from inbox_pipeline.deid.identifier import DATES, Identifier, Kind
from inbox_pipeline.deid.identifiers import Identifiers
from inbox_pipeline.deid.leaves import Leaf, leaves
from inbox_pipeline.dicom.elements import Layout
from inbox_pipeline.dicom.stretches import Stretch

SHORT = 1 << 16
"""Stretches up to here are searched together."""
REMEMBERED_BYTES, ENTRY_BYTES = 1 << 21, 256
"""What a `Watch` remembers may take up so much; an entry besides its digits."""
META_LAYOUT = Layout(implicit=False, little=True)
_DELETED = bytes(byte for byte in range(128) if not chr(byte).isalnum())
_LOWER = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))
_NO_DIGITS = bytes(byte for byte in range(256) if not 48 <= byte <= 57)
_UID_START = 18
"""So many characters of a UID are looked for; UIDs of one maker begin alike, so that few searches do for many."""
_SPACED_ENCODINGS = (
    "utf-8", "latin-1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8",
    "iso8859_9", "iso8859_15", "cp1250", "cp1251", "cp1252", "cp1253",
)  # fmt: skip
_UNSPACED_ENCODINGS = ("utf-8", "shift_jis", "euc_jp", "euc_kr", "gb18030", "big5", "iso8859_11")
_RAW_ENCODINGS = ("utf-16-le", "utf-16-be", "iso2022_jp_2")
"""Those in which bytes that look like ASCII are parts of other letters: searched for as they are."""
_ENCODINGS = (*_SPACED_ENCODINGS, *_UNSPACED_ENCODINGS, *_RAW_ENCODINGS)
_TO_ASCII = b"\x1b(B"
"""With this the Japanese encoding ends, where in a file a delimiter may do so."""
_TEXT_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_NUMBER_VRS = frozenset(
    {"AS", "AT", "DA", "DS", "DT", "FD", "FL", "IS", "SL", "SS", "SV", "TM", "UI", "UL", "US", "UV"}
)
_NO_TEXT = bytes(byte for byte in range(32) if byte not in b"\0\t\n\f\r\x1b")
_WIDE = re.compile(rb"(?:[\t\n\r -\xff]\0)+"), re.compile(rb"(?:\0[\t\n\r -\xff])+")
"""Western text in UTF-16 amid other bytes, of which two may look like a letter of some other script."""
_SHORTEST_IN_BINARY = 6
_STRONG_IN_NUMBERS = 8


class Region(Enum):
    """A part of an output file."""

    PREAMBLE = "preamble"
    META = "file meta information"
    HEADER = "data set"
    TRAILING = "bytes behind the data set"
    NAME = "file name"


class Run(NamedTuple):
    """Bytes of an output; those of META and HEADER begin with an element and have a layout."""

    region: Region
    data: bytes
    layout: Layout | None = None


class Finding(NamedTuple):
    """That something was found, and never what."""

    place: str
    """`(0040,0275)>(0032,1060)`, or the name of a region."""
    kind: Kind


class Verifier:
    """Searches the output of one file for the identifiers of its source."""

    def __init__(self, identifiers: Identifiers) -> None:
        self._identifiers = identifiers
        self._literals, numbers, self._raw = _of_patterned(identifiers.patterned)
        self.starts = {_start_of(uid) for uid in identifiers.uids}
        self._numbers = {*numbers, *self.starts}
        self._named = [_named(day) for day in identifiers.days]
        self._numbers.update(*(_of_identifier(day).numbers for day in identifiers.days))

    def residuals(self, runs: Iterable[Run]) -> list[Finding]:
        """Return what is left, each place and kind once, in the order of the file."""
        found: dict[Finding, None] = {}
        for run in runs:
            if self.may_hold(run.data):
                found |= dict.fromkeys(Verifier(self._left(run.data))._findings(run))
        return list(found)

    def _left(self, data: bytes) -> Identifiers:
        """The identifiers that the quick pass cannot rule out."""
        compact = compacted(data)
        digits = digits_of(compact)
        return self._identifiers.narrowed(
            lambda one: not one.in_text and _may_stand_in(one, data, compact, digits),
            any(start in digits for start in self.starts),
        )

    def may_hold_uid(self, data: bytes) -> bool:
        """Return whether the beginning of a UID stands in bytes."""
        digits = digits_of(data)
        return any(start in digits for start in self.starts)

    def may_hold(self, data: bytes) -> bool:
        """Return whether the quick pass cannot rule out that something stands in bytes, or in a part of them."""
        compact = compacted(data)
        if any(literal in compact for literal in self._literals) or any(named(compact) for named in self._named):
            return True
        digits = digits_of(compact)
        return any(literal in digits for literal in self._numbers) or any(literal in data for literal in self._raw)

    def _findings(self, run: Run) -> Iterator[Finding]:
        for leaf in leaves_of(run):
            if self.may_hold(leaf.value) and not is_grammar(leaf.path, leaf.value):
                kinds = {one.kind for one in self._found_in(leaf) if counts_in(leaf, one.kind, one.joined, one.weak)}
                yield from (Finding(place_of(run, leaf), kind) for kind in sorted(kinds, key=str))

    def _found_in(self, leaf: Leaf) -> Iterator[Identifier]:
        """What stands in a value, by the exact rules applied to what the quick ones leave over."""
        left = self._left(leaf.value)
        spelled = any(one.spelled for one in left.patterned)
        for text in readings(leaf, every_charset=spelled):
            yield from (hit.identifier for hit in left.hits(text))


class Watch:
    """Searches the outputs of one file after the other, and what it has found clean only once.

    Clean is a stretch that holds none of the patient's identifiers but for UIDs, and none of the beginnings of UIDs
    that have been looked for so far. Those differ from file to file: a new one is looked for in all that is remembered.
    Other names, numbers or dates are another patient, of whom nothing is remembered.
    """

    def __init__(self) -> None:
        self._named: tuple[frozenset[Identifier], frozenset[Identifier]] | None = None
        self._forget()

    def _forget(self) -> None:
        self._digits: dict[Stretch, bytes] = {}
        self._starts: set[bytes] = set()
        self._held = 0

    def residuals(
        self, identifiers: Identifiers, frame: Sequence[Run], stretches: Sequence[Stretch], layout: Layout
    ) -> list[Finding]:
        """Return what is left of a source's identifiers in its output, each place and kind once, in order.

        Args:
            identifiers: the source's.
            frame: what stands before the data set.
            stretches: the data set.
            layout: of the data set.
        """
        verifier = Verifier(identifiers)
        self._begin((identifiers.patterned, identifiers.days), verifier.starts)
        unseen = [each for each in stretches if each not in self._digits]
        short = [each for each in unseen if each.data is not None and len(each.data) <= SHORT]
        if not verifier.may_hold(b"".join([*(run.data for run in frame), *(each.content() for each in short)])):
            self._remember(short)
            frame, unseen = (), [each for each in unseen if each.data is None or len(each.data) > SHORT]
        found = dict.fromkeys(verifier.residuals(frame))
        for each in unseen:
            found |= dict.fromkeys(self._searched(verifier, each, layout))
        return list(found)

    def _searched(self, verifier: Verifier, stretch: Stretch, layout: Layout) -> list[Finding]:
        data = stretch.content()
        hits = verifier.residuals([Run(Region.HEADER, data, layout)])
        if not hits and not verifier.may_hold_uid(data):
            self._remember([stretch])
        return hits

    def _begin(self, named: tuple[frozenset[Identifier], frozenset[Identifier]], starts: set[bytes]) -> None:
        if named != self._named or self._held > REMEMBERED_BYTES:
            self._forget()
            self._named = named
        new = starts - self._starts
        if new:
            self._digits = {
                each: digits for each, digits in self._digits.items() if not any(start in digits for start in new)
            }
            self._starts |= new

    def _remember(self, clean: Iterable[Stretch]) -> None:
        for each in clean:
            if each.known:
                digits = self._digits[each] = digits_of(each.content())
                self._held += len(digits) + ENTRY_BYTES


def leaves_of(run: Run) -> Iterator[Leaf]:
    """The values of a run; of one without layout, the run itself."""
    if run.layout is None:
        return iter([Leaf((), "UT" if run.region is Region.NAME else "UN", run.data)])
    return leaves(run.data, run.layout)


def place_of(run: Run, leaf: Leaf) -> str:
    """Where a value stands, for a finding."""
    return ">".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in leaf.path) or run.region.value


def readings(leaf: Leaf, *, every_charset: bool) -> set[str]:
    """Everything that a value can mean, folded: a charset may be stated wrongly, and a private value states none."""
    value = leaf.value
    texts = {value.decode("latin-1")}
    if b"\0" in value.strip(b"\0"):
        texts |= {value[offset:].decode("utf-16-le", "replace") for offset in (0, 1)}
        texts |= {b" ".join(wide.findall(value)).replace(b"\0", b"").decode("latin-1") for wide in _WIDE}
    if every_charset and (not value.isascii() or b"\x1b" in value):
        texts |= {value.decode(encoding, "replace") for encoding in _ENCODINGS}
    return {fold(reading) for text in texts for reading in (text, " ".join(camel_parts(text)))}


def counts_in(leaf: Leaf, kind: Kind, joined: str, weak: bool) -> bool:
    """Whether what was found in a value is no coincidence.

    Dates and UIDs are long. A name or an id of few characters is nothing among bytes that are no text, and a number is
    nothing among numbers unless it is long.

    Args:
        leaf: where it was found.
        kind: of the identifier.
        joined: the identifier's letters and digits.
        weak: whether it stands for itself in texts only.
    """
    if kind is Kind.UID or kind in DATES:
        return True
    if leaf.vr in _NUMBER_VRS and joined.isdigit():
        return len(joined) >= _STRONG_IN_NUMBERS and leaf.vr not in {"UI", "TM", "DS"}
    if leaf.vr in _TEXT_VRS or _is_text(leaf.value):
        return not weak or leaf.vr != "CS"
    return not weak and len(joined) >= _SHORTEST_IN_BINARY


def _is_text(value: bytes) -> bool:
    return len(value.translate(None, _NO_TEXT)) == len(value) and b"\0\0\0" not in value.rstrip(b"\0")


def compacted(data: bytes) -> bytes:
    """Return bytes as the quick pass sees them: ASCII letters small, no ASCII but letters and digits."""
    return data.translate(_LOWER, _DELETED)


def digits_of(data: bytes) -> bytes:
    """Return the digits of bytes, in which numbers are looked for."""
    return data.translate(None, _NO_DIGITS)


class _Literals(NamedTuple):
    """What to look for, of which one is in every spelling."""

    lettered: tuple[bytes, ...]
    """In compacted bytes."""
    numbers: tuple[bytes, ...]
    """In the digits of compacted bytes."""
    raw: tuple[bytes, ...]
    """In the bytes as they are."""


@lru_cache(maxsize=4096)
def _of_patterned(identifiers: frozenset[Identifier]) -> _Literals:
    """All literals of a patient, without those that hold another one: where they are, that one is, too."""
    found = [_of_identifier(one) for one in identifiers if not one.in_text]
    return _Literals(*(_shortest({literal for one in found for literal in one[which]}) for which in range(3)))


def _shortest(literals: set[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted(one for one in literals if not any(other != one and other in one for other in literals)))


@lru_cache(maxsize=16_384)
def _of_identifier(identifier: Identifier) -> _Literals:
    """Every spelling in every encoding."""
    if identifier.kind in DATES:
        day, thorough = date.fromisoformat(identifier.joined), identifier.kind is Kind.BIRTH_DATE
        return _Literals((), tuple(text.encode() for text in run_together(day, thorough=thorough).numbers), ())
    if identifier.weak and identifier.joined.isdigit() and len(identifier.words) == 1:
        return _Literals((), (), tuple(identifier.joined.encode(encoding) for encoding in ("ascii", "utf-16-le")))
    found = {compacted(identifier.joined.encode())} if identifier.joined.isascii() else set()
    forms = _written_forms(identifier.spelled)
    encodings = _UNSPACED_ENCODINGS if is_unspaced(identifier.spelled) else _SPACED_ENCODINGS
    found |= {compacted(encoded) for text in forms for encoded in _encoded(text, encodings)}
    raw = {encoded for text in forms if not _is_western(text) for encoded in _encoded(text, _RAW_ENCODINGS)}
    lettered = {one for one in found if not one.isdigit()}
    return _Literals(tuple(sorted(lettered)), tuple(sorted(found - lettered)), tuple(sorted(raw)))


@lru_cache(maxsize=4096)
def _named(day: Identifier) -> Callable[[bytes], bool]:
    """Return what asks bytes for a date with the month's name: first for the name, which is quick and often enough."""
    spelled = run_together(date.fromisoformat(day.joined), thorough=day.kind is Kind.BIRTH_DATE)
    months = [month.encode() for month in spelled.months]
    search = re.compile(spelled.named.encode()).search
    return lambda compact: any(month in compact for month in months) and search(compact) is not None


def _may_stand_in(identifier: Identifier, data: bytes, compact: bytes, digits: bytes) -> bool:
    lettered, numbers, raw = _of_identifier(identifier)
    if identifier.kind in DATES and _named(identifier)(compact):
        return True
    places = ((lettered, compact), (numbers, digits), (raw, data))
    return any(literal in place for literals, place in places for literal in literals)


def _written_forms(spelled: str) -> set[str]:
    """A spelling with letters beyond ASCII in the cases it can have, composed and decomposed."""
    cases = {spelled.lower(), spelled.upper(), spelled.title()}
    return {unicodedata.normalize(form, text) for text in cases for form in ("NFC", "NFD")} - {""}


def _is_western(text: str) -> bool:
    """Whether UTF-16 differs from Latin-1 by zero bytes only, which are deleted."""
    return all(ord(character) < 256 for character in text)


def _encoded(text: str, encodings: Iterable[str]) -> Iterator[bytes]:
    for encoding in encodings:
        try:
            yield text.encode(encoding).removesuffix(_TO_ASCII)
        except UnicodeEncodeError:
            continue


@lru_cache(maxsize=65_536)
def _start_of(uid: str) -> bytes:
    return compacted(uid[:_UID_START].encode())
