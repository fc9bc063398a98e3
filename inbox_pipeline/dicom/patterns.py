"""The pattern of the headers of a series: which elements are the same in all of them, and where others stand.

Belongs here: making a pattern of one header and of several, what has stood at its places. Does not belong
here: following a pattern through a file (`headers.py`), the elements' layout (`elements.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from inbox_pipeline.dicom.digests import Segment
from inbox_pipeline.dicom.elements import PIXEL_TAGS, UNDEFINED, Element, Layout
from inbox_pipeline.dicom.stretches import Stretch, joined_of

ELEMENT_BYTES = 200
LONGEST, LONGEST_VALUE = 1 << 16, 1 << 12
"""Bytes of a sequence, and of other values, that may be part of a stretch to be remembered."""
MOST_ELEMENTS = 1 << 12
"""Elements of a pattern; larger headers are walked."""

LEAPS_BYTES, MOST_LEAPS = 1 << 21, 64
"""What stretches that follow each other may take up of a pattern, and how many may begin at one part."""

Leap = tuple[bytes, Stretch, int]
"""A stretch with its bytes, and the number of the part that comes after it."""

Cell = tuple[int, "bytes | None"]
"""An element: its tag, and its bytes if all headers have these."""


class Place:
    """Where an element may stand that is not the same in all headers."""

    __slots__ = ("_seen", "start", "tag")

    def __init__(self, tag: int) -> None:
        self.tag = tag
        self.start = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        self._seen: set[int] = set()

    def take(self, data: bytes) -> None:
        """Note what stands here in one more header."""
        if len(self._seen) <= MOST_LEAPS:
            self._seen.add(hash(data))

    @property
    def many(self) -> bool:
        """Whether very many values have stood here."""
        return len(self._seen) > MOST_LEAPS


class Pattern:
    """What headers have in common: stretches, and between them places; `parts` tell also how each begins.

    A place may be empty. `uses` counts the headers that were found to follow the pattern.
    """

    __slots__ = ("_leaps_bytes", "_once", "_parts_bytes", "leaps", "parts", "uses")

    def __init__(self, cells: Iterable[Cell], layout: Layout) -> None:
        self.parts: list[tuple[bytes, Stretch | Place]] = list(_parts(cells, layout))
        self._parts_bytes = sum(2 * len(data) + ELEMENT_BYTES for data, _ in self.parts)
        self.uses = 0
        self._forget()

    def _forget(self) -> None:
        self.leaps: list[list[Leap]] = [[] for _ in self.parts]
        """By the number of a part, known stretches that have stood there, also several that followed each other."""
        self._once: set[tuple[Stretch, ...]] = set()
        self._leaps_bytes = 0

    @property
    def held(self) -> int:
        """About how many bytes it takes up."""
        return self._parts_bytes + self._leaps_bytes

    def follow(self, begin: int, after: int, stretches: tuple[Stretch, ...]) -> None:
        """Note that known stretches have followed each other; they are joined at the second time.

        Args:
            begin: the number of the part at which the first one stands.
            after: that of the part that comes after the last one.
            stretches: at least two.
        """
        if self._leaps_bytes > LEAPS_BYTES:
            self._forget()
        if stretches not in self._once:
            self._once.add(stretches)
            self._leaps_bytes += ELEMENT_BYTES
            return
        self._once.discard(stretches)
        self.leap(begin, after, joined_of(stretches))

    def leap(self, begin: int, after: int, stretch: Stretch) -> None:
        """Remember that a known stretch may stand at a part, and which part comes after it."""
        data = stretch.content()
        self._leaps_bytes += 2 * len(data) + ELEMENT_BYTES
        self.leaps[begin] = [(data, stretch, after), *self.leaps[begin][: MOST_LEAPS - 1]]

    def cells(self) -> Iterator[Cell]:
        """The elements in order."""
        for data, part in self.parts:
            if isinstance(part, Place):
                yield part.tag, None
            else:
                yield from ((e.tag, data[e.start : e.end]) for e in part.elements)


def _parts(cells: Iterable[Cell], layout: Layout) -> Iterator[tuple[bytes, Stretch | Place]]:
    """Runs of elements that are the same, as long as may be; group lengths stand apart."""
    run: list[Cell] = []
    for cell in cells:
        tag, data = cell
        if run and (data is None or not _may_follow(run, tag, data)):
            yield _stretch(run, layout)
            run = []
        if data is None:
            place = Place(tag)
            yield place.start, place
        else:
            run.append(cell)
    if run:
        yield _stretch(run, layout)


def _may_follow(run: Sequence[Cell], tag: int, data: bytes) -> bool:
    lengths = not (tag & 0xFFFF and run[-1][0] & 0xFFFF)
    return not lengths and sum(len(other or b"") for _, other in run) + len(data) <= LONGEST


def _stretch(run: Sequence[Cell], layout: Layout) -> tuple[bytes, Stretch]:
    data = b"".join(data for _, data in run if data is not None)
    return data, Stretch(tuple(tag for tag, _ in run), (Segment(data=data),), layout, known=True)


def may_be_known(element: Element, head: bytes) -> bool:
    """Whether an element is short enough to be remembered, and within the first bytes of its file."""
    longest = LONGEST if element.vr == b"SQ" or element.length == UNDEFINED else LONGEST_VALUE
    short = element.end - element.start <= longest and element.end <= len(head)
    return short and element.tag not in PIXEL_TAGS


def cells_of(elements: Iterable[Element], head: bytes) -> list[Cell]:
    """The elements of one header, with the bytes of those that may be remembered."""
    return [(e.tag, head[e.start : e.end] if may_be_known(e, head) else None) for e in elements]


def ascend(cells: Sequence[Cell]) -> bool:
    """Whether elements come in order, each tag once, and are not too many."""
    return len(cells) <= MOST_ELEMENTS and all(one[0] < other[0] for one, other in pairwise(cells))


def common(pattern: Pattern, cells: Iterable[Cell]) -> list[Cell]:
    """The elements of a pattern and of one more header, which both ascend; those not the same in both are places."""
    before, now = dict(pattern.cells()), dict(cells)
    return [
        (tag, before.get(tag) if before.get(tag) == now.get(tag) else None)
        for tag in sorted(before.keys() | now.keys())
    ]


def varying(cells: Iterable[Cell]) -> int:
    """How many elements are not the same in all headers."""
    return sum(data is None for _, data in cells)
