"""Device rules for pixels: what they are, and how their YAML is read.

Belongs here: the format that `docs/pixels.md` describes, validated line by line. Does not belong here: what a matching
rule leads to (`pixel_decision.py`), conditions (`pixel_conditions.py`), writing rules (`pixel_writing.py`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from inbox_pipeline.deid import pixel_facts as facts
from inbox_pipeline.deid.pixel_conditions import (
    MATCHES,
    OPERATORS,
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Not,
    paths,
    pattern_of,
)
from inbox_pipeline.deid.pixel_yaml import Fault, Node, read
from inbox_pipeline.errors import Rejected
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.pixels import Rectangle
from inbox_pipeline.script.regex import compiled

FORMAT = "inbox-pipeline pixel rules 1"
ACTIONS = ("blank", "keep", "hold", "exclude")
IMAGE, REGIONS = "image", "ultrasound-regions"
LONGEST_NAME = 200

_CONTAINED = {"manufacturer": facts.MANUFACTURER, "model": facts.MODEL, "software": facts.SOFTWARE}
_EQUAL = {"modality": facts.MODALITY, "sop-class": facts.SOP_CLASS, "rows": facts.ROWS, "columns": facts.COLUMNS}
_ACTION_KEYS = frozenset({"action", "rectangles", "outside", "further"})
_RULE_KEYS = frozenset({"name", *_CONTAINED, *_EQUAL, "match", "citation"}) | _ACTION_KEYS
_COMPARISONS = frozenset({*OPERATORS, MATCHES})
_TEST_KEYS = frozenset({"element", *_COMPARISONS, "exists", "empty", "exact"})
_GROUP_KEYS = frozenset({"all", "any", "not"})
_SIDES = ("left", "top", "right", "bottom")
_BOX = ("x", "y", "width", "height")
_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_TRUTH = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True)
class Area:
    """What a rule blanks: rectangles or everything outside of them; `where` IMAGE or REGIONS stands for them."""

    rectangles: tuple[Rectangle, ...] = ()
    outside: bool = False
    where: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule: when its condition holds, its action is taken. `line` is where it begins in its file.

    Of a rule that blanks, `further` tells that later rules that blank may join it.
    """

    name: str
    line: int
    condition: Condition
    action: str
    area: Area = Area()
    citation: str = ""
    further: bool = False


@dataclass(frozen=True)
class Rules:
    """Rules in order: the first whose condition holds decides, unless it says `further`. `sha256` is their text's."""

    rules: tuple[Rule, ...] = ()
    sha256: str = ""

    @cached_property
    def wanted(self) -> frozenset[facts.Path]:
        """The elements that the rules look at."""
        return frozenset(path for rule in self.rules for path in paths(rule.condition))


def read_rules(text: str) -> Rules:
    """Return the rules that a text in the format of `docs/pixels.md` states.

    Raises:
        Rejected: `pixel_rules_invalid`; its data hold `faults`, each with `line` and `message`, without values.
    """
    faults: list[Fault] = []
    rules: list[Rule] = []
    try:
        members = read(text).members(frozenset({"format", "rules"}))
        for node in _rule_nodes(members):
            try:
                rules.append(_rule(node))
            except Fault as fault:
                faults.append(fault)
        faults += _repeated(rules)
    except Fault as fault:
        faults.append(fault)
    if faults:
        raise _refused(faults)
    return Rules(tuple(rules), hashlib.sha256(text.encode()).hexdigest())


def _refused(faults: list[Fault]) -> Rejected:
    listed = [{"line": fault.line, "message": fault.message} for fault in sorted(faults, key=lambda each: each.line)]
    more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
    sentence = f"The pixel rules cannot be used: line {listed[0]['line']}: {listed[0]['message']}.{more}"
    return Rejected("pixel_rules_invalid", sentence, "Correct the line named; see docs/pixels.md.", {"faults": listed})


def _rule_nodes(members: dict[str, Node]) -> list[Node]:
    if "format" not in members or members["format"].text() != FORMAT:
        line = members["format"].line if "format" in members else 1
        raise Fault(line, f"the format must be stated: format: {FORMAT}")
    if "rules" not in members:
        raise Fault(1, "the key rules is missing")
    return members["rules"].items()


def _repeated(rules: Iterable[Rule]) -> list[Fault]:
    seen: set[str] = set()
    faults = []
    for rule in rules:
        if rule.name in seen:
            faults.append(Fault(rule.line, "another rule has the same name"))
        seen.add(rule.name)
    return faults


def _rule(node: Node) -> Rule:
    members = node.members(_RULE_KEYS)
    for key in ("name", "action"):
        if key not in members:
            raise node.fault(f"the key {key} is missing")
    action = members["action"].text()
    if action not in ACTIONS:
        raise members["action"].fault(f"an action is one of {', '.join(ACTIONS)}")
    condition = AllOf(tuple(_conditions(members)))
    if not condition.parts:
        raise node.fault("a rule needs a condition")
    citation = members["citation"].text() if "citation" in members else ""
    area, further = _area(node, members, action), "further" in members and _truth(members["further"])
    if further and action != "blank":
        raise members["further"].fault("only the action blank lets further rules join")
    return Rule(_name(members["name"]), node.line, condition, action, area, citation, further)


