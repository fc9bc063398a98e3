"""Conditions on header elements, as pixel rules state them.

Belongs here: what a condition is and whether it holds. Does not belong here: how conditions are written
(`pixel_rules.py`, importers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from inbox_pipeline.deid.pixel_facts import Facts, Path
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex import compiled

LONGEST_SEARCHED = 10_000
"""Characters of a value that a regular expression looks through; a longer one cannot be decided."""


@dataclass(frozen=True)
class Comparison:
    """One element compared: by an operator of OPERATORS, MATCHES or EXISTENCE; `exact` if the letters' case counts."""

    path: Path
    operator: str
    operand: str = ""
    exact: bool = False


@dataclass(frozen=True)
class AllOf:
    """Every part holds; without parts, always."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    """One of the parts holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition = Comparison | AllOf | AnyOf | Not


def holds(condition: Condition, facts: Facts) -> bool:
    """Return whether a condition holds. A comparison with an element that is missing does not.

    Raises Failure if an element that matters cannot be read, or finding out takes too long.
    """
    if isinstance(condition, AllOf):
        return all(holds(part, facts) for part in condition.parts)
    if isinstance(condition, AnyOf):
        return any(holds(part, facts) for part in condition.parts)
    if isinstance(condition, Not):
        return not holds(condition.part, facts)
    return _passes(condition, facts)


def paths(condition: Condition) -> Iterator[Path]:
    """Yield the elements that a condition looks at."""
    if isinstance(condition, Comparison):
        yield condition.path
        return
    for part in (condition.part,) if isinstance(condition, Not) else condition.parts:
        yield from paths(part)


def _passes(test: Comparison, facts: Facts) -> bool:
    if test.path in facts.unreadable:
        raise Failure("an element that the rule looks at cannot be read")
    value = facts.texts.get(test.path)
    if test.operator in EXISTENCE:
        return EXISTENCE[test.operator](value)
    if value is None:
        return False
    if test.operator == MATCHES:
        return _found(test, value)
    if test.exact:
        return OPERATORS[test.operator](value, test.operand)
    return OPERATORS[test.operator](value.casefold(), test.operand.casefold())


def _found(test: Comparison, value: str) -> bool:
    if len(value) > LONGEST_SEARCHED:
        raise Failure("an element that the rule looks at is too long")
    return compiled(pattern_of(test)).group(value, 0) is not None


def pattern_of(test: Comparison) -> str:
    """Return the regular expression of a test with the operator `matches`, as it is compiled."""
    return test.operand if test.exact else f"(?i){test.operand}"


def _compared(value: str, operand: str, wanted: Callable[[float, float], bool]) -> bool:
    """Compare numbers; text that is no number is neither less nor greater."""
    try:
        return wanted(float(value), float(operand))
    except ValueError:
        return False


MATCHES = "matches"
"""The operator whose operand is a regular expression, found anywhere in the value."""

OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda value, operand: value == operand,
    "contains": lambda value, operand: operand in value,
    "starts": lambda value, operand: value.startswith(operand),
    "ends": lambda value, operand: value.endswith(operand),
    "less": lambda value, operand: _compared(value, operand, lambda a, b: a < b),
    "greater": lambda value, operand: _compared(value, operand, lambda a, b: a > b),
}
"""Comparisons of a value, several joined by backslashes, with an operand."""

EXISTENCE: dict[str, Callable[[str | None], bool]] = {
    "present": lambda value: value is not None,
    "missing": lambda value: value is None,
    "empty": lambda value: value == "",
}
