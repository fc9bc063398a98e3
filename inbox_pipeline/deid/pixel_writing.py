"""Writing device rules in the format that `pixel_rules.py` reads.

Belongs here: rules as YAML. Does not belong here: reading it, where the rules come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from inbox_pipeline.deid.pixel_conditions import AllOf, AnyOf, Condition, Not
from inbox_pipeline.deid.pixel_facts import Path
from inbox_pipeline.deid.pixel_rules import FORMAT, Rule

_EXISTENCE = {"present": {"exists": "yes"}, "missing": {"exists": "no"}, "empty": {"empty": "yes"}}


def write_rules(rules: Iterable[Rule], comments: Iterable[str] = ()) -> str:
    """Return rules in the format that `read_rules` reads, below comments."""
    import yaml  # noqa: PLC0415 - few commands need it

    head = "".join(f"# {line}\n" for line in comments)
    content = {"format": FORMAT, "rules": [_plain_rule(rule) for rule in rules]}
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)


def _plain_rule(rule: Rule) -> dict[str, Any]:
    parts = rule.condition.parts if isinstance(rule.condition, AllOf) else (rule.condition,)
    plain: dict[str, Any] = {"name": rule.name, "match": [_plain(part) for part in parts], "action": rule.action}
    if rule.action == "blank":
        listed = [[each.left, each.top, each.right, each.bottom] for each in rule.area.rectangles]
        plain["outside" if rule.area.outside else "rectangles"] = rule.area.where or listed
    if rule.further:
        plain["further"] = "yes"
    if rule.citation:
        plain["citation"] = rule.citation
    return plain


def _plain(condition: Condition) -> dict[str, Any]:
    if isinstance(condition, AllOf | AnyOf):
        return {"all" if isinstance(condition, AllOf) else "any": [_plain(part) for part in condition.parts]}
    if isinstance(condition, Not):
        return {"not": _plain(condition.part)}
    element = {"element": element_name(condition.path)}
    if condition.operator in _EXISTENCE:
        return element | _EXISTENCE[condition.operator]
    return element | {condition.operator: condition.operand} | ({"exact": "yes"} if condition.exact else {})


def element_name(path: Path) -> str:
    """Return how a path is written: keywords where the dictionary has them, else tags."""
    from pydicom.datadict import keyword_for_tag  # noqa: PLC0415 - costs half a second

    return "/".join(keyword_for_tag(tag) or f"{tag >> 16:04X},{tag & 0xFFFF:04X}" for tag in path)
