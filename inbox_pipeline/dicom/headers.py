"""Finding the stretches of a header, with a memory of those of earlier files: the headers of a series repeat.

Belongs here: recognising elements by their bytes, and where a header is cut into stretches. Does not belong here: what
follows from a stretch (`deid`), the elements' layout (`elements.py`).

Equal bytes that begin with an element hold equal elements, so whole stretches are recognised by one look-up. At first a
header is one stretch; what differs between two headers is cut out of it and stands apart from then on. Stretches that
have followed each other twice are joined to a longer one. What is recognised has been walked once like everything else.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import BinaryIO

from inbox_pipeline.dicom.digests import BUFFER_BYTES, Segment
from inbox_pipeline.dicom.elements import PIXEL_TAGS, UNDEFINED, Element, Ends, Layout, require_few, root_elements
from inbox_pipeline.dicom.errors import Truncated
from inbox_pipeline.dicom.stretches import RootElement, Stretch, joined_of
from inbox_pipeline.dicom.window import PART_LIMIT, Window, require_room

REMEMBERED_BYTES = 3 << 20
"""Up to here stretches may take up memory; then they are forgotten."""
ELEMENT_BYTES = 200
LONGEST, LONGEST_VALUE = 1 << 16, 1 << 12
"""Bytes of a sequence, and of other values, that may be part of a stretch to be remembered."""
MOST_LENGTHS, MOST_LONGER = 6, 64
FIRST_READ, SPARE = 1 << 14, 1 << 10
_NONE: list[int] = []


def header_end(stretches: Sequence[Stretch], end: int) -> int:
    """Where pixel data begin, or else the end of the data set."""
    pixels = next((each for each in reversed(stretches) if each.tags[0] in PIXEL_TAGS), None)
    return end if pixels is None else pixels.elements[0].start


class Headers:
    """The stretches of headers; remembers from file to file. For one thread at a time."""

    def __init__(self) -> None:
        self.reach = FIRST_READ
        """So many bytes of a file are likely to hold its header."""
        self._known: dict[Layout, _Known] = {}
        self._apart: frozenset[int] = frozenset()

    def keep_apart(self, tags: frozenset[int]) -> None:
        """See to it that elements with these tags stand apart, and that no stretch goes on beyond one's place."""
        if not tags <= self._apart:
            self._apart |= tags
            self._known.clear()

    def learn_reach(self, end: int, size: int) -> bool:
        """Note where the header of a file of `size` bytes ends; return whether more of it should have been read."""
        short = self.reach < min(end, BUFFER_BYTES, size)
        if short:
            self.reach = min(end + SPARE, BUFFER_BYTES)
        return short

    def walk(
        self, stream: BinaryIO, head: bytes, window: Window, start: int, layout: Layout, ends: Ends
    ) -> tuple[list[Stretch], int]:
        """The stretches of a data set from `start` on, and where they end.

        Args:
            stream: the source, for values beyond `head`, its first bytes.
            window: over the same source.
            start: of the first element.
            layout: little endian.
            ends: filled, as `root_elements` does.

        Raises:
            Truncated, Unparsable, OverLimits: as `root_elements`.
        """
        known = self._known.get(layout) or self._known.setdefault(layout, _Known(self._apart))
        return _Walk(known, stream, head, window, layout, ends).stretches(start)


