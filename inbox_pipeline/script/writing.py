"""Nodes written as DicomEdit 6 text.

Belongs here: values, conditions and statements back to text. Does not belong here: reading text.
"""

import re
from collections.abc import Iterator

from inbox_pipeline.script import nodes

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_NUMBERS = {"substring": (1, 2), "match": (2,)}
"""Arguments that are numbers, by function."""


def written(value: nodes.Value) -> str:
    """The text of a value. Two values that mean the same at every place are written the same."""
    match value:
        case nodes.Literal(text):
            return quoted(text)
        case nodes.Variable(name):
            return name
        case nodes.PathValue(path):
            return str(path)
        case nodes.ListValue(members):
            return "{" + ", ".join(map(written, members)) + "}"
        case nodes.Call(name, arguments):
            return f"{name}[{', '.join(_argument(name, *each) for each in enumerate(arguments))}]"


def quoted(text: str) -> str:
    """A text as a string of the language."""
    doubled = text.replace("\\", "\\\\")
    return f'"{doubled}"'


def written_condition(condition: nodes.Condition) -> str:
    """The text of a condition."""
    if isinstance(condition, nodes.Call):
        return written(condition)
    return f"{written(condition.left)} {condition.operator} {written(condition.right)}"


def _argument(name: str, index: int, value: nodes.Value) -> str:
    if isinstance(value, nodes.Literal) and index in _NUMBERS.get(name, ()) and _INTEGER.fullmatch(value.text):
        return value.text
    return written(value)


def written_statement(node: nodes.Statement, indent: str = "") -> Iterator[str]:
    """The lines of a statement. Branches are a ternary where the grammar allows one, else an `if` block."""
    match node:
        case nodes.Assign(path, value):
            yield f"{indent}{path} := {written(value)}"
        case nodes.AssignIf(path, value):
            yield f"{indent}{path} ?= {written(value)}"
        case nodes.Initialize(name, value):
            yield f"{indent}{name} := {written(value)}"
        case nodes.Delete(path):
            yield f"{indent}-{path}"
        case nodes.Call():
            yield indent + written(node)
        case nodes.RemoveAllPrivateTags():
            yield f"{indent}removeAllPrivateTags"
        case nodes.If():
            yield from _ternary(node, indent) if _is_ternary(node) else _if_block(node, indent)
        case _:
            raise TypeError(type(node))


def _is_ternary(node: nodes.If) -> bool:
    """Whether branches are one action, or two of which the second is an `else`."""
    conditions = [condition is not None for condition, _ in node.branches]
    plain = (nodes.Assign, nodes.AssignIf, nodes.Initialize, nodes.Delete, nodes.Call)
    actions = all(len(body) == 1 and isinstance(body[0], plain) for _, body in node.branches)
    return actions and conditions in ([True], [True, False])


def _ternary(node: nodes.If, indent: str) -> Iterator[str]:
    actions = " : ".join(line for _, (action,) in node.branches for line in written_statement(action))
    condition = node.branches[0][0]
    if condition is None:
        raise TypeError(type(condition))
    yield f"{indent}{written_condition(condition)} ? {actions}"


def _if_block(node: nodes.If, indent: str) -> Iterator[str]:
    word = "if"
    for condition, body in node.branches:
        yield f"{indent}else {{" if condition is None else f"{indent}{word} ( {written_condition(condition)} ) {{"
        for statement in body:
            yield from written_statement(statement, indent + "  ")
        yield indent + "}"
        word = "elseif"
