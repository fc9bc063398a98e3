"""Whether a label gives a patient away, by the identifiers themselves or by keyed digests of them that may be kept.

Belongs here: the forms in which identifiers and labels are compared, and their digests. Does not belong here: what
identifies (`identifiers.py`), the key (a subkey of the site's secret), storing digests, refusing labels (`services`).

A label is a short text of letters, digits, `_` and `-`. It is taken apart into everything that an identifier could be
in it: neighbouring words and numbers run together, long stretches of letters and digits anywhere, days in every
spelling, the whole. So each can be looked up by its digest, and what cannot be looked up is not found: unlike in the
search of outputs, a name of fewer than eight letters is not found within a longer word.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from hashlib import sha256
from itertools import permutations

from inbox_pipeline.deid.date_spellings import dates_in
from inbox_pipeline.deid.folding import camel_parts, fold
from inbox_pipeline.deid.identifier import Identifier, Kind
from inbox_pipeline.deid.identifiers import Identifiers

WHOLE, WORDS, INSIDE, DAY, SHORT_DAY, UID = "whole", "words", "inside", "day", "short day", "uid"
Form = tuple[str, str]
"""A class and a text: what is compared."""
Forms = Mapping[Form, Kind]

_NOT_COUNTED = frozenset({Kind.DEVICE, Kind.INSTITUTION})
"""A label may say where and on which machine a session was made."""
_SHORTEST_INSIDE, _LONGEST = 8, 64
_MOST_PIECES = 16
_DIGEST_CHARACTERS = 32
_WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_SIX_DIGITS = re.compile(r"(?<!\d)\d{6}(?!\d)")
_UID = re.compile(r"\d+(?:[_-]\d+){3,}")


def forms_of(identifiers: Identifiers, whole: Iterable[tuple[Kind, str]]) -> Forms:
    """Return what labels are compared with.

    Args:
        identifiers: those of a file. Its UIDs are left out, of which there may be thousands.
        whole: texts, without separators, that are an identifier only if they are all that a label says.
    """
    return _forms_of(identifiers.patterned, identifiers.days, tuple(whole))


@lru_cache(maxsize=1024)
def _forms_of(
    patterned: frozenset[Identifier], days: frozenset[Identifier], whole: tuple[tuple[Kind, str], ...]
) -> Forms:
    found: dict[Form, Kind] = {(WHOLE, text): kind for kind, text in whole}
    for one in patterned:
        if not one.in_text and one.kind not in _NOT_COUNTED:
            found[INSIDE if one.inside else WORDS, one.joined] = one.kind
            found[WORDS, one.joined] = one.kind
    for day in days:
        found[DAY, day.joined] = day.kind
        if day.kind is Kind.BIRTH_DATE:
            found[SHORT_DAY, day.joined] = day.kind
    return found


@lru_cache(maxsize=1024)
def forms_in(label: str) -> frozenset[Form]:
    """Return everything that an identifier could be in a label."""
    folded = fold(label)
    compact = "".join(_WORD.findall(folded))
    found = {(WHOLE, compact), *((INSIDE, part) for part in _stretches(compact))}
    for text in (folded, " ".join(map(fold, camel_parts(label)))):
        found |= {(WORDS, words) for words in _neighbours(_PIECE.findall(text))}
        found |= {(DAY, day.isoformat()) for _, _, days in dates_in(text) for day in days}
    found |= {(SHORT_DAY, day.isoformat()) for digits in _SIX_DIGITS.findall(folded) for day in _days_of(digits)}
    return frozenset(found)


def kinds_in(label: str, forms: Forms) -> set[Kind]:
    """Return the kinds of the identifiers that a label is or holds."""
    return {forms[form] for form in forms_in(label) if form in forms}


def uids_in(label: str) -> set[str]:
    """Return the UIDs that stand in a label, which cannot have dots: `1_2_840` for 1.2.840."""
    return {match.replace("_", ".").replace("-", ".") for match in _UID.findall(label)}


def digests_of(forms: Forms, key: bytes, scope: str) -> dict[str, Kind]:
    """Return digests of forms, 32 hexadecimal digits each, from which nobody without the key gets anything.

    Args:
        forms: what is to be looked up later.
        key: 32 bytes, derived from the site's secret for this purpose.
        scope: what they belong to; digests of two scopes have nothing in common.
    """
    return {_digest(form, key, scope): kind for form, kind in forms.items()}


def kinds_by_digest(label: str, digests: Mapping[str, Kind], key: bytes, scope: str) -> set[Kind]:
    """Return what `kinds_in` would, of identifiers of which only digests are known."""
    looked_up = (digests.get(_digest(form, key, scope)) for form in forms_in(label))
    return {kind for kind in looked_up if kind is not None}


def _digest(form: Form, key: bytes, scope: str) -> str:
    message = "\x1f".join((scope, *form)).encode("utf-8", "surrogatepass")
    return hmac.digest(key, message, sha256).hex()[:_DIGEST_CHARACTERS]


def _neighbours(pieces: list[str]) -> Iterator[str]:
    """Neighbouring words and numbers, run together; leading zeros may go."""
    for first in range(len(pieces)):
        joined = ""
        for piece in pieces[first : first + _MOST_PIECES]:
            joined += piece
            yield joined
            yield joined.lstrip("0")


def _stretches(compact: str) -> Iterator[str]:
    for first in range(len(compact) - _SHORTEST_INSIDE + 1):
        for end in range(first + _SHORTEST_INSIDE, min(first + _LONGEST, len(compact)) + 1):
            yield compact[first:end]


def _days_of(digits: str) -> Iterator[date]:
    """The days that six digits can mean: day, month and year of two digits in any order that people write."""
    pairs = [int(digits[at : at + 2]) for at in (0, 2, 4)]
    for day, month, year in permutations(range(3)):
        if year == 1:
            continue
        for century in (1900, 2000):
            try:
                yield date(century + pairs[year], pairs[month], pairs[day])
            except ValueError:
                continue
