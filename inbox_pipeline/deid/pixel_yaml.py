"""YAML as nodes that know their lines.

Belongs here: reading one document within bounds, and asking nodes for text, numbers, lists and mappings. Does not
belong here: what the keys mean (`pixel_rules.py`).

Values are taken as they are typed: `NO` is the text NO, as DICOM has it, and no truth value. Anchors and aliases are
refused, so a short text cannot become a long one.
"""

from __future__ import annotations

import re
from typing import Any

LONGEST_TEXT = 1 << 20
DEEPEST = 24
_NUMBER = re.compile(r"[0-9]{1,5}")


class Fault(Exception):
    """Something wrong on a line, counted from 1; `message` quotes no value."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


class Node:
    """A node of the document."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self.line: int = node.start_mark.line + 1

    def fault(self, message: str) -> Fault:
        """Return an error about this node."""
        return Fault(self.line, message)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return bool(self._node.id == "sequence")

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return bool(self._node.id == "mapping")

    def text(self) -> str:
        """Return what is typed. Raises Fault if it is a list or a mapping."""
        if self._node.id != "scalar":
            raise self.fault("a single value is needed here")
        return str(self._node.value)

    def number(self) -> int:
        """Return a whole number from 0 to 99999. Raises Fault."""
        text = self.text()
        if not _NUMBER.fullmatch(text):
            raise self.fault("a whole number is needed here")
        return int(text)

    def items(self) -> list[Node]:
        """Return the members of a list. Raises Fault if it is none or empty."""
        if not self.is_list or not self._node.value:
            raise self.fault("a list is needed here")
        return [Node(item) for item in self._node.value]

    def members(self, known: frozenset[str]) -> dict[str, Node]:
        """Return a mapping's values by key. Raises Fault if it is none, a key is twice there or not one of `known`."""
        if not self.is_mapping:
            raise self.fault("a mapping is needed here")
        found: dict[str, Node] = {}
        for key_node, value_node in self._node.value:
            key = Node(key_node)
            name = key.text()
            if name not in known:
                raise key.fault(f"this key is not known here; known are {', '.join(sorted(known))}")
            if name in found:
                raise key.fault(f"the key {name} is there twice")
            found[name] = Node(value_node)
        return found


def read(text: str) -> Node:
    """Return the root of a YAML document. Raises Fault."""
    import yaml  # noqa: PLC0415 - few commands need it

    if len(text) > LONGEST_TEXT:
        raise Fault(1, f"more than {LONGEST_TEXT:,} characters")
    try:
        _refuse_tricks(yaml.parse(text, Loader=yaml.SafeLoader))
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Fault(mark.line + 1 if mark else 1, f"this is no YAML ({error.problem or error.context})") from None
    except yaml.YAMLError:
        raise Fault(1, "this is no YAML (it holds a character that YAML does not allow)") from None
    if root is None:
        raise Fault(1, "there is nothing in it")
    return Node(root)


def _refuse_tricks(events: Any) -> None:
    """Raise Fault for anchors, aliases and nesting too deep for any rule, before anything is built."""
    depth = 0
    for event in events:
        if getattr(event, "anchor", None) is not None:
            raise Fault(event.start_mark.line + 1, "anchors and aliases are not allowed")
        kind = type(event).__name__
        depth += kind.endswith(("SequenceStartEvent", "MappingStartEvent"))
        depth -= kind.endswith(("SequenceEndEvent", "MappingEndEvent"))
        if depth > DEEPEST:
            raise Fault(event.start_mark.line + 1, "this is nested too deeply")
