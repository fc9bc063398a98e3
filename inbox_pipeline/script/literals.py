"""What is certain about values that stand in a script as literals, without any data set.

Belongs here: arguments that a function refuses whatever it is applied to, expressions that are none, text that a VR
cannot hold, shared by the checkers of both dialects. Does not belong here: the course of a script.

The rules are not written twice: the functions' own readers of arguments are tried, and what they refuse is said.
"""

import re
from collections.abc import Callable, Iterator

from pydicom.datadict import dictionary_VR

from inbox_pipeline.script import nodes, values
from inbox_pipeline.script.advice import ERROR, NOTE, WARNING, Notebook
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions import dates, pixels, text, uids
from inbox_pipeline.script.regex import compiled
from inbox_pipeline.script.tagpath import Tag, TagPath, direct_path, path_from_text

DATE_VRS = {"shiftDateByIncrement": ("DA",), "shiftDateTimeByIncrement": ("DA", "DT")}
"""The VRs that an element may have whose date a function moves."""

_EVERY, _BEHIND_FIRST, _FIRST = slice(0, None), slice(1, None), slice(0, 1)
_LOCATIONS = {
    "removeTags": _EVERY,
    "retainPrivateTags": _EVERY,
    "collectValues": _EVERY,
    "hashUIDList": _EVERY,
    "isPresent": _EVERY,
    "blankValues": _EVERY,
    "shiftDateTimeSequenceByIncrement": _BEHIND_FIRST,
    "mapReferencedUIDs": _BEHIND_FIRST,
    "shiftDateTimeListByIncrement": _FIRST,
}
"""Which arguments of a function are locations and not read."""

_TEXTS_TOO = frozenset(["blankValues"])
_GUESSABLE = frozenset(["DA", "TM", "DT", "AS", "DS", "IS"])
_SEX = 0x00100040
_SYNCED = {0x00020002: "(0008,0016)", 0x00020003: "(0008,0018)"}
_INDEX = re.compile(r"'[^']*'|\{\s*([0-9]{1,4})\s*\}")
_SAMPLE_DATE = "20000101"


def vr_of(path: TagPath) -> str:
    """The VR that the dictionary gives to the element that a path means; "" if it is not known."""
    if not path.segments or path.segments[-1] not in path.tags:
        return ""
    tag = path.tags[-1]
    return _vr(tag) if tag.creator is None and tag.exact else ""


def _vr(tag: Tag) -> str:
    try:
        return dictionary_VR(tag.number)
    except KeyError:
        return ""


def guessable(path: TagPath) -> bool:
    """Whether an element's values are so few that a hash of one can be undone by trying."""
    return vr_of(path) in _GUESSABLE or path.number == _SEX


def look_at_path(notebook: Notebook, path: TagPath, at: int) -> None:
    """Say which elements of a path no dictionary knows, and which sequences are none."""
    for tag in path.tags:
        length = tag.element.value == 0
        if tag.creator is None and tag.exact and not tag.group.value & 1 and not length and not _vr(tag):
            sentence = f"({tag.group.text},{tag.element.text}) is not in the dictionary of DICOM elements"
            notebook.say(at, WARNING, "unknown_tag", sentence)
    for parent in path.tags[:-1]:
        vr = vr_of(TagPath((parent,)))
        if vr not in ("", "SQ"):
            notebook.say(at, WARNING, "no_sequence", f"{parent} is no sequence: nothing can lie in it")


def look_at_read(notebook: Notebook, path: TagPath, at: int) -> None:
    """Say why a path cannot be read as text."""
    if not path.singular:
        notebook.say(at, ERROR, "wildcard_read", f"{path} may mean more than one element and cannot be read")
    elif path.tags[-1].item is not None:
        notebook.say(at, ERROR, "sequence_read", f"{path} is an item, which has no text")
    elif vr_of(path) == "SQ":
        notebook.say(at, ERROR, "sequence_read", f"{path} is a sequence, which has no text")


