"""Tag paths: which elements a piece of script means (dicomedit specification 1.4).

Belongs here: tags with digit wildcards, private creators, item numbers, level wildcards, and their grammar.
Does not belong here: looking anything up in a data set.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache

from inbox_pipeline.script.errors import Failure, ScriptError
from inbox_pipeline.script.source import Source
from inbox_pipeline.script.tokens import Token, Tokenizer

EVERY_ITEM = -1
"""The item index that `[%]` stands for."""

_PORTABLE_CREATOR = re.compile(r"[A-Za-z][A-Za-z0-9 _.:-]*")
_DIRECT = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)(?:\[([0-9]{1,9})\])?(?=/|$)/?")


@dataclass(frozen=True)
class Digits:
    """Hexadecimal digits of which some may be wildcards: a number matches if `number & mask == value`."""

    text: str
    mask: int
    value: int

    @classmethod
    def of(cls, text: str) -> "Digits":
        """From text in which `X` is any digit, `@` an even one, `#` an odd one."""
        mask = value = 0
        for digit in text:
            digit_mask, digit_value = {"X": (0, 0), "@": (1, 0), "#": (1, 1)}.get(digit.upper()) or (15, int(digit, 16))
            mask, value = mask << 4 | digit_mask, value << 4 | digit_value
        return cls(text.upper(), mask, value)

    @cached_property
    def exact(self) -> bool:
        """Whether there is no wildcard."""
        return self.mask + 1 == 1 << 4 * len(self.text)

    def matches(self, number: int) -> bool:
        """Whether a number of as many digits is meant."""
        return number & self.mask == self.value


@dataclass(frozen=True)
class Tag:
    """One segment that names elements. `creator` is None for a public tag, else `element` has two digits.

    `item` is None if the segment has no index, EVERY_ITEM for `[%]`.
    """

    group: Digits
    element: Digits
    creator: str | None = None
    item: int | None = None

    @cached_property
    def exact(self) -> bool:
        """Whether there is no digit wildcard."""
        return self.group.exact and self.element.exact

    @cached_property
    def number(self) -> int:
        """The tag as one number; of a private tag the block is missing."""
        return self.group.value << 16 | self.element.value

    @cached_property
    def mask(self) -> int:
        """The bits of a tag that must be those of `number`."""
        return self.group.mask << 16 | self.element.mask

    def may_be_among(self, tags: Collection[int]) -> bool:
        """Whether an element that is meant may have one of these tags."""
        if self.exact and self.creator is None:
            return self.number in tags
        mask, number = self.mask, self.number
        return any(tag & mask == number for tag in tags)

    def __str__(self) -> str:
        creator = f"{{{self.creator}}}" if self.creator is not None else ""
        item = {None: "", EVERY_ITEM: "[%]"}.get(self.item, f"[{self.item}]")
        return f"({self.group.text},{creator}{self.element.text}){item}"


@dataclass(frozen=True)
class Levels:
    """A segment that stands for levels: `*` zero or more, `+` one or more, `.` exactly one."""

    sign: str

    def __str__(self) -> str:
        return self.sign


@dataclass(frozen=True)
class TagPath:
    """A path of one or more segments."""

    segments: tuple[Tag | Levels, ...]

    @cached_property
    def singular(self) -> bool:
        """Whether at most one element can be meant: no wildcard, and an index on every segment that has a child."""
        *parents, last = self.segments
        indexed = all(isinstance(s, Tag) and s.item is not None and s.item >= 0 for s in parents)
        exact = all(isinstance(s, Tag) and s.exact and s.item != EVERY_ITEM for s in self.segments)
        return indexed and exact and isinstance(last, Tag)

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """The segments of a path without level wildcards."""
        return tuple(segment for segment in self.segments if isinstance(segment, Tag))

    @cached_property
    def number(self) -> int | None:
        """The tag of a path that is one public tag of the root without wildcards or index; else None."""
        first, *rest = self.segments
        if rest or not isinstance(first, Tag) or not first.exact or first.creator is not None or first.item is not None:
            return None
        return first.number

    def may_end_in(self, reach: Collection[int] | None) -> bool:
        """Whether an element that is meant may have one of these tags; None stands for any tag."""
        last = self.segments[-1]
        return reach is None or isinstance(last, Levels) or last.may_be_among(reach)

    @property
    def portable(self) -> bool:
        """Whether XNAT's lexer accepts every creator of the path."""
        return all(tag.creator is None or _PORTABLE_CREATOR.fullmatch(tag.creator) for tag in self.tags)

    def __str__(self) -> str:
        return "/".join(map(str, self.segments))


