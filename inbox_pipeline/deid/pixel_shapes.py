"""Connected shapes in a mask of pixels: run by run, without looking at single pixels.

Belongs here: runs, what touches what, boxes and extents of shapes. Does not belong here: what a shape may be
(`pixel_text.py`). The work grows with the number of runs, by a little more than in proportion, whatever they form.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Runs(NamedTuple):
    """Runs of set pixels in the order of rows: columns `start` up to but without `end`."""

    row: Array
    start: Array
    end: Array


class Shapes(NamedTuple):
    """Boxes of shapes (right and bottom outside), how many pixels and runs they have, and how many of the runs count.

    `area` is in pixels.
    """

    left: Array
    top: Array
    right: Array
    bottom: Array
    area: Array
    runs: Array
    marked: Array

    def only(self, wanted: Array) -> Shapes:
        """Return the shapes with these numbers, or those where a mask is set, in that order."""
        return Shapes(*(column[wanted] for column in self))

    def and_those(self, others: Shapes) -> Shapes:
        """Return these shapes and the others."""
        return Shapes(*map(np.concatenate, zip(self, others, strict=True)))


def runs_of(mask: Array) -> Runs:
    """Return the runs of a mask of two dimensions."""
    rows, columns = mask.shape
    framed = np.zeros((rows, columns + 2), np.bool_)
    framed[:, 1:-1] = mask
    at = (framed[:, 1:] != framed[:, :-1]).reshape(-1).nonzero()[0]
    row, start = np.divmod(at[::2], columns + 1)
    return Runs(row, start, at[1::2] - row * (columns + 1))


def shapes_of(runs: Runs, marks: Array) -> Shapes:
    """Return the shapes that runs form, diagonal neighbours included.

    Args:
        runs: in the order of rows; none form none.
        marks: a number for each run; a shape's `marked` is their sum.
    """
    if not len(runs.row):
        return Shapes(*np.zeros((len(Shapes._fields), 0), int))
    shape = joined(len(runs.row), *_touching(runs))
    order, count = np.argsort(shape, kind="stable"), np.bincount(shape)
    count = count[count > 0]
    first = np.cumsum(count) - count
    row, start, end = (column[order] for column in runs)
    return Shapes(
        left=np.minimum.reduceat(start, first),
        top=row[first],
        right=np.maximum.reduceat(end, first),
        bottom=row[first + count - 1] + 1,
        area=np.add.reduceat(end - start, first),
        runs=count,
        marked=np.add.reduceat(marks[order], first),
    )


def _touching(runs: Runs) -> tuple[Array, Array]:
    """Pairs of runs in neighbouring rows that touch, corners included."""
    stride = int(runs.end.max()) + 2
    here, below = runs.row * stride, (runs.row + 1) * stride
    first = np.searchsorted(here + runs.end, below + runs.start, "left")
    behind = np.searchsorted(here + runs.start, below + runs.end, "right")
    count = np.maximum(behind - first, 0)
    one = np.repeat(np.arange(len(count)), count)
    return one, np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)


def joined(count: int, one: Array, other: Array) -> Array:
    """Return for each of `count` things the smallest number among those that pairs join it to, itself included.

    Each round hooks what is joined to its smallest neighbour and then shortens all ways, so that few are needed.
    """
    label = np.arange(count)
    while len(one):
        small, great = np.minimum(label[one], label[other]), np.maximum(label[one], label[other])
        open_ = small != great
        one, other = one[open_], other[open_]
        np.minimum.at(label, great[open_], small[open_])
        while ((shorter := label[label]) != label).any():
            label = shorter
    return label
