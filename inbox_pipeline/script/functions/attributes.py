"""Functions on sets of attributes (dicomedit specification 3.4), and the statement removeAllPrivateTags.

Belongs here: removing, retaining, blanking, testing and setting elements. Does not belong here: pixels, dates, UIDs.
"""

from collections.abc import Iterator

from inbox_pipeline.script import values
from inbox_pipeline.script.below import Reach
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions.registry import VOID, Argument, Context, Function, Rejected, Result, Void
from inbox_pipeline.script.levels import Level
from inbox_pipeline.script.places import Spot, creator_tag, find, is_creator, one
from inbox_pipeline.script.tagpath import TagPath, direct_path, path_from_text
from inbox_pipeline.script.texts import blank, remove, set_text

_NEVER_BLANKED = frozenset([0x00020002, 0x00020003, 0x00020010])


def delete_spots(spots: list[Spot]) -> None:
    """Remove elements and empty items; private creators stay (dicomedit specification 2.6)."""
    for spot in spots:
        if spot.item is not None:
            spot.level.items(spot.tag)[spot.item].clear()
        elif spot.level.has(spot.tag) and not is_creator(spot.tag):
            remove(spot.level, spot.tag)


def remove_all_private_tags(level: Level) -> None:
    """Remove every element of an odd group at this level and below (dicomedit specification 2.7)."""
    for tag in level.tags():
        if tag >> 16 & 1:
            level.remove(tag)
    for tag in level.sequences():
        for item in level.items_with(tag, _may_hold_private):
            remove_all_private_tags(item)


def _may_hold_private(reach: Reach) -> bool:
    return reach is None or any(tag >> 16 & 1 for tag in reach)


def _remove_tags(context: Context, arguments: list[Argument]) -> Void:
    delete_spots(context.spots(arguments))
    return VOID


def _delete(context: Context, arguments: list[Argument]) -> Void:
    *parents, (tag, item) = direct_path(context.needed(arguments[0]))
    level: Level | None = context.root if parents or tag >> 16 != 2 else context.root.meta
    for parent, number in parents:
        items = level.items(parent) if level else []
        level = items[number or 0] if (number or 0) < len(items) else None
    if level is None or not level.has(tag):
        return VOID
    if item is None:
        remove(level, tag)
    elif item < len(level.items(tag)):
        level.items(tag)[item].clear()
    return VOID


def _set(context: Context, arguments: list[Argument]) -> Void:
    *parents, (tag, item) = direct_path(context.needed(arguments[0]))
    text = context.text(arguments[1])
    if item is not None:
        raise Failure("an item cannot be assigned to")
    if text is None:
        context.edits.no_effect("there is no value to set; nothing was done")
        return VOID
    level: Level = context.root
    for parent, number in parents:
        level = level.need_items(parent, (number or 0) + 1)[number or 0]
    if level is context.root and tag >> 16 == 2:
        level = context.root.need_meta()
    set_text(level, tag, text)
    return VOID


def _retain_private_tags(context: Context, arguments: list[Argument]) -> Void:
    spots = [spot for path in _paths(context, arguments) for spot in _private(context, path)]
    kept = {(id(spot.level), spot.tag) for spot in spots}
    _retain(context.root, kept, {place for spot in spots for place in _above(spot.level)} | kept)
    return VOID


def _above(level: Level) -> Iterator[tuple[int, int]]:
    """The sequences that a level lies in."""
    while level.parent is not None:
        yield id(level.parent), level.location[-2]
        level = level.parent


def _paths(context: Context, argument: Argument) -> Iterator[TagPath]:
    """The paths that arguments hold, quoted or not, in lists or not. Raises Failure for a missing value."""
    if isinstance(argument, list):
        for member in argument:
            yield from _paths(context, member)
    else:
        yield argument if isinstance(argument, TagPath) else path_from_text(context.needed(argument))


