r"""Administrators' routing expressions: rules by which a site finds projects and labels in headers (contract 2.3).

Belongs here: reading rules, refusing those that cannot work, what a rule makes of a header. Does not belong here: in
which order they are asked (`identify.py`), and how a site keeps them (`services/routing.py`).

A rule is a line `(gggg,eeee):regex[:group][ t:find r:replace]`. The regex is one of java.util.regex and must match the
whole value; the group, 1 if none is said, is the result, in which each match of `find` is then replaced. Of several
values the first counts, and of a rule without replacement 64 characters of it, as in XNAT. The first rule wins that
gives something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from inbox_pipeline.deid.identifying import kind_of
from inbox_pipeline.deid.table import vr_of
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex import Pattern, compiled

PROJECT, SUBJECT, SESSION = "project", "subject", "session"
TARGETS = (PROJECT, SUBJECT, SESSION)
MOST_RULES, LONGEST_LINE = 200, 2000
VALUE_CHARACTERS = 64
SLOWEST_STEPS = 100_000
"""A rule that takes more steps of the regex machine than this on a value of 64 characters is refused."""

_LINE = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\):(.+?)(?::([0-9]{1,3}))?(?: t:(.*) r:(.*))?")
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI", "UR"})
_LONG_TEXTS = frozenset({"LT", "ST", "UT"})
"""A backslash in these is a character like others."""

_FIRST_DATA_SET_GROUP = 0x0008
_STEP_WORK = 10
_REMEMBERED = 4096


@dataclass(frozen=True)
class Rule:
    """One line. `find` and `replacement` are None in one that replaces nothing."""

    line: int
    tag: int
    regex: str
    group: int
    find: str | None = None
    replacement: str | None = None

    @property
    def identifying(self) -> bool:
        """Whether it reads an element that says who the patient is, or a private one, of which nobody knows."""
        return bool(self.tag >> 16 & 1) or kind_of(self.tag, vr_of(self.tag)) is not None

    def value(self, text: str) -> str | None:
        """Return what the rule makes of an element's text; None if it does not match.

        Raises:
            Failure: finding out takes too long.
        """
        first = text if vr_of(self.tag) in _LONG_TEXTS else text.partition("\\")[0].strip(" ")
        if self.find is None:
            return compiled(self.regex).whole_group(first[:VALUE_CHARACTERS], self.group)
        found = compiled(self.regex).whole_group(first, self.group)
        return None if found is None else compiled(self.find).replaced(found, self.replacement or "")


class BadRule(ValueError):
    """A line that is no rule, or one that cannot work; `message` says why, without the line's number."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line, self.message = line, message


class RuleTooSlow(Exception):
    """A rule takes too long on a value of a file; of which target and line."""

    def __init__(self, target: str, line: int) -> None:
        super().__init__(f"{target} rules, line {line}")
        self.target, self.line = target, line


def read_rules(text: str) -> tuple[Rule, ...]:
    """Return the rules of a text; blank lines do not count.

    Raises:
        BadRule: the first line that is no rule, or whose rule is not supported or would take too long.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    rules = tuple(_rule(number, line) for number, line in lines if line)
    if len(rules) > MOST_RULES:
        raise BadRule(rules[MOST_RULES].line, f"there are more than {MOST_RULES} rules")
    return rules


def _rule(number: int, line: str) -> Rule:
    if len(line) > LONGEST_LINE:
        raise BadRule(number, f"it has more than {LONGEST_LINE} characters")
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadRule(number, "a rule is (gggg,eeee):regex, then maybe :group, then maybe t:find r:replace")
    group, element, regex, chosen, find, replacement = match.groups()
    rule = Rule(number, int(group + element, 16), regex, int(chosen or 1), find, replacement)
    _require_text(rule)
    try:
        compiled(regex).need_group(rule.group)
        _require_fast(compiled(regex), regex)
        if find is not None:
            compiled(find).need_replacement(replacement)
            _require_fast(compiled(find), find)
    except Failure as failure:
        raise BadRule(number, failure.message) from None
    return rule


def _require_text(rule: Rule) -> None:
    """Refuse an element that is not of the data set, or whose values are no text. Raises BadRule."""
    group, private = rule.tag >> 16, bool(rule.tag >> 16 & 1)
    if group < _FIRST_DATA_SET_GROUP:
        raise BadRule(rule.line, "that element is not one of the data set")
    if not private and vr_of(rule.tag) not in _TEXTS | _LONG_TEXTS:
        raise BadRule(rule.line, "that element is not known, or its value is no text")


def _require_fast(pattern: Pattern, regex: str) -> None:
    """Try values that make regular expressions slow: one character again and again, and an end that does not match.

    Raises:
        Failure: one of them takes too long.
    """
    for value in _slow_values(regex):
        pattern.whole_group(value, 0, _refuse_slow)


def _slow_values(regex: str) -> Iterator[str]:
    characters = dict.fromkeys([*"a0 _^", *(char for char in regex if char.isalnum() or char in "-.,;:=")])
    for char in characters:
        yield char * VALUE_CHARACTERS
        yield char * (VALUE_CHARACTERS - 1) + "\x01"
    yield "a0" * (VALUE_CHARACTERS // 2 - 1) + "\x01"
    yield "ab 0_" * (VALUE_CHARACTERS // 5 - 1) + "\x01"


def _refuse_slow(work: int) -> None:
    if work > _STEP_WORK * SLOWEST_STEPS:
        raise Failure("the regular expression takes too long on some values")


class Routing:
    """The rules in force, by target; remembers what they made of values, since the headers of a series repeat."""

    def __init__(self, rules: Mapping[str, Sequence[Rule]]) -> None:
        self._rules = {target: tuple(rules.get(target, ())) for target in TARGETS}
        self.tags = frozenset(rule.tag for of_target in self._rules.values() for rule in of_target)
        """The elements that they read."""
        self._value = lru_cache(maxsize=_REMEMBERED)(Rule.value)

    def found(self, target: str, values: Mapping[int, str]) -> Iterator[tuple[Rule, str]]:
        """Yield what the rules of a target find in a header, in their order, blank values left out.

        Args:
            target: `project`, `subject` or `session`.
            values: the texts of `tags`, by tag, of those that the header has.

        Raises:
            RuleTooSlow: a rule takes too long on one of them.
        """
        for rule in self._rules[target]:
            try:
                value = self._value(rule, values[rule.tag]) if values.get(rule.tag) else None
            except Failure:
                raise RuleTooSlow(target, rule.line) from None
            if value and value.strip():
                yield rule, value


NO_ROUTING = Routing({})
