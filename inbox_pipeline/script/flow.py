"""What is known at a point of a script: variables, elements that are there, edits whose result still stands.

Belongs here: that knowledge, and how branches are brought together again. Does not belong here: statements, sentences.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from inbox_pipeline.script import nodes
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.literals import leaves, path_in
from inbox_pipeline.script.regex import compiled
from inbox_pipeline.script.tagpath import EVERY_ITEM, Digits, Levels, Tag, TagPath
from inbox_pipeline.script.writing import written, written_condition

_ANYTHING = frozenset([".*", ".+", r"[\s\S]*", r"[\s\S]+"])


@dataclass(frozen=True)
class Facts:
    """Values, as written, of which something has been proved.

    `certain` are not null, an expression has matched those `tried`, and those `filled` are no empty text.
    """

    certain: frozenset[str] = frozenset()
    tried: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()

    def and_also(self, other: "Facts") -> "Facts":
        """What is proved here or there."""
        return Facts(self.certain | other.certain, self.tried | other.tried, self.filled | other.filled)


NOTHING = Facts()


@dataclass(frozen=True)
class Holding:
    """What is known of a value.

    `missing` are the paths and functions, as written, that may leave it without a value; `sources` are the elements
    that it is made of; `opaque` if something else takes part; `listed` if it is a list.
    """

    missing: frozenset[str] = frozenset()
    sources: frozenset[TagPath] = frozenset()
    opaque: bool = False
    listed: bool = False

    def having(self, certain: frozenset[str], name: str) -> "Holding":
        """What is known where these values, as written, are not null; `name` is what holds this one."""
        missing = frozenset() if name in certain else self.missing - certain
        return Holding(missing, self.sources, self.opaque, self.listed)

    def joined(self, other: "Holding") -> "Holding":
        """What is known if the value is this or the other, or is made of both."""
        return Holding(
            self.missing | other.missing,
            self.sources | other.sources,
            self.opaque or other.opaque,
            self.listed or other.listed,
        )


@dataclass
class Edit:
    """An assignment whose result stands until now; `computed` if its value was no literal."""

    path: TagPath
    block: tuple[int, ...]
    hashed: bool
    computed: bool
    used: bool = False


@dataclass
class Flow:
    """Knowledge at one point. `block` says in which branches of which conditions it lies."""

    block: tuple[int, ...] = ()
    conditions: frozenset[str] = frozenset()
    variables: dict[str, Holding] = field(default_factory=dict)
    perhaps: dict[str, tuple[frozenset[str], ...]] = field(default_factory=dict)
    certain: frozenset[str] = frozenset()
    tried: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()
    edits: dict[str, Edit] = field(default_factory=dict)
    deleted: dict[str, TagPath] = field(default_factory=dict)
    retained: tuple[TagPath, ...] | None = None
    ended: bool = False

    def branch(self, step: int, conditions: frozenset[str], facts: Facts) -> "Flow":
        """The flow at the begin of a branch, where facts hold."""
        return Flow(
            (*self.block, step),
            self.conditions | conditions,
            dict(self.variables),
            dict(self.perhaps),
            self.certain | facts.certain,
            self.tried | facts.tried,
            self.filled | facts.filled,
            self.replaced,
            dict(self.edits),
            dict(self.deleted),
            self.retained,
        )

    def join(self, branches: list["Flow"]) -> None:
        """Go on behind branches of which one was taken; those that end the script do not count."""
        going = [branch for branch in branches if not branch.ended]
        self.ended = not going
        if not going:
            return
        self._join_variables(going)
        self.certain = frozenset.intersection(*(branch.certain for branch in going))
        self.tried = frozenset.intersection(*(branch.tried for branch in going))
        self.filled = frozenset.intersection(*(branch.filled for branch in going))
        self.replaced = frozenset.intersection(*(branch.replaced for branch in going))
        everywhere = set.intersection(*(set(branch.deleted) for branch in going))
        self.deleted = {name: path for name, path in going[0].deleted.items() if name in everywhere}
        for branch in going:
            self.edits |= branch.edits
        kept = [branch.retained for branch in going]
        self.retained = kept[0] if all(each is not None for each in kept) else None

    def _join_variables(self, going: list["Flow"]) -> None:
        names = {name for branch in going for name in branch.variables}
        for branch in going:
            for name in branch.variables.keys() & names:
                if not all(name in other.variables for other in going):
                    self.perhaps[name] = (*self.perhaps.get(name, ()), branch.conditions)
            for name, under in branch.perhaps.items():
                self.perhaps[name] = tuple({*self.perhaps.get(name, ()), *under})
        for name in names:
            held = [branch.variables.get(name) for branch in going]
            known = [each for each in held if each is not None]
            if len(known) == len(going):
                self.variables[name] = _all(known)

    def know(self, path: TagPath) -> None:
        """An element is there from now on, with another value than it had."""
        self.certain |= {str(path)}
        self.replaced |= {str(path)}
        self.restore(path)

    def forget(self, path: TagPath) -> None:
        """Elements are gone from now on."""
        gone = {str(edit.path) for edit in _near(self.edits, path) if covers(path, edit.path)}
        for name in gone:
            del self.edits[name]
        self.certain -= {str(path), *gone}
        self.deleted[str(path)] = path
        self.replaced |= {str(path), *gone}

    def restore(self, path: TagPath) -> None:
        """An element may be there again."""
        for gone in self.deletions(path):
            del self.deleted[str(gone)]

    def deletions(self, path: TagPath) -> list[TagPath]:
        """The deletions above that an element went with."""
        begin = str(path)[:_TAG_LENGTH]
        near = [gone for name, gone in self.deleted.items() if name.startswith(begin) or not gone.singular]
        return [gone for gone in near if covers(gone, path)]

    def use(self, path: TagPath) -> None:
        """An element is read."""
        for edit in _near(self.edits, path):
            if covers(path, edit.path):
                edit.used = True

    def standing(self) -> Iterator[Edit]:
        """Edits that were always made when this point is reached, or in a branch that is over."""
        for edit in self.edits.values():
            if not edit.used and edit.block[: len(self.block)] == self.block:
                yield edit

    def undone(self, path: TagPath) -> Iterator[Edit]:
        """Edits whose unread result always goes when elements of a path go at this point."""
        near = (edit for edit in _near(self.edits, path) if not edit.used and covers(path, edit.path))
        return (edit for edit in near if edit.block[: len(self.block)] == self.block)


_TAG_LENGTH = len("(0010,0010)")


def _near(edits: dict[str, Edit], path: TagPath) -> list[Edit]:
    """The edits that a path may cover, told by the text of its first tag."""
    first = path.segments[0]
    if not isinstance(first, Tag) or not first.exact:
        return list(edits.values())
    begin = str(path)[:_TAG_LENGTH]
    return [edit for name, edit in edits.items() if name.startswith(begin)]


def _all(held: list[Holding]) -> Holding:
    joined = held[0]
    for other in held[1:]:
        joined = joined.joined(other)
    return joined


def facts_of(condition: nodes.Condition, holds: bool) -> Facts:
    """What follows from a condition that holds, or that does not."""
    if isinstance(condition, nodes.Call):
        return _facts_of_call(condition) if holds else NOTHING
    left, right = condition.left, condition.right
    if condition.operator.startswith("!") == holds:
        blank = condition.operator.endswith("=") and isinstance(right, nodes.Literal) and not right.text
        return Facts(filled=frozenset([written(left)] if blank else []))
    certain = frozenset(written(value) for value in _with_arguments(left, right))
    if condition.operator.endswith("~"):
        return Facts(certain, *_facts_of_match(left, right))
    filled = isinstance(right, nodes.Literal) and right.text != ""
    return Facts(certain, filled=frozenset([written(left)] if filled else []))


def _facts_of_match(text: nodes.Value, pattern: nodes.Value) -> tuple[frozenset[str], frozenset[str]]:
    """What an expression that matches a text says: that it has been tried, and that the text is not empty."""
    name = frozenset([written(text)])
    known = pattern.text if isinstance(pattern, nodes.Literal) else None
    blank = known is not None and _takes_blank(known)
    return frozenset() if known in _ANYTHING else name, frozenset() if blank else name


def _takes_blank(pattern: str) -> bool:
    try:
        return compiled(pattern).whole("")
    except Failure:
        return False


def _facts_of_call(call: nodes.Call) -> Facts:
    if call.name == "isPresent":
        paths = (path_in(value) for value in leaves(call.arguments))
        return Facts(frozenset(str(path) for path in paths if path is not None))
    certain = frozenset(written(value) for value in _with_arguments(*call.arguments))
    if call.name == "ismatch":
        return Facts(certain, *_facts_of_match(*call.arguments))
    return Facts(certain)


def _with_arguments(*given: nodes.Value) -> Iterator[nodes.Value]:
    for value in given:
        yield value
        if isinstance(value, nodes.Call):
            yield from _with_arguments(*value.arguments)


def key_of(condition: nodes.Condition | None, others: tuple[nodes.Condition | None, ...]) -> frozenset[str]:
    """What holds in a branch, as written: its condition, and that none of the ones before it does."""
    negated = {f"not {written_condition(other)}" for other in others if other is not None}
    return frozenset(negated if condition is None else {*negated, written_condition(condition)})


def covers(wide: TagPath, narrow: TagPath) -> bool:
    """Whether everything that one path means also goes when the other's elements go."""
    first, *rest = wide.segments
    if isinstance(first, Levels) and first.sign == "*":
        return any(_begins(tuple(rest), narrow.segments[at:]) for at in range(len(narrow.segments)))
    return _begins(wide.segments, narrow.segments)


def _begins(wide: tuple[Tag | Levels, ...], narrow: tuple[Tag | Levels, ...]) -> bool:
    pairs = zip(wide, narrow, strict=False)
    return 0 < len(wide) <= len(narrow) and all(_tag_covers(one, other) for one, other in pairs)


def _tag_covers(wide: Tag | Levels, narrow: Tag | Levels) -> bool:
    if not isinstance(wide, Tag) or not isinstance(narrow, Tag):
        return False
    same_item = wide.item in (None, EVERY_ITEM, narrow.item)
    digits = digits_cover(wide.group, narrow.group) and digits_cover(wide.element, narrow.element)
    return same_item and wide.creator == narrow.creator and digits


def digits_cover(wide: Digits, narrow: Digits) -> bool:
    """Whether every number that one group of digits means is meant by the other as well."""
    return wide.mask & narrow.mask == wide.mask and narrow.value & wide.mask == wide.value
