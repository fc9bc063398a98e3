"""The errors of the script language, and how they are shown.

Belongs here: error types that carry a place in a script. Does not belong here: any knowledge of the language.
No message holds an element's value: messages name lines and tags.
"""

from dataclasses import dataclass

_SHOWN_BEFORE, _SHOWN_BEHIND = 120, 80
"""How many characters of a long line are shown around a fault."""


@dataclass(frozen=True)
class Place:
    """A place in a script: `line` and `column` count from 1, `source_line` is that line as it was typed."""

    line: int
    column: int
    source_line: str


class ScriptError(ValueError):
    """A script that cannot be compiled or, as RunError, not be applied.

    `message` is the reason alone; the error's text adds the line, the source line and a caret under the fault.
    """

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message = message
        self.line = place.line
        self.column = place.column
        self.source_line = place.source_line

    def __str__(self) -> str:
        begin = max(0, self.column - 1 - _SHOWN_BEFORE)
        source = _printable(self.source_line[begin : self.column - 1 + _SHOWN_BEHIND])
        caret = " " * (self.column - 1 - begin) + "^"
        return f"line {self.line}, column {self.column}: {self.message}\n    {source}\n    {caret}"


def _printable(text: str) -> str:
    """The text, each character that does something else than to be seen replaced by one that stands for it."""
    return "".join(char if char.isprintable() else " " if char == "\t" else "\ufffd" for char in text)


class RunError(ScriptError):
    """An error while a script is applied to a data set. `tag` is the path of the element concerned, or None."""

    def __init__(self, message: str, place: Place, tag: str | None = None) -> None:
        super().__init__(f"{tag}: {message}" if tag else message, place)
        self.tag = tag


class Failure(Exception):
    """What a function or an edit raises when it cannot go on; the evaluator adds the place and makes it a RunError."""

    def __init__(self, message: str, tag: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.tag = tag
