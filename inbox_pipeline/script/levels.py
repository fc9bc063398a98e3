"""One level of a data set, its root or an item of a sequence, as scripts read and edit it.

Belongs here: reading without converting anything in place, editing through the journal, creating what is missing.
Does not belong here: matching of paths, the language.

What pydicom has to convert it converts on a shadow, made when it is first needed: a copy of the level's mapping. A
sequence that is decoded there enters the data set itself only when something in it is edited, so untouched elements
stay the bytes that they were.
"""

import copy
from bisect import bisect_left
from collections.abc import Callable
from functools import cached_property
from typing import cast

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag

from inbox_pipeline.script import values
from inbox_pipeline.script.below import NOTHING, Reach, reach_of
from inbox_pipeline.script.edits import Edits, Entry, Location, path_text, put_entry
from inbox_pipeline.script.errors import Failure

_ITEM_STARTS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_PIXEL_REPRESENTATION = 0x00280103


class Level:
    """A root, a file meta information or an item; `location` is empty except for items.

    What is found out about an element is remembered until the element is replaced: its text, its decoded form, the
    levels of its items, the tags that may lie below it.
    """

    def __init__(self, dataset: Dataset, edits: Edits, parent: "Level | None" = None, location: Location = ()) -> None:
        self.dataset = dataset
        self.edits = edits
        self.parent = parent
        self.location = location
        self._entries: dict[int, Entry] = {int(tag): entry for tag, entry in dataset.items()}
        self._tags: list[int] | None = None
        self._sequences: list[int] | None = None
        self._texts: dict[int, str] = {}
        self._decoded: dict[int, DataElement] = {}
        self._children: dict[int, list[Level]] = {}
        self._reaches: dict[int, Reach] = {}

    @cached_property
    def _shadow(self) -> Dataset:
        return self.copied()

    def copied(self) -> Dataset:
        """A data set of the same entries, in which pydicom may convert, add and replace elements."""
        twin = copy.copy(self.dataset)
        twin.__dict__["_dict"] = dict(self.dataset.items())
        return twin

    def tags(self) -> list[int]:
        """All tags in order, in a list of its own."""
        return self._in_order().copy()

    def tags_between(self, first: int, end: int) -> list[int]:
        """The tags from `first` up to but without `end`, in order."""
        tags = self._in_order()
        return tags[bisect_left(tags, first) : bisect_left(tags, end)]

    def _in_order(self) -> list[int]:
        if self._tags is None:
            self._tags = sorted(self._entries)
        return self._tags

    def has(self, tag: int) -> bool:
        """Whether the element exists."""
        return tag in self._entries

    def entry(self, tag: int) -> Entry | None:
        """The element as it is stored, decoded or not."""
        return self._entries.get(tag)

    def element(self, tag: int) -> DataElement | None:
        """The element decoded, without decoding it in the data set. Raises Failure if it cannot be decoded."""
        entry = self._entries.get(tag)
        if entry is None or isinstance(entry, DataElement):
            return entry
        if tag not in self._decoded:
            try:
                self._decoded[tag] = self._shadow[BaseTag(tag)]
            except Exception as error:  # noqa: BLE001 - pydicom raises anything on bad values, and quotes them
                raise Failure(f"the element cannot be decoded ({type(error).__name__})", self.path(tag)) from None
        return self._decoded[tag]

    def text(self, tag: int) -> str | None:
        """The element's text; None if it is missing. Raises Failure for a sequence."""
        entry = self._entries.get(tag)
        if entry is None:
            return None
        text = self._texts.get(tag)
        if text is None:
            text = self._texts[tag] = self._text_of(tag, entry)
        return text

    def _text_of(self, tag: int, entry: Entry) -> str:
        if isinstance(entry, RawDataElement) and isinstance(entry.value, bytes):
            vr = values.standard_vr(tag) if entry.VR in (None, "UN") else str(entry.VR)
            if vr in values.TEXT_VRS:
                return values.text_of_bytes(entry.value, vr, self._encodings)
            if vr in values.NUMBERS and entry.VR != "UN" and len(entry.value) % values.NUMBERS[vr].size == 0:
                return values.text_of_numbers(entry.value, vr, little=entry.is_little_endian)
        return values.text_of(cast(DataElement, self.element(tag)))

    def vr(self, tag: int) -> str:
        """The VR of an element: the stated one, the dictionary's, or UN."""
        entry = self._entries.get(tag)
        if entry is None:
            return self._settled(values.standard_vr(tag))
        if entry.VR is not None and entry.VR != "UN" and " " not in entry.VR:
            return entry.VR
        return self._settled(cast(DataElement, self.element(tag)).VR)

    def _settled(self, vr: str) -> str:
        """An ambiguous VR made definite (PS3.5 annex A, PS3.3 section C.7.6.3.1)."""
        if " " not in vr:
            return vr
        if "SS" in vr:
            level: Level | None = self
            while level is not None and not level.has(_PIXEL_REPRESENTATION):
                level = level.parent
            return "SS" if level is not None and level.text(_PIXEL_REPRESENTATION) == "1" else "US"
        return "OW" if vr.startswith("OB") else "US"

    def path(self, tag: int) -> str:
        """The concrete path of an element of this level."""
        return path_text((*self.location, tag))

    def sequences(self) -> list[int]:
        """The tags of the sequences that may have items, in order."""
        if self._sequences is None:
            may_be = [tag for tag, entry in self._entries.items() if entry.VR == "SQ" or _may_be_sequence(entry)]
            self._sequences = sorted(tag for tag in may_be if self.vr(tag) == "SQ")
        return self._sequences

    def items(self, tag: int) -> "list[Level]":
        """The items of a sequence; none if the element is missing or no sequence."""
        known = self._children.get(tag)
        if known is None:
            entry = self._entries.get(tag)
            if entry is None or (entry.VR is not None and entry.VR not in ("SQ", "UN")):
                return []
            element = cast(DataElement, self.element(tag))
            if element.VR != "SQ":
                return []
            known = [self._item(item, tag, number) for number, item in enumerate(element.value or ())]
            self._children[tag] = known
        return known

    def _item(self, item: Dataset, tag: int, number: int) -> "Level":
        return Level(item, self.edits, self, (*self.location, tag, number))

    def items_with(self, tag: int, wanted: Callable[[Reach], bool]) -> "list[Level]":
        """The items of a sequence; none, without decoding it, if what may lie below it is not wanted."""
        return self.items(tag) if wanted(self.reach(tag)) else []

    def below_with(self, wanted: Callable[[Reach], bool]) -> "list[Level]":
        """This level and those below it, without what lies in sequences in which nothing is wanted."""
        found = [self]
        for tag in self.sequences():
            for item in self.items_with(tag, wanted):
                found += item.below_with(wanted)
        return found

    def reach(self, tag: int) -> Reach:
        """The tags that may lie below a sequence."""
        if tag not in self._reaches:
            entry = self._entries.get(tag)
            raw = isinstance(entry, RawDataElement) and tag not in self._children
            self._reaches[tag] = reach_of(cast(RawDataElement, entry)) if raw else self._reach_of_items(tag)
        return self._reaches[tag]

    def _reach_of_items(self, tag: int) -> Reach:
        reaches = [NOTHING]
        for item in self.items(tag):
            reaches.append(frozenset(item._entries))
            reaches += [item.reach(inner) for inner, entry in item._entries.items() if entry.VR == "SQ"]
            if any(_may_be_sequence(entry) for entry in item._entries.values()):
                return None
        known = [reach for reach in reaches if reach is not None]
        return frozenset().union(*known) if len(known) == len(reaches) else None

    def put(self, element: DataElement, action: str) -> None:
        """Store an element and record the change; nothing happens in an item that has been removed meanwhile."""
        if self._own():
            tag = int(element.tag)
            self._children.pop(tag, None)
            self._store(tag, element)
            self.edits.record((*self.location, tag), action)

    def remove(self, tag: int) -> None:
        """Remove an element and record the change; nothing happens in an item that has been removed meanwhile."""
        if self._own():
            self._children.pop(tag, None)
            self._store(tag, None)
            self.edits.record((*self.location, tag), "delete")

    def clear(self) -> None:
        """Remove every element of this item and record that it was emptied."""
        if self._own():
            self._children.clear()
            for tag in self.tags():
                self._store(tag, None)
            self.edits.record(self.location, "empty")

    def need_items(self, tag: int, count: int) -> "list[Level]":
        """The items of a sequence, which is created or filled with empty items up to `count`."""
        if self.vr(tag) != "SQ" and (self.has(tag) or tag >> 16 & 1 == 0):
            raise Failure("this element is no sequence", self.path(tag))
        if not self.has(tag):
            self.put(values.sequence_element(tag), "create")
        levels = self.items(tag)
        while len(levels) < count:
            self._append(tag, levels)
        return levels

    def _append(self, tag: int, levels: "list[Level]") -> None:
        """Add an empty item behind the others."""
        self._adopt(tag)
        sequence, item = cast(DataElement, self.element(tag)).value, Dataset()
        sequence.append(item)
        self.edits.did(sequence.pop)
        levels.append(self._item(item, tag, len(levels)))
        self.edits.record(levels[-1].location, "create")

    def _own(self) -> bool:
        """See to it that the data set above holds this very item, not the bytes that it was decoded from.

        False if the item is no longer part of it.
        """
        if self.parent is None:
            return True
        tag, number = self.location[-2:]
        siblings = self.parent._children.get(tag, ())
        return number < len(siblings) and siblings[number] is self and self.parent._adopt(tag)

    def _adopt(self, tag: int) -> bool:
        """Store the decoded form of a sequence in place of its bytes; False if this level itself has been removed."""
        owned = self._own()
        if owned and tag in self._decoded:
            self._store(tag, self._decoded[tag])
        return owned

    def _store(self, tag: int, element: DataElement | None) -> None:
        """Replace, add or remove an entry, and forget what was found out about it; its levels are kept."""
        before = self._entries.get(tag)
        key = BaseTag(tag) if before is None else before.tag
        self.edits.replace(self.dataset, key, before, element)
        if element is None:
            self._entries.pop(tag, None)
        else:
            self._entries[tag] = element
        if "_shadow" in self.__dict__:
            put_entry(self._shadow, key, element)
        self._forget(tag, before, element)

    def _forget(self, tag: int, before: Entry | None, now: Entry | None) -> None:
        for known in (self._texts, self._decoded, self._reaches):
            known.pop(tag, None)
        if before is None or now is None:
            self._tags = None
        if self._sequences is not None and (tag in self._sequences) != (now is not None and now.VR == "SQ"):
            self._sequences = None
        if before is None and self.parent is not None:
            self.parent._reached(self.location[-2])

    def _reached(self, tag: int) -> None:
        """Something was added below a sequence: what may lie there is to be found out anew, here and above."""
        self._reaches.pop(tag, None)
        if self.parent is not None:
            self.parent._reached(self.location[-2])

    def _encodings(self) -> list[str]:
        """The Python encodings that the bytes of this level were written in."""
        try:
            found = self._shadow.original_character_set or self._shadow._character_set
        except Exception:  # noqa: BLE001 - pydicom raises anything on bad values; they are no name of anything
            found = default_encoding
        return [found] if isinstance(found, str) else list(found)


