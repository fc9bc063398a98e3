"""Which elements a script may give a value or look at, told from its text alone.

Belongs here: a conservative answer: whatever only shows at run time counts as yes. Does not belong here: evaluation.
"""

from collections.abc import Iterable, Iterator

from inbox_pipeline.script import nodes
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.legacy.nodes import Definition, Edit
from inbox_pipeline.script.tagpath import Tag, TagPath, direct_path, path_from_text

_IN_PLACE = frozenset(["hashUIDList", "mapReferencedUIDs"])
_PATHS_FROM = {"hashUIDList": 0, "mapReferencedUIDs": 1}

_TEXT_FUNCTIONS = frozenset(
    (
        "concatenate",
        "false",
        "format",
        "getURL",
        "hashUID",
        "ismatch",
        "lookup",
        "lowercase",
        "mapUID",
        "match",
        "newUID",
        "normalizeString",
        "reject",
        "replace",
        "shiftDateByIncrement",
        "shiftDateTimeByIncrement",
        "substring",
        "true",
        "uppercase",
        "urlEncode",
    )
)
"""Functions that look at nothing but the values of their arguments."""
_PLACES_OF = {
    "collectValues": slice(0, None),
    "hashUIDList": slice(0, None),
    "isPresent": slice(0, None),
    "mapReferencedUIDs": slice(1, None),
    "removeTags": slice(0, None),
    "shiftDateTimeListByIncrement": slice(0, 1),
    "shiftDateTimeSequenceByIncrement": slice(1, None),
}
"""Functions that take places, and which of their arguments are such."""
_DIRECT = frozenset(("delete", "set"))
_CHARSET = 0x00080005

Statement = nodes.Statement | Edit | Definition


def may_assign(statements: Iterable[Statement], tag: int) -> bool:
    """Whether one of the statements may replace the value of a public element with that tag, at any level."""
    return any(_reaches(statement, tag) for statement in statements)


def looks_at(statements: Iterable[Statement]) -> frozenset[int] | None:
    """The public root elements that statements may read, change, create or remove, besides group 0002.

    What lies in an element belongs to it. None if there is no telling: wildcards at the root, private elements there,
    places that are computed, and whatever goes through the whole data set.
    """
    tags = frozenset(tag for statement in statements for tag in _looked_at(statement))
    return None if None in tags else frozenset(tag for tag in tags if tag is not None)


def _looked_at(statement: Statement) -> Iterator[int | None]:
    """Root tags; None for one that cannot be told."""
    match statement:
        case Edit(conditions, tag, value):
            yield _root_tag(TagPath((tag,)))
            for operand in (*(each for c in conditions for each in (c.left, c.right)), value):
                yield from _read(operand)
        case nodes.Assign(path, value) | nodes.AssignIf(path, value):
            yield _root_tag(path)
            yield from _read(value)
        case nodes.Delete(path):
            yield _root_tag(path)
        case nodes.Call() | nodes.Echo():
            yield from _read(statement if isinstance(statement, nodes.Call) else statement.value)
        case Definition(_, value) | nodes.Initialize(_, value):
            yield from _read(value)
        case nodes.If(branches):
            for condition, body in branches:
                for operand in operands(condition):
                    yield from _read(operand)
                for inner in body:
                    yield from _looked_at(inner)
        case nodes.RemoveAllPrivateTags():
            yield None


def operands(condition: nodes.Condition | None) -> tuple[nodes.Value, ...]:
    """The values that a condition looks at."""
    if condition is None:
        return ()
    return (condition,) if isinstance(condition, nodes.Call) else (condition.left, condition.right)


def _read(value: nodes.Value | None) -> Iterator[int | None]:
    """The root tags that a value depends on."""
    match value:
        case nodes.PathValue(path):
            yield _root_tag(path)
        case nodes.ListValue(members):
            for member in members:
                yield from _read(member)
        case nodes.Call(name, arguments):
            yield from _places(name, arguments)
            for argument in arguments:
                yield from _read(argument)


def _places(name: str, arguments: tuple[nodes.Value, ...]) -> Iterator[int | None]:
    """The root tags of the places that a function takes."""
    if name in _DIRECT:
        yield _direct_root(arguments[0])
    elif name in _PLACES_OF:
        for path in _paths(arguments[_PLACES_OF[name]]):
            yield None if path is None else _root_tag(path)
    elif name not in _TEXT_FUNCTIONS:
        yield None


def _direct_root(argument: nodes.Value) -> int | None:
    if not isinstance(argument, nodes.Literal):
        return None
    try:
        tag = direct_path(argument.text)[0][0]
    except Failure:
        return None
    return None if tag == _CHARSET or tag >> 16 & 1 else tag


def _root_tag(path: TagPath) -> int | None:
    """The root element in which all lies that a path means; None if it may be several, or the character set."""
    first = path.segments[0]
    if not isinstance(first, Tag) or not first.exact or first.creator is not None or first.number == _CHARSET:
        return None
    return first.number


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
