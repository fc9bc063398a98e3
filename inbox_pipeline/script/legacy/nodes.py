"""The parts of a parsed 4.2 script: plain data; values are those of DicomEdit 6.

Belongs here: statements. Does not belong here: reading, evaluating.
"""

from dataclasses import dataclass

from inbox_pipeline.script.nodes import Comparison, Value
from inbox_pipeline.script.tagpath import Tag


@dataclass(frozen=True)
class Edit:
    """`conditions : tag := value` or `conditions : -tag`, whose `value` is None; all conditions must hold."""

    conditions: tuple[Comparison, ...]
    tag: Tag
    value: Value | None
    at: int


@dataclass(frozen=True)
class Definition:
    """`name := value`."""

    name: str
    value: Value
    at: int


Statement = Edit | Definition
