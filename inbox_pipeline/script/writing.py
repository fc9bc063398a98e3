"""Values and conditions written as DicomEdit 6 text.

Belongs here: nodes back to text. Does not belong here: reading text, statements.
"""

import re

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
