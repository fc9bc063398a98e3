"""What importers of other people's pixel rules have in common.

Belongs here: the result, refusals by line, names of rules. Does not belong here: any format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from inbox_pipeline.deid.pixel_conditions import MATCHES, AllOf, AnyOf, Comparison, Condition, Not, pattern_of
from inbox_pipeline.deid.pixel_facts import Path
from inbox_pipeline.deid.pixel_rules import LONGEST_NAME, Rule, element_path
from inbox_pipeline.deid.pixel_yaml import DEEPEST, LONGEST_TEXT, Fault
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex import compiled

MOST_TERMS = 200
"""Of one rule; more are not written by people."""

_SPACES = re.compile(r"\s+")
_AROUND = 4
"""The document, its rules, a rule and its conditions."""


@dataclass
class Imported:
    """Rules that could be converted, in order, and what could not, by line."""

    rules: list[Rule] = field(default_factory=list)
    refused: list[Fault] = field(default_factory=list)

    def name(self, wished: str, line: int) -> str:
        """Return a name that no other rule has yet."""
        plain = _SPACES.sub(" ", wished).strip() or "rule"
        plain = "".join(letter for letter in plain if letter.isprintable())[: LONGEST_NAME - 20]
        taken = {rule.name for rule in self.rules}
        return plain if plain not in taken else f"{plain} (line {line})"


def bounded(text: str) -> str:
    """Return a text that is not too long. Raises Fault."""
    if len(text) > LONGEST_TEXT:
        raise Fault(1, f"more than {LONGEST_TEXT:,} characters")
    return text


def known_path(name: str, line: int) -> Path:
    """Return the path that a keyword, a tag, or several joined by `/` mean. Raises Fault."""
    path = element_path(name)
    if path is None:
        raise Fault(line, "an element that no dictionary knows")
    return path


def expression(path: Path, pattern: str, line: int, *, exact: bool = False) -> Comparison:
    """Return the search for a regular expression. Raises Fault if it cannot be used."""
    comparison = Comparison(path, MATCHES, pattern, exact)
    try:
        compiled(pattern_of(comparison))
    except Failure as failure:
        raise Fault(line, f"a regular expression that cannot be used: {failure.message}") from None
    return comparison


def both(left: Condition, right: Condition) -> Condition:
    """Return a condition that holds where both hold."""
    return AllOf((*_parts(left, AllOf), *_parts(right, AllOf)))


def either(left: Condition, right: Condition) -> Condition:
    """Return a condition that holds where one of them holds."""
    return AnyOf((*_parts(left, AnyOf), *_parts(right, AnyOf)))


def negated(condition: Condition) -> Condition:
    """Return a condition that holds where the other does not."""
    return condition.part if isinstance(condition, Not) else Not(condition)


def rooted(condition: Condition, line: int) -> AllOf:
    """Return a condition as rules have it at their root. Raises Fault if it is nested too deeply to be written."""
    root = condition if isinstance(condition, AllOf) else AllOf((condition,))
    if max(map(_depth, root.parts)) > DEEPEST - _AROUND:
        raise Fault(line, "nested too deeply")
    return root


def _depth(condition: Condition) -> int:
    """How many lists and mappings a condition is written with, one within another."""
    if isinstance(condition, Comparison):
        return 1
    if isinstance(condition, Not):
        return 1 + _depth(condition.part)
    return 2 + max(map(_depth, condition.parts))


def _parts(condition: Condition, kind: type[AllOf] | type[AnyOf]) -> Iterable[Condition]:
    return condition.parts if isinstance(condition, kind) else (condition,)
