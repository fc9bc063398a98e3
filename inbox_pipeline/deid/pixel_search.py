"""Looking for drawn text in all frames of an image, blanking what is found, and looking again.

Belongs here: rounds over frames and when they end. Does not belong here: what text looks like (`pixel_text.py`), where
frames come from (`script/frames.py`), what follows (`pixel_decision.py`).

What is found in one frame is blanked in all of them. Once text is gone, another value may be the lightest or darkest of
its frame, and in that, too, something may be written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from inbox_pipeline.deid.pixel_shapes import Array
from inbox_pipeline.deid.pixel_text import STRICT, SURE, Look, find_text
from inbox_pipeline.script.frames import Plane
from inbox_pipeline.script.pixels import Rectangle

MOST_ROUNDS = 8
"""How often one frame, and all frames, are looked at again."""

MOST_PLACES = 512
"""How many places of text an image may have; one that has more is a page."""

Frames = Callable[[], Iterable[Sequence[Plane]]]
"""Gives the planes of each frame of an image, as often as it is called."""


@dataclass(frozen=True)
class Seen:
    """Where text was found, to be blanked in every frame, and whether something that looks like text would be left."""

    places: tuple[Rectangle, ...] = ()
    remains: bool = False


def search(frames: Frames) -> Seen:
    """Look at every frame until blanking what was found leaves nothing. Raises what `frames` raises."""
    places: list[Rectangle] = []
    for _ in range(MOST_ROUNDS):
        before = len(places)
        for planes in frames():
            _search_frame(planes, places)
            if len(places) > MOST_PLACES:
                return Seen(_outermost(places), remains=True)
        if len(places) == before:
            return Seen(_outermost(places))
    return Seen(_outermost(places), remains=True)


def shows_more(frames: Frames, places: Sequence[Rectangle]) -> bool:
    """Return whether a stricter look finds anything in a frame once the places are blanked."""
    return any(_found(planes, places, STRICT) for planes in frames())


def _search_frame(planes: Sequence[Plane], places: list[Rectangle]) -> None:
    """Add to `places` what a frame shows once they are blanked."""
    for _ in range(MOST_ROUNDS):
        found = _found(planes, places, SURE)
        places += found
        if not found:
            return


def _found(planes: Sequence[Plane], places: Sequence[Rectangle], look: Look) -> list[Rectangle]:
    return [area for plane in planes for area in find_text(_blanked(plane, places), look, soft=not plane.bare)]


def _blanked(plane: Plane, places: Sequence[Rectangle]) -> Array:
    if not places:
        return plane.samples
    samples = plane.samples.copy()
    for area in places:
        samples[area.top : area.bottom, area.left : area.right] = plane.black
    return samples


def _outermost(places: Iterable[Rectangle]) -> tuple[Rectangle, ...]:
    """The rectangles that lie in no other one."""
    kept: list[Rectangle] = []
    for area in sorted(set(places), key=lambda each: (each.left - each.right) * (each.bottom - each.top)):
        if not any(_contains(other, area) for other in kept):
            kept.append(area)
    return tuple(kept)


def _contains(outer: Rectangle, inner: Rectangle) -> bool:
    across = outer.left <= inner.left and inner.right <= outer.right
    return across and outer.top <= inner.top and inner.bottom <= outer.bottom
