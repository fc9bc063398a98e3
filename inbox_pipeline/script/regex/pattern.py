"""Compiled regular expressions, as conditions and functions use them.

Belongs here: whole matches, searches, groups, replacements. Does not belong here: how a match is found.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex.machine import MAX_STEPS, Machine, Registers
from inbox_pipeline.script.regex.program import Compiler
from inbox_pipeline.script.regex.reader import Reader

MAX_CHARACTERS = 10_000
_SHORT, _REMEMBERED = 128, 64
_STEP_WORK = 10
_PIECES = re.compile(r"\\(.)|\$([0-9]+)|([^\\$]+)|(.)", re.DOTALL)
"""Pieces of a replacement: an escaped character, a group, other text, what is none of these."""

Spend = Callable[[int], object]


def _for_nothing(work: int) -> None:
    """Steps that nobody counts."""


class Pattern:
    """A regular expression of java.util.regex. Raises Failure if it is none, or is not supported, with the reason."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise Failure(f"a regular expression may have at most {MAX_CHARACTERS} characters")
        reader = Reader(text)
        tree = reader.read()
        self._groups = reader.groups
        compiler = Compiler(registers=2 * self._groups + 2)
        self._program = compiler.program(tree)
        self._registers = compiler.registers
        self._known_whole = lru_cache(maxsize=_REMEMBERED)(self._whole)

    def whole(self, text: str, spend: Spend = _for_nothing) -> bool:
        """Whether the whole text matches. Raises Failure if finding out takes too long; `spend` is told how long.

        Answers on short texts are remembered, since the values of a series' headers repeat, but count as if they
        were not.
        """
        matches, steps = self._known_whole(text) if len(text) <= _SHORT else self._whole(text)
        spend(_STEP_WORK * steps)
        return matches

    def _whole(self, text: str) -> tuple[bool, int]:
        machine = Machine(text, self._registers)
        matches = machine.run(self._program, 0, len(text).__eq__) is not None
        return matches, MAX_STEPS - machine.steps

    def need_group(self, number: int) -> None:
        """Raises Failure if there is no group of that number; 0 is the whole match."""
        if not 0 <= number <= self._groups:
            raise Failure("the regular expression has no group of that number")

    def whole_group(self, text: str, number: int, spend: Spend = _for_nothing) -> str | None:
        """The text of a group if the whole text matches; None if it does not or if the group took no part.

        Raises Failure as `group`.
        """
        self.need_group(number)
        machine = Machine(text, self._registers)
        found = machine.run(self._program, 0, len(text).__eq__)
        spend(_STEP_WORK * (MAX_STEPS - machine.steps))
        return None if found is None else _part(text, found, number)

    def replaced(self, text: str, replacement: str, spend: Spend = _for_nothing) -> str:
        """The text with every match replaced, as String.replaceAll does it.

        Raises Failure if finding out takes too long, if the result is too long, or as `need_replacement`.
        """
        pieces = self._pieces(replacement)
        machine = Machine(text, self._registers)
        made, length, at = [], 0, 0
        while at <= len(text):
            found = machine.run(self._program, at, _anywhere)
            end = at if found is None else found[1]
            new = "" if found is None else "".join(_filled(piece, text, found) for piece in pieces)
            made.append(new + text[at : at + 1] if end == at else new)
            length += len(made[-1])
            if length > MAX_CHARACTERS:
                raise Failure("the text becomes too long")
            at = max(end, at + 1)
        spend(_STEP_WORK * (MAX_STEPS - machine.steps))
        return "".join(made)

    def need_replacement(self, replacement: str) -> None:
        """Raises Failure if a text cannot be a replacement: groups are $1 and so on, \\ is before what is meant so."""
        self._pieces(replacement)

    def _pieces(self, replacement: str) -> list[str | int]:
        return [piece for match in _PIECES.finditer(replacement) for piece in self._piece(match)]

    def _piece(self, match: re.Match[str]) -> Iterator[str | int]:
        escaped, digits, other, sign = match.groups()
        if sign is not None:
            raise Failure("a replacement has a $ or \\ that means nothing")
        if digits is None:
            yield escaped or other
            return
        length = next((n for n in range(len(digits), 0, -1) if int(digits[:n]) <= self._groups), 0)
        self.need_group(int(digits[: length or 1]))
        yield int(digits[:length])
        yield digits[length:]

    def group(self, text: str, number: int, spend: Spend = _for_nothing) -> str | None:
        """The text of a group of the first match anywhere; None without a match or if the group took no part.

        Raises Failure if there is no such group or if finding out takes too long.
        """
        self.need_group(number)
        machine = Machine(text, self._registers)
        starts = (machine.run(self._program, at, _anywhere) for at in range(len(text) + 1))
        found = next(filter(None, starts), None)
        spend(_STEP_WORK * (MAX_STEPS - machine.steps))
        return None if found is None else _part(text, found, number)


def _part(text: str, found: Registers, number: int) -> str | None:
    begin, end = found[2 * number : 2 * number + 2]
    return None if begin < 0 or end < 0 else text[begin:end]


def _filled(piece: str | int, text: str, found: Registers) -> str:
    return piece if isinstance(piece, str) else _part(text, found, piece) or ""


def _anywhere(end: int) -> bool:
    return True


@lru_cache(maxsize=512)
def compiled(text: str) -> Pattern:
    """The expression, compiled once. Raises Failure as Pattern does."""
    return Pattern(text)
