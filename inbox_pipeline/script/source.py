"""From the text of a script to the text that is tokenized, and back from an offset to line and column.

Belongs here: line ends, line continuation, comments (dicomedit specification 1.1). Does not belong here: tokens.
"""

import re
from bisect import bisect_right

from inbox_pipeline.script.errors import Place, ScriptError

MAX_SCRIPT_CHARACTERS = 1_000_000
_SURROGATE = re.compile("[\ud800-\udfff]")
_COMMENT = re.compile(r'"(?:\\.|[^"\\])*(?:"|$)|(?<!:)//.*|.', re.DOTALL)


class Source:
    """A script's logical text: continued lines are joined and comments are gone.

    Raises ScriptError if it is too long or no Unicode text.

    `lines` are the lines as they were typed.
    """

    def __init__(self, original: str) -> None:
        self.lines = original.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
        self._starts: list[int] = []
        self._lines_at: list[int] = []
        self._pieces: list[str] = []
        self._length = 0
        if len(original) > MAX_SCRIPT_CHARACTERS:
            raise ScriptError(f"a script may have at most {MAX_SCRIPT_CHARACTERS} characters", Place(1, 1, ""))
        self._join()
        self.text = "".join(self._pieces)
        surrogate = _SURROGATE.search(self.text)
        if surrogate:
            raise self.error("this is half a character: the script is no Unicode text", surrogate.start())

    def place(self, offset: int) -> Place:
        """The place of a character of `text` in the script as it was typed."""
        index = max(bisect_right(self._starts, offset) - 1, 0)
        line = self._lines_at[index]
        typed = self.lines[line]
        return Place(line + 1, min(offset - self._starts[index], len(typed)) + 1, typed)

    def line(self, offset: int) -> int:
        """The line, counted from 1, of a character of `text`."""
        return self._lines_at[max(bisect_right(self._starts, offset) - 1, 0)] + 1

    def error(self, message: str, offset: int) -> ScriptError:
        """A ScriptError at a character of `text`."""
        return ScriptError(message, self.place(offset))

    def _join(self) -> None:
        """Join every line that ends with a backslash with the next, and strip the comments of what results."""
        group: list[int] = []
        for number, line in enumerate(self.lines):
            group.append(number)
            if not (line.endswith("\\") and number + 1 < len(self.lines)):
                self._add(group)
                group = []

    def _add(self, group: list[int]) -> None:
        """Add one logical line, made of the physical lines of `group`."""
        *continued, last = group
        parts = [self.lines[number][:-1] for number in continued] + [self.lines[last]]
        offset = self._length
        for number, part in zip(group, parts, strict=True):
            self._starts.append(offset)
            self._lines_at.append(number)
            offset += len(part)
        joined = "".join(parts)
        self._pieces.append(_without_comment(joined).ljust(len(joined)) + "\n")
        self._length = offset + 1


def _without_comment(line: str) -> str:
    """The line up to a `//` that is neither in a double-quoted string nor just behind a colon."""
    if "//" not in line:
        return line
    end = next((m.start() for m in _COMMENT.finditer(line) if m.group().startswith("//")), len(line))
    return line[:end]
