"""The part of a script that is run again when a session gets other labels than it was imported under.

Belongs here: which statements depend on the labels alone, told from the script's text. Does not belong here: when that
happens (`services/from_prearchive.py`), evaluation.

A file that was anonymized once cannot be anonymized again from what is left of it. Statements that write a label and
read no element can: they give what they would have given then. Whatever else depends on a label cannot be told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from inbox_pipeline.script import nodes
from inbox_pipeline.script.legacy.nodes import Definition, Edit
from inbox_pipeline.script.reach import Statement, looks_at, operands

_NO_EFFECT = (nodes.Note, nodes.Echo)


def label_statements(statements: Iterable[Statement], labels: Collection[str]) -> tuple[Statement, ...] | None:
    """Return the statements that write what depends on labels, with the variables that they need.

    None if a statement that depends on a label also depends on an element or does more than to assign, or if another
    one reads an element that such a statement has written.

    Args:
        statements: those of a script.
        labels: the names of the variables that hold labels, in lower case.
    """
    statements = tuple(each for each in statements if not isinstance(each, nodes.Note) or each.keyword == "version")
    names = _dependent(statements, {name.lower() for name in labels})
    chosen = [each for each in statements if not isinstance(each, _NO_EFFECT) and _mentions(each, names)]
    if not all(map(_is_plain, chosen)):
        return None
    written = {tag for each in chosen for tag in _written(each)}
    others = [each for each in statements if each not in chosen]
    read = looks_at(_reading(others))
    if chosen and written and (read is None or read & written):
        return None
    needed = [each for each in statements if isinstance(each, nodes.Note | nodes.Initialize | Definition)]
    kept = [each for each in statements if each in chosen or (each in needed and _is_plain(each))]
    return tuple(kept) if chosen else ()


def _dependent(statements: Sequence[Statement], names: set[str]) -> set[str]:
    """Return the names of all variables whose value depends on one of `names`."""
    while True:
        more = {
            each.name.lower()
            for each in statements
            if isinstance(each, nodes.Initialize | Definition) and _uses(each.value, names)
        }
        if more <= names:
            return names
        names = names | more


def _mentions(statement: Statement, names: Collection[str]) -> bool:
    """Return whether a statement, or one within it, uses a variable."""
    match statement:
        case nodes.If(branches):
            return any(
                _condition_uses(condition, names) or any(_mentions(each, names) for each in body)
                for condition, body in branches
            )
        case Edit(conditions, _, value):
            return any(_condition_uses(each, names) for each in conditions) or _uses(value, names)
        case nodes.Assign() | nodes.AssignIf() | nodes.Initialize() | Definition():
            return _uses(statement.value, names)
        case nodes.Call():
            return _uses(statement, names)
    return False


def _condition_uses(condition: nodes.Condition | None, names: Collection[str]) -> bool:
    return any(_uses(each, names) for each in operands(condition))


def _uses(value: nodes.Value | None, names: Collection[str]) -> bool:
    match value:
        case nodes.Variable(name):
            return name.lower() in names
        case nodes.ListValue(members):
            return any(_uses(each, names) for each in members)
        case nodes.Call(_, arguments):
            return any(_uses(each, names) for each in arguments)
    return False


def _is_plain(statement: Statement) -> bool:
    """Return whether a statement assigns, and neither whether nor what depends on any element."""
    match statement:
        case nodes.Assign(_, value) | nodes.Initialize(_, value) | Definition(_, value):
            return _reads_nothing(value)
        case Edit((), _, value):
            return value is not None and _reads_nothing(value)
        case nodes.If(branches):
            conditions = [operand for condition, _ in branches for operand in operands(condition)]
            return all(map(_reads_nothing, conditions)) and all(
                _is_plain(each) for _, body in branches for each in body
            )
    return isinstance(statement, nodes.Note)


def _reads_nothing(value: nodes.Value) -> bool:
    return looks_at([Definition("", value, 0)]) == frozenset()


def _written(statement: Statement) -> Iterator[int]:
    yield from looks_at([statement]) or ()


def _reading(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Yield what tells of the elements that statements read: their values, without the places that they write."""
    for each in statements:
        match each:
            case nodes.Assign(_, value):
                yield Definition("", value, 0)
            case Edit((), _, value) if value is not None:
                yield Definition("", value, 0)
            case nodes.Delete() | nodes.Note() | nodes.RemoveAllPrivateTags() | Edit((), _, None):
                continue
            case _:
                yield each
