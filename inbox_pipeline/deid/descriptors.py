"""Free text without what identifies, keeping what research needs (PS3.15 section E.3.5, Clean Descriptors).

Belongs here: which words, numbers and codes of a description stay. Does not belong here: which elements are cleaned,
the word lists (`vocabulary.py`), the file's identifiers (`identifiers.py`).

A text is cut into words at everything that is no letter and no digit, `_` and `^` included. In this order:

1. What stands for somebody by its form goes: mail and web addresses, telephone numbers, national numbers, dates, times
   of day, UIDs, ids and names behind a label (`MRN 123`, `Pat.: X`, `Dr. X`), streets and towns with their numbers.
2. What is an identifier of this very file goes, in every spelling and separation.
3. Of the rest a word stays if it is in the vocabulary; a number if it is short and no year, or has a unit; a code of
   letters and digits (`t1`, `p2`, `35sl`, `BW2222`) if its letters are vocabulary or at most two letters beside such.

Whatever nobody knows goes: it may be a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from inbox_pipeline.deid.date_spellings import dates_in
from inbox_pipeline.deid.folding import camel_parts, fold
from inbox_pipeline.deid.identifier import Identifier
from inbox_pipeline.deid.identifiers import Identifiers
from inbox_pipeline.deid.text_rules import RULES
from inbox_pipeline.deid.vocabulary import is_known, measures, units

_TOKEN = re.compile(r"\d+(?:[.,]\d+)+[^\W\d_]*|[^\W_]+")
_DECIMAL = re.compile(r"\d{1,5}[.,]\d{1,6}|\d{1,3}(?:,\d{1,3})+")
_MATRIX = re.compile(r"\d{1,4}(?:[x*]\d{1,4}){1,3}")
_LIMITS_OF_BITS = frozenset({"16384", "32767", "32768", "65535", "65536"})
_RUNS = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)*")
_UPPER_THEN_LOWER = re.compile(r"(?<=[A-Z]{2})(?=[a-z])")
_FIRST_YEAR, _LAST_YEAR = 1900, 2039
_LONGEST_NUMBER = 4
_LONGEST_MEASURE = 6
_LONGEST_CODE_DIGITS = 6
_SHORT_CODE = 2
_SHORTEST_PLURAL = 6
_REMEMBERED = 16_384


class Descriptors:
    """Cleaning of descriptions, protocol names and comments."""

    @staticmethod
    def clean(text: str, identifiers: Identifiers) -> str:
        """Return the text without what identifies; the same text if nothing does, empty if nothing is left.

        Args:
            text: one or several values as they are.
            identifiers: those of the file that the text is from. Only names, ids and places matter: dates and UIDs go
                whoever they belong to.
        """
        return _cleaned(text, identifiers.patterned)


class _Token(NamedTuple):
    start: int
    end: int
    text: str
    keep: bool


@lru_cache(maxsize=_REMEMBERED)
def _cleaned(text: str, patterned: frozenset[Identifier]) -> str:
    composed = unicodedata.normalize("NFC", text)
    cuts = sorted({*_by_form(composed), *_identifying(composed, patterned)})
    tokens = _judged(composed, cuts)
    if all(token.keep for token in tokens):
        return text
    return _joined(composed, tokens)


# --- what goes


def _by_form(text: str) -> Iterator[tuple[int, int]]:
    for rule in RULES:
        for match in rule.finditer(text):
            yield match.span()
    folded, places = _folded(text, camel=False)
    for start, end, _ in dates_in(folded):
        yield places[start], places[end - 1] + 1


def _identifying(text: str, patterned: frozenset[Identifier]) -> Iterator[tuple[int, int]]:
    sought = Identifiers(patterned, frozenset(), frozenset())
    for camel in (False, True):
        folded, places = _folded(text, camel=camel)
        for hit in sought.hits(folded, cleaning=True):
            yield places[hit.start], places[hit.end - 1] + 1


def _folded(text: str, *, camel: bool) -> tuple[str, list[int]]:
    """Folded text and where each of its characters stood; with blanks where the case changes, if so wanted."""
    folded: list[str] = []
    places: list[int] = []
    place = 0
    for part in camel_parts(text) if camel else [text]:
        for character in part:
            bare = fold(character)
            folded.append(bare)
            places += [place] * len(bare)
            place += 1
        folded.append(" ")
        places.append(place - 1)
    return "".join(folded), places


# --- what stays


def _judged(text: str, cuts: list[tuple[int, int]]) -> list[_Token]:
    """The words of a text, each with whether it stays."""
    words = list(_words(text))
    folded = ["", *(fold(word) for _, word in words), ""]
    tokens = []
    for at, (start, word) in enumerate(words, 1):
        end = start + len(word)
        cut = any(first < end and start < last for first, last in cuts)
        tokens.append(_Token(start, end, word, not cut and _stays(word, folded[at - 1], folded[at + 1])))
    return tokens


def _words(text: str) -> Iterator[tuple[int, str]]:
    """Words and where they begin; a word that nobody knows in the parts that its case tells apart."""
    for match in _TOKEN.finditer(text):
        place = match.start()
        for part in _parts(match[0]):
            yield place, part
            place += len(part)


@lru_cache(maxsize=_REMEMBERED)
def _parts(word: str) -> tuple[str, ...]:
    """The first way to take a word apart in which all parts are known, else the usual one."""
    ways = [(word,), tuple(camel_parts(word)), tuple(_UPPER_THEN_LOWER.split(word))]
    return next((way for way in ways if all(_stays(part, "", "") for part in way)), ways[1])


@lru_cache(maxsize=_REMEMBERED)
def _stays(word: str, before: str, behind: str) -> bool:
    """Whether a word stays, by itself and its folded neighbours."""
    folded = fold(word)
    if folded.isalpha():
        return _is_word(folded)
    if folded.isdigit():
        return _is_harmless_number(folded, before in measures() or behind in units())
    if _DECIMAL.fullmatch(folded):
        return True
    return _is_code(folded)


def _is_word(folded: str) -> bool:
    if len(folded) == 1 or is_known(folded):
        return True
    return len(folded) >= _SHORTEST_PLURAL and folded.endswith("s") and is_known(folded[:-1])


def _is_harmless_number(digits: str, measured: bool) -> bool:
    """Whether a number is neither an id nor a year."""
    if measured:
        return len(digits) <= _LONGEST_MEASURE
    if digits in _LIMITS_OF_BITS:
        return True
    if len(digits) > _LONGEST_NUMBER or (len(digits) > 2 and digits[0] == "0"):
        return False
    return not _is_year(digits)


def _is_year(digits: str) -> bool:
    return len(digits) == 4 and _FIRST_YEAR <= int(digits) <= _LAST_YEAR


def _is_code(folded: str) -> bool:
    """Whether letters and digits together are a protocol's code (`t1`, `ep2d`, `35sl`) and no id."""
    if _MATRIX.fullmatch(folded):
        return True
    runs = _RUNS.findall(folded)
    letters = [run for run in runs if run.isalpha()]
    numbers = [run for run in runs if not run.isalpha()]
    unknown = [run for run in letters if not _is_word(run)]
    if len("".join(runs)) != len(folded) or any(len(run) > _SHORT_CODE for run in unknown) or len(unknown) > 1:
        return False
    if sum(map(len, numbers)) > _LONGEST_CODE_DIGITS or not all(
        map(_is_number_of_code, numbers, _letters_before(runs))
    ):
        return False
    return len(runs) <= 3 or (len(runs) <= 6 and any(len(run) >= _SHORT_CODE for run in letters) and not unknown)


