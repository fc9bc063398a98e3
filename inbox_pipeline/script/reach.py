"""Which elements a script may give a value, told from its text alone.

Belongs here: a conservative answer: whatever only shows at run time counts as yes. Does not belong here: evaluation.
"""

from collections.abc import Iterable, Iterator

from inbox_pipeline.script import nodes
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.legacy.nodes import Definition, Edit
from inbox_pipeline.script.tagpath import Tag, TagPath, direct_path, path_from_text

_IN_PLACE = frozenset(["hashUIDList", "mapReferencedUIDs"])
_PATHS_FROM = {"hashUIDList": 0, "mapReferencedUIDs": 1}

Statement = nodes.Statement | Edit | Definition


def may_assign(statements: Iterable[Statement], tag: int) -> bool:
    """Whether one of the statements may replace the value of a public element with that tag, at any level."""
    return any(_reaches(statement, tag) for statement in statements)


def _reaches(statement: Statement, tag: int) -> bool:
    match statement:
        case Edit(tag=target, value=value):
            return value is not None and _means(target, tag)
        case nodes.Assign(path) | nodes.AssignIf(path):
            return _ends_at(path, tag)
        case nodes.Call(name, arguments):
            return _call_reaches(name, arguments, tag)
        case nodes.If(branches):
            return any(may_assign(body, tag) for _, body in branches)
    return False


def _call_reaches(name: str, arguments: tuple[nodes.Value, ...], tag: int) -> bool:
    if name == "set":
        return _direct_reaches(arguments[0], tag)
    if name not in _IN_PLACE:
        return False
    return any(path is None or _ends_at(path, tag) for path in _paths(arguments[_PATHS_FROM[name] :]))


def _direct_reaches(argument: nodes.Value, tag: int) -> bool:
    """Whether the first argument of `set` names the element; one that is computed may."""
    if not isinstance(argument, nodes.Literal):
        return True
    try:
        return direct_path(argument.text)[-1][0] == tag
    except Failure:
        return False


def _paths(arguments: Iterable[nodes.Value]) -> Iterator[TagPath | None]:
    """The paths that arguments name; None for one that only shows at run time."""
    for argument in arguments:
        match argument:
            case nodes.PathValue(path):
                yield path
            case nodes.ListValue(members):
                yield from _paths(members)
            case nodes.Literal(text):
                yield _path_or_none(text)
            case _:
                yield None


def _path_or_none(text: str) -> TagPath | None:
    try:
        return path_from_text(text)
    except Failure:
        return None


def _ends_at(path: TagPath, tag: int) -> bool:
    last = path.segments[-1]
    return not isinstance(last, Tag) or (last.item is None and _means(last, tag))


def _means(target: Tag, tag: int) -> bool:
    public = target.creator is None
    return public and target.group.matches(tag >> 16) and target.element.matches(tag & 0xFFFF)
