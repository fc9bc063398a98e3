"""Reading a regular expression in the syntax of java.util.regex, one method per rule.

Belongs here: syntax. Does not belong here: sets of characters, running. What is not supported is refused with the
reason, never read in another sense. Every method raises Failure.
"""

import re
from dataclasses import dataclass, replace

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex import positions, tree
from inbox_pipeline.script.regex.brackets import bracket, escaped_class
from inbox_pipeline.script.regex.classes import ESCAPED, anything, exactly, no_line_end
from inbox_pipeline.script.regex.cursor import Cursor, character

MAX_DEPTH = 50
MAX_GROUPS = 200
_COUNTS = re.compile(r"\{([0-9]{1,4})(,([0-9]{1,4})?)?\}")
_FLAGS = re.compile(r"\?([ims]*)(?:-([ims]+))?([:)])")
_NAMED = re.compile(r"\?<([A-Za-z][A-Za-z0-9]*)>")
_LOOKS = {"?=": (False, False), "?!": (False, True), "?<=": (True, False), "?<!": (True, True)}
_SIGNS = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True)
class Flags:
    """The flags in force: `i`, `m` and `s`."""

    any_case: bool = False
    lines: bool = False
    dot_all: bool = False

    def changed(self, letters: str, value: bool) -> "Flags":
        """With some of them switched."""
        names = {"i": "any_case", "m": "lines", "s": "dot_all"}
        return replace(self, **{names[letter]: value for letter in letters})


class Reader:
    """One expression; `groups` counts its groups, `names` are their numbers by name."""

    def __init__(self, text: str) -> None:
        self._cursor = Cursor(text)
        self._flags = Flags()
        self._depth = 0
        self._highest = 0
        self.groups = 0
        self.names: dict[str, int] = {}

    def read(self) -> tree.Node:
        """The whole expression."""
        node = self._either()
        if not self._cursor.done:
            raise Failure("the regular expression has a ) without its (")
        if self._highest > self.groups:
            raise Failure("the regular expression names a group that it does not have")
        return node

    def _either(self) -> tree.Node:
        """either = row { "|" row } ; flags set inside end with it."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Failure("the groups of the regular expression are nested too deeply")
        flags = self._flags
        rows = [self._row()]
        while self._cursor.take("|"):
            rows.append(self._row())
        self._flags = flags
        self._depth -= 1
        return rows[0] if len(rows) == 1 else tree.Either(tuple(rows))

    def _row(self) -> tree.Node:
        """row = { part [ times ] } ;"""
        parts: list[tree.Node] = []
        while not self._cursor.done and self._cursor.peek not in "|)":
            part = self._part()
            if part is not None:
                parts.append(self._times(part))
        return parts[0] if len(parts) == 1 else tree.Row(tuple(parts))

    def _times(self, part: tree.Node) -> tree.Node:
        """times = ( "*" | "+" | "?" | "{" n [ "," [ m ] ] "}" ) [ "?" | "+" ] ;"""
        bounds = self._bounds()
        if bounds is None:
            return part
        repeat = tree.Repeat(part, *bounds, eager=not self._cursor.take("?"))
        return tree.Atomic(repeat) if repeat.eager and self._cursor.take("+") else repeat

    def _bounds(self) -> tuple[int, int | None] | None:
        if match := self._cursor.match(_COUNTS):
            least = int(match[1])
            most = least if match[2] is None else int(match[3]) if match[3] else None
            if most is not None and most < least:
                raise Failure("a repetition in the regular expression has its bounds in the wrong order")
            return least, most
        return _SIGNS[self._cursor.next()] if not self._cursor.done and self._cursor.peek in "*+?" else None

    def _part(self) -> tree.Node | None:
        """part = group | bracket | escape | "." | "^" | "$" | character ; None for flags that stand alone."""
        cursor, flags = self._cursor, self._flags
        char = cursor.next()
        if char == "(":
            return self._group()
        if char == "[":
            return tree.One(bracket(cursor, flags.any_case))
        if char == "\\":
            return self._escape()
        if char in "*+?{":
            raise Failure("the regular expression repeats nothing")
        return self._sign(char) or tree.One(exactly(char, flags.any_case))

    def _sign(self, char: str) -> tree.Node | None:
        """What a sign without parts stands for, or None if it is no sign."""
        if char == ".":
            return tree.One(anything if self._flags.dot_all else no_line_end)
        if char == "^":
            return tree.Where(positions.line_start if self._flags.lines else positions.text_start)
        if char == "$":
            return tree.Where(positions.line_end if self._flags.lines else positions.last_line_end)
        return None

    def _group(self) -> tree.Node | None:
        """group = "(" [ "?:" | "?>" | "?=" | "?!" | "?<=" | "?<!" | "?<" name ">" | "?" flags ] either ")" ;"""
        look = next((sign for sign in ("?<=", "?<!", "?=", "?!") if self._cursor.take(sign)), None)
        if look:
            return tree.Look(self._inner(), *_LOOKS[look])
        if self._cursor.take("?>"):
            return tree.Atomic(self._inner())
        if match := self._cursor.match(_NAMED):
            return self._numbered(match[1])
        if match := self._cursor.match(_FLAGS):
            return self._flagged(match[1], match[2] or "", alone=match[3] == ")")
        if self._cursor.take("?"):
            raise Failure("this kind of group is not supported in a regular expression")
        return self._numbered(None)

    def _flagged(self, on: str, off: str, *, alone: bool) -> tree.Node | None:
        before = self._flags
        self._flags = before.changed(on, True).changed(off, False)
        if alone:
            return None
        node = self._inner()
        self._flags = before
        return node

    def _numbered(self, name: str | None) -> tree.Node:
        self.groups += 1
        number = self.groups
        if number > MAX_GROUPS:
            raise Failure("the regular expression has too many groups")
        if name is not None:
            self.names[name] = number
        return tree.Group(number, self._inner())

    def _inner(self) -> tree.Node:
        node = self._either()
        if not self._cursor.take(")"):
            raise Failure("the regular expression has a ( without its )")
        return node

    def _escape(self) -> tree.Node:
        """escape = class | position | group again | character ;"""
        cursor, any_case = self._cursor, self._flags.any_case
        if cursor.done:
            raise Failure("the regular expression ends in a backslash")
        letter = cursor.peek
        if letter in positions.ESCAPED:
            return tree.Where(positions.ESCAPED[cursor.next()])
        if letter in "123456789":
            return self._again(any_case)
        if cursor.take("k<"):
            return tree.Again(self._named_group(cursor.until(">")), any_case)
        if cursor.take("R"):
            return tree.Either((_TWO_CHARACTERS, tree.One(ESCAPED["v"])))
        return tree.One(escaped_class(cursor) or exactly(character(cursor), any_case))

    def _again(self, any_case: bool) -> tree.Node:
        """A group by number: more digits belong to it as long as there are so many groups."""
        number = int(self._cursor.next())
        while not self._cursor.done and self._cursor.peek in "0123456789":
            longer = number * 10 + int(self._cursor.peek)
            if longer > self.groups:
                break
            number = longer
            self._cursor.next()
        self._highest = max(self._highest, number)
        return tree.Again(number, any_case)

    def _named_group(self, name: str) -> int:
        if name not in self.names:
            raise Failure("the regular expression names a group that it does not have")
        return self.names[name]


_TWO_CHARACTERS = tree.Row((tree.One("\r".__eq__), tree.One("\n".__eq__)))
