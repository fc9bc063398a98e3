"""Where in a plane lines of letters may stand, told at little cost, so that few places are looked at closely.

Belongs here: what every line of letters has and hardly any anatomy: rows with several sharp steps to the letters'
value, and many strokes beside each other in a small place. Does not belong here: what text looks like
(`pixel_text.py`), shapes.

Every second row is looked at, in 8 bits; all of them are taken as one long row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from inbox_pipeline.deid.pixel_shapes import Array

TALLEST = 64
"""The height of letters, in pixels, up to which they are found."""

_STEPS_IN_A_ROW = 3
_CROWDS = ((2, 32, 5), (8, 64, 12))
"""Rows and columns of a cell, and how many gaps between two strokes stand in two by two cells of a line of letters: of
small letters, and of high ones, which are few but go through many rows."""


class Ink(NamedTuple):
    """What letters are drawn in: values at `inner` and beyond it, surrounded by those at `outer` and on its far side.

    `light` letters are lighter than what surrounds them.
    """

    light: bool
    inner: int
    outer: int

    def letters(self, values: Array) -> Array:
        """Which values may belong to letters."""
        return np.asarray(values >= self.inner if self.light else values <= self.inner)

    def around(self, values: Array) -> Array:
        """Which values may surround letters."""
        return np.asarray(values <= self.outer if self.light else values >= self.outer)


class Steps(NamedTuple):
    """Pixels of a sample that differ much from one of the two before, their values, and the values of those two."""

    at: Array
    value: Array
    before: Array
    two_before: Array


class Sample(NamedTuple):
    """Every second row of a plane as one long row; values are counted from `low` in steps of 2 to the power `shift`."""

    values: Array
    columns: int
    low: int
    shift: int

    def ink(self, ink: Ink) -> Ink:
        """Return the same ink in the sample's values: nothing that it may have drawn is left out."""
        return Ink(ink.light, (ink.inner - self.low) >> self.shift, (ink.outer - self.low) >> self.shift)

    def rows(self, first: int, behind: int) -> Array:
        """Return the values of some of the sampled rows."""
        return self.values[first * self.columns : behind * self.columns]


def sample_of(plane: Array, low: int, high: int) -> Sample:
    """Return every second row of a plane of integers that lie between `low` and `high`."""
    shift = max((high - low).bit_length() - 8, 0)
    rows = plane[::2] - plane.dtype.type(low) if low else plane[::2]
    unsigned = rows.view(rows.dtype.str.replace("i", "u"))
    values = (unsigned >> shift).astype(np.uint8) if shift else unsigned.astype(np.uint8)
    return Sample(values.reshape(-1), plane.shape[1], low, shift)


def steps_of(sample: Sample, inks: Sequence[Ink]) -> Steps:
    """Return where the values of a sample change by as much as any of the inks, which are the sample's, demands."""
    values, least = sample.values, max(min(abs(ink.inner - ink.outer) for ink in inks), 1)
    change = np.maximum(values[1:], values[:-1])
    change = np.maximum(change[1:], values[:-2])
    lowest = np.minimum(values[1:], values[:-1])
    change -= np.minimum(lowest[1:], values[:-2])
    at = (change >= least).nonzero()[0] + 2
    return Steps(at, values[at], values[at - 1], values[at - 2])


def places_of(sample: Sample, steps: Steps, ink: Ink) -> list[tuple[int, int]]:
    """Return between which rows of the plane, the second one outside, lines in one ink, the sample's, may stand."""
    bands = _busy(sample, steps, ink)
    return _crowded(sample, bands, ink) if bands else []


def _busy(sample: Sample, steps: Steps, ink: Ink) -> list[tuple[int, int]]:
    """Where several neighbouring rows have several steps to the letters' value."""
    sharp = ink.letters(steps.value) > ink.letters(steps.before)
    sharp &= ink.around(steps.before) | ink.around(steps.two_before)
    row = steps.at[sharp] // sample.columns
    others = _STEPS_IN_A_ROW - 1
    busy = row[others:][row[others:] == row[:-others]]
    return _bands(busy, len(sample.values) // sample.columns) if len(busy) else []


def _bands(busy: Array, rows: int) -> list[tuple[int, int]]:
    """Rows between which there may be text, given the busy ones of a sample; single quiet ones do not count."""
    bands: list[tuple[int, int]] = []
    marks = np.zeros(rows + 2, np.bool_)
    marks[busy + 1] = True
    marks[1:-1] |= marks[2:] & marks[:-2]
    ends = (marks[1:] != marks[:-1]).nonzero()[0].tolist()
    for first, behind in zip(ends[::2], ends[1::2], strict=True):
        margin = min(2 * (behind - first), TALLEST) + 2
        if behind - first < 2:
            continue
        if bands and 2 * first - margin <= bands[-1][1]:
            bands[-1] = bands[-1][0], 2 * behind + margin
        else:
            bands.append((max(2 * first - margin, 0), 2 * behind + margin))
    return bands


def _crowded(sample: Sample, bands: Sequence[tuple[int, int]], ink: Ink) -> list[tuple[int, int]]:
    """The bands in which as many strokes stand beside each other somewhere as in any line of letters."""
    first, behind = bands[0][0] // 2, (bands[-1][1] + 1) // 2
    gaps = _gaps(sample.rows(first, behind), ink)
    if len(gaps) < min(many for _, _, many in _CROWDS):
        return []
    row, column = np.divmod(gaps, sample.columns)
    crowds = [crowd for size in _CROWDS for crowd in _crowds(row + first, column, *size)]
    return [band for band in bands if any(top < band[1] and bottom > band[0] for top, bottom in crowds)]


def _gaps(values: Array, ink: Ink) -> Array:
    """Where gaps between two strokes begin, of which each has two sharp ends."""
    letters = ink.letters(values)
    at = (letters[1:] != letters[:-1]).nonzero()[0] + 1
    at = at[1:] if letters[0] else at
    start, end = at[:-1:2], at[1::2]
    strokes = _any_around(values, ink, start - 1, start - 2) & _any_around(values, ink, end, end + 1)
    near = strokes[1:] & strokes[:-1] & (start[1:] - end[:-1] <= 2 * TALLEST)
    return np.asarray(end[:-1][near])


def _any_around(values: Array, ink: Ink, one: Array, other: Array) -> Array:
    """Whether values at one or the other of two places, for each pair of them, may surround letters."""
    return ink.around(values.take(one)) | ink.around(values.take(other, mode="clip"))


def _crowds(row: Array, column: Array, height: int, width: int, many: int) -> list[tuple[int, int]]:
    """Between which rows of the plane so many places lie in two by two cells of that size."""
    if len(row) < many:
        return []
    rows, columns = int(row[-1]) // height + 2, int(column.max()) // width + 2
    cells = np.bincount(row // height * columns + column // width, minlength=rows * columns).reshape(rows, columns)
    pairs = cells[1:] + cells[:-1]
    most = (pairs[:, 1:] + pairs[:, :-1]).max(axis=1)
    return [(2 * at * height, 2 * (at + 2) * height) for at in (most >= many).nonzero()[0].tolist()]