def look_at_target(notebook: Notebook, path: TagPath, value: nodes.Value, at: int) -> None:
    """Say what cannot become of an element that a value is assigned to."""
    if path.number in _SYNCED:
        sentence = f"{path} is made equal to {_SYNCED[path.number]} when the file is written"
        notebook.say(at, WARNING, "synced_tag", sentence)
    if path.tags[-1:] and path.tags[-1].item is not None:
        notebook.say(at, ERROR, "item_assigned", "an item cannot be assigned to")
    if isinstance(value, nodes.Literal) and value.text:
        _look_at_stored(notebook, path, value)


def _look_at_stored(notebook: Notebook, path: TagPath, value: nodes.Literal) -> None:
    vr = vr_of(path)
    if vr == "SQ":
        notebook.say(
            value.at, WARNING, "sequence_emptied", f"{path} is a sequence: it becomes empty, whatever the text"
        )
    elif vr in values.TEXT_VRS - values.CHARSET_VRS and not value.text.isascii():
        notebook.say(value.at, ERROR, "bad_value", f"the VR {vr} of {path} holds ASCII text only")
    elif vr:
        tag = path.tags[-1].number
        _try(notebook, value, "bad_value", lambda text: values.element_from_text(tag, vr.split(" ")[0], text))


def look_at_pattern(notebook: Notebook, value: nodes.Value) -> None:
    """Say what is wrong with a literal regular expression."""
    _try(notebook, value, "bad_regex", compiled)


def look_at_call(notebook: Notebook, call: nodes.Call) -> None:
    """Say which arguments of a call it can never take."""
    check = _CHECKS.get(call.name)
    if check:
        check(notebook, call.arguments)
    if call.name in DATE_VRS:
        _look_at_date(notebook, call)
    if call.name not in _TEXTS_TOO:
        for value in leaves(locations(call)):
            _try(notebook, value, "bad_path", path_from_text)


def locations(call: nodes.Call) -> tuple[nodes.Value, ...]:
    """The arguments of a call that say where elements lie; they are not read."""
    return call.arguments[_LOCATIONS[call.name]] if call.name in _LOCATIONS else ()


def leaves(arguments: tuple[nodes.Value, ...]) -> Iterator[nodes.Value]:
    """The values in arguments, lists replaced by their members."""
    for value in arguments:
        yield from leaves(value.members) if isinstance(value, nodes.ListValue) else (value,)


def _try(notebook: Notebook, value: nodes.Value, code: str, use: Callable[[str], object]) -> bool:
    """Whether a literal is usable; if not, say why. True for a value that is known only later."""
    if not isinstance(value, nodes.Literal):
        return True
    try:
        use(value.text)
    except Failure as failure:
        notebook.say(value.at, ERROR, code, failure.message)
        return False
    return True


