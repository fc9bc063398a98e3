"""Finding text that a device or a workstation has drawn into one plane of a frame, without reading it.

Belongs here: what drawn text looks like: letters are shapes of one value, the lightest or the darkest one, with sharp
edges, of like heights on one baseline. Does not belong here: where planes come from (`script/frames.py`), which
places are worth a look (`pixel_rows.py`), frames and rounds (`pixel_search.py`), what becomes of the file.

Few places are looked at so closely: `pixel_rows.py` tells which.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from inbox_pipeline.deid.pixel_rows import TALLEST, Ink, places_of, sample_of, steps_of
from inbox_pipeline.deid.pixel_shapes import Array, Runs, Shapes, joined, runs_of, shapes_of
from inbox_pipeline.script.pixels import Rectangle


class Look(NamedTuple):
    """How sure a look wants to be: letters of a line, of them different ones, and the lowest height in pixels."""

    letters: int
    different: int
    lowest: int


SURE = Look(letters=4, different=3, lowest=5)
STRICT = Look(letters=3, different=2, lowest=4)
"""The second look at what its file calls annotated: rather too much than too little."""

_LEVELS = ((0.0, 0.2), (0.3, 0.5), (0.5, 0.7))
"""How far from the extreme, in parts of the plane's range, a letter's pixels are at most, and what surrounds it at
least: for letters of one value, and for those with soft edges, on something and on nothing."""

_SHARP = 0.75
"""The part of a letter's edges, along its rows, that must be sharp."""
_FULLEST, _THINNEST, _WIDEST, _STROKE = 0.85, 3, 20, 0.6
"""Letters fill no more than this part of their box unless they are narrow, a third of their height; several that touch
are no wider than this many heights; on average a stroke crosses a row in no more than this part of the height."""
_ALONE = 0.7
"""The part of what has the letters' value in a line's place that must be its letters."""
_ALIGNED = 0.9
"""The part of a line's letters that must have one of two tops."""
_LOWER = (0, -1, 1, -2, 2)
"""How many rows the next letter of a line may stand below the one before it."""
_STEPS_ASIDE = 16
"""How many heights far, to either side, a line's company is looked for."""


def find_text(plane: Array, look: Look = SURE, *, soft: bool = True) -> list[Rectangle]:
    """Return where a plane of integers, rows by columns, seems to show text, with a small margin.

    Where letters of one value are found, those with soft edges are not looked for: blank what was found and look again.
    Without `soft`, only the former are.
    """
    low, high = int(plane.min()), int(plane.max())
    if low == high or min(plane.shape) < look.lowest:
        return []
    inks = [_inks(low, high, level) for level in (_LEVELS if soft else _LEVELS[:1])]
    sample = sample_of(plane, low, high)
    steps = steps_of(sample, [sample.ink(ink) for pair in inks for ink in pair])
    for pair in inks:
        found: list[Rectangle] = []
        for ink, softest in zip(pair, inks[-1], strict=True):
            for top, bottom in places_of(sample, steps, sample.ink(ink)):
                found += [_lower(each, top) for each in _text_in(plane[top:bottom], ink, softest, look)]
        if found:
            return found
    return []


def _inks(low: int, high: int, level: tuple[float, float]) -> tuple[Ink, Ink]:
    """What is drawn in the lightest or in the darkest of values between two."""
    inner, outer = int((high - low) * level[0]), max(int((high - low) * level[1]), 1)
    return Ink(True, high - inner, high - outer), Ink(False, low + inner, low + outer)


def _lower(area: Rectangle, by: int) -> Rectangle:
    return Rectangle(area.left, area.top + by, area.right, area.bottom + by)


def _text_in(part: Array, ink: Ink, softest: Ink, look: Look) -> list[Rectangle]:
    """Lines of letters in one ink, with what belongs to them in the softest one."""
    letters = ink.letters(part)
    shapes = _shapes(letters, ink.around(part))
    glyphs = shapes.only(_like_letters(shapes, look))
    if _units(glyphs) < look.letters:
        return []
    lines = _lines_of(glyphs.only(np.lexsort((glyphs.left, glyphs.bottom))))
    sure = [line for line in lines if _is_text(line, look) and _stands_alone(line, letters)]
    if sure and softest != ink:
        shapes = shapes.and_those(_shapes(softest.letters(part), softest.around(part)))
    return [_box(_with_company(line, shapes)) for line in sure]


def _shapes(letters: Array, around: Array) -> Shapes:
    runs = runs_of(letters)
    return shapes_of(runs, _sharp_ends(runs, around))


def _sharp_ends(runs: Runs, around: Array) -> Array:
    """How many ends of each run (0 to 2) meet their surroundings within two pixels, or the image's edge."""
    rows, columns = around.shape
    framed = np.ones((rows, columns + 4), np.bool_)
    framed[:, 2:-2] = around
    near, at = framed.reshape(-1), runs.row * (columns + 4)
    start, end = at + runs.start, at + runs.end
    before = near.take(start + 1) | near.take(start)
    behind = near.take(end + 2) | near.take(end + 3)
    return np.asarray(before.astype(np.int8) + behind)