def _private(context: Context, path: TagPath) -> list[Spot]:
    if not path.tags or path.tags[-1].creator is None:
        raise Failure("only private elements can be retained", str(path))
    return find(context.root, path)


def _retain(level: Level, kept: set[tuple[int, int]], needed: set[tuple[int, int]]) -> None:
    """Remove the private elements of a level and below, but those that are kept and what they need."""
    retained = {tag for tag in level.tags() if tag >> 16 & 1 and (id(level), tag) in needed}
    retained |= {creator_tag(tag) for tag in retained}
    for tag in level.tags():
        if tag in retained:
            level.edits.keep((*level.location, tag))
        elif tag >> 16 & 1:
            level.remove(tag)
    for tag in level.sequences():
        if (id(level), tag) not in kept:
            for item in level.items_with(tag, _may_hold_private):
                _retain(item, kept, needed)


def _collect_values(context: Context, arguments: list[Argument]) -> list[Argument]:
    paths = _paths(context, arguments)
    return list(dict.fromkeys(text for path in paths for spot in find(context.root, path) for text in _text_at(spot)))


def _texts(context: Context, argument: Argument) -> Iterator[str]:
    """Texts that stand in arguments, and those of the elements that their paths mean."""
    if isinstance(argument, list):
        for member in argument:
            yield from _texts(context, member)
    elif isinstance(argument, TagPath):
        for spot in find(context.root, argument):
            yield from _text_at(spot)
    elif argument is not None:
        yield argument


def _text_at(spot: Spot) -> Iterator[str]:
    if spot.item is None and spot.level.vr(spot.tag) != "SQ":
        yield spot.level.text(spot.tag) or ""


def _blank_values(context: Context, arguments: list[Argument]) -> Void:
    texts = {text.rstrip(" \0") for text in _texts(context, arguments)} - {""}
    if texts:
        wanted = values.Wanted(texts)
        for level in [context.root.meta, context.root]:
            if level is not None:
                _blank_in(level, texts, wanted)
    return VOID


def _blank_in(level: Level, texts: set[str], wanted: values.Wanted) -> None:
    """Blank the elements of a level, then of those below it, that have one of the texts."""
    for tag in level.tags():
        if wanted.may_equal(level.entry(tag)) and level.vr(tag) != "SQ" and level.text(tag) in texts:
            _blank(level, tag)
    for tag in level.sequences():
        if wanted.may_be_below(level.entry(tag)):
            for item in level.items(tag):
                _blank_in(item, texts, wanted)


def _blank(level: Level, tag: int) -> None:
    if tag in _NEVER_BLANKED:
        level.edits.warn(f"{level.path(tag)} equals a value to be blanked and was kept: a file needs it")
    else:
        blank(level, tag)


def _is_present(context: Context, arguments: list[Argument]) -> str:
    spots = [one(context.root, path) for path in list(_paths(context, arguments))]
    return "true" if all(spot is not None for spot in spots) else "false"


def _true(context: Context, arguments: list[Argument]) -> str:
    return "true"


def _false(context: Context, arguments: list[Argument]) -> str:
    return "false"


def _reject(context: Context, arguments: list[Argument]) -> Result:
    wanted = not arguments or context.needed(arguments[0]).lower() == "true"
    if wanted and not context.ignore_rejection:
        raise Rejected
    return VOID


FUNCTIONS = {
    "removeTags": Function(_remove_tags, 0, None, "6.6"),
    "delete": Function(_delete, 1, 1, "6.3"),
    "set": Function(_set, 2, 2, "6.3"),
    "retainPrivateTags": Function(_retain_private_tags, 0, None, "6.3"),
    "collectValues": Function(_collect_values, 0, None, "6.6"),
    "blankValues": Function(_blank_values, 0, None, "6.6"),
    "isPresent": Function(_is_present, 1, None, "6.7"),
    "true": Function(_true, 0, None, "6.7"),
    "false": Function(_false, 0, None, "6.7"),
    "reject": Function(_reject, 0, 1, "6.6"),
}
