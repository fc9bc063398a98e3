"""The frames of native pixel data as planes of numbers, one frame at a time: memory does not grow with their number.

Belongs here: where a frame lies in the file or in memory, and its samples as numbers (PS3.5 section 8, PS3.3 section
C.7.6.3). Does not belong here: decoding (`codecs.py`), changing pixels (`pixels.py`), what is looked for in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.uid import ExplicitVRBigEndian

from inbox_pipeline.script.blanking import NATIVE, PIXEL_DATA, layout_of, native_value, number, transfer_syntax
from inbox_pipeline.script.codecs import FRAME_LIMIT
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.levels import Root
from inbox_pipeline.script.pixels import Layout

_SIGN = 0x00280103
_WIDTHS = (8, 16, 32)


class Plane(NamedTuple):
    """One component of a frame: integers, rows by columns, and the one that blanked pixels have.

    `bare` planes are signed samples, some of them below 0, taken without their sign, as software that draws may do.
    """

    samples: NDArray[Any]
    black: int
    bare: bool = False


class Stored(NamedTuple):
    """How native samples are stored: the layout of one frame, and whether they have a sign."""

    layout: Layout
    signed: bool


def is_native(root: Root) -> bool:
    """Return whether the pixel data is not compressed."""
    return root.has(PIXEL_DATA) and transfer_syntax(root) in NATIVE


def spread(frames: int, most: int) -> list[int]:
    """Return the numbers (from 0) of at most so many frames, the first, the last, and others evenly between them."""
    count = min(max(frames, 1), most)
    return sorted({round(step * (frames - 1) / max(count - 1, 1)) for step in range(count)})


def native_frames(root: Root, most: int | None = None) -> Iterator[list[Plane]]:
    """Yield the planes of each frame, read when it is its turn; what the last one lacks of its bytes is 0.

    Chrominance that two pixels share is left out. Of more than `most` frames, that many are taken, spread over all.
    Raises Failure for a layout that cannot be taken apart.
    """
    stored = stored_as(root)
    yield from _frames(stored, *_source(root, stored.layout), most)


def frames_of(value: bytes, stored: Stored, most: int | None = None) -> Iterator[list[Plane]]:
    """Yield the planes of each frame of pixel data in little endian order, as `native_frames` does."""
    yield from _frames(stored, len(value), lambda start, size: value[start : start + size], most)


def stored_as(root: Root) -> Stored:
    """Return how the samples of native pixel data are stored. Raises Failure, as `native_frames`."""
    stored = Stored(replace(layout_of(root), frames=1), root.text(_SIGN) == "1")
    if stored.layout.bits not in _WIDTHS or not 1 <= stored.layout.samples <= 4:
        raise Failure("samples of this width are not looked at")
    if not 0 < stored.layout.length <= FRAME_LIMIT:
        raise Failure("the attributes tell of no pixels, or of a larger frame than is looked at")
    return stored


def _frames(stored: Stored, length: int, read: Callable[[int, int], bytes], most: int | None) -> Iterator[list[Plane]]:
    (layout, signed), size = stored, stored.layout.length
    starts = range(0, max(length - 1, 0), size)
    chosen = starts if most is None else [starts[at] for at in spread(len(starts), most) if at < len(starts)]
    for start in chosen:
        yield list(_planes(read(start, min(size, length - start)).ljust(size, b"\0"), layout, signed))


def _source(root: Root, layout: Layout) -> tuple[int, Callable[[int, int], bytes]]:
    """The length of the pixel data, and what reads a part of it: from the file where it has not been loaded."""
    entry, syntax = root.entry(PIXEL_DATA), transfer_syntax(root)
    stream = getattr(root.dataset, "buffer", None)
    if not isinstance(entry, RawDataElement) or entry.value is not None or not stream or syntax == ExplicitVRBigEndian:
        value = native_value(root, syntax, layout)
        return len(value), lambda start, size: value[start : start + size]
    begin = entry.value_tell

    def read(start: int, size: int) -> bytes:
        stream.seek(begin + start)
        return bytes(stream.read(size))

    return entry.length, read


def _planes(frame: bytes, layout: Layout, signed: bool) -> Iterator[Plane]:
    width, (rows, columns) = layout.bits // 8, (layout.rows, layout.columns)
    samples, black = np.frombuffer(frame, f"<u{width}"), [int.from_bytes(each, "little") for each in layout.black]
    if layout.subsampled:
        yield Plane(samples.reshape(rows, columns // 2, 4)[..., :2].reshape(rows, columns), black[0])
        return
    shape = (layout.samples, rows, columns) if layout.planar else (rows, columns, layout.samples)
    parted = samples.reshape(shape) if layout.planar else np.moveaxis(samples.reshape(shape), -1, 0)
    for plane, value in zip(np.ascontiguousarray(parted), black, strict=True):
        with_sign = plane.view(f"<i{width}") if signed else plane
        yield Plane(with_sign, value)
        if signed and with_sign.min() < 0:
            yield Plane(plane, value, bare=True)


def decoded_planes(array: NDArray[Any]) -> list[Plane]:
    """Return the planes of a decoded frame: rows, columns and perhaps samples."""
    parted = array[..., None] if array.ndim == 2 else array
    return [Plane(plane, 0) for plane in np.ascontiguousarray(np.moveaxis(parted, -1, 0))]


def stated_frames(root: Root) -> int:
    """Return how many frames there should be. Raises Failure if that is no number."""
    return max(number(root, 0x00280008, 1), 1)
