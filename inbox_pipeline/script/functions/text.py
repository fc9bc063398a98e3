"""Functions on text (dicomedit specification 3.1).

Belongs here: functions that only compute. Does not belong here: anything that edits the data set.
"""

import re

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions.registry import MAX_TEXT, Argument, Context, Function

_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_PIECES = re.compile(r"''|'((?:[^']|'')*+)'?|\{\s*([0-9]{1,4})\s*\}|[^'{]+|(\{)")
_PIECE_WORK = 20


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
    return context.made(text[begin:end])


def _concatenate(context: Context, arguments: list[Argument]) -> str:
    texts = [context.needed(argument) for argument in _spread(arguments)]
    _check_length(sum(map(len, texts)))
    return context.made("".join(texts))


def _format(context: Context, arguments: list[Argument]) -> str:
    texts = [context.text(argument) for argument in _spread(arguments[1:])]
    pattern = context.needed(arguments[0])
    context.edits.spend(_PIECE_WORK * len(pattern))
    return context.made(formatted(pattern, ["null" if text is None else text for text in texts]))


def formatted(pattern: str, texts: list[str]) -> str:
    """The pattern filled as java.text.MessageFormat does with texts. Raises Failure for a bad pattern."""
    made, length = [], 0
    for match in _PIECES.finditer(pattern):
        made.append(_piece(match, texts))
        length += len(made[-1])
        _check_length(length)
    return "".join(made)


def _piece(match: re.Match[str], texts: list[str]) -> str:
    """The text that a piece of a pattern makes: two quotes, literal text in quotes, a number in braces, other text."""
    quoted, number, brace = match.groups()
    if brace:
        raise Failure("the format has a brace that begins no {number}")
    if number is not None:
        index = int(number)
        return texts[index] if index < len(texts) else f"{{{index}}}"
    if quoted is not None:
        return quoted.replace("''", "'")
    return "'" if match.group() == "''" else match.group()


def _check_length(length: int) -> None:
    if length > MAX_TEXT:
        raise Failure("the text becomes too long")


def _lowercase(context: Context, arguments: list[Argument]) -> str:
    return context.made(context.needed(arguments[0]).lower())


def _uppercase(context: Context, arguments: list[Argument]) -> str:
    return context.made(context.needed(arguments[0]).upper())


def _replace(context: Context, arguments: list[Argument]) -> str:
    text, old, new = (context.needed(argument) for argument in arguments)
    count = text.count(old)
    _check_length(len(text) + count * (len(new) - len(old)))
    return context.made(text.replace(old, new))


def _match(context: Context, arguments: list[Argument]) -> str | None:
    text, pattern = context.needed(arguments[0]), context.needed(arguments[1])
    return context.pattern(pattern).group(text, integer(context, arguments[2]), context.edits.spend)


def _ismatch(context: Context, arguments: list[Argument]) -> str:
    text, pattern = context.needed(arguments[0]), context.needed(arguments[1])
    return "true" if context.matches(text, pattern) else "false"


def _normalize_string(context: Context, arguments: list[Argument]) -> str | None:
    text = context.text(arguments[0])
    replacement = context.needed(arguments[1]) if len(arguments) > 1 else "_"
    if text is None or text.isascii():
        return text
    _check_length(len(text) + sum(not char.isascii() for char in text) * len(replacement))
    return context.made("".join(char if char.isascii() else replacement for char in text))


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
