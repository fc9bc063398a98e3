"""Sets of characters in the dialect of java.util.regex.

Belongs here: predefined classes, POSIX and Unicode properties, case folding. Does not belong here: brackets.
"""

import string
import unicodedata

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex.tree import Accepts

LINE_ENDS = frozenset("\n\r\u0085\u2028\u2029")
_VERTICAL = frozenset("\n\x0b\f\r\u0085\u2028\u2029")
_HORIZONTAL = frozenset(" \t\xa0\u1680\u180e\u202f\u205f\u3000") | frozenset(map(chr, range(0x2000, 0x200B)))
_DIGITS, _WORD = frozenset(string.digits), frozenset(string.ascii_letters + string.digits + "_")
_SPACES = frozenset(" \t\n\x0b\f\r")
_POSIX = {
    "Lower": string.ascii_lowercase,
    "Upper": string.ascii_uppercase,
    "ASCII": "".join(map(chr, range(128))),
    "Alpha": string.ascii_letters,
    "Digit": string.digits,
    "Alnum": string.ascii_letters + string.digits,
    "Punct": string.punctuation,
    "Graph": string.ascii_letters + string.digits + string.punctuation,
    "Print": string.ascii_letters + string.digits + string.punctuation + " ",
    "Blank": " \t",
    "Cntrl": "".join(map(chr, range(32))) + "\x7f",
    "XDigit": string.hexdigits,
    "Space": " \t\n\x0b\f\r",
}
_SUBCATEGORIES = {"L": "ultmo", "M": "nce", "N": "dlo", "P": "cdseifo", "S": "mcko", "Z": "slp", "C": "cfon"}
_CATEGORIES = {*_SUBCATEGORIES, *(first + each for first, rest in _SUBCATEGORIES.items() for each in rest)}
ESCAPED = {
    "d": _DIGITS.__contains__,
    "w": _WORD.__contains__,
    "s": _SPACES.__contains__,
    "h": _HORIZONTAL.__contains__,
    "v": _VERTICAL.__contains__,
}
"""Predefined classes by their letter; all are ASCII but the blanks and line ends."""


def exactly(char: str, any_case: bool) -> Accepts:
    """One character, or with `any_case` an ASCII letter in both cases."""
    if any_case and char.isascii() and char.isalpha():
        return frozenset([char.lower(), char.upper()]).__contains__
    return char.__eq__


def between(first: str, last: str, any_case: bool) -> Accepts:
    """A range. Raises Failure if it is in the wrong order."""
    if first > last:
        raise Failure("a range in brackets is in the wrong order")
    if not any_case:
        return lambda char: first <= char <= last
    return lambda char: any(first <= each <= last for each in _cases(char))


def _cases(char: str) -> tuple[str, ...]:
    return (char, char.lower(), char.upper()) if char.isascii() else (char,)


def negated(accepts: Accepts) -> Accepts:
    """Every other character."""
    return lambda char: not accepts(char)


def union(parts: list[Accepts]) -> Accepts:
    """Characters of any of the sets."""
    if len(parts) == 1:
        return parts[0]
    return lambda char: any(accepts(char) for accepts in parts)


def intersection(parts: list[Accepts]) -> Accepts:
    """Characters of all of the sets."""
    if len(parts) == 1:
        return parts[0]
    return lambda char: all(accepts(char) for accepts in parts)


def anything(char: str) -> bool:
    """Every character."""
    return True


def no_line_end(char: str) -> bool:
    """What the dot means by default."""
    return char not in LINE_ENDS


def named(name: str) -> Accepts:
    r"""The class that `\p{name}` means. Raises Failure for one that is not known here."""
    if name in _POSIX:
        return frozenset(_POSIX[name]).__contains__
    category = name.removeprefix("Is")
    if category not in _CATEGORIES:
        raise Failure("this class of characters, written with a p, is not supported")
    return lambda char: unicodedata.category(char).startswith(category)


def is_word(char: str) -> bool:
    r"""What `\b` takes for a part of a word."""
    return char == "_" or char.isalnum()
