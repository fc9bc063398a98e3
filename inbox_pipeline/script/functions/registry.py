"""What a function of the language is, and what it may ask of the application that calls it.

Belongs here: the types that functions and the evaluator share. Does not belong here: any function.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from inbox_pipeline.script.edits import Edits
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.levels import Root
from inbox_pipeline.script.places import Spot, find, one
from inbox_pipeline.script.regex import Pattern, compiled
from inbox_pipeline.script.tagpath import TagPath, path_from_text

MAX_TEXT = 1_000_000
"""Longest text that a function makes."""

_PATTERN_WORK = 20


class Void:
    """The result of a function that has none."""


VOID: Final = Void()

Argument = str | None | TagPath | list["Argument"]
"""Text, no value, a path that the function reads or takes as a location, or a list of these."""

Result = str | None | list[Argument] | Void


class Rejected(Exception):
    """A script asked for the instance to be dropped."""


class UidProvider(Protocol):
    """Where scripts get UIDs that are not computed from the value alone (dicomedit specification 3.2)."""

    def new_uid(self, script_digest: str, call: int) -> str:
        """A UID for the `call`-th (from 0) call of `newUID` in this application of the script."""
        ...

    def mapped_uid(self, prefix: str, value: str) -> str:
        """A UID that begins with `prefix` and a dot, always the same one for the same prefix and value."""
        ...


@dataclass(frozen=True)
class Services:
    """What a script was compiled with: its digest and the tables and permissions that its functions use."""

    digest: str
    lookup: dict[str, str]
    fetch: Callable[[str], str] | None = None


@dataclass
class Context:
    """One application of a script, as its functions see it."""

    root: Root
    edits: Edits
    services: Services
    uids: UidProvider
    ignore_rejection: bool = False
    new_uids: int = field(default=0)

    def text(self, argument: Argument) -> str | None:
        """The text of an argument; a path is read. None if there is no value. Raises Failure for a list."""
        if isinstance(argument, list):
            raise Failure("a list cannot stand where one value is needed")
        return self.read(argument) if isinstance(argument, TagPath) else argument

    def read(self, path: TagPath) -> str | None:
        """The text of the element that a singular path means; None if it is missing. Raises Failure."""
        spot = one(self.root, path)
        if spot is None:
            return None
        if spot.item is not None:
            raise Failure("an item has no text", spot.path)
        try:
            return spot.level.text(spot.tag)
        except Failure as failure:
            raise Failure(failure.message, failure.tag or spot.path) from None

    def matches(self, text: str, pattern: str) -> bool:
        """Whether the whole text matches a regular expression. Raises Failure."""
        return self.pattern(pattern).whole(text, self.edits.spend)

    def pattern(self, text: str) -> Pattern:
        """A regular expression. Raises Failure if it is none."""
        self.edits.spend(_PATTERN_WORK * len(text))
        return compiled(text)

    def made(self, text: str) -> str:
        """A text that a function has made. Raises Failure if it, or all of them together, is too long."""
        if len(text) > MAX_TEXT:
            raise Failure("the text becomes too long")
        self.edits.spend(len(text))
        return text

    def needed(self, argument: Argument) -> str:
        """The text of an argument that must have a value. Raises Failure if it has none."""
        text = self.text(argument)
        if text is None:
            raise Failure("a value that is needed here is missing", _name(argument))
        return text

    def spots(self, argument: Argument) -> list[Spot]:
        """The existing elements that a path, a path in quotes, or a list of these means. Raises Failure."""
        if argument is None:
            raise Failure("a tag path is needed here, and there is no value")
        if isinstance(argument, list):
            return [spot for member in argument for spot in self.spots(member)]
        return find(self.root, argument if isinstance(argument, TagPath) else path_from_text(argument))


@dataclass(frozen=True)
class Function:
    """A function: how it is called and since which version of the language it exists."""

    run: Callable[[Context, list[Argument]], Result]
    minimum: int
    maximum: int | None
    since: str

    def accepts(self, count: int) -> bool:
        """Whether it can be called with that many arguments."""
        return count >= self.minimum and (self.maximum is None or count <= self.maximum)

    @property
    def arity(self) -> str:
        """How many arguments it takes, in words."""
        if self.maximum is None:
            return f"{self.minimum} or more arguments" if self.minimum else "any number of arguments"
        if self.minimum == self.maximum:
            return f"{self.minimum} argument" + ("" if self.minimum == 1 else "s")
        return f"{self.minimum} to {self.maximum} arguments"


def _name(argument: Argument) -> str | None:
    return str(argument) if isinstance(argument, TagPath) else None