def _substring(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    _, begin, end = arguments
    known = _integer(notebook, begin) and _integer(notebook, end)
    if not known or not isinstance(begin, nodes.Literal) or not isinstance(end, nodes.Literal):
        return
    source = arguments[0]
    longest = len(source.text) if isinstance(source, nodes.Literal) else int(end.text)
    if not 0 <= int(begin.text) <= int(end.text) <= longest:
        notebook.say(begin.at, ERROR, "bad_number", f"no text has a part from {begin.text} to {end.text}")


def _integer(notebook: Notebook, value: nodes.Value) -> bool:
    return _try(notebook, value, "bad_number", text.integer_of)


def _match(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    pattern, group = arguments[1:]
    usable = _try(notebook, pattern, "bad_regex", compiled) and _integer(notebook, group)
    if usable and isinstance(pattern, nodes.Literal) and isinstance(group, nodes.Literal):
        _try(notebook, group, "bad_group", lambda number: compiled(pattern.text).need_group(int(number)))


def _ismatch(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    look_at_pattern(notebook, arguments[1])


def _format(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    pattern, *rest = arguments
    if not _try(notebook, pattern, "bad_format", lambda text_: text.formatted(text_, [])):
        return
    if not isinstance(pattern, nodes.Literal) or not all(isinstance(each, _ONE_TEXT) for each in rest):
        return
    for index in {int(found) for found in _INDEX.findall(pattern.text) if found}:
        if index >= len(rest):
            notebook.say(pattern.at, WARNING, "format_index", f"{{{index}}} stays as it is: there is no such argument")


_ONE_TEXT = (nodes.Literal, nodes.PathValue)


def _units(notebook: Notebook, value: nodes.Value) -> None:
    _try(notebook, value, "bad_units", lambda units: dates.shifted(_SAMPLE_DATE, 0, units))


def _shift(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    _integer(notebook, arguments[1])
    for units in arguments[2:]:
        _units(notebook, units)


def _shift_sequence(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    _integer(notebook, arguments[0])


def _look_at_date(notebook: Notebook, call: nodes.Call) -> None:
    source, vrs = call.arguments[0], DATE_VRS[call.name]
    if isinstance(source, nodes.PathValue):
        if vr_of(source.path) not in ("", "SQ", *vrs):
            sentence = f"{call.name} moves elements of VR {' or '.join(vrs)} only, which {source.path} is not"
            notebook.say(source.at, ERROR, "bad_date", sentence)
    else:
        _try(notebook, source, "bad_date", lambda date: dates.shifted(date, 0, "days"))


def _map_uid(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    _try(notebook, arguments[1], "bad_prefix", uids.prefix_of)


def _map_referenced(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    _try(notebook, arguments[0], "bad_prefix", uids.prefix_of)


def _direct(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    target = arguments[0]
    if isinstance(target, nodes.PathValue):
        notebook.say(target.at, ERROR, "bad_path", "this function takes the tag in quotes, with absolute numbers")
    _try(notebook, target, "bad_path", direct_path)


def _set(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    _direct(notebook, arguments)
    if isinstance(arguments[0], nodes.Literal) and arguments[0].text.rstrip().endswith("]"):
        notebook.say(arguments[0].at, ERROR, "item_assigned", "an item cannot be assigned to")


def _retain(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    for value in leaves(arguments):
        path = path_in(value)
        if path is not None and (not path.tags or path.tags[-1].creator is None):
            notebook.say(value.at, ERROR, "public_retained", f"only private elements can be retained, unlike {path}")


def _is_present(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    for value in leaves(arguments):
        path = path_in(value)
        if path is not None and not path.singular:
            notebook.say(value.at, ERROR, "wildcard_read", f"{path} may mean more than one element")


def path_in(value: nodes.Value) -> TagPath | None:
    """The path that a value is, in quotes or not; None for another value or a path that is wrong."""
    if isinstance(value, nodes.PathValue):
        return value.path
    try:
        return path_from_text(value.text) if isinstance(value, nodes.Literal) else None
    except Failure:
        return None


def _alter_pixels(notebook: Notebook, arguments: tuple[nodes.Value, ...]) -> None:
    shape, area, kind, colour = arguments
    _try(notebook, shape, "bad_pixels", pixels.need_shape)
    _try(notebook, kind, "bad_pixels", pixels.need_kind)
    if _try(notebook, area, "bad_pixels", pixels.rectangle_of) and isinstance(area, nodes.Literal):
        rectangle = pixels.rectangle_of(area.text)
        if rectangle.left >= rectangle.right or rectangle.top >= rectangle.bottom:
            notebook.say(area.at, WARNING, "empty_rectangle", "this rectangle holds no pixel")
    usable = _try(notebook, colour, "bad_pixels", pixels.fill_of)
    if usable and isinstance(colour, nodes.Literal) and any(pixels.fill_of(colour.text).values()):
        notebook.say(colour.at, NOTE, "fill_is_zero", "pixels are filled with 0, whatever value is given")


_CHECKS: dict[str, Callable[[Notebook, tuple[nodes.Value, ...]], None]] = {
    "substring": _substring,
    "match": _match,
    "ismatch": _ismatch,
    "format": _format,
    "shiftDateByIncrement": _shift,
    "shiftDateTimeByIncrement": _shift,
    "shiftDateTimeListByIncrement": _shift,
    "shiftDateTimeSequenceByIncrement": _shift_sequence,
    "mapUID": _map_uid,
    "mapReferencedUIDs": _map_referenced,
    "delete": _direct,
    "set": _set,
    "retainPrivateTags": _retain,
    "isPresent": _is_present,
    "alterPixels": _alter_pixels,
}
