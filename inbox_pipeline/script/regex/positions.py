"""Conditions on a position in a text, as java.util.regex has them.

Belongs here: starts, ends and borders of words. Does not belong here: syntax.
"""

from inbox_pipeline.script.regex.classes import LINE_ENDS, is_word
from inbox_pipeline.script.regex.tree import Holds


def text_start(text: str, at: int) -> bool:
    """The start of the text."""
    return at == 0


def text_end(text: str, at: int) -> bool:
    """The end of the text."""
    return at == len(text)


def last_line_end(text: str, at: int) -> bool:
    """The end of the text, or before the line end that ends it."""
    rest = text[at : at + 3]
    return not rest or (rest == "\r\n") or (len(rest) == 1 and rest in LINE_ENDS and not _inside(text, at))


def line_start(text: str, at: int) -> bool:
    """The start of the text or of a line that is not empty at the end of the text."""
    return at == 0 or (at < len(text) and text[at - 1] in LINE_ENDS and not _inside(text, at))


def line_end(text: str, at: int) -> bool:
    """The end of the text or of a line."""
    return at == len(text) or (text[at] in LINE_ENDS and not _inside(text, at))


def word_border(text: str, at: int) -> bool:
    """A border between what belongs to a word and what does not."""
    before = at > 0 and is_word(text[at - 1])
    return before != (at < len(text) and is_word(text[at]))


def no_word_border(text: str, at: int) -> bool:
    """Anywhere else."""
    return not word_border(text, at)


def _inside(text: str, at: int) -> bool:
    """Whether the position is between the two characters of one line end."""
    return at > 0 and text[at - 1 : at + 1] == "\r\n"


ESCAPED: dict[str, Holds] = {
    "b": word_border,
    "B": no_word_border,
    "A": text_start,
    "z": text_end,
    "Z": last_line_end,
}
"""Conditions by the letter behind a backslash."""