def at_tagpath(tokens: Tokenizer) -> bool:
    """Whether a tag path, perhaps a wrong one, begins at the next token."""
    return bool(tokens.check("LEVELS") or tokens.check("TAGLIKE"))


def tagpath(tokens: Tokenizer) -> TagPath:
    """tagpath = { segment "/" } segment ;"""
    segments = [_segment(tokens)]
    while tokens.consume("SLASH"):
        segments.append(_segment(tokens))
    return TagPath(tuple(segments))


def _segment(tokens: Tokenizer) -> Tag | Levels:
    """segment = tag [ "[" ( INTEGER | "%" ) "]" ] | "*" | "+" | "." ;"""
    levels = tokens.consume("LEVELS")
    if levels:
        return Levels(levels.text)
    group, element, creator = _tag(tokens)
    index = tokens.consume("ITEM")
    item = None if index is None else EVERY_ITEM if index.parts[0] == "%" else int(index.parts[0])
    return Tag(Digits.of(group), Digits.of(element), creator, item)


def _tag(tokens: Tokenizer) -> tuple[str, str, str | None]:
    """tag = public_tag | private_tag ; group, element and creator of it."""
    public = tokens.consume("PUBLIC")
    if public:
        return public.parts[0], public.parts[1], None
    private = tokens.consume("PRIVATE")
    if private:
        return private.parts[0], private.parts[2], private.parts[1].strip()
    raise tokens.error(_what_is_wrong(tokens.check("TAGLIKE")))


def _what_is_wrong(tag: Token | None) -> str:
    if tag is None:
        return "a tag path expected"
    if re.match(r"\([ \t]|.*[ \t]\)$", tag.text):
        return "no blank may stand directly inside the parentheses of a tag"
    if tag.text[4] in "Xx":
        return "the last digit of a group tells public from private: use @ (even) or # (odd), not X"
    if tag.text[4] in "13579BDFbdf#":
        return "a private tag is written (gggg,{creator}ee)"
    return "a public tag is written (gggg,eeee)"


@lru_cache(maxsize=2_000)
def path_from_text(text: str) -> TagPath:
    """A tag path that stands in quotes, as functions take it. Raises Failure."""
    tokens = Tokenizer(Source(text.strip()))
    try:
        path = tagpath(tokens)
    except ScriptError as error:
        raise Failure(f"a tag path in quotes is not valid: {error.message}") from None
    tokens.skip_lines()
    if not tokens.check("END"):
        raise Failure("a tag path in quotes is not valid: more follows behind its end")
    return path


@lru_cache(maxsize=2_000)
def direct_path(text: str) -> tuple[tuple[int, int | None], ...]:
    """Tags with items in direct notation, `"(gggg,eeee)[n]/(gggg,eeee)"` with absolute numbers. Raises Failure."""
    compact = "".join(text.split())
    parts, end = [], 0
    while match := _DIRECT.match(compact, end):
        group, element, item = match.groups()
        parts.append((int(group, 16) << 16 | int(element, 16), None if item is None else int(item)))
        end = match.end()
    parents = parts[:-1]
    if not parts or end != len(compact) or compact.endswith("/") or any(item is None for _, item in parents):
        raise Failure("direct notation is (gggg,eeee), with [n]/ behind every sequence on the way")
    return tuple(parts)
