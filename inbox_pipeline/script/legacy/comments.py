"""The comments of a 4.2 script, by the statement that they stand at.

Belongs here: which comment goes where when statements move. Does not belong here: anything that has an effect.
"""

import re

from inbox_pipeline.script.legacy.nodes import Statement
from inbox_pipeline.script.source import Source

_STRING = re.compile(r'"(?:\\.|[^"\\])*"?')
_COMMENT = re.compile(r"(?<!:)//")
_NOTE = re.compile(r"[ \t]*(?:describe|export)\b")


class Comments:
    """Comments above a statement, behind it, and behind the last one. Each is given out once."""

    def __init__(self, source: Source, statements: tuple[Statement, ...]) -> None:
        self._above: dict[int, list[str]] = {}
        self._behind: dict[int, list[str]] = {}
        self._first: list[str] = []
        self._last: list[str] = []
        places = {source.line(statement.at): statement.at for statement in statements}
        waiting: list[str] = []
        for number, line in enumerate(source.lines, 1):
            comment = _comment_of(line)
            if number in places:
                if not self._above:
                    self._first, waiting = _header(waiting)
                self._above[places[number]] = waiting
                self._behind[places[number]] = [comment] if comment else []
                waiting = []
            elif comment is not None or not line.strip():
                waiting.append(comment or "")
            elif _NOTE.match(line):
                waiting.append(f"// {line.strip()}")
        self._last = waiting
        while self._last and not self._last[-1]:
            self._last.pop()

    def first(self) -> list[str]:
        """Comments at the top, up to the last blank line before a statement: they are about the script."""
        return self._first

    def above(self, at: int) -> list[str]:
        """Comments and blank lines above the statement at an offset."""
        return self._above.pop(at, [])

    def behind(self, at: int) -> list[str]:
        """The comment on the line of the statement at an offset."""
        return self._behind.pop(at, [])

    def last(self) -> list[str]:
        """Comments behind the last statement."""
        return self._last


def _header(lines: list[str]) -> tuple[list[str], list[str]]:
    """Comments up to the last blank line, and those behind it; without a blank line all are of the first kind."""
    end = max((number for number, line in enumerate(lines, 1) if not line), default=len(lines))
    return lines[:end], lines[end:]


def _comment_of(line: str) -> str | None:
    """The comment of a line, without a backslash that would swallow the next line."""
    found = _COMMENT.search(_STRING.sub(lambda string: "_" * len(string.group()), line))
    return line[found.start() :].rstrip().rstrip("\\").rstrip() if found else None
