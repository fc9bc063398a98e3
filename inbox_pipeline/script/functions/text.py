"""Functions on text (dicomedit specification 3.1).

Belongs here: functions that only compute. Does not belong here: anything that edits the data set.
"""

import re

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions.registry import Argument, Context, Function
from inbox_pipeline.script.regex import compiled

_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_PLACEHOLDER = re.compile(r"\{\s*([0-9]{1,4})\s*\}")
MAX_TEXT = 1_000_000
"""Longest text that a function makes."""


def integer(context: Context, argument: Argument) -> int:
    """The integer that an argument holds, within Java's range. Raises Failure."""
    return integer_of(context.needed(argument))


def integer_of(text: str) -> int:
    """The integer that a text is, within Java's range. Raises Failure."""
    text = text.strip()
    if not _INTEGER.fullmatch(text) or not -(2**31) <= int(text) < 2**31:
        raise Failure("an integer is needed here")
    return int(text)


def _substring(context: Context, arguments: list[Argument]) -> str:
    text = context.needed(arguments[0])
    begin, end = integer(context, arguments[1]), integer(context, arguments[2])
    if not 0 <= begin <= end <= len(text):
        raise Failure("the text has no such part", _path(arguments[0]))
    return text[begin:end]


def _concatenate(context: Context, arguments: list[Argument]) -> str:
    return _short_enough("".join(context.needed(argument) for argument in _spread(arguments)))


def _format(context: Context, arguments: list[Argument]) -> str:
    texts = [context.text(argument) for argument in _spread(arguments[1:])]
    return formatted(context.needed(arguments[0]), ["null" if text is None else text for text in texts])


def formatted(pattern: str, texts: list[str]) -> str:
    """The pattern filled as java.text.MessageFormat does with texts. Raises Failure for a bad pattern."""
    made, at, length = [], 0, 0
    while at < len(pattern):
        piece, at = _piece(pattern, at, texts)
        made.append(piece)
        length += len(piece)
        if length > MAX_TEXT:
            raise Failure("the text becomes too long")
    return "".join(made)


def _short_enough(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise Failure("the text becomes too long")
    return text


def _piece(pattern: str, at: int, texts: list[str]) -> tuple[str, int]:
    """The text that the piece of the pattern at `at` makes, and where the next begins."""
    if pattern.startswith("''", at):
        return "'", at + 2
    if pattern[at] == "'":
        return _quoted(pattern, at + 1)
    if pattern[at] != "{":
        return pattern[at], at + 1
    match = _PLACEHOLDER.match(pattern, at)
    if match is None:
        raise Failure("the format has a brace that begins no {number}")
    index = int(match[1])
    return texts[index] if index < len(texts) else f"{{{index}}}", match.end()


def _quoted(pattern: str, at: int) -> tuple[str, int]:
    """The literal text from behind a quote up to the next single one, or to the end."""
    made = ""
    while at < len(pattern):
        if pattern.startswith("''", at):
            made, at = made + "'", at + 2
        elif pattern[at] == "'":
            return made, at + 1
        else:
            made, at = made + pattern[at], at + 1
    return made, at


def _lowercase(context: Context, arguments: list[Argument]) -> str:
    return context.needed(arguments[0]).lower()


def _uppercase(context: Context, arguments: list[Argument]) -> str:
    return context.needed(arguments[0]).upper()


def _replace(context: Context, arguments: list[Argument]) -> str:
    text, old, new = (context.needed(argument) for argument in arguments)
    if len(text) + text.count(old) * len(new) > MAX_TEXT:
        raise Failure("the text becomes too long")
    return text.replace(old, new)


def _match(context: Context, arguments: list[Argument]) -> str | None:
    text, pattern = context.needed(arguments[0]), context.needed(arguments[1])
    return compiled(pattern).group(text, integer(context, arguments[2]))


def _ismatch(context: Context, arguments: list[Argument]) -> str:
    text, pattern = context.needed(arguments[0]), context.needed(arguments[1])
    return "true" if compiled(pattern).whole(text) else "false"


def _normalize_string(context: Context, arguments: list[Argument]) -> str | None:
    text = context.text(arguments[0])
    replacement = context.needed(arguments[1]) if len(arguments) > 1 else "_"
    return None if text is None else "".join(char if char.isascii() else replacement for char in text)


def _lookup(context: Context, arguments: list[Argument]) -> str | None:
    kind, key = context.needed(arguments[0]), context.text(arguments[1])
    return None if key is None else context.services.lookup.get(f"{kind}/{key}")


def _spread(arguments: list[Argument]) -> list[Argument]:
    """The arguments with lists replaced by their members."""
    return [
        member for argument in arguments for member in (_spread(argument) if isinstance(argument, list) else [argument])
    ]


def _path(argument: Argument) -> str | None:
    return None if argument is None or isinstance(argument, (str, list)) else str(argument)


FUNCTIONS = {
    "substring": Function(_substring, 3, 3, "6.0"),
    "concatenate": Function(_concatenate, 1, None, "6.0"),
    "format": Function(_format, 1, None, "6.0"),
    "lowercase": Function(_lowercase, 1, 1, "6.0"),
    "uppercase": Function(_uppercase, 1, 1, "6.0"),
    "replace": Function(_replace, 3, 3, "6.0"),
    "match": Function(_match, 3, 3, "6.3"),
    "ismatch": Function(_ismatch, 2, 2, "6.3"),
    "normalizeString": Function(_normalize_string, 1, 2, "6.6"),
    "lookup": Function(_lookup, 2, 2, "6.0"),
}
