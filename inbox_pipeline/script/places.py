"""Which elements of a data set a tag path means.

Belongs here: matching of paths, resolution of private creators (PS3.5 section 7.8.1), creation of what an assignment
needs. Does not belong here: changing values.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from inbox_pipeline.script import values
from inbox_pipeline.script.below import Reach
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.levels import Level, Root
from inbox_pipeline.script.tagpath import EVERY_ITEM, Digits, Levels, Tag, TagPath

Segments = tuple[Tag | Levels, ...]

_ANY_DEPTH = Levels("*")
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF
_META = 2


class Spot(NamedTuple):
    """An element, or the item `item` of it."""

    level: Level
    tag: int
    item: int | None = None

    @property
    def path(self) -> str:
        """The concrete path."""
        return self.level.path(self.tag) + ("" if self.item is None else f"[{self.item}]")


def find(root: Root, path: TagPath) -> list[Spot]:
    """Everything that exists and that the path means, each once, in order of the data set."""
    if path.number is not None:
        holder = _holder(root, path.number)
        return [Spot(holder, path.number)] if holder.has(path.number) else []
    match path.segments:
        case (Tag() as tag,):
            return list(_spots(root, tag))
        case (Levels("*" | "+" as sign), Tag() as tag):
            levels = root.below_with(path.may_end_in)
            return [spot for level in levels[sign == "+" :] for spot in _spots(level, tag)]
    return list(_Search(path).spots(root))


class _Search:
    """One search for what a path of several segments means."""

    def __init__(self, path: TagPath) -> None:
        self._segments = path.segments
        self._wanted = path.may_end_in
        self._seen: set[tuple[int, int]] = set()

    def spots(self, root: Root) -> Iterator[Spot]:
        """What is found, each once, in order of the data set."""
        found: dict[tuple[int, int, int | None], Spot] = {}
        for spot in self._from(root, self._segments, 0):
            found.setdefault((id(spot.level), spot.tag, spot.item), spot)
        yield from found.values()

    def _from(self, level: Level, segments: Segments, at: int) -> Iterator[Spot]:
        """The spots that `segments` from number `at` on mean, seen from `level`."""
        if (id(level), at) in self._seen:
            return
        self._seen.add((id(level), at))
        segment = segments[at]
        if isinstance(segment, Levels):
            yield from self._from_levels(level, segments, at, segment.sign)
        elif at == len(segments) - 1:
            yield from _spots(level, segment)
        else:
            for item in _items(level, segment, self._wanted):
                yield from self._from(item, segments, at + 1)

    def _from_levels(self, level: Level, segments: Segments, at: int, sign: str) -> Iterator[Spot]:
        """As `_from`, for a level wildcard. In the middle of a path `+` means what `*` means, as in XNAT."""
        last = at == len(segments) - 1
        if last:
            yield from (Spot(_holder(level, tag), tag) for tag in _all_tags(level))
        elif sign == "*" or (sign == "+" and at > 0):
            yield from self._from(level, segments, at + 1)
        if sign == "." and last:
            return
        for tag in level.sequences():
            for item in level.items_with(tag, self._wanted):
                if sign == ".":
                    yield from self._from(item, segments, at + 1)
                else:
                    yield from self._from(item, _behind_the_first(segments, at), at)


def _behind_the_first(segments: Segments, at: int) -> Segments:
    """The segments one level further down, where `+` asks for no more than `*` does."""
    return segments if segments[at] == _ANY_DEPTH else (*segments[:at], _ANY_DEPTH, *segments[at + 1 :])


def _spots(level: Level, tag: Tag) -> Iterator[Spot]:
    """The elements, or items of them, of one level that the last segment of a path means."""
    for number in matching_tags(level, tag):
        holder = _holder(level, number)
        if tag.item is None or tag.item == EVERY_ITEM:
            yield Spot(holder, number)
        elif tag.item < len(holder.items(number)):
            yield Spot(holder, number, tag.item)


def _items(level: Level, tag: Tag, wanted: Callable[[Reach], bool]) -> Iterator[Level]:
    """The items that a segment with a child leads into, without those of sequences in which nothing is wanted."""
    for number in matching_tags(level, tag):
        items = level.items_with(number, wanted)
        if tag.item is None or tag.item == EVERY_ITEM:
            yield from items
        else:
            yield from items[tag.item : tag.item + 1]


def _holder(level: Level, tag: int) -> Level:
    """The level that holds an element seen from `level`: group 0002 of the root lies in the file meta information."""
    if tag >> 16 == _META and isinstance(level, Root) and level.meta is not None:
        return level.meta
    return level


def matching_tags(level: Level, tag: Tag) -> list[int]:
    """The tags of existing elements of a level that one segment means, in order."""
    if tag.creator is not None:
        return _private_tags(level, tag)
    if tag.exact:
        return [tag.number] if _holder(level, tag.number).has(tag.number) else []
    mask, value = tag.mask, tag.number
    return [number for number in _tags_in(level, tag.group) if number & mask == value]


def _tags_in(level: Level, group: Digits) -> list[int]:
    """The tags of the group, or all tags if the group has wildcards."""
    if not group.exact or group.value == _META:
        return _all_tags(level)
    return level.tags_between(group.value << 16, group.value + 1 << 16)


def _all_tags(level: Level) -> list[int]:
    meta = level.meta if isinstance(level, Root) else None
    return (meta.tags() if meta else []) + level.tags()


def _private_tags(level: Level, tag: Tag) -> list[int]:
    candidates = [number for number in _in_blocks(level, tag.group) if tag.element.matches(number & 0xFF)]
    creators = {creator_tag(number) for number in candidates}
    meant = {creator for creator in creators if level.has(creator) and level.text(creator) == tag.creator}
    return [number for number in candidates if creator_tag(number) in meant]


def _in_blocks(level: Level, group: Digits) -> list[int]:
    """The tags of private groups that lie in a block."""
    if group.exact:
        return level.tags_between(group.value << 16 | 0x1000, group.value + 1 << 16)
    return [number for number in level.tags() if group.matches(number >> 16) and number & 0xFFFF >= 0x1000]


def creator_tag(tag: int) -> int:
    """The tag of the private creator of the block that an element lies in."""
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF


def is_creator(tag: int) -> bool:
    """Whether a tag is that of a private creator."""
    return bool(tag >> 16 & 1) and _FIRST_BLOCK <= tag & 0xFFFF <= _LAST_BLOCK


def one(root: Root, path: TagPath) -> Spot | None:
    """The one element or item that a singular path means; None if it is missing. Raises Failure if not singular."""
    if path.number is not None:
        holder = _holder(root, path.number)
        return Spot(holder, path.number) if holder.has(path.number) else None
    need_singular(path)
    level: Level = root
    *parents, last = path.tags
    for parent in parents:
        below = next(_items(level, parent, path.may_end_in), None)
        if below is None:
            return None
        level = below
    return next(_spots(level, last), None)


def need_singular(path: TagPath) -> None:
    """Raises Failure if more than one element could be meant."""
    if not path.singular:
        raise Failure("this path may mean more than one element, which is not allowed here", str(path))


def place_for(root: Root, path: TagPath) -> Spot:
    """The element that an assignment to a singular path means; creates sequences, items and blocks on the way."""
    if path.number is not None and path.number >> 16 != _META:
        return Spot(root, path.number)
    need_singular(path)
    level: Level = root
    *parents, last = path.tags
    if last.item is not None:
        raise Failure("an item cannot be assigned to", str(path))
    for parent in parents:
        item = parent.item or 0
        level = level.need_items(_number_for(level, parent), item + 1)[item]
    number = _number_for(level, last)
    if number >> 16 == _META and isinstance(level, Root):
        level = level.need_meta()
    return Spot(level, number)


def _number_for(level: Level, tag: Tag) -> int:
    """The tag of an element that may not exist yet; a private creator that is missing is added."""
    if tag.creator is None:
        return tag.number
    group = tag.group.value
    blocks = range(_FIRST_BLOCK, _LAST_BLOCK + 1)
    for block in blocks:
        if level.has(group << 16 | block) and level.text(group << 16 | block) == tag.creator:
            return group << 16 | block << 8 | tag.element.value
    free = _free_block(level, group)
    level.put(values.element_from_text(group << 16 | free, "LO", tag.creator), "create")
    return group << 16 | free << 8 | tag.element.value


def _free_block(level: Level, group: int) -> int:
    """The first block of a private group without creator and elements. Raises Failure if none is free."""
    members = [number for number in level.tags() if number >> 16 == group]
    taken = {number & 0xFF if is_creator(number) else number >> 8 & 0xFF for number in members}
    for block in range(_FIRST_BLOCK, _LAST_BLOCK + 1):
        if block not in taken:
            return block
    raise Failure(f"no block of group {group:04X} is free for another private creator")