def _name(node: Node) -> str:
    name = node.text().strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise node.fault(f"a name has 1 to {LONGEST_NAME} printable characters")
    return name


def _conditions(members: dict[str, Node]) -> Iterable[Condition]:
    for key, path in _EQUAL.items():
        if key in members:
            yield _short(members[key], path, "equals")
    for key, path in _CONTAINED.items():
        if key in members:
            yield _short(members[key], path, "contains")
    if "match" in members:
        yield from map(_condition, members["match"].items())


def _short(node: Node, path: facts.Path, operator: str) -> Condition:
    """One value, or a list of which one must fit."""
    operands = [item.text() for item in node.items()] if node.is_list else [node.text()]
    if not all(operands):
        raise node.fault("a value is needed here")
    tests = tuple(Comparison(path, operator, operand) for operand in operands)
    return tests[0] if len(tests) == 1 else AnyOf(tests)


def _condition(node: Node) -> Condition:
    members = node.members(_TEST_KEYS | _GROUP_KEYS)
    if "element" in members:
        return _test(node, node.members(_TEST_KEYS))
    if len(members) != 1 or not members.keys() <= _GROUP_KEYS:
        raise node.fault("a condition has an element and a comparison, or one of all, any, not")
    ((kind, inner),) = members.items()
    if kind == "not":
        return Not(_condition(inner))
    parts = tuple(map(_condition, inner.items()))
    return AllOf(parts) if kind == "all" else AnyOf(parts)


def _test(node: Node, members: dict[str, Node]) -> Comparison:
    path = element_path(members["element"].text())
    if path is None:
        raise members["element"].fault("an element is a keyword or a tag, after / in the first item of a sequence")
    exact = _truth(members["exact"]) if "exact" in members else False
    stated = members.keys() - {"element", "exact"}
    if len(stated) != 1:
        raise node.fault(f"a condition needs one of {', '.join(sorted(_TEST_KEYS - {'element', 'exact'}))}")
    (operator,) = stated
    value = members[operator]
    if operator == "exists":
        return Comparison(path, "present" if _truth(value) else "missing")
    if operator == "empty":
        if not _truth(value):
            raise value.fault("empty: yes, or not: around it")
        return Comparison(path, "empty")
    return _checked(value, Comparison(path, operator, value.text(), exact))


def _checked(node: Node, test: Comparison) -> Comparison:
    if not test.operand:
        raise node.fault("a value is needed here")
    if test.operator == MATCHES:
        try:
            compiled(pattern_of(test))
        except Failure as failure:
            raise node.fault(f"this regular expression cannot be used: {failure.message}") from None
    if test.operator in ("less", "greater"):
        try:
            float(test.operand)
        except ValueError:
            raise node.fault("a number is needed here") from None
    return test


def _truth(node: Node) -> bool:
    try:
        return _TRUTH[node.text().lower()]
    except KeyError:
        raise node.fault("yes or no is needed here") from None


def element_path(text: str) -> facts.Path | None:
    """Return the path that `Keyword`, `gggg,eeee` or several of these joined by `/` mean; None if it means nothing."""
    from pydicom.datadict import tag_for_keyword  # noqa: PLC0415 - costs half a second

    tags = []
    for name in text.split("/"):
        match = _TAG.fullmatch(name.strip())
        tag = int(match[1] + match[2], 16) if match else tag_for_keyword(name.strip())
        if tag is None:
            return None
        tags.append(tag)
    return tuple(tags)


def _area(node: Node, members: dict[str, Node], action: str) -> Area:
    stated = [key for key in ("rectangles", "outside") if key in members]
    if action != "blank":
        if stated:
            raise members[stated[0]].fault("only the action blank has rectangles")
        return Area()
    if len(stated) != 1:
        raise node.fault("the action blank needs rectangles or outside")
    value, outside = members[stated[0]], stated[0] == "outside"
    if value.is_list:
        return Area(tuple(map(_rectangle, value.items())), outside)
    where = REGIONS if outside else IMAGE
    if value.text() != where:
        raise value.fault(f"a list of rectangles, or {where}, is needed here")
    return Area((), outside, where)


def _rectangle(node: Node) -> Rectangle:
    if node.is_list:
        numbers = [item.number() for item in node.items()]
    else:
        members = node.members(frozenset({*_SIDES, *_BOX}))
        names = _BOX if members.keys() == set(_BOX) else _SIDES
        if members.keys() != set(names):
            raise node.fault("a rectangle has left, top, right, bottom, or x, y, width, height")
        numbers = [members[name].number() for name in names]
        if names == _BOX:
            numbers = [numbers[0], numbers[1], numbers[0] + numbers[2], numbers[1] + numbers[3]]
    if len(numbers) != len(_SIDES):
        raise node.fault("a rectangle is [left, top, right, bottom]")
    area = Rectangle(*numbers)
    if area.left >= area.right or area.top >= area.bottom:
        raise node.fault("left must be less than right, and top less than bottom")
    return area