class _Known:
    """Stretches of one layout by their bytes, and how long those are that begin with a tag, the latest first."""

    def __init__(self, asked: Collection[int]) -> None:
        self.asked = sorted(asked)
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.apart = list(self.asked)
        self.stretches: dict[bytes, Stretch] = {}
        self.lengths: dict[bytes, list[int]] = {}
        self.latest: dict[int, Stretch] = {}
        self.longer: dict[Stretch, list[tuple[bytes, Stretch]]] = {}
        """Joined stretches and their bytes, by the one that they begin with."""
        self._once: set[tuple[Stretch, ...]] = set()
        self._held = 0

    def stand_apart(self, before: int, tag: int) -> bool:
        """Whether two elements that follow each other belong to different stretches; group lengths always do."""
        return _are_apart(self.apart, before, tag)

    def join(self, stretches: Sequence[Stretch]) -> None:
        """Note that stretches have followed each other; those that may be are joined at the second time."""
        begin = 0
        for at in range(1, len(stretches) + 1):
            if at == len(stretches) or _are_apart(self.asked, stretches[at - 1].tags[-1], stretches[at].tags[0]):
                if at - begin > 1:
                    self._join(tuple(stretches[begin:at]))
                begin = at

    def _join(self, stretches: tuple[Stretch, ...]) -> None:
        longer = self.longer.setdefault(stretches[0], [])
        if stretches not in self._once:
            self._once.add(stretches)
        elif len(longer) < MOST_LONGER:
            self._once.discard(stretches)
            joined = joined_of(stretches)
            data = joined.content()
            self._held += len(data) + ELEMENT_BYTES * len(joined.tags)
            longer.append((data, joined))

    def differ(self, tags: Iterable[int]) -> None:
        """Note that elements with these tags differ between files."""
        for tag in tags:
            at = bisect_left(self.apart, tag)
            if at == len(self.apart) or self.apart[at] != tag:
                insort(self.apart, tag)

    def add(self, data: bytes, stretch: Stretch) -> None:
        """Remember a stretch."""
        if self._held > REMEMBERED_BYTES:
            self.forget()
        self._held += len(data) + ELEMENT_BYTES * len(stretch.tags)
        self.stretches[data] = self.latest[stretch.tags[0]] = stretch
        lengths = self.lengths.setdefault(data[:4], [])
        if len(data) not in lengths:
            lengths.insert(0, len(data))
            del lengths[MOST_LENGTHS:]


