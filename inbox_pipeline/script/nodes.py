"""The parts of a parsed script: plain data.

Belongs here: one class per thing that the grammar (dicomedit specification 1.3) can make.
Does not belong here: reading text, evaluating. `at` is an offset into the source's text.
"""

from dataclasses import dataclass

from inbox_pipeline.script.tagpath import TagPath


@dataclass(frozen=True)
class Literal:
    """A string or number; a number acts as its text."""

    text: str
    at: int


@dataclass(frozen=True)
class Variable:
    """A variable that is read."""

    name: str
    at: int


@dataclass(frozen=True)
class PathValue:
    """A tag path where a value stands: its element is read, or a function takes it as a location."""

    path: TagPath
    at: int


@dataclass(frozen=True)
class ListValue:
    """A list in braces."""

    members: "tuple[Value, ...]"
    at: int


@dataclass(frozen=True)
class Call:
    """A function call, as a value, a condition or a statement."""

    name: str
    arguments: "tuple[Value, ...]"
    at: int


Value = Literal | Variable | PathValue | ListValue | Call


@dataclass(frozen=True)
class Comparison:
    """A condition: `operator` is one of `=`, `!=`, `~`, `!~`."""

    left: Value
    operator: str
    right: Value
    at: int


Condition = Comparison | Call


@dataclass(frozen=True)
class Assign:
    """`path := value`: sets the element, creating what is missing."""

    path: TagPath
    value: Value
    at: int


@dataclass(frozen=True)
class AssignIf:
    """`path ?= value`: sets the elements that exist."""

    path: TagPath
    value: Value
    at: int


@dataclass(frozen=True)
class Initialize:
    """`name := value`: sets a variable."""

    name: str
    value: Value
    at: int


@dataclass(frozen=True)
class Delete:
    """`- path`: removes the elements that match."""

    path: TagPath
    at: int


@dataclass(frozen=True)
class Echo:
    """`echo value`: `value` is None for a bare `echo`, which fails when it is reached."""

    value: Value | None
    at: int


@dataclass(frozen=True)
class RemoveAllPrivateTags:
    """The statement `removeAllPrivateTags`."""

    at: int


@dataclass(frozen=True)
class Note:
    """`version`, `describe` or `export`: says something about the script and does nothing to a data set."""

    keyword: str
    name: str
    text: str
    at: int


@dataclass(frozen=True)
class If:
    """Branches of a ternary or an `if` block, tried in order; the last one of an `else` has the condition None."""

    branches: "tuple[tuple[Condition | None, tuple[Statement, ...]], ...]"
    at: int


Action = Assign | AssignIf | Initialize | Delete | Call | Echo
Statement = Action | RemoveAllPrivateTags | Note | If