def _may_be_sequence(entry: Entry) -> bool:
    """Whether undecoded bytes without a VR begin as a sequence's first item does (PS3.5 section 7.5), or are unseen."""
    if (entry.VR is not None and entry.VR != "UN") or not isinstance(entry, RawDataElement):
        return False
    value = entry.value
    return value.startswith(_ITEM_STARTS) if isinstance(value, bytes) else entry.length != 0


class Root(Level):
    """The root of a data set; elements of group 0002 are those of its file meta information."""

    def __init__(self, dataset: Dataset, edits: Edits) -> None:
        super().__init__(dataset, edits)
        self._meta: Level | None = None

    @property
    def meta(self) -> Level | None:
        """The level of the file meta information, if there is one."""
        file_meta = getattr(self.dataset, "file_meta", None)
        if self._meta is None and file_meta is not None:
            self._meta = Level(file_meta, self.edits)
        return self._meta

    def need_meta(self) -> Level:
        """The level of the file meta information, which is created if there is none."""
        if self.meta is None:
            before = dict(self.dataset.__dict__)
            self.dataset.file_meta = FileMetaDataset()
            self.edits.did(lambda: _restore_file_meta(self.dataset, before))
        return cast(Level, self.meta)


def _restore_file_meta(dataset: Dataset, before: dict[str, object]) -> None:
    if "file_meta" in before:
        dataset.__dict__["file_meta"] = before["file_meta"]
    else:
        del dataset.__dict__["file_meta"]


def python_encodings(charset: str) -> list[str]:
    """The Python encodings of the text of (0008,0005); the default one for what cannot be a name."""
    try:
        return convert_encodings(charset.split("\\"))
    except ValueError:
        return [default_encoding]
