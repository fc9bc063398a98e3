"""The parts of a parsed regular expression: plain data.

Belongs here: one class per construct. Does not belong here: reading, running.
"""

from collections.abc import Callable
from dataclasses import dataclass

Accepts = Callable[[str], bool]
"""Whether a single character is meant."""

Holds = Callable[[str, int], bool]
"""Whether something is true of a text at a position."""


@dataclass(frozen=True)
class One:
    """One character."""

    accepts: Accepts


@dataclass(frozen=True)
class Row:
    """Parts that follow each other; none matches the empty text."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Either:
    """Alternatives, tried in order."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Group:
    """A part whose text is remembered under a number from 1 on."""

    number: int
    part: "Node"


@dataclass(frozen=True)
class Repeat:
    """A part several times; `most` is None for any number of times, `eager` takes as many as possible first."""

    part: "Node"
    least: int
    most: int | None
    eager: bool


@dataclass(frozen=True)
class Atomic:
    """A part that is not tried in another way once it has matched."""

    part: "Node"


@dataclass(frozen=True)
class Look:
    """A part that must, or must not if `negated`, match from here on, or up to here if `behind`."""

    part: "Node"
    behind: bool
    negated: bool


@dataclass(frozen=True)
class Where:
    """A condition on the position."""

    holds: Holds


@dataclass(frozen=True)
class Again:
    """The text of a group again."""

    number: int
    any_case: bool


Node = One | Row | Either | Group | Repeat | Atomic | Look | Where | Again
