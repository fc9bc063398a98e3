"""Stretches: consecutive root elements of a data set as bytes, the unit in which a header is looked at and written.

Belongs here: what a cleaner and a verifier see of a data set, and putting changed elements into it. Does not belong
here: finding stretches in a file (`headers.py`), what is changed (`deid`), the roads.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from inbox_pipeline.dicom.changes import Encoded
from inbox_pipeline.dicom.digests import Segment
from inbox_pipeline.dicom.elements import PIXEL_TAGS, UNDEFINED, Element, Ends, Layout, all_elements, head_at
from inbox_pipeline.dicom.nested import IN_MEMORY
from inbox_pipeline.dicom.window import Window


class RootElement(NamedTuple):
    """An element: its tag, the VR that it is stated with (None if none), how to get its value, and that one's length.

    What has an undefined length and is no pixel data is a sequence, with the VR SQ (PS3.5 section 6.2.2). `ends` tells
    where nested values end, if that is known; the value begins at `origin` there.
    """

    tag: int
    vr: bytes | None
    value: Callable[[], bytes]
    length: int
    ends: Ends | None = None
    origin: int = 0


class Stretch:
    """Root elements that follow each other, at least one.

    `data` are their bytes, None where these lie in the source only or are pixel data; `segments` are what is written of
    them; `tags` theirs, in order. `known` tells that equal bytes in the same layout come as the same object, so that
    what follows from them need be found out once; `notes` is where to keep it. Others are the only ones of their kind.
    `parts` are the stretches that one has been joined of, none for others. Of what is known the elements take up memory
    for long: they are held only if they were given.
    """

    __slots__ = ("_elements", "_load", "_roots", "data", "known", "layout", "notes", "parts", "segments", "tags")

    def __init__(
        self,
        tags: Sequence[int],
        segments: Sequence[Segment],
        layout: Layout,
        *,
        elements: Sequence[Element] | None = None,
        roots: Sequence[RootElement] | None = None,
        load: Callable[[], bytes] | None = None,
        known: bool = False,
        parts: Sequence[Stretch] = (),
    ) -> None:
        self.parts = parts
        self.tags, self.segments, self.known = tags, segments, known
        self.data = segments[0].data if len(segments) == 1 else None
        self.notes: dict[Any, Any] = {}
        self.layout, self._elements, self._roots, self._load = layout, elements, roots, load

    def content(self) -> bytes:
        """All bytes but of pixel data, read from the source if they are not held."""
        return self.data if self.data is not None else b"" if self._load is None else self._load()

    @property
    def elements(self) -> Sequence[Element]:
        """The elements as offsets: into `data`, or into the source where that is None."""
        if self.parts:
            return list(_moved(self.parts))
        if self._elements is not None:
            return self._elements
        elements = _walked(self.data or b"", self.layout)
        if not self.known:
            self._elements = elements
        return elements

    @property
    def roots(self) -> Sequence[RootElement]:
        """The elements with their values."""
        if self._roots is not None:
            return self._roots
        data = self.data or b""
        roots = [_root(data, element) for element in self.elements]
        if not self.known or self._elements is not None:
            self._roots = roots
        return roots

    def root(self, tag: int) -> RootElement | None:
        """The element with a tag; None if there is none."""
        if tag not in self.notes:
            self.notes[tag] = next((root for root in self.roots if root.tag == tag), None)
        found: RootElement | None = self.notes[tag]
        return found


def held(data: bytes, layout: Layout, tags: Sequence[int], *, known: bool = False) -> Stretch:
    """The elements of these bytes, which are those with `tags`."""
    return Stretch(tags, (Segment(data=data),), layout, known=known)


def repeating(data: bytes, layout: Layout) -> Stretch:
    """Elements that come in header after header."""
    elements = _walked(data, layout)
    tags = tuple(element.tag for element in elements)
    return Stretch(tags, (Segment(data=data),), layout, elements=elements, known=True)


def _walked(data: bytes, layout: Layout) -> list[Element]:
    return all_elements(Window(IN_MEMORY, len(data), head=data), 0, layout, {})


def joined_of(stretches: Sequence[Stretch]) -> Stretch:
    """Known stretches that follow each other as one."""
    parts = [part for stretch in stretches for part in stretch.parts or (stretch,)]
    data = b"".join(stretch.content() for stretch in stretches)
    roots = [root for part in parts for root in part.roots]
    tags = [root.tag for root in roots]
    return Stretch(tags, (Segment(data=data),), stretches[0].layout, roots=roots, known=True, parts=parts)


def _moved(parts: Iterable[Stretch]) -> Iterator[Element]:
    """The elements of stretches as they stand when these follow each other."""
    begin = 0
    for part in parts:
        for tag, vr, start, value, length, end in part.elements:
            yield Element(tag, vr, begin + start, begin + value, length, begin + end)
        begin += len(part.content())


def of_encoded(encoded: Encoded, layout: Layout) -> Stretch:
    """One element that has been encoded."""
    root = as_root(encoded, layout)
    elements = [_whole(encoded.head, layout)] if not encoded.pixel else None
    return Stretch((root.tag,), tuple(encoded.segments()), layout, elements=elements, roots=(root,))


def as_root(encoded: Encoded, layout: Layout) -> RootElement:
    """An element that has been encoded, with its value."""
    if not encoded.pixel:
        return _root(encoded.head, _whole(encoded.head, layout))
    element = _whole(encoded.head, layout)
    return RootElement(element.tag, element.vr, lambda: encoded.value, len(encoded.value))


def _whole(head: bytes, layout: Layout) -> Element:
    tag, vr, value, length = head_at(Window(IN_MEMORY, len(head), head=head), 0, layout)
    return Element(tag, vr, 0, value, length, len(head))


def _root(data: bytes, element: Element) -> RootElement:
    tag, vr, _, value, length, end = element
    if length == UNDEFINED and tag not in PIXEL_TAGS:
        return RootElement(tag, b"SQ", lambda: data[value : end - 8], end - 8 - value)
    return RootElement(tag, vr, lambda: data[value:end], end - value)


def find(stretches: Sequence[Stretch], tag: int) -> RootElement | None:
    """The element with a tag; None if there is none. The stretches ascend."""
    at = bisect_right(stretches, tag, key=_first) - 1
    return stretches[at].root(tag) if at >= 0 else None


def _first(stretch: Stretch) -> int:
    return stretch.tags[0]


def numbers_of(stretches: Sequence[Stretch], tags: Iterable[int]) -> set[int]:
    """The numbers of the stretches in which elements with these tags stand."""
    places = {tag: bisect_right(stretches, tag, key=_first) - 1 for tag in tags}
    return {at for tag, at in places.items() if at >= 0 and tag in stretches[at].tags}


Over = tuple[tuple[int, bytes | None], ...]
"""What is laid over a stretch: elements by ascending tag, None for each that is left out."""


def shares(stretches: Sequence[Stretch], over: Mapping[int, bytes | None]) -> dict[int, Over]:
    """Which part of `over` concerns which stretch, by its number: each has what comes before the next one begins."""
    firsts, found = [stretch.tags[0] for stretch in stretches], dict[int, list[tuple[int, bytes | None]]]()
    for tag in sorted(over):
        found.setdefault(max(0, bisect_right(firsts, tag) - 1), []).append((tag, over[tag]))
    return {at: tuple(part) for at, part in found.items()}


def laid_over(stretch: Stretch, changes: Mapping[int, bytes | None], layout: Layout, *, known: bool) -> list[Stretch]:
    """A stretch with elements replaced, added and left out; empty if nothing stays, several around what is not held.

    `known` tells whether the caller will come back with the same object for the same work.
    """
    if not changes:
        return [stretch]
    if stretch.data is None:
        (tag,) = stretch.tags
        before = _joined([(t, data) for t, data in changes.items() if t < tag], layout)
        after = _joined([(t, data) for t, data in changes.items() if t >= tag], layout)
        return [*before, *([] if tag in changes else [stretch]), *after]
    data = stretch.data
    kept = [(e.tag, data[e.start : e.end]) for e in stretch.elements if e.tag not in changes]
    return _joined([*kept, *changes.items()], layout, known=known)


def _joined(parts: Iterable[tuple[int, bytes | None]], layout: Layout, *, known: bool = False) -> list[Stretch]:
    left = sorted((tag, data) for tag, data in parts if data is not None)
    if not left:
        return []
    return [held(b"".join(data for _, data in left), layout, tuple(tag for tag, _ in left), known=known)]


def exchanged(stretches: Sequence[Stretch], made: Mapping[int, Stretch | None]) -> list[Stretch]:
    """Stretches with single elements replaced, added and, where there is None for them, left out."""
    result = list(stretches)
    for tag in sorted(made):
        new = made[tag]
        at = bisect_left(result, tag, key=_first)
        if at and result[at - 1].tags[-1] >= tag:
            result[at - 1 : at] = _cut(result[at - 1], tag)
            at = bisect_left(result, tag, key=_first)
        there = at < len(result) and result[at].tags[0] == tag
        if there and len(result[at].tags) > 1:
            result[at : at + 1] = _cut(result[at], tag + 1)
        result[at : at + there] = [] if new is None else [new]
    return result


def _cut(stretch: Stretch, tag: int) -> list[Stretch]:
    """A stretch as two, of which the second begins with `tag` or what comes after it."""
    at = bisect_left(stretch.tags, tag)
    data, place = stretch.data or b"", stretch.elements[at].start
    return [
        held(data[:place], stretch.layout, stretch.tags[:at]),
        held(data[place:], stretch.layout, stretch.tags[at:]),
    ]
