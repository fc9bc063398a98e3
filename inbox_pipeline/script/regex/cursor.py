"""A position in a regular expression, and the characters that escapes mean.

Belongs here: reading characters. Does not belong here: any construct made of them.
"""

import re

from inbox_pipeline.script.errors import Failure

_QUOTATION = re.compile(r"\\Q(.*?)(?:\\E|\Z)|\\.|.", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "e": "\x1b"}
_CODES = (
    (re.compile(r"0([0-3][0-7]{2}|[0-7]{1,2})"), 8),
    (re.compile(r"x([0-9A-Fa-f]{2})"), 16),
    (re.compile(r"x\{([0-9A-Fa-f]{1,6})\}"), 16),
    (re.compile(r"u([0-9A-Fa-f]{4})"), 16),
)


class Cursor:
    r"""The rest of an expression; what stood between `\Q` and `\E` is escaped character by character."""

    def __init__(self, text: str) -> None:
        self._text = _QUOTATION.sub(_escaped, text) if "\\Q" in text else text
        self._at = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._text)

    @property
    def peek(self) -> str:
        """The next character, or nothing at the end."""
        return self._text[self._at : self._at + 1]

    def next(self) -> str:
        """The next character, which is then read. Raises Failure at the end."""
        if self.done:
            raise Failure("the regular expression ends in the middle of a construct")
        self._at += 1
        return self._text[self._at - 1]

    def take(self, text: str) -> bool:
        """Read `text` if it comes next; whether it did."""
        found = self._text.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def ahead(self, text: str) -> bool:
        """Whether `text` comes next."""
        return self._text.startswith(text, self._at)

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Read what a pattern matches here, if it does."""
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return match

    def until(self, end: str) -> str:
        """Read up to and with `end`; what stood before it. Raises Failure if it does not come."""
        stop = self._text.find(end, self._at)
        if stop < 0:
            raise Failure("the regular expression ends in the middle of a construct")
        text = self._text[self._at : stop]
        self._at = stop + len(end)
        return text


def _escaped(match: re.Match[str]) -> str:
    if not match.group().startswith("\\Q"):
        return match.group()
    return "".join(char if char.isalnum() else f"\\{char}" for char in match[1])


def character(cursor: Cursor) -> str:
    """The character that an escape means, its backslash already read. Raises Failure if it means none."""
    for pattern, base in _CODES:
        if match := cursor.match(pattern):
            return _coded(int(match[1], base))
    letter = cursor.next()
    if letter == "c":
        return chr(ord(cursor.next()) ^ 64)
    if letter in _CONTROLS:
        return _CONTROLS[letter]
    if letter.isascii() and letter.isalnum():
        raise Failure("the regular expression has an escape that is not known or not supported")
    return letter


def _coded(number: int) -> str:
    if number > 0x10FFFF:
        raise Failure("the regular expression has a number beyond the last character")
    return chr(number)
