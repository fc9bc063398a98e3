"""One level of a data set, its root or an item of a sequence, as scripts read and edit it.

Belongs here: reading without converting anything in place, editing through the journal, creating what is missing.
Does not belong here: matching of paths, the language.

Reading happens on a shadow: a copy of the level's mapping in which pydicom may convert elements. A sequence that is
decoded there enters the data set itself only when something in it is edited, so untouched elements stay the bytes
that they were.
"""

import copy
from collections.abc import Iterator
from functools import cached_property
from typing import cast

from pydicom import Dataset
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag

from inbox_pipeline.script import values
from inbox_pipeline.script.edits import Edits, Entry, Location, path_text, put_entry
from inbox_pipeline.script.errors import Failure

_ITEM_STARTS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_PIXEL_REPRESENTATION = 0x00280103


class Level:
    """A root, a file meta information or an item; `location` is empty except for items."""

    def __init__(self, dataset: Dataset, edits: Edits, parent: "Level | None" = None, location: Location = ()) -> None:
        self.dataset = dataset
        self.edits = edits
        self.parent = parent
        self.location = location
        self._entries: dict[int, Entry] = {int(tag): entry for tag, entry in dataset.items()}
        self._sequences: list[int] | None = None
        self._children: dict[int, tuple[object, list[Level]]] = {}

    @cached_property
    def _shadow(self) -> Dataset:
        return self.copied()

    def copied(self) -> Dataset:
        """A data set of the same entries, in which pydicom may convert, add and replace elements."""
        twin = copy.copy(self.dataset)
        twin.__dict__["_dict"] = dict(self.dataset.items())
        return twin

    def tags(self) -> list[int]:
        """All tags in order."""
        return sorted(self._entries)

    def has(self, tag: int) -> bool:
        """Whether the element exists."""
        return tag in self._entries

    def entry(self, tag: int) -> Entry | None:
        """The element as it is stored, decoded or not."""
        return self._entries.get(tag)

    def element(self, tag: int) -> DataElement | None:
        """The element decoded, without decoding it in the data set. Raises Failure if it cannot be decoded."""
        if not self.has(tag):
            return None
        try:
            return self._shadow[BaseTag(tag)]
        except Exception as error:  # noqa: BLE001 - pydicom raises anything on bad values, and quotes them
            raise Failure(f"the element cannot be decoded ({type(error).__name__})", self.path(tag)) from None

    def text(self, tag: int) -> str | None:
        """The element's text; None if it is missing. Raises Failure for a sequence."""
        entry = self.entry(tag)
        if isinstance(entry, RawDataElement) and isinstance(entry.value, bytes):
            vr = values.standard_vr(tag) if entry.VR in (None, "UN") else entry.VR
            if vr in values.TEXT_VRS:
                return values.text_of_bytes(entry.value, str(vr), self._encodings)
        element = self.element(tag)
        return None if element is None else values.text_of(element)

    def vr(self, tag: int) -> str:
        """The VR of an element: the stated one, the dictionary's, or UN."""
        entry = self.entry(tag)
        if entry is not None and entry.VR is not None and entry.VR != "UN" and " " not in entry.VR:
            return entry.VR
        element = self.element(tag) if entry is not None else None
        vr = element.VR if element is not None else values.standard_vr(tag)
        return self._settled(vr)

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

    def size(self, tag: int) -> int:
        """How many bytes an undecoded element has; 0 for a decoded one."""
        entry = self.entry(tag)
        if not isinstance(entry, RawDataElement):
            return 0
        return entry.length if entry.value is None else len(entry.value)

    def path(self, tag: int) -> str:
        """The concrete path of an element of this level."""
        return path_text((*self.location, tag))

    def sequences(self) -> list[int]:
        """The tags of the sequences that may have items, in order."""
        if self._sequences is None:
            self._sequences = sorted(tag for tag, entry in self._entries.items() if self._is_sequence(tag, entry))
        return self._sequences

    def _is_sequence(self, tag: int, entry: Entry) -> bool:
        vr = entry.VR
        if vr == "SQ":
            return True
        if (vr is not None and vr != "UN") or not isinstance(entry, RawDataElement):
            return False
        deferred = entry.value is None and entry.length != 0
        return (deferred or _starts_item(entry.value)) and self.vr(tag) == "SQ"

    def items(self, tag: int) -> "list[Level]":
        """The items of a sequence; none if the element is missing or no sequence."""
        element = self.element(tag)
        if element is None or element.VR != "SQ":
            return []
        known = self._children.get(tag)
        if known is None or known[0] is not element.value:
            levels = [self._item(item, tag, number) for number, item in enumerate(element.value or ())]
            known = self._children[tag] = (element.value, levels)
        return known[1]

    def _item(self, item: Dataset, tag: int, number: int) -> "Level":
        return Level(item, self.edits, self, (*self.location, tag, number))

    def below(self) -> "Iterator[Level]":
        """This level and all levels below it."""
        yield self
        for tag in self.sequences():
            for item in self.items(tag):
                yield from item.below()

    def put(self, element: DataElement, action: str) -> None:
        """Store an element and record the change; nothing happens in an item that has been removed meanwhile."""
        if self._own():
            self._store(int(element.tag), element)
            self.edits.record((*self.location, int(element.tag)), action)

    def remove(self, tag: int) -> None:
        """Remove an element and record the change; nothing happens in an item that has been removed meanwhile."""
        if self._own():
            self._store(tag, None)
            self.edits.record((*self.location, tag), "delete")

    def clear(self) -> None:
        """Remove every element of this item and record that it was emptied."""
        if self._own():
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
        element = self._shadow[BaseTag(tag)]
        sequence, item = element.value, Dataset()
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
        siblings = self.parent.items(tag)
        return number < len(siblings) and siblings[number] is self and self.parent._adopt(tag)

    def _adopt(self, tag: int) -> bool:
        """Store the decoded form of a sequence in place of its bytes; False if this level itself has been removed."""
        owned = self._own()
        decoded = self._shadow[BaseTag(tag)]
        if owned and self.entry(tag) is not decoded:
            self._store(tag, decoded)
        return owned

    def _store(self, tag: int, element: DataElement | None) -> None:
        key = BaseTag(tag)
        self.edits.replace(self.dataset, key, element)
        shadow = self.__dict__.get("_shadow")
        if element is None:
            self._entries.pop(tag, None)
        else:
            self._entries[tag] = element
        if shadow is not None:
            put_entry(shadow, key, element)
        if self._sequences is not None and (tag in self._sequences or (element is not None and element.VR == "SQ")):
            self._sequences = None

    def _encodings(self) -> list[str]:
        """The Python encodings that the bytes of this level were written in."""
        found = self._shadow.original_character_set or self._shadow._character_set
        return [found] if isinstance(found, str) else list(found)


def _starts_item(value: object) -> bool:
    """Whether undecoded bytes begin as a sequence's first item does (PS3.5 section 7.5)."""
    return isinstance(value, bytes) and value.startswith(_ITEM_STARTS)


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
    """The Python encodings of the text of (0008,0005)."""
    return convert_encodings(charset.split("\\"))
