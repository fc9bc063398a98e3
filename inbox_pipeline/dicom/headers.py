"""Finding the stretches of a header, with a memory of those of earlier files: the headers of a series repeat.

Belongs here: recognising elements by their bytes, and what is remembered for that. Does not belong here: what follows
from a stretch (`deid`), how headers are compared (`patterns.py`), the elements' layout (`elements.py`).

Equal bytes that begin with an element hold equal elements. So a header that follows a pattern, that of its series, is
recognised by a few comparisons: only elements at places, where headers differ, are walked. One that follows none is
walked like any other file and makes a pattern, together with the one most like it.
"""

from collections.abc import Callable, Sequence
from typing import BinaryIO

from inbox_pipeline.dicom.digests import BUFFER_BYTES, Segment
from inbox_pipeline.dicom.elements import (
    DEPTH_LIMIT,
    PIXEL_TAGS,
    UNDEFINED,
    Element,
    Ends,
    Layout,
    all_elements,
    element_at,
)
from inbox_pipeline.dicom.patterns import (
    ELEMENT_BYTES,
    Cell,
    Pattern,
    Place,
    ascend,
    cells_of,
    common,
    may_be_known,
)
from inbox_pipeline.dicom.stretches import RootElement, Stretch
from inbox_pipeline.dicom.window import PART_LIMIT, Window, require_room

REMEMBERED_BYTES = 3 << 20
"""Up to here patterns of one layout may take up memory; then they are forgotten."""
VALUE_BYTES = 1 << 20
"""And so much what stood at their places."""
MOST_PATTERNS, FEW = 32, 4
"""Patterns of one layout, and differences for the sake of which a pattern in use is given up for a wider one."""
FIRST_READ, SPARE, PATIENCE = 1 << 14, 1 << 10, 16


def header_end(stretches: Sequence[Stretch], end: int) -> int:
    """Where pixel data begin, or else the end of the data set."""
    pixels = next((each for each in reversed(stretches) if each.tags[0] in PIXEL_TAGS), None)
    return end if pixels is None else pixels.elements[0].start


class Headers:
    """The stretches of headers; remembers from file to file. For one thread at a time."""

    def __init__(self) -> None:
        self.reach = FIRST_READ
        """So many bytes of a file are likely to hold its header."""
        self._longest, self._files = 0, 0
        self._known: dict[Layout, _Known] = {}

    def learn_reach(self, end: int, size: int) -> bool:
        """Note where the header of a file of `size` bytes ends; return whether more of it should have been read.

        After several files in a row that needed less, less is read.
        """
        self._longest, self._files = max(self._longest, end), self._files + 1
        short = self.reach < min(end, BUFFER_BYTES, size)
        if short or self._files == PATIENCE:
            self.reach = min(max(self._longest + SPARE, FIRST_READ), BUFFER_BYTES)
            self._longest = self._files = 0
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
        known = self._known.get(layout) or self._known.setdefault(layout, _Known(layout))
        return _Walk(known, stream, head, window, layout, ends).stretches(start)


class _Known:
    """The patterns of one layout, the last used first, and what stood at their places."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.patterns: list[Pattern] = []
        self._values: dict[bytes, Stretch | None] = {}
        """By its bytes an element that has come twice; None for one that has come once."""
        self._held = 0

    def used(self, pattern: Pattern) -> None:
        """Note that a header follows a pattern."""
        pattern.uses += 1
        if self.patterns[0] is not pattern:
            self.patterns.remove(pattern)
            self.patterns.insert(0, pattern)
        self._require_room()

    def learn(self, cells: Sequence[Cell]) -> Pattern:
        """Remember the pattern of a header that follows none: its own, or wider than the one that it is most like."""
        now = set(cells)
        alike = max(self.patterns, key=lambda pattern: len(pattern.same & now), default=None)
        wide = None if alike is None else Pattern(common(alike.cells, cells), self._layout)
        if alike is None or wide is None or 2 * wide.varying > len(cells):
            return self._add(Pattern(cells, self._layout))
        if not alike.uses or wide.varying <= alike.varying + FEW:
            self.patterns.remove(alike)
        return self._add(wide)

    def _add(self, pattern: Pattern) -> Pattern:
        self.patterns = [pattern, *self.patterns[: MOST_PATTERNS - 1]]
        self._require_room()
        return pattern

    def _require_room(self) -> None:
        """Forget patterns that have not been used for long, as long as all take up too much."""
        while len(self.patterns) > 1 and sum(each.held for each in self.patterns) > REMEMBERED_BYTES:
            self.patterns.pop()

    def at_place(self, data: bytes, element: Element) -> Stretch:
        """An element that stands at a place; when its bytes come a second time it is remembered."""
        known = self._values.get(data)
        if known is not None:
            return known
        again = data in self._values
        stretch = Stretch((element.tag,), (Segment(data=data),), self._layout, elements=[_moved(element)], known=again)
        if self._held > VALUE_BYTES:
            self._values.clear()
            self._held = 0
        self._values[data] = stretch if again else None
        self._held += len(data) + ELEMENT_BYTES
        return stretch


class _Runs:
    """What follows each other of what is known, from one element that is not to the next."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern
        self._run: list[Stretch] = []
        self._begin = self._after = 0

    def go_on(self, number: int, after: int, stretch: Stretch, part: Stretch | Place) -> None:
        """Note a stretch, the number of its part, and of the part after it, and the part.

        Group lengths stand apart, and so does what has very many values: hardly ever will it follow the same again.
        """
        many = isinstance(part, Place) and part.many
        if many or not stretch.known or not stretch.tags[0] & 0xFFFF:
            self.end()
        elif self._run:
            self._run.append(stretch)
            self._after = after
        else:
            self._run, self._begin, self._after = [stretch], number, after

    def end(self) -> None:
        """Note that the header ends, or what is known."""
        if len(self._run) > 1:
            self._pattern.follow(self._begin, self._after, tuple(self._run))
        self._run = []


