"""What differs between a data set before and after an edit, element by element, as people read it.

Belongs here: comparing two data sets and putting their values into short texts. Does not belong here: which line of a
script did it, files, layout.

The texts hold patients' values: they are what a preview is for, and go nowhere else.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement

from inbox_pipeline.dicom.elements import PIXEL_TAGS
from inbox_pipeline.dicom.quiet import quiet
from inbox_pipeline.script import values
from inbox_pipeline.script.edits import Edits, Entry, Location, path_text
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.levels import Level, Root
from inbox_pipeline.script.places import creator_tag, is_creator
from inbox_pipeline.script.texts import CHARSET

LONGEST_TEXT = 160
_DIGEST_LETTERS = 12
_BINARY = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
_WRITTEN_ANEW = frozenset([0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020012, 0x00020013])
"""Elements of the file meta information that a writer decides on, whatever the data set holds (PS3.10 section 7.1)."""

Content = tuple[str, object]


@dataclass(frozen=True)
class Difference:
    """One element or item that is not as it was; `before` is None where there was none, `after` where none is left."""

    location: Location
    name: str
    before: str | None
    after: str | None

    @property
    def path(self) -> str:
        """The concrete path, as a script's journal writes it."""
        return path_text(self.location)


@dataclass(frozen=True)
class Comparison:
    """The differences in order, and how many elements of the root (a sequence is one) have none."""

    rows: tuple[Difference, ...]
    unchanged: int


def differences(before: Dataset, after: Dataset) -> Comparison:
    """Compare two data sets; neither is converted by that.

    An element that was removed is one row, a sequence with all its items too; of a sequence that was added, every item
    and element is a row. Texts that are the same in another character set differ. Group lengths are no elements here
    (PS3.5 section 7.2), nor is what a writer decides on in group 0002.
    """
    with quiet():
        old, new = Root(before, Edits()), Root(after, Edits())
        rows = [row for tag in _meta_tags(old, new) for row in _element(old.meta, new.meta, tag)]
        unchanged = 0
        for tag in _tags(old, new):
            found = list(_element(old, new, tag))
            unchanged += not found
            rows += found
    return Comparison(tuple(rows), unchanged)


def _meta_tags(old: Root, new: Root) -> list[int]:
    return [tag for tag in _tags(old.meta, new.meta) if tag not in _WRITTEN_ANEW]


def _tags(*levels: Level | None) -> list[int]:
    """The tags of all elements of levels that stand for one another, in order."""
    return sorted({tag for level in levels if level for tag in level.tags() if tag & 0xFFFF})


def _element(old: Level | None, new: Level | None, tag: int) -> Iterator[Difference]:
    """The differences in an element of two levels that stand for one another."""
    was, now = old.entry(tag) if old else None, new.entry(tag) if new else None
    if old is None or was is None:
        if new is not None:
            yield from _added(new, tag)
    elif new is None or now is None:
        yield _row(old, tag, _shown(old, tag), None)
    elif _is_untouched(was, now):
        return
    elif _vr(old, tag) == _vr(new, tag) == "SQ":
        yield from _items(old, new, tag)
    elif _content(old, tag) != _content(new, tag):
        yield _row(old, tag, _shown(old, tag), _altered(new, tag))


def _is_untouched(was: Entry, now: Entry) -> bool:
    """Whether an element is the bytes that it was; values that stay in the file until looked at are not loaded."""
    return isinstance(was, RawDataElement) and isinstance(now, RawDataElement) and was == now


def _items(old: Level, new: Level, tag: int) -> Iterator[Difference]:
    """The differences in the items of a sequence."""
    olds, news = old.items(tag), new.items(tag)
    if olds and not news:
        yield _row(old, tag, _shown(old, tag), _shown(new, tag))
        return
    for was, now in zip_longest(olds, news):
        if was is None:
            yield from _added_item(new, tag, now)
        elif now is None or (_tags(was) and not _tags(now)):
            yield _item_row(old, tag, was, _size(was), None if now is None else _size(now))
        else:
            for below in _tags(was, now):
                yield from _element(was, now, below)


