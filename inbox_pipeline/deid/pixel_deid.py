"""Filters of deid recipes as our pixel rules.

Belongs here: the sections `%filter` and their labels. Does not belong here: what a recipe says of headers, groups and
values; any of its recipes; users bring theirs.

A label's lines are `[+ | ||] filter field [value]`, taken from left to right; a line may hold several, joined alike. A
value is a regular expression for `contains`, letters of any case. What it leads to depends on its filter: a whitelist
keeps, labels with coordinates blank, the others hold. There, the coordinates of all labels that fit are blanked: so
rules that blank let further ones join. Those that hold, other than a graylist's, come first, and those that keep last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from inbox_pipeline.deid.pixel_conditions import Comparison, Condition
from inbox_pipeline.deid.pixel_facts import Path
from inbox_pipeline.deid.pixel_import import (
    MOST_TERMS,
    Imported,
    both,
    bounded,
    either,
    expression,
    known_path,
    negated,
    rooted,
)
from inbox_pipeline.deid.pixel_rules import IMAGE, REGIONS, Area, Rule
from inbox_pipeline.deid.pixel_yaml import Fault
from inbox_pipeline.script.pixels import Rectangle

_FILTERS = ("notcontains", "notequals", "contains", "equals", "missing", "present", "empty")
_WITHOUT_VALUE = frozenset({"missing", "present", "empty"})
_SPLIT = re.compile(rf"\s*(\|\||\+)\s*(?=(?:{'|'.join(_FILTERS)})\s)", re.IGNORECASE)
_COORDINATES = re.compile(r"(ctp)?(keep)?coordinates\s+(.*)", re.IGNORECASE)
_NUMBERS = re.compile(r"([0-9]{1,5})\s*,\s*([0-9]{1,5})\s*,\s*([0-9]{1,5})\s*,\s*([0-9]{1,5})")
_LABEL = re.compile(r"label\b\s*(.*)", re.IGNORECASE)
_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")
_KEEPING, _DOUBTING = "filter whitelist", "filter graylist"
_REGION_SEQUENCE = "sequenceofultrasoundregions"


def import_deid(text: str, source: str) -> Imported:
    """Return the rules of a recipe's filters; what cannot be converted is refused by its line.

    Args:
        text: the recipe.
        source: what the rules' citations call it.
    """
    found, ranked = Imported(), []
    try:
        for label in _labels(bounded(text), found):
            if rule := _convert(label, source, found):
                ranked.append((_rank(label, rule), rule))
    except Fault as fault:
        found.refused.append(fault)
    found.rules = [rule for _, rule in sorted(ranked, key=lambda each: each[0])]
    return found


@dataclass
class _Label:
    """A label of a filter: its name, its filter's name, and its lines with their numbers."""

    name: str
    filter: str
    line: int
    lines: list[tuple[int, str]] = field(default_factory=list)


def _labels(text: str, found: Imported) -> Iterator[_Label]:
    """Yield the labels of all filters; lines outside of labels are refused."""
    section, label = "", None
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        title = _LABEL.fullmatch(line)
        if line.startswith("%") or (title and section):
            if label is not None:
                yield label
            label = None
        if line.startswith("%"):
            section = _filter_name(line)
        elif title and section:
            label = _Label(title[1].split("#")[0].strip(), section, number)
        elif label is not None:
            label.lines.append((number, line))
        elif section:
            found.refused.append(Fault(number, "a line of a filter outside of its labels"))
    if label is not None:
        yield label


def _filter_name(line: str) -> str:
    """The name of a filter section; empty for other sections, which say nothing about pixels."""
    words = line.split("#", maxsplit=1)[0].lstrip("%").lower().split()
    return " ".join(words) if words[:1] == ["filter"] else ""


def _rank(label: _Label, rule: Rule) -> int:
    """Where a rule stands: what another program would put aside, what is blanked, doubts, what is known to be clean."""
    if rule.action == "hold" and label.filter != _DOUBTING:
        return 0
    return ("blank", "hold", "keep").index(rule.action) + 1


def _convert(label: _Label, source: str, found: Imported) -> Rule | None:
    try:
        rule = _rule(label, source, found.name(label.name, label.line))
    except Fault as fault:
        found.refused.append(fault)
        return None
    found.rules.append(rule)
    return rule


