"""Whether an image shows drawn text: its frames, native or decoded, handed to the search.

Belongs here: which frames can be looked at, and what is done where they cannot. Does not belong here: the search
(`deid/pixel_search.py`), what follows from it (`deid/pixel_decision.py`), reading text (`text_in_pixels.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from inbox_pipeline.deid.pixel_search import Frames, Seen, search, shows_more
from inbox_pipeline.script.blanking import scratch, transfer_syntax
from inbox_pipeline.script.codecs import some_frames
from inbox_pipeline.script.edits import Edits
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.frames import (
    Plane,
    Stored,
    decoded_planes,
    frames_of,
    is_native,
    native_frames,
    stated_frames,
    stored_as,
)
from inbox_pipeline.script.levels import Root

if TYPE_CHECKING:
    from pydicom import Dataset


MOST_FRAMES = 64
"""So many frames of an image of no kind at risk are looked at: what a device draws stands in all frames or in many."""


def seen_in(dataset: Dataset) -> Seen | None:
    """Return where an image of no kind at risk shows text; None if it is compressed or has no pixels to look at."""
    root = Root(dataset, Edits())
    return _searched(lambda: native_frames(root, MOST_FRAMES)) if is_native(root) else None


def stored_in(dataset: Dataset) -> Stored | None:
    """Return how the pixels that `seen_in` looks at are stored; None if it looks at none."""
    root = Root(dataset, Edits())
    try:
        return stored_as(root) if is_native(root) else None
    except Failure:
        return None


def shows_text(value: bytes, stored: Stored) -> bool:
    """Return whether pixel data show text, as `seen_in` looks at them."""
    return bool(search(lambda: frames_of(value, stored, MOST_FRAMES)).places)


def seen_closely(dataset: Dataset) -> Seen | None:
    """Return where an annotated image shows text, which `remains` if a stricter look still finds some.

    Compressed images are decoded. None if the pixel data cannot be looked at.
    """
    root = Root(dataset, Edits())
    frames: Frames = (lambda: native_frames(root)) if is_native(root) else (lambda: _decoded(root))
    seen = _searched(frames)
    if seen is None or seen.remains or not seen.places:
        return seen
    return Seen(seen.places, remains=shows_more(frames, seen.places))


def _searched(frames: Frames) -> Seen | None:
    try:
        return search(frames)
    except Failure:
        return None


def _decoded(root: Root) -> Iterator[list[Plane]]:
    syntax = transfer_syntax(root)
    for array in some_frames(scratch(root, syntax), syntax, range(stated_frames(root))):
        yield decoded_planes(array)
