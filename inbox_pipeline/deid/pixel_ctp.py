"""Scripts of CTP's DicomPixelAnonymizer as our pixel rules.

Belongs here: their language: signatures in braces, regions in parentheses behind them, all else is comment. Does not
belong here: any of its scripts; users bring theirs.

A signature is made of `identifier.method("text")` with `*` (and), `+` (or), `!` (not) and parentheses; `*` binds closer
than `+`. An identifier is a keyword or `[gggg,eeee]`; `::` leads into the first item of a sequence. A region is
`(left,top,width,height)`. The first signature that matches decides, as with our rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from inbox_pipeline.deid.pixel_conditions import AnyOf, Comparison, Condition
from inbox_pipeline.deid.pixel_facts import Path
from inbox_pipeline.deid.pixel_import import (
    MOST_TERMS,
    Imported,
    both,
    bounded,
    either,
    expression,
    known_path,
    negated,
    rooted,
)
from inbox_pipeline.deid.pixel_rules import Area, Rule
from inbox_pipeline.deid.pixel_yaml import DEEPEST, Fault
from inbox_pipeline.script.pixels import Rectangle

_METHODS = {
    "equals": ("equals", True),
    "equalsignorecase": ("equals", False),
    "contains": ("contains", True),
    "containsignorecase": ("contains", False),
    "startswith": ("starts", True),
    "startswithignorecase": ("starts", False),
    "endswith": ("ends", True),
    "endswithignorecase": ("ends", False),
    "islessthan": ("less", False),
    "isgreaterthan": ("greater", False),
}
_EMPTY_FITS = frozenset({"equals", "contains", "starts", "ends"})
_TOKEN = re.compile(
    r'(?:(?P<term>(?P<name>[\[\]\w,:]+)\s*\.\s*(?P<method>\w+)\s*\(\s*"(?P<text>[^"]*)"\s*\))'
    r"|(?P<sign>[*+!()]))",
)
_REGION = re.compile(r"\(([^(){}]*)\)")
_BRACKET = re.compile(r"[(){}]")
_SIDES = re.compile(r"\s*([0-9]{1,5})\s*,\s*([0-9]{1,5})\s*,\s*([0-9]{1,5})\s*,\s*([0-9]{1,5})\s*")


def import_ctp(text: str, source: str) -> Imported:
    """Return the rules of a script; what cannot be converted is refused by its line.

    Args:
        text: the script.
        source: what the rules' citations call it.
    """
    found = Imported()
    try:
        for section in _sections(bounded(text)):
            _convert(section, source, found)
    except Fault as fault:
        found.refused.append(fault)
    return found


class _Section:
    """One signature, the regions behind it, the comment before it; `stray` is where a bracket belongs to neither."""

    def __init__(self, text: str, comment: str, signature: tuple[int, int], end: int) -> None:
        self._text, self.comment = text, comment
        self.start, self.stop = signature
        self.regions = list(_REGION.finditer(text, self.stop + 1, end))
        self.signature = text[self.start + 1 : self.stop]
        rest = _REGION.sub(lambda match: " " * len(match[0]), text[self.stop + 1 : end])
        self.stray = next((self.stop + 1 + match.start() for match in _BRACKET.finditer(rest)), None)
        self.line = self.line_of(self.start)

    def line_of(self, at: int) -> int:
        """Return the line of a position in the script."""
        return self._text.count("\n", 0, at) + 1


def _sections(text: str) -> Iterator[_Section]:
    """Raises Fault for braces that do not pair."""
    starts = [match.start() for match in re.finditer(r"\{", text)]
    after = 0
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(text)
        stop = text.find("}", start, end)
        if stop < 0:
            raise Fault(text.count("\n", 0, start) + 1, "a brace without its partner")
        comment = _REGION.sub("", text[after:start])
        after = stop + 1
        yield _Section(text, comment, (start, stop), end)


def _convert(section: _Section, source: str, found: Imported) -> None:
    try:
        condition = rooted(_Signature(section).read(), section.line)
        areas = tuple(_rectangle(section, match) for match in section.regions)
        if section.stray is not None:
            raise Fault(section.line_of(section.stray), "a parenthesis or brace without its partner")
        if not areas:
            raise Fault(section.line, "a signature without regions: say with a rule of your own what becomes of it")
    except Fault as fault:
        found.refused.append(fault)
        return
    name = found.name(_title(section.comment), section.line)
    citation = f"{source}, line {section.line}"
    found.rules.append(Rule(name, section.line, condition, "blank", Area(areas), citation))


def _title(comment: str) -> str:
    """The last line of a comment that says something."""
    lines = [line.strip(" \t*-=#") for line in comment.splitlines()]
    return next((line for line in reversed(lines) if line), "CTP")


def _rectangle(section: _Section, match: re.Match[str]) -> Rectangle:
    line, sides = section.line_of(match.start()), _SIDES.fullmatch(match[1])
    if sides is None:
        raise Fault(line, "a region is (left,top,width,height)")
    left, top, width, height = map(int, sides.groups())
    if not width or not height:
        raise Fault(line, "a region without extent")
    return Rectangle(left, top, left + width, top + height)


class _Signature:
    """A recursive descent through one signature."""

    def __init__(self, section: _Section) -> None:
        self._section = section
        self._at = self._depth = self._tokens = 0
        self._next: re.Match[str] | None = None
        self._advance()

    def read(self) -> Condition:
        """Return the condition. Raises Fault."""
        condition = self._alternatives()
        if self._next is not None:
            raise self._fault("something is left over behind the signature")
        return condition

    def _advance(self) -> re.Match[str] | None:
        taken, text = self._next, self._section.signature
        self._next, self._tokens = None, self._tokens + 1
        if self._tokens > 4 * MOST_TERMS:
            raise self._fault(f"more than {MOST_TERMS} terms")
        while self._at < len(text) and text[self._at].isspace():
            self._at += 1
        if self._at < len(text):
            self._next = _TOKEN.match(text, self._at)
            if self._next is None:
                raise self._fault('what is no term identifier.method("text"), operator or parenthesis')
            self._at = self._next.end()
        return taken

    @property
    def _line(self) -> int:
        at = self._next.start() if self._next else self._at
        return self._section.line_of(self._section.start + 1 + at)

    def _fault(self, message: str) -> Fault:
        return Fault(self._line, message)

    def _sign(self) -> str | None:
        return self._next["sign"] if self._next else None

    def _alternatives(self) -> Condition:
        condition = self._conjunction()
        while self._sign() == "+":
            self._advance()
            condition = either(condition, self._conjunction())
        return condition

    def _conjunction(self) -> Condition:
        condition = self._factor()
        while self._sign() == "*":
            self._advance()
            condition = both(condition, self._factor())
        return condition

    def _factor(self) -> Condition:
        self._depth += 1
        if self._depth > DEEPEST // 2:
            raise self._fault("nested too deeply")
        try:
            if self._sign() == "!":
                self._advance()
                return negated(self._factor())
            if self._sign() == "(":
                return self._group()
            return self._term()
        finally:
            self._depth -= 1

    def _group(self) -> Condition:
        self._advance()
        condition = self._alternatives()
        if self._sign() != ")":
            raise self._fault("a parenthesis without its partner")
        self._advance()
        return condition

    def _term(self) -> Condition:
        if self._next is None or self._next["term"] is None:
            raise self._fault("a term is missing")
        match, line = self._next, self._line
        path = _path(match["name"], line)
        condition = _comparison(path, match["method"].lower(), match["text"], line)
        self._advance()
        return condition


def _path(name: str, line: int) -> Path:
    steps = [step for step in re.split(r"::?", name) if step]
    plain = "/".join(step.strip("[]") for step in steps)
    if not steps or any(("[" in step) != ("]" in step) for step in steps):
        raise Fault(line, "an element that no dictionary knows")
    return known_path(plain, line)


def _comparison(path: Path, method: str, operand: str, line: int) -> Condition:
    if "\\" in operand:
        raise Fault(line, "a backslash in a text, which may stand for itself or for what follows it")
    if method == "matches":
        return expression(path, f"^(?:{operand})$", line, exact=True)
    if method not in _METHODS:
        raise Fault(line, "a method that is not known")
    operator, exact = _METHODS[method]
    if operand:
        return Comparison(path, operator, operand, exact)
    if operator not in _EMPTY_FITS:
        raise Fault(line, "a number is needed here")
    if operator == "equals":
        return AnyOf((Comparison(path, "missing"), Comparison(path, "empty")))
    raise Fault(line, "a comparison with nothing always holds")