def _rule(label: _Label, source: str, name: str) -> Rule:
    condition, areas = None, _Areas()
    if sum(1 + len(_SPLIT.findall(line)) for _, line in label.lines) > MOST_TERMS:
        raise Fault(label.line, f"more than {MOST_TERMS} terms")
    for number, line in label.lines:
        match = _COORDINATES.fullmatch(line)
        if match:
            areas.add(number, ctp=bool(match[1]), keep=bool(match[2]), stated=match[3].split("#")[0].strip())
        else:
            condition = _joined(condition, line, number)
    if condition is None:
        raise Fault(label.line, "a label without filters applies to every image: put a rule of your own in its place")
    area = areas.area(label.line)
    action = "blank" if area else "keep" if label.filter == _KEEPING else "hold"
    citation, root = f"{source}, line {label.line}", rooted(condition, label.line)
    return Rule(name, label.line, root, action, area or Area(), citation, further=bool(area))


def _joined(condition: Condition | None, line: str, number: int) -> Condition:
    """A condition with one more line joined, from left to right."""
    sign, rest = _leading_sign(line)
    first, *others = _SPLIT.split(rest)
    joined = _filter(first, number)
    for inner, text in zip(others[::2], others[1::2], strict=True):
        joined = _operators(inner, joined, _filter(text, number))
    return joined if condition is None else _operators(sign, condition, joined)


def _leading_sign(line: str) -> tuple[str, str]:
    for sign in ("||", "+"):
        if line.startswith(sign):
            return sign, line[len(sign) :].strip()
    return "+", line


def _operators(sign: str, left: Condition, right: Condition) -> Condition:
    return either(left, right) if sign == "||" else both(left, right)


def _filter(text: str, line: int) -> Condition:
    action, _, rest = text.strip().partition(" ")
    action = action.lower()
    if action not in _FILTERS:
        raise Fault(line, f"a filter is one of {', '.join(_FILTERS)}")
    name, _, value = rest.strip().partition(" ")
    path = known_path(name, line)
    if action in _WITHOUT_VALUE:
        return Comparison(path, action)
    if not value.strip():
        raise Fault(line, "a value is needed here")
    condition = _comparison(path, action.removeprefix("not"), value.strip(), line)
    return negated(condition) if action.startswith("not") else condition


def _comparison(path: Path, action: str, value: str, line: int) -> Condition:
    if action == "contains" and _SPECIAL.search(value):
        return expression(path, value, line)
    return Comparison(path, action, value)


class _Areas:
    """The coordinates of one label."""

    def __init__(self) -> None:
        self._blanked: list[Rectangle] = []
        self._kept: list[Rectangle] = []
        self._all = self._regions = False

    def add(self, line: int, *, ctp: bool, keep: bool, stated: str) -> None:
        """Take one line of coordinates. Raises Fault."""
        plain = stated.lower().replace(" ", "")
        if plain == "all" and not keep:
            self._all = True
        elif plain == f"from:{_REGION_SEQUENCE}" and keep:
            self._regions = True
        else:
            (self._kept if keep else self._blanked).append(_rectangle(stated, line, ctp))

    def area(self, line: int) -> Area | None:
        """Return what the coordinates mean together; None without any. Raises Fault."""
        kept = bool(self._kept) + self._regions
        if kept + bool(self._blanked) > 1:
            raise Fault(line, "coordinates to blank and to keep, whose order matters there")
        if self._regions:
            return Area((), True, REGIONS)
        if self._kept:
            return Area(tuple(self._kept), outside=True)
        if self._all:
            return Area((), False, IMAGE)
        return Area(tuple(self._blanked)) if self._blanked else None


def _rectangle(stated: str, line: int, ctp: bool) -> Rectangle:
    numbers = _NUMBERS.fullmatch(stated)
    if numbers is None:
        raise Fault(line, "coordinates that are no four numbers")
    left, top, right, bottom = map(int, numbers.groups())
    if ctp:
        right, bottom = left + right, top + bottom
    if left >= right or top >= bottom:
        raise Fault(line, "coordinates without extent")
    return Rectangle(left, top, right, bottom)
