"""The fast road of a rewrite: untouched bytes are copied, pixel data is streamed, memory does not grow with the file.

Belongs here: deciding whether a file is ordinary enough, and the plan of output segments.
Does not belong here: files with anything unusual; those take the full parse.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO

from inbox_pipeline.dicom.changes import Changes, Encoded
from inbox_pipeline.dicom.cleaning import Clean, RootElement, Treated, cleaned, in_order
from inbox_pipeline.dicom.datasets import new_dataset, raw_elements
from inbox_pipeline.dicom.digests import Segment
from inbox_pipeline.dicom.elements import KNOWN_VRS, UNDEFINED, Element, Ends, Layout
from inbox_pipeline.dicom.header import PIXEL_TAGS
from inbox_pipeline.dicom.preface import Preface
from inbox_pipeline.dicom.window import PART_LIMIT, require_room

if TYPE_CHECKING:
    from pydicom import Dataset

_FIRST_GROUP = 0x0008
_SEQUENCE_VRS = frozenset((b"SQ", b"UN"))
_STATED = KNOWN_VRS | {None}


def is_ordinary(preface: Preface, elements: list[Element], size: int) -> bool:
    """Whether every byte of the file belongs to an element that pydicom would read as the tokenizer does.

    Ordinary is: preamble, meta and transfer syntax present and true, little endian, not deflated, root tags strictly
    ascending from group 0008, at most one pixel data element, known VRs, undefined lengths only in sequences and in
    pixel data with a stated VR. Elements behind the pixel data (signatures, the trailing padding of many scanners) are
    elements like the others: the editor gets them, and no byte is copied unseen.
    """
    if not preface.regular or not preface.layout.little or preface.data_set.size != size or not elements:
        return False
    tags = [element.tag for element in elements]
    if tags[0] >> 16 < _FIRST_GROUP or elements[-1].end != size:
        return False
    distinct = set(tags)
    if len(distinct) < len(tags) or tags != sorted(tags) or len(PIXEL_TAGS & distinct) > 1:
        return False
    if not {element.vr for element in elements} <= _STATED:
        return False
    return all(_may_be_undefined(element) for element in elements if element.length == UNDEFINED)


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
    """One file on the fast road: `dataset` is for the editor, then `segments` are what follows the meta.

    With `wanted`, the data set holds the elements with these tags only; all others are written as they are.
    """

    def __init__(
        self,
        stream: BinaryIO,
        head: bytes,
        preface: Preface,
        elements: list[Element],
        ends: Ends,
        wanted: frozenset[int] | None = None,
    ) -> None:
        shown = elements if wanted is None else [element for element in elements if element.tag in wanted]
        originals = raw_elements(stream, head, shown, preface.layout)
        self._stream, self._head, self._elements, self._ends = stream, head, elements, ends
        self._layout = preface.layout
        self.dataset: Dataset = new_dataset(originals, stream, preface)
        self.changes = Changes(self.dataset, originals, preface.layout, lambda: new_dataset(originals, stream, preface))

    def segments(self, layout: Layout, clean: Clean | None) -> tuple[list[Segment], Treated]:
        """Copies of source ranges and encoded changes, by ascending tag, and what a cleaner did. Raises NotWritable.

        In another layout than the source's nothing is copied: all elements are encoded, and must have been wanted.
        """
        if layout != self._layout:
            pieces, treated = cleaned(self.changes.relaid(layout), clean, layout)
            return [segment for encoded in pieces for segment in encoded.segments()], treated
        changes = self.changes.changed()
        treated = {} if clean is None else clean(self._roots(changes), layout)
        changes |= {tag: None if head is None else Encoded(head) for tag, head in treated.items()}
        return list(self._pieces(changes)), treated

    def roots(self) -> list[RootElement]:
        """The root elements of the source."""
        return [self._root(element) for element in self._elements]

    def _roots(self, changes: Mapping[int, Encoded | None]) -> Iterable[RootElement]:
        return in_order(self.roots(), changes, self._layout) if changes else self.roots()

    def _root(self, element: Element) -> RootElement:
        tag, vr, _, value, length, end = element
        head = self._head
        if length == UNDEFINED:
            end -= 8
            if tag not in PIXEL_TAGS:
                return RootElement(tag, b"SQ", lambda: self._read(value, end), self._ends, value)
        if end <= len(head):
            return RootElement(tag, vr, lambda: head[value:end])
        return RootElement(tag, vr, lambda: self._read(value, end))

    def _read(self, start: int, end: int) -> bytes:
        if end <= len(self._head):
            return self._head[start:end]
        require_room(end - start, PART_LIMIT)
        self._stream.seek(start)
        return self._stream.read(end - start)

    def _pieces(self, changes: dict[int, Encoded | None]) -> Iterator[Segment]:
        """Between the tags that need attention, the source is copied in one piece each."""
        elements, tags = self._elements, [element.tag for element in self._elements]
        starts, places = [element.start for element in elements], {tag: at for at, tag in enumerate(tags)}
        starts.append(elements[-1].end)
        cursor = starts[0]
        for tag in sorted({*changes, *(tag for tag in tags if tag & 0xFFFF == 0), *PIXEL_TAGS.intersection(tags)}):
            at = places.get(tag)
            here = bisect_left(tags, tag) if at is None else at
            if starts[here] > cursor:
                yield Segment(cursor, starts[here])
            if tag in changes:
                changed = changes[tag]
                yield from changed.segments() if changed else ()
            elif at is not None and tag in PIXEL_TAGS:
                yield from _pixel_segments(elements[at])
            cursor = starts[here if at is None else at + 1]
        yield Segment(cursor, starts[-1])


def _pixel_segments(element: Element) -> Iterator[Segment]:
    yield Segment(element.start, element.value)
    yield Segment(element.value, element.value_end, pixel=True)
    yield Segment(element.value_end, element.end)
