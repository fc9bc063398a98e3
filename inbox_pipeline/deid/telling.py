"""What of a value tells whose it is: from the text of an element to identifiers.

Belongs here: how much of a value must be seen for it to count, and in which spellings. Does not belong here: which
elements are looked at (`identifying.py`), where identifiers stand (`identifiers.py`).

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
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice, permutations

from inbox_pipeline.deid.folding import fold, is_unspaced
from inbox_pipeline.deid.identifier import Identifier, Kind, made
from inbox_pipeline.deid.vocabulary import ambiguous, core, known, placeholders

_REMEMBERED = 16_384
_WORD = re.compile(r"[^\W_]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_PREFIXED = re.compile(r"[a-z]{1,5}(\d{6,})")
"""An id whose letters say of what kind it is."""
_LINES = re.compile(r"[,;\\\r\n|]+")
_LONG_NAME = 8
_LONG_ID = 8
_STRONG_NUMBER = 6
_SHORTEST = {Kind.ID: 4, Kind.DEVICE: 5}
"""So many letters and digits an id has at least, to count."""
_SHORTEST_NAME_IN_ID = 4
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


@lru_cache(maxsize=_REMEMBERED)
def identifiers_of(kind: Kind, text: str) -> frozenset[Identifier]:
    r"""Return what identifies in the text of one element, of which several values are separated by ``\``."""
    return frozenset(one for part in text.split("\\") for one in _of_value(kind, part))


def _of_value(kind: Kind, text: str) -> Iterable[Identifier]:
    if kind is Kind.NAME:
        return (one for group in text.split("=") for one in _of_name(group))
    if kind is Kind.PHONE:
        return _of_phone(text)
    if kind in {Kind.ADDRESS, Kind.INSTITUTION}:
        return _of_place(kind, text)
    return _of_id(kind, text)


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
        yield made(Kind.NAME, (spelling,), inside, weak, in_text, "" if spelled.isascii() else spelled)


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
            yield made(
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
        yield made(kind, tuple(_PIECE.findall(" ".join(words))), len(joined) >= _LONG_ID, spelled=spelled)
        if numbered := _PREFIXED.fullmatch(joined):
            yield from _of_number(kind, [numbered[1]], numbered[1])


def _of_id_of_words(kind: Kind, named: dict[str, str]) -> Iterator[Identifier]:
    """The words of an id that are no vocabulary. A machine's name is not a person's."""
    for word, written in named.items():
        if kind is not Kind.DEVICE and len(word) >= _SHORTEST_NAME_IN_ID:
            yield from _alone(word, written)


def _is_plain(words: list[str], joined: str) -> bool:
    """Whether an id is only vocabulary or a placeholder: HEAD, ANON, T1, `Head Phantom`, `dcm2niix`."""
    return joined in known() or all(word in known() or word in placeholders() for word in words)


def _of_number(kind: Kind, words: list[str], joined: str) -> Iterator[Identifier]:
    """A number with its zeros, and one without them, which may be short enough to be weak."""
    bare = joined.lstrip("0")
    if len(bare) < _SHORTEST[kind]:
        return
    yield made(kind, tuple(words), weak=len(joined) < _STRONG_NUMBER)
    if len(words) == 1 and bare != joined:
        yield made(kind, (bare,), weak=len(bare) < _STRONG_NUMBER)


# --- phone numbers, addresses, institutions


def _of_phone(text: str) -> Iterator[Identifier]:
    if any(character.isalpha() for character in text):
        yield from _of_telecom(text)
    digits = [character for character in fold(text) if character.isdigit()]
    if len(digits) >= _SHORTEST_PHONE:
        yield made(Kind.PHONE, tuple(digits))


def _of_telecom(text: str) -> Iterator[Identifier]:
    """A mail address or the like, as a whole."""
    words = _WORD.findall(fold(text))
    if len("".join(words)) >= _LONG_ID and not known().issuperset(words):
        yield made(Kind.PHONE, tuple(words))


def _of_place(kind: Kind, text: str) -> Iterator[Identifier]:
    for line in _LINES.split(text):
        written = _WORD.findall(unicodedata.normalize("NFC", line))
        words = [fold(word) for word in written]
        telling = [word for word in words if _tells_place(word)]
        if telling:
            yield made(kind, tuple(words), spelled="" if line.isascii() else "".join(written))
        if kind is Kind.ADDRESS:
            yield from (made(kind, (word,), len(word) >= _LONG_NAME) for word in telling)


def _tells_place(word: str) -> bool:
    if is_unspaced(word):
        return len(word) >= 2
    return word.isalpha() and len(word) >= _SHORTEST_OF_LINE and word not in known() and word not in placeholders()
