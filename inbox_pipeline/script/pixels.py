"""Filling rectangles in pixel data.

Belongs here: where samples lie in native pixel data (PS3.5 section 8, PS3.3 section C.7.6.3), arithmetic on bytes.
Does not belong here: decoding, attributes, the language.
"""

from collections.abc import Iterator
from dataclasses import dataclass

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
        return self.photometric == "YBR_FULL_422"

    @property
    def length(self) -> int:
        """How many bytes there must be. Raises Failure for a layout that is not known."""
        pixels = self.rows * self.columns * self.frames
        if self.bits == 1 and self.samples == 1:
            return (pixels + 7) // 8
        if self.bits not in (8, 16, 32, 64) or (self.subsampled and (self.bits != 8 or self.columns % 2)):
            raise Failure("this layout of pixel data cannot be altered")
        return pixels * (2 if self.subsampled else self.samples) * self.bits // 8

    @property
    def black(self) -> list[bytes]:
        """The sample values, one per component, that the fill consists of: 0, and for YBR colours those of black."""
        neutral = 1 << self.stored - 1
        components = [0, neutral, neutral] if self.photometric.startswith("YBR_FULL") else [0] * self.samples
        return [component.to_bytes(self.bits // 8, "little") for component in components]


def fill(value: bytes, layout: Layout, area: Rectangle) -> bytes:
    """The pixel data with a rectangle of every frame filled. Raises Failure if there are too few bytes."""
    if len(value) < layout.length:
        raise Failure("the pixel data is shorter than its attributes say")
    data = bytearray(value)
    if layout.bits == 1:
        _fill_bits(data, layout, area)
    elif layout.subsampled:
        _fill_pairs(data, layout, area)
    else:
        _fill_rows(data, layout, area)
    return bytes(data)


def _fill_rows(data: bytearray, layout: Layout, area: Rectangle) -> None:
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


def _fill_pairs(data: bytearray, layout: Layout, area: Rectangle) -> None:
    """Bytes in the order Y Y Cb Cr; the chrominance of a pair that is half outside stays as it is."""
    for y in _lines(layout, area):
        for x in range(area.left, area.right):
            pair = (y * layout.columns + x) // 2 * 4
            data[pair + x % 2] = 0
            if area.left <= x - x % 2 and x - x % 2 + 1 < area.right:
                data[pair + 2 : pair + 4] = b"\x80\x80"


def _fill_bits(data: bytearray, layout: Layout, area: Rectangle) -> None:
    """One bit per pixel, the first in the lowest bit, without gaps between rows and frames."""
    for y in _lines(layout, area):
        for bit in range(y * layout.columns + area.left, y * layout.columns + area.right):
            data[bit // 8] &= ~(1 << bit % 8)


def _lines(layout: Layout, area: Rectangle) -> Iterator[int]:
    """The rows of the rectangle in every frame, counted through all frames."""
    for frame in range(layout.frames):
        yield from range(frame * layout.rows + area.top, frame * layout.rows + area.bottom)