def _letters_before(runs: list[str]) -> list[str]:
    """The letters that stand before each number."""
    return [before for before, run in pairwise(["", *runs]) if not run.isalpha()]


def _is_number_of_code(number: str, before: str) -> bool:
    if not number.isdigit():
        return _DECIMAL.fullmatch(number) is not None
    zeros = len(number) > 2 and number[0] == "0" and before != "b"
    return len(number) <= _LONGEST_NUMBER and not zeros


# --- putting together


def _joined(text: str, tokens: list[_Token]) -> str:
    """The words that stay, with what stood between them; where words are missing, with one separator."""
    kept = [at for at, token in enumerate(tokens) if token.keep]
    if not kept:
        return ""
    parts = [text[: tokens[0].start] if kept[0] == 0 else ""]
    for at, following in pairwise([*kept, -1]):
        parts.append(tokens[at].text)
        if following > 0:
            between = text[tokens[at].end : tokens[following].start]
            parts.append(between if following == at + 1 else _one_separator(text, tokens[at : following + 1]))
    if kept[-1] == len(tokens) - 1:
        parts.append(text[tokens[-1].end :])
    return "".join(parts)


def _one_separator(text: str, tokens: list[_Token]) -> str:
    """What stands for a gap: a line break if there is one, else a blank, else the first separator."""
    between = "".join(text[first.end : second.start] for first, second in pairwise(tokens))
    for separator in ("\r\n", "\n", "\r", "\\", ";", " "):
        if separator in between:
            return separator
    return between[:1] or " "