class _Walk:
    """One header being walked."""

    def __init__(
        self, known: _Known, stream: BinaryIO, head: bytes, window: Window, layout: Layout, ends: Ends
    ) -> None:
        self._known, self._stream, self._head, self._window = known, stream, head, window
        self._layout, self._ends = layout, ends

    def stretches(self, start: int) -> tuple[list[Stretch], int]:
        """All of them, and where they end."""
        for pattern in self._known.patterns:
            found = self._along(pattern, start)
            if found is not None:
                self._known.used(pattern)
                return found
        return self._fresh(start)

    def _along(self, pattern: Pattern, start: int) -> tuple[list[Stretch], int] | None:
        """The stretches of a header that follows a pattern, and where they end; None if it does not."""
        begins, parts, leaps, size = self._head.startswith, pattern.parts, pattern.leaps, len(pattern.parts)
        at, number, found = start, 0, list[Stretch]()
        runs = _Runs(pattern)
        while number < size:
            for data, stretch, after in leaps[number]:
                if begins(data, at):
                    runs.go_on(number, after, stretch, stretch)
                    found.append(stretch)
                    at += len(data)
                    number = after
                    break
            else:
                data, part = parts[number]
                number += 1
                if not begins(data, at):
                    if isinstance(part, Stretch):
                        return None
                    continue
                if isinstance(part, Stretch):
                    stretch = part
                    at += len(data)
                else:
                    element = self._element(at, found)
                    if element is None:
                        return None
                    stretch = self._at_place(element, part)
                    at = element.end
                    if stretch.known and not part.many:
                        pattern.leap(number - 1, number, stretch)
                found.append(stretch)
                runs.go_on(number - 1, number, stretch, part)
        if not found or (at < self._window.size and self._element(at, found) is not None):
            return None
        runs.end()
        return found, at

    def _element(self, at: int, found: Sequence[Stretch]) -> Element | None:
        """The element at `at`, None if only padding is left."""
        previous = found[-1].tags[-1] if found else -1
        return element_at(self._window, at, self._layout, DEPTH_LIMIT, self._ends, 0, previous)

    def _at_place(self, element: Element, place: Place) -> Stretch:
        if not may_be_known(element, self._head):
            return self._loose(element)
        data = self._head[element.start : element.end]
        place.take(data)
        return self._known.at_place(data, element)

    def _fresh(self, start: int) -> tuple[list[Stretch], int]:
        """The stretches of a header that follows no pattern.

        A pattern is made of it if its elements ascend and enough of the file has been read.
        """
        head = self._head
        elements = all_elements(self._window, start, self._layout, self._ends)
        cells = cells_of(elements, head)
        end = next((each.start for each in elements if each.tag in PIXEL_TAGS), elements[-1].end)
        if ascend(cells) and len(head) >= min(end, BUFFER_BYTES, self._window.size):
            found = self._along(self._known.learn(cells), start)
            if found is not None:
                return found
        return self._apart(elements), elements[-1].end

    def _apart(self, elements: Sequence[Element]) -> list[Stretch]:
        """Elements of which nothing is remembered."""
        head, layout = self._head, self._layout
        return [
            Stretch((e.tag,), (Segment(data=head[e.start : e.end]),), layout, elements=[_moved(e)])
            if may_be_known(e, head)
            else self._loose(e)
            for e in elements
        ]

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
            segments, element = [Segment(data=self._head[start:end])], _moved(element)
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


def _moved(element: Element) -> Element:
    tag, vr, start, value, length, end = element
    return Element(tag, vr, 0, value - start, length, end - start)
