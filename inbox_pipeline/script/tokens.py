"""Reading tokens from a script, one at a time, as the grammar asks for them.

Belongs here: the table of tokens (dicomedit specification 1.2 and 1.4) and the verbs that read them.
Does not belong here: grammar rules. A token is read only where a rule expects it, so `(` before a name is never
taken for the start of a tag.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from inbox_pipeline.script.errors import ScriptError
from inbox_pipeline.script.source import Source

MAX_DEPTH = 60
"""How deep blocks, lists, calls and conditions may stand in each other."""

_NAME = r"[^{}\x00-\x1f\x7f\x85\u2028\u2029]"
_HEX = "[0-9A-Fa-fXx@#]"
_RULES = {
    "NL": r"(?:[ \t]*\n)+",
    "ID": r"[A-Za-z_][A-Za-z0-9_]*",
    "FLOAT": r"(?:0|-?[1-9][0-9]*)\.[0-9]+(?![A-Za-z0-9_])",
    "INTEGER": r"(?:0|-?[1-9][0-9]*)(?![A-Za-z0-9_.])",
    "STRING": r'"(?:[^"\\\n]|\\[nrtbf()\\]|\\[0-7]{3})*"',
    "STRING42": r'"(?:[^"\\\n]|\\[btnfr"\'\\])*"',
    "PUBLIC": rf"\(({_HEX}{{3}}[02468ACEace@])[ \t]*,[ \t]*({_HEX}{{4}})\)",
    "PRIVATE": rf"\(({_HEX}{{3}}[13579BDFbdf#])[ \t]*,[ \t]*\{{({_NAME}+)\}}[ \t]*({_HEX}{{2}})\)",
    "ABSOLUTE": rf"\(({_HEX}{{4}})[ \t]*,[ \t]*({_HEX}{{4}})\)",
    "TAGLIKE": r"\([ \t]*[0-9A-Fa-fXx@#]{4}[ \t]*,[^()\n]*\)?",
    "ITEM": r"\[[ \t]*(%|0|[1-9][0-9]{0,8})[ \t]*\]",
    "ASSIGN": r":=",
    "ASSIGN_IF": r"\?=",
    "COMPARE": r"=|!=|~|!~",
    "COMPARE42": r"=|~",
    "QUESTION": r"\?(?!=)",
    "COLON": r":(?!=)",
    "MINUS": r"-",
    "SLASH": r"/",
    "COMMA": r",",
    "LEVELS": r"[*+.]",
    "(": r"\(",
    ")": r"\)",
    "[": r"\[",
    "]": r"\]",
    "{": r"\{",
    "}": r"\}",
    "END": r"\Z",
}
_COMPILED = {name: re.compile(rule) for name, rule in _RULES.items()}
_BLANKS = re.compile(r"[ \t]*")
_GOOD_STRING = re.compile(r'"(?:[^"\\\n]|\\[nrtbf()\\]|\\[0-7]{3})*')


@dataclass(frozen=True)
class Token:
    """A token: the rule that read it, its text, its offset, and the rule's own parts."""

    name: str
    text: str
    offset: int
    parts: tuple[str, ...]


class Tokenizer:
    """A position in a source and the verbs `check`, `consume`, `read` and `expect` that move it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.offset = 0
        self._depth = 0
        self._skip_blanks()

    def check(self, name: str) -> Token | None:
        """The token of that name if it is next, without moving."""
        match = _COMPILED[name].match(self.source.text, self.offset)
        return Token(name, match.group(), match.start(), match.groups()) if match else None

    def consume(self, name: str) -> Token | None:
        """The token of that name if it is next; moves behind it and the blanks that follow."""
        token = self.check(name)
        if token:
            self.offset = token.offset + len(token.text)
            self._skip_blanks()
        return token

    def expect(self, name: str, wanted: str) -> Token:
        """The token of that name. Raises ScriptError, saying what was wanted, if another stands there."""
        return self.consume(name) or self.fail(f"{wanted} expected")

    def word(self, *words: str) -> Token | None:
        """The name token if it is next and one of `words`; moves behind it."""
        token = self.check("ID")
        return self.consume("ID") if token and token.text in words else None

    def skip_lines(self) -> None:
        """Move behind any line ends."""
        self.consume("NL")

    def enter(self) -> None:
        """Go one level deeper. Raises ScriptError beyond MAX_DEPTH."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} constructs stand in each other")

    def leave(self) -> None:
        """Go one level up."""
        self._depth -= 1

    def fail(self, message: str, offset: int | None = None) -> NoReturn:
        """Raise a ScriptError at `offset`, by default at the next token."""
        raise self.error(message, offset)

    def error(self, message: str, offset: int | None = None) -> ScriptError:
        """A ScriptError at `offset`, by default at the next token."""
        return self.source.error(message, self.offset if offset is None else offset)

    def fail_string(self) -> NoReturn:
        """Raise the ScriptError that says what is wrong with the string that begins here."""
        match = _GOOD_STRING.match(self.source.text, self.offset)
        end = match.end() if match else self.offset
        if self.source.text.startswith("\\", end):
            self.fail(
                "this escape is not known in a string; a backslash itself, as in a regular expression, is typed twice",
                end,
            )
        self.fail("the string is not closed on its line", self.offset)

    def _skip_blanks(self) -> None:
        match = _BLANKS.match(self.source.text, self.offset)
        self.offset = match.end() if match else self.offset