def _like_letters(shapes: Shapes, look: Look) -> Array:
    """Which shapes may be letters or several that touch: neither too high nor too low, thin strokes, sharp edges."""
    height, width = shapes.bottom - shapes.top, shapes.right - shapes.left
    size = (height >= look.lowest) & (height <= TALLEST) & (width <= _WIDEST * height)
    narrow = width * _THINNEST <= height
    strokes = ((shapes.area <= _FULLEST * width * height) | narrow) & (shapes.area <= _STROKE * height * shapes.runs)
    return np.asarray(size & strokes & _is_sharp(shapes))


def _is_sharp(shapes: Shapes) -> Array:
    return np.asarray(shapes.marked >= 2 * _SHARP * shapes.runs)


def _lines_of(glyphs: Shapes) -> Iterator[Shapes]:
    """Lines of at least two among glyphs, which are sorted by baseline and column."""
    line = joined(len(glyphs.left), *_neighbours(glyphs))
    order, count = np.argsort(line, kind="stable"), np.bincount(line)
    behind, long = np.cumsum(count), count >= 2
    for end, letters in zip(behind[long].tolist(), count[long].tolist(), strict=True):
        yield glyphs.only(order[end - letters : end])


def _neighbours(glyphs: Shapes) -> tuple[Array, Array]:
    """Pairs of a glyph and the next one to its right that stands on the same line, if it is near and of like height."""
    stride = int(glyphs.right.max()) + 2 * TALLEST
    key, middle, count = glyphs.bottom * stride + glyphs.left, (glyphs.right - glyphs.left) // 2 + 1, len(glyphs.left)
    one, lower = np.tile(np.arange(count), len(_LOWER)), np.repeat(_LOWER, count)
    other = np.searchsorted(key, (key + middle)[one] + lower * stride)
    one, other, lower = (column[other < count] for column in (one, other, lower))
    fits = _on_one_line(glyphs.only(one), glyphs.only(other), lower)
    return one[fits], other[fits]


def _on_one_line(one: Shapes, other: Shapes, lower: Array) -> Array:
    """Whether glyphs stand beside each other, the right one `lower` rows below: a small part of their height."""
    height, next_height, gap = one.bottom - one.top, other.bottom - other.top, other.left - one.right
    level = (other.bottom == one.bottom + lower) & (abs(lower) * 6 <= np.maximum(height, 6))
    near = (gap <= 2 * np.maximum(height, next_height)) & (gap >= -height // 2)
    return np.asarray(level & near & (next_height <= 2 * height) & (height <= 2 * next_height))


def _is_text(line: Shapes, look: Look) -> bool:
    height, width, units = line.bottom - line.top, line.right - line.left, _units(line)
    kinds = len(set(zip(width.tolist(), height.tolist(), line.area.tolist(), line.runs.tolist(), strict=True)))
    return units >= look.letters and (kinds >= look.different or units > len(width) + 2) and _aligned(line.top, height)


def _units(glyphs: Shapes) -> int:
    """How many letters glyphs are at most: one that is wider than high may be several that touch."""
    height, width = glyphs.bottom - glyphs.top, glyphs.right - glyphs.left
    return int(np.maximum(width // height, 1).sum())


def _aligned(top: Array, height: Array) -> bool:
    """Whether nearly all letters have one of two tops, the capitals' and the small letters', and most of them one."""
    near = max(int(height.max()) // 8, 1)
    most, left = _commonest(top, near)
    second, _ = _commonest(left, near)
    return most * 2 >= len(top) and most + second >= _ALIGNED * len(top)


def _commonest(numbers: Array, near: int) -> tuple[int, Array]:
    """How many numbers the largest group has that lies within `near` of one of them, and the rest."""
    if not len(numbers):
        return 0, numbers
    close = np.abs(numbers[:, None] - np.unique(numbers)) <= near
    counts = np.count_nonzero(close, axis=0)
    return int(counts.max()), numbers[~close[:, counts.argmax()]]


def _stands_alone(line: Shapes, letters: Array) -> bool:
    """Whether little but the line's letters has their value in their place: noise is full of what is none."""
    box = _box(line)
    place = letters[box.top : box.bottom, box.left : box.right]
    return bool(line.area.sum() >= _ALONE * np.count_nonzero(place))


def _with_company(line: Shapes, shapes: Shapes) -> Shapes:
    """The line with what else stands in it or next to it: what hangs below the baseline, commas, dots, single signs."""
    height, top, bottom = int((line.bottom - line.top).max()), line.top.min(), line.bottom.max()
    level = (shapes.top < bottom) & (shapes.bottom > top) & (shapes.right - shapes.left <= 8 * height)
    level &= (shapes.top >= top - height // 2) & (shapes.bottom <= bottom + height // 2)
    company = shapes.only(level & _is_sharp(shapes))
    for _ in range(_STEPS_ASIDE):
        left, right = line.left.min() - height, line.right.max() + height
        wider = company.only((company.right > left) & (company.left < right))
        if len(wider.left) == len(line.left):
            break
        line = wider
    return line


def _box(line: Shapes) -> Rectangle:
    top, bottom = int(line.top.min()), int(line.bottom.max())
    margin = max((bottom - top) // 4, 1)
    return Rectangle(
        max(int(line.left.min()) - margin, 0), max(top - margin, 0), int(line.right.max()) + margin, bottom + margin
    )
