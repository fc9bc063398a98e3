"""The pattern of the headers of a series: which elements are the same in all of them, and where others stand.

Belongs here: making a pattern of one header and of several, what has stood at its places. Does not belong
here: following a pattern through a file (`headers.py`), the elements' layout (`elements.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from inbox_pipeline.dicom.elements import PIXEL_TAGS, UNDEFINED, Element, Layout
from inbox_pipeline.dicom.stretches import Stretch, joined_of, repeating

ELEMENT_BYTES = 200
LONGEST, LONGEST_VALUE = 1 << 16, 1 << 12
"""Bytes of a sequence, and of other values, that may be part of a stretch to be remembered."""
MOST_ELEMENTS = 1 << 12
"""Elements of a pattern; larger headers are walked."""

LEAPS_BYTES, MOST_LEAPS, FEW_VALUES = 1 << 21, 64, 8
"""What leaps may take up of a pattern, how many may begin at one part, and after how many values that may be judged."""

Leap = tuple[bytes, Stretch, int]
"""A stretch with its bytes, and the number of the part that comes after it."""

Cell = tuple[int, "bytes | None"]
"""An element: its tag, and its bytes if all headers have these."""


class Place:
    """Where an element may stand that is not the same in all headers."""

    __slots__ = ("_seen", "_takes", "start", "tag")

    def __init__(self, tag: int) -> None:
        self.tag = tag
        self.start = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        self._seen: set[int] = set()
        self._takes = 0

    def take(self, data: bytes) -> None:
        """Note what stands here in one more header."""
        self._takes += 1
        if len(self._seen) <= MOST_LEAPS:
            self._seen.add(hash(data))

    @property
    def many(self) -> bool:
        """Whether very many values have stood here, or hardly ever one that had been here before."""
        seen = len(self._seen)
        return seen > MOST_LEAPS or (seen > FEW_VALUES and 4 * seen > 3 * self._takes)


class Pattern:
    """What headers have in common: stretches, and between them places; `parts` tell also how each begins.

    A place may be empty. `cells` are the elements, `same` those that are the same in all headers; `uses` counts the
    headers that were found to follow the pattern.
    """

    __slots__ = ("_leaps_bytes", "_once", "_parts_bytes", "cells", "leaps", "parts", "same", "uses")

    def __init__(self, cells: Sequence[Cell], layout: Layout) -> None:
        self.cells = cells
        self.same = frozenset(cell for cell in cells if cell[1] is not None)
        self.parts: list[tuple[bytes, Stretch | Place]] = list(_parts(cells, layout))
        self._parts_bytes = ELEMENT_BYTES * len(cells) + 2 * sum(len(data or b"") for _, data in cells)
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

    @property
    def varying(self) -> int:
        """How many elements are not the same in all headers."""
        return len(self.cells) - len(self.same)


def _parts(cells: Iterable[Cell], layout: Layout) -> Iterator[tuple[bytes, Stretch | Place]]:
    """Runs of elements that are the same, as long as may be; group lengths stand apart."""
    run, held = list[Cell](), 0
    for cell in cells:
        tag, data = cell
        apart = data is None or held + len(data) > LONGEST or not tag & 0xFFFF
        if run and (apart or not run[-1][0] & 0xFFFF):
            yield _stretch(run, layout)
            run, held = [], 0
        if data is None:
            place = Place(tag)
            yield place.start, place
        else:
            run.append(cell)
            held += len(data)
    if run:
        yield _stretch(run, layout)


def _stretch(run: Sequence[Cell], layout: Layout) -> tuple[bytes, Stretch]:
    data = b"".join(data for _, data in run if data is not None)
    return data, repeating(data, layout)


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


def common(cells: Iterable[Cell], others: Iterable[Cell]) -> list[Cell]:
    """The elements of two headers, which both ascend; those that are not the same in both are places."""
    before, now = dict(cells), dict(others)
    return [
        (tag, before.get(tag) if before.get(tag) == now.get(tag) else None)
        for tag in sorted(before.keys() | now.keys())
    ]
