"""The fast road of a rewrite: untouched bytes are copied, pixel data is streamed, memory does not grow with the file.

Belongs here: deciding whether a file is ordinary enough, and what an edit makes of its stretches.
Does not belong here: files with anything unusual; those take the full parse.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, BinaryIO, cast

from inbox_pipeline.dicom.changes import Changes
from inbox_pipeline.dicom.datasets import new_dataset, raw_elements
from inbox_pipeline.dicom.elements import KNOWN_VRS, PIXEL_TAGS, UNDEFINED, Element, Layout
from inbox_pipeline.dicom.patterns import LONGEST
from inbox_pipeline.dicom.preface import DEFLATED, Preface
from inbox_pipeline.dicom.stretches import Over, Stretch, exchanged, laid_over, of_encoded, shares

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement

_BEFORE_FIRST = 0x0007FFFF
_SEQUENCE_VRS = frozenset((b"SQ", b"UN"))
_STATED = KNOWN_VRS | {None}


def is_ordinary(preface: Preface, stretches: Sequence[Stretch], end: int, size: int) -> bool:
    """Whether every byte of the file belongs to an element that pydicom would read as the tokenizer does.

    Ordinary is: preamble, meta and transfer syntax present and true, little endian, not deflated, root tags strictly
    ascending from group 0008, at most one pixel data element, known VRs, undefined lengths only in sequences and in
    pixel data with a stated VR. Elements behind the pixel data (signatures, the trailing padding of many scanners) are
    elements like the others: the editor gets them, and no byte is copied unseen.
    """
    if not preface.regular or not preface.layout.little or preface.transfer_syntax_uid == DEFLATED or end != size:
        return False
    previous, pixels = _BEFORE_FIRST, 0
    for stretch in stretches:
        if not _is_tidy(stretch) or stretch.tags[0] <= previous:
            return False
        previous = stretch.tags[-1]
        pixels += previous in PIXEL_TAGS
    return bool(stretches) and pixels <= 1


def _is_tidy(stretch: Stretch) -> bool:
    """What `is_ordinary` asks of a stretch alone."""
    tidy: bool | None = stretch.notes.get(_is_tidy)
    if tidy is None:
        parts, tags = stretch.parts, list(stretch.tags)
        tidy = all(map(_is_tidy, parts)) if parts else _are_tidy(stretch.elements)
        tidy = stretch.notes[_is_tidy] = tidy and len(set(tags)) == len(tags) and tags == sorted(tags)
    return tidy


def _are_tidy(elements: Sequence[Element]) -> bool:
    """Whether all VRs are known, and undefined lengths are where they may be."""
    stated = {element.vr for element in elements} <= _STATED
    return stated and all(_may_be_undefined(element) for element in elements if element.length == UNDEFINED)


def _may_be_undefined(element: Element) -> bool:
    """Whether an element of undefined length is a sequence or pixel data."""
    if element.tag in PIXEL_TAGS or element.vr is not None:
        return element.vr in (KNOWN_VRS if element.tag in PIXEL_TAGS else _SEQUENCE_VRS)
    return _is_dictionary_sequence(element.tag)


def _is_dictionary_sequence(tag: int) -> bool:
    """Whether a tag without stated VR is a sequence in the dictionary, or private."""
    from pydicom.datadict import dictionary_VR  # noqa: PLC0415 - costs half a second

    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return bool(tag >> 16 & 1)


class FastRoad:
    """One file on the fast road: `stretches` are the source's, `dataset` is for the editor, `after` what it made.

    With `wanted`, the data set holds the elements with these tags only; all others are written as they are.
    """

    def __init__(
        self, stream: BinaryIO, preface: Preface, stretches: list[Stretch], wanted: frozenset[int] | None = None
    ) -> None:
        self.stretches = stretches
        self._stream, self._preface, self._wanted = stream, preface, wanted

    @cached_property
    def dataset(self) -> "Dataset":
        """The data set for the editor."""
        return new_dataset(self._originals, self._stream, self._preface)

    @cached_property
    def _originals(self) -> "dict[int, DataElement | RawDataElement]":
        wanted = self._wanted
        shown = [each for each in self.stretches if wanted is None or not wanted.isdisjoint(each.tags)]
        return raw_elements(shown, self._preface.layout, wanted)

    @cached_property
    def changes(self) -> Changes:
        """What the editor made of the data set."""
        anew = partial(new_dataset, self._originals, self._stream, self._preface)  # a method would be a cycle
        return Changes(self.dataset, self._originals, self._preface.layout, anew)

    def of_all(self) -> "FastRoad":
        """The same file with a fresh data set of all its elements."""
        return FastRoad(self._stream, self._preface, self.stretches)

    def made(self) -> dict[int, Stretch | None]:
        """The elements that are new or not as they were, and None for each that is gone. Raises NotWritable."""
        layout = self._preface.layout
        return {
            tag: None if encoded is None else of_encoded(encoded, layout)
            for tag, encoded in self.changes.changed().items()
        }

    def after(self, layout: Layout) -> list[Stretch]:
        """The data set after the edit. Raises NotWritable.

        In another layout than the source's nothing is copied: all elements are encoded, and must have been wanted.
        """
        if layout == self._preface.layout:
            return with_made(self.stretches, self.made())
        return [of_encoded(encoded, layout) for encoded in self.changes.relaid(layout)]

    def looked_at_none(self, tags: Collection[int], meta_tags: Collection[int]) -> bool:
        """Whether the editor has neither looked at nor set elements with these tags, the others of group 0002."""
        root, meta = (
            {int(tag): each for tag, each in level.items()} for level in (self.dataset, self.dataset.file_meta)
        )
        left = all(root.get(tag) is self._originals.get(tag) for tag in tags)
        return left and all(meta[tag].is_raw for tag in meta_tags if tag in meta)


def with_made(stretches: Sequence[Stretch], made: Mapping[int, Stretch | None]) -> list[Stretch]:
    """Stretches with the elements that an edit made, and without group lengths (PS3.5 section 7.2).

    What comes of a stretch is remembered in its notes when the same is laid over it a second time.
    """
    kept = [each for each in stretches if each.tags[0] & 0xFFFF]
    held = {tag: None if new is None else new.data for tag, new in made.items() if new is None or _is_short(new)}
    over = shares(kept, held) if kept else {}
    laid = [made for number, each in enumerate(kept) for made in _laid(each, over.get(number, ()))]
    return exchanged(laid, {tag: new for tag, new in made.items() if tag not in held or not kept})


def _is_short(stretch: Stretch) -> bool:
    return stretch.data is not None and len(stretch.data) <= LONGEST


def _laid(stretch: Stretch, over: Over) -> list[Stretch]:
    """A stretch with elements laid over it."""
    if not over:
        return [stretch]
    last, made = cast("tuple[Over, list[Stretch] | None]", stretch.notes.get(_laid, ((), None)))
    if last != over or made is None:
        made = laid_over(stretch, dict(over), stretch.layout, known=stretch.known and last == over)
        stretch.notes[_laid] = over, made if last == over else None
    return made
