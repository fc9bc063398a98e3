"""Filling rectangles in pixel data.

Belongs here: where samples lie in native pixel data (PS3.5 section 8, PS3.3 section C.7.6.3), arithmetic on bytes.
Does not belong here: decoding, attributes, the language.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise

from inbox_pipeline.script.errors import Failure


@dataclass(frozen=True)
class Rectangle:
    """Columns `left` up to but without `right`, rows `top` up to but without `bottom`."""

    left: int
    top: int
    right: int
    bottom: int

    def clipped(self, columns: int, rows: int) -> "Rectangle | None":
        """The part inside an image; None if there is none."""
        left, top = max(self.left, 0), max(self.top, 0)
        right, bottom = min(self.right, columns), min(self.bottom, rows)
        return Rectangle(left, top, right, bottom) if left < right and top < bottom else None


def complement(kept: Iterable[Rectangle], columns: int, rows: int) -> list[Rectangle]:
    """What lies outside all of `kept` in an image: rectangles that do not overlap, none if everything is kept."""
    areas = [area for area in (each.clipped(columns, rows) for each in kept) if area]
    edges = sorted({0, rows, *(area.top for area in areas), *(area.bottom for area in areas)})
    left_over = []
    for top, bottom in pairwise(edges):
        spans = sorted((area.left, area.right) for area in areas if area.top <= top and bottom <= area.bottom)
        left_over += [Rectangle(left, top, right, bottom) for left, right in _gaps(spans, columns)]
    return left_over


def _gaps(spans: list[tuple[int, int]], columns: int) -> Iterator[tuple[int, int]]:
    """What sorted spans leave of a row."""
    at = 0
    for left, right in spans:
        if at < left:
            yield at, left
        at = max(at, right)
    if at < columns:
        yield at, columns


@dataclass(frozen=True)
class Layout:
    """The attributes of native pixel data that say where each sample lies."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits: int
    planar: bool
    photometric: str
    stored: int

    @property
    def subsampled(self) -> bool:
        """Whether two pixels share their chrominance."""
        return self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422")

    @property
    def length(self) -> int:
        """How many bytes there must be. Raises Failure for a layout that is not known."""
        pixels = self.rows * self.columns * self.frames
        if self.bits == 1 and self.samples == 1:
            return (pixels + 7) // 8
        if self.bits not in (8, 16, 24, 32, 64) or (self.subsampled and (self.bits != 8 or self.columns % 2)):
            raise Failure("this layout of pixel data cannot be altered")
        return pixels * (2 if self.subsampled else self.samples) * self.bits // 8

    @property
    def black(self) -> list[bytes]:
        """The sample values, one per component, that the fill consists of: 0, and for YBR colours those of black."""
        components = [0] * self.samples
        if self.photometric.startswith("YBR"):
            darkest = 16 << self.stored - 8 if "PARTIAL" in self.photometric and self.stored >= 8 else 0
            components = [darkest, 1 << self.stored - 1, 1 << self.stored - 1]
        return [component.to_bytes(self.bits // 8, "little") for component in components]

    def fitted(self, length: int) -> "Layout":
        """The layout of pixel data of so many bytes: whole frames beyond the stated ones are frames like the others.

        Raises Failure if there are too few bytes, or as many as shared chrominance does not explain.
        """
        needed = self.length
        if length < needed:
            raise Failure("the pixel data is shorter than its attributes say")
        if self.subsampled and length >= needed // 2 * 3:
            raise Failure("the pixel data is longer than its attributes say: chrominance is not shared as they say")
        one = replace(self, frames=1).length if self.bits > 1 else 0
        return replace(self, frames=length // one) if one else self


def fill(value: bytes, layout: Layout, areas: Sequence[Rectangle]) -> bytes:
    """The pixel data with rectangles, which lie inside the image, of every frame filled; it is copied once.

    Raises Failure if it does not fit its layout.
    """
    layout = layout.fitted(len(value))
    way = _fill_bits if layout.bits == 1 else _fill_pairs if layout.subsampled else _fill_rows
    buffer = BytesIO(value)
    with buffer.getbuffer() as data:
        for area in areas:
            way(data, layout, area)
    return buffer.getvalue()


def _fill_rows(data: memoryview, layout: Layout, area: Rectangle) -> None:
    """Whole bytes per sample, by pixel or by plane."""
    black, width = layout.black, area.right - area.left
    if layout.planar and layout.samples > 1:
        planes = [(sample * width, layout.frames * len(black)) for sample in black]
    else:
        planes = [(b"".join(black) * width, layout.frames)]
    size = len(planes[0][0]) // width
    for number in range(planes[0][1]):
        line = planes[number % len(planes)][0]
        for y in range(area.top, area.bottom):
            start = ((number * layout.rows + y) * layout.columns + area.left) * size
            data[start : start + len(line)] = line


def _fill_pairs(data: memoryview, layout: Layout, area: Rectangle) -> None:
    """Bytes in the order Y Y Cb Cr; the chrominance of a pair that is half outside stays as it is."""
    luma, *chrominance = layout.black
    whole = luma * 2 + b"".join(chrominance)
    first, last = -(-area.left // 2), area.right // 2
    for y in _lines(layout, area):
        start = y * layout.columns * 2
        if first < last:
            data[start + first * 4 : start + last * 4] = whole * (last - first)
        for x in {area.left, area.right - 1}:
            data[start + x // 2 * 4 + x % 2] = luma[0]


def _fill_bits(data: memoryview, layout: Layout, area: Rectangle) -> None:
    """One bit per pixel, the first in the lowest bit, without gaps between rows and frames."""
    for y in _lines(layout, area):
        _clear_bits(data, y * layout.columns + area.left, y * layout.columns + area.right)


def _clear_bits(data: memoryview, start: int, stop: int) -> None:
    first, last = -(-start // 8), stop // 8
    if first < last:
        data[first:last] = bytes(last - first)
    for bit in (*range(start, min(first * 8, stop)), *range(max(first, last) * 8, stop)):
        data[bit // 8] &= ~(1 << bit % 8)


def _lines(layout: Layout, area: Rectangle) -> Iterator[int]:
    """The rows of the rectangle in every frame, counted through all frames."""
    for frame in range(layout.frames):
        yield from range(frame * layout.rows + area.top, frame * layout.rows + area.bottom)
