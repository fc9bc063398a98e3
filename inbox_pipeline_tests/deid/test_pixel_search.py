"""Rounds over frames: text that comes to light once other text is gone, and what ends the search."""

from __future__ import annotations

from typing import Any

import numpy as np

from inbox_pipeline.deid import pixel_search
from inbox_pipeline.deid.pixel_search import MOST_PLACES, Seen, search, shows_more
from inbox_pipeline.script.frames import Plane
from inbox_pipeline.script.pixels import Rectangle
from inbox_pipeline_tests.drawing import draw


def frames(*arrays: Any) -> Any:
    return lambda: iter([[Plane(array, 0)] for array in arrays])


def test_text_behind_text_is_found_too() -> None:
    frame = np.zeros((96, 160), "<u2")
    boxes = [draw(frame, "MARTIN 1347", value, top=10 + 20 * at) for at, value in enumerate((900, 500, 100))]
    seen = search(frames(frame))
    assert not seen.remains
    assert len(seen.places) == 3
    for rows, columns in boxes:
        assert any(a.top <= rows.start and a.left <= columns.start and a.right >= columns.stop for a in seen.places)
    assert not shows_more(frames(frame), seen.places)
    assert shows_more(frames(frame), seen.places[1:])


def test_places_of_all_frames_are_joined() -> None:
    one, other = np.zeros((96, 160), "u1"), np.zeros((96, 160), "u1")
    draw(one, "MARTIN 1347", 9)
    draw(other, "MARTIN 1347", 9, top=60)
    draw(other, "MARTIN", 9)
    seen = search(frames(one, other))
    assert sorted(area.top for area in seen.places) == [9, 59]


def test_nothing_is_nothing() -> None:
    assert search(frames()) == search(frames(np.zeros((40, 40), "u1"))) == Seen()


def test_a_page_of_text_is_given_up(monkeypatch: Any) -> None:
    monkeypatch.setattr(pixel_search, "MOST_PLACES", 2)
    frame = np.zeros((200, 160), "<u2")
    for top in range(10, 150, 30):
        draw(frame, "MARTIN 1347", 900, top=top)
    assert search(frames(frame)).remains
    assert MOST_PLACES > 2


def test_what_is_found_again_and_again_ends(monkeypatch: Any) -> None:
    monkeypatch.setattr(pixel_search, "find_text", lambda plane, look, soft: [Rectangle(0, 0, 2, 2)])
    seen = search(frames(np.zeros((40, 40), "u1")))
    assert seen == Seen((Rectangle(0, 0, 2, 2),), remains=True)