class _Walk:
    """One header being walked."""

    def __init__(
        self, known: _Known, stream: BinaryIO, head: bytes, window: Window, layout: Layout, ends: Ends
    ) -> None:
        self._known, self._stream, self._head, self._window = known, stream, head, window
        self._layout, self._ends = layout, ends

    def stretches(self, start: int) -> tuple[list[Stretch], int]:
        """All of them, and where they end."""
        head, known, found, at = self._head, self._known, list[Stretch](), start
        get, lengths = known.stretches.get, known.lengths.get
        size, last, new, count = self._window.size, len(head) - 4, 0, 0
        while at < size:
            require_few(count)
            ways = lengths(head[at : at + 4], _NONE) if at <= last else _NONE
            for way in ways:
                stretch = get(head[at : at + way])
                if stretch is not None:
                    stretch = self._longest(stretch, at)
                    found.append(stretch)
                    count += len(stretch.tags)
                    at += len(stretch.content())
                    if way != ways[0]:
                        ways.remove(way)
                        ways.insert(0, way)
                    break
            else:
                fresh, end = self._fresh(at, found[-1].tags[-1] if found else -1)
                known.join(found[new:])
                found += fresh
                count += sum(len(each.tags) for each in fresh)
                new = len(found)
                if end == at:
                    break
                at = end
        if not found:
            raise Truncated(f"no element follows offset {start} of {size}")
        known.join(found[new:])
        return found, at

    def _longest(self, stretch: Stretch, at: int) -> Stretch:
        """The longest joined stretch at `at`, where `stretch` was recognised."""
        begins = self._head.startswith
        for data, joined in self._known.longer.get(stretch, ()):
            if begins(data, at):
                return self._longest(joined, at)
        return stretch

    def _fresh(self, at: int, previous: int) -> tuple[list[Stretch], int]:
        """New stretches from `at` on, at least one unless only padding is left, and where they end."""
        taken: list[Element] = []
        held = 0
        for element in root_elements(self._window, at, self._layout, ends=self._ends, origin=0, previous=previous):
            if not self._may_be_known(element):
                if not taken:
                    return [self._loose(element)], element.end
                break
            held += element.end - element.start
            if taken and (held > LONGEST or self._known.stand_apart(taken[-1].tag, element.tag)):
                break
            taken.append(element)
        return (self._learned(taken), taken[-1].end) if taken else ([], at)

    def _may_be_known(self, element: Element) -> bool:
        longest = LONGEST if element.vr == b"SQ" or element.length == UNDEFINED else LONGEST_VALUE
        short = element.end - element.start <= longest and element.end <= len(self._head)
        return short and element.tag not in PIXEL_TAGS

    def _learned(self, taken: Sequence[Element]) -> list[Stretch]:
        """Elements as stretches to remember, cut where they differ from those that began with the same tag."""
        known = self._known
        before = known.latest.get(taken[0].tag)
        if before is not None:
            known.differ(_differing(_bytes_of(before), {e.tag: self._head[e.start : e.end] for e in taken}))
        parts = [[taken[0]]]
        for element in taken[1:]:
            if known.stand_apart(parts[-1][-1].tag, element.tag):
                parts.append([])
            parts[-1].append(element)
        return [self._remembered(part) for part in parts]

    def _remembered(self, part: Sequence[Element]) -> Stretch:
        start = part[0].start
        data = self._head[start : part[-1].end]
        stretch = self._known.stretches.get(data)
        if stretch is None:
            segments, moved = (Segment(data=data),), [_moved(element, start) for element in part]
            stretch = Stretch(tuple(e.tag for e in part), segments, self._layout, elements=moved, known=True)
            self._known.add(data, stretch)
        return stretch

    def _loose(self, element: Element) -> Stretch:
        """An element that is not remembered: too long, or beyond the head."""
        tag, vr, start, value, length, end = element
        read, bytes_long = self._reader(value, element.value_end), element.value_end - value
        sequence = length == UNDEFINED and tag not in PIXEL_TAGS
        stated, ends = (b"SQ", self._ends) if sequence else (vr, None)
        roots = [RootElement(tag, stated, read, bytes_long, ends, value)]
        if tag in PIXEL_TAGS:
            pixels = Segment(value, element.value_end, pixel=True)
            segments = [Segment(start, value), pixels, Segment(element.value_end, end)]
        elif end <= len(self._head):
            segments, element = [Segment(data=self._head[start:end])], _moved(element, start)
        else:
            segments = [Segment(start, end)]
        load = None if tag in PIXEL_TAGS else self._reader(start, end)
        return Stretch((tag,), segments, self._layout, elements=[element], roots=roots, load=load)

    def _reader(self, start: int, end: int) -> Callable[[], bytes]:
        stream, head = self._stream, self._head

        def read() -> bytes:
            if end <= len(head):
                return head[start:end]
            require_room(end - start, PART_LIMIT)
            stream.seek(start)
            return stream.read(end - start)

        return read


def _are_apart(tags: Sequence[int], before: int, tag: int) -> bool:
    """Whether one of `tags` is or lies between two that follow each other, or these have a group length among them."""
    length = not (tag & 0xFFFF and before & 0xFFFF)
    return length or bisect_left(tags, before) != bisect_right(tags, tag)


def _moved(element: Element, start: int) -> Element:
    tag, vr, first, value, length, end = element
    return Element(tag, vr, first - start, value - start, length, end - start)


def _bytes_of(stretch: Stretch) -> dict[int, bytes]:
    data = stretch.data or b""
    return {e.tag: data[e.start : e.end] for e in stretch.elements}


def _differing(before: dict[int, bytes], now: dict[int, bytes]) -> Iterable[int]:
    """The tags of elements that are not the same in both, as far as both go."""
    both = min(max(before), max(now))
    return [tag for tag in before.keys() | now.keys() if tag <= both and before.get(tag) != now.get(tag)]