def _added(level: Level, tag: int) -> Iterator[Difference]:
    yield _row(level, tag, None, _shown(level, tag))
    for item in level.items(tag) if _vr(level, tag) == "SQ" else ():
        yield from _added_item(level, tag, item)


def _added_item(level: Level, tag: int, item: Level) -> Iterator[Difference]:
    yield _item_row(level, tag, item, None, _size(item))
    for below in _tags(item):
        yield from _added(item, below)


def _row(level: Level, tag: int, before: str | None, after: str | None) -> Difference:
    return Difference((*level.location, tag), _name(level, tag), before, after)


def _item_row(level: Level, tag: int, item: Level, before: str | None, after: str | None) -> Difference:
    return Difference(item.location, f"item of {_name(level, tag)}", before, after)


def _name(level: Level, tag: int) -> str:
    """The keyword of PS3.6, or the private creator."""
    if not tag >> 16 & 1:
        return keyword_for_tag(tag) or "not in the dictionary"
    if is_creator(tag):
        return "private creator"
    creator = text_or_blank(level, creator_tag(tag))
    return f'private, "{creator}"' if creator else "private, no creator"


def _vr(level: Level, tag: int) -> str:
    try:
        return level.vr(tag)
    except Failure:
        return "UN"


def _content(level: Level, tag: int) -> Content:
    """What must be equal for an element to count as unchanged."""
    vr = _vr(level, tag)
    if vr == "SQ" or vr in _BINARY:
        return vr if vr == "SQ" else "", _bytes(level, tag)
    try:
        text = level.text(tag) or ""
    except Failure:
        return "", _bytes(level, tag)
    return text, "" if text.isascii() or vr not in values.CHARSET_VRS else _charset(level)


def _bytes(level: Level, tag: int) -> bytes:
    """The bytes of a binary element, or of one that cannot be decoded; none for a sequence."""
    try:
        element = level.element(tag)
        value = None if element is None else element.value
    except Failure:
        value = getattr(level.entry(tag), "value", None)
    return value if isinstance(value, bytes) else b""


def _charset(level: Level) -> str:
    """The Specific Character Set under which a level's texts are written (PS3.3 section C.12.1.1.2)."""
    while level.parent is not None and not level.has(CHARSET):
        level = level.parent
    return text_or_blank(level, CHARSET)


def text_or_blank(level: Level, tag: int) -> str:
    """An element's text; "" if there is none, or none that can be read."""
    try:
        return level.text(tag) or ""
    except Failure:
        return ""


def _altered(level: Level, tag: int) -> str:
    return f"pixels altered, {len(_bytes(level, tag)):,} bytes" if tag in PIXEL_TAGS else _shown(level, tag)


def _shown(level: Level, tag: int) -> str:
    """An element's value as a short text."""
    vr = _vr(level, tag)
    if vr == "SQ":
        return _counted(len(level.items(tag)), "item")
    if tag in PIXEL_TAGS:
        return f"pixel data, {len(_bytes(level, tag)):,} bytes"
    if vr in _BINARY:
        return _shown_bytes(_bytes(level, tag))
    try:
        return _shortened(level.text(tag) or "")
    except Failure:
        return _shown_bytes(_bytes(level, tag))


def _shown_bytes(value: bytes) -> str:
    """Printable ASCII as text, other bytes as their number and digest."""
    text = value.rstrip(b" \0")
    if text.isascii() and text.decode("ascii").isprintable() and bool(text) == bool(value):
        return _shortened(text.decode("ascii"))
    return f"<{_counted(len(value), 'byte')}, sha256 {_digest(value)}>"


def _shortened(text: str) -> str:
    """A text of bounded length; the digest tells texts apart that begin alike."""
    if len(text) <= LONGEST_TEXT:
        return text
    digest = _digest(text.encode("utf-8", "surrogatepass"))
    return f"{text[:LONGEST_TEXT]}... <{len(text):,} characters, sha256 {digest}>"


def _size(item: Level) -> str:
    return f"item of {_counted(len(_tags(item)), 'element')}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_DIGEST_LETTERS]
