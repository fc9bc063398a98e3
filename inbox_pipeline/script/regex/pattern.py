"""Compiled regular expressions, as conditions and functions use them.

Belongs here: whole matches, searches, groups. Does not belong here: how a match is found.
"""

from collections.abc import Callable
from functools import lru_cache

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex.machine import MAX_STEPS, Machine
from inbox_pipeline.script.regex.program import Compiler
from inbox_pipeline.script.regex.reader import Reader

MAX_CHARACTERS = 10_000
_SHORT, _REMEMBERED = 128, 64
_STEP_WORK = 10

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

    def group(self, text: str, number: int, spend: Spend = _for_nothing) -> str | None:
        """The text of a group of the first match anywhere; None without a match or if the group took no part.

        Raises Failure if there is no such group or if finding out takes too long.
        """
        self.need_group(number)
        machine = Machine(text, self._registers)
        starts = (machine.run(self._program, at, _anywhere) for at in range(len(text) + 1))
        found = next(filter(None, starts), None)
        spend(_STEP_WORK * (MAX_STEPS - machine.steps))
        if found is None:
            return None
        begin, end = found[2 * number : 2 * number + 2]
        return None if begin < 0 or end < 0 else text[begin:end]


def _anywhere(end: int) -> bool:
    return True


@lru_cache(maxsize=512)
def compiled(text: str) -> Pattern:
    """The expression, compiled once. Raises Failure as Pattern does."""
    return Pattern(text)
