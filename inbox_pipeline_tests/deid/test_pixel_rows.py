"""Where lines of letters may stand: no line that was drawn is left out, and most of what is none is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox_pipeline.deid.pixel_rows import Ink, places_of, sample_of, steps_of
from inbox_pipeline_tests.drawing import anatomy, draw

TYPES = ["u1", "i1", "<u2", "<i2", "<u4", "<i4"]


def places(plane: Any, ink: Ink) -> list[tuple[int, int]]:
    sample = sample_of(plane, int(plane.min()), int(plane.max()))
    return places_of(sample, steps_of(sample, [sample.ink(ink)]), sample.ink(ink))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(TYPES), st.integers(0, 2**32 - 1), st.booleans(), st.floats(0, 1), st.floats(0, 1))
def test_a_sample_leaves_nothing_out_that_an_ink_may_have_drawn(
    kind: str, seed: int, light: bool, inner: float, outer: float
) -> None:
    info = np.iinfo(kind)
    ends = np.sort(np.random.default_rng(seed).integers(info.min, info.max, 2, endpoint=True))
    plane = np.random.default_rng(seed).integers(*ends, (9, 7), endpoint=True).astype(kind)
    low, high = int(plane.min()), int(plane.max())
    ink = Ink(light, low + int((high - low) * inner), low + int((high - low) * outer))
    sample = sample_of(plane, low, high)
    rows, there = plane[::2].reshape(-1), sample.ink(ink)
    assert not (ink.letters(rows) & ~there.letters(sample.values)).any()
    assert not (ink.around(rows) & ~there.around(sample.values)).any()


@pytest.mark.parametrize("scale", [1, 2, 4, 9])
@pytest.mark.parametrize("text", ["MARTIN", "ANTON", "I1M1", "I I N I"])
@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize("place", [(0, 0), (3, 1), (31, 5)])
def test_lines_of_any_size_have_steps_and_strokes(text: str, scale: int, light: bool, place: tuple[int, int]) -> None:
    plane = np.full((80, 420), 40 if light else 200, "u1")
    box = draw(plane, text, 250 if light else 10, *place, scale)
    ink = Ink(light, 250, 100) if light else Ink(light, 10, 150)
    ((top, bottom),) = places(plane, ink)
    assert top <= box[0].start
    assert bottom >= box[0].stop


def test_of_two_lines_far_from_each_other_both_are_worth_a_look() -> None:
    plane = np.zeros((400, 160), "<u2")
    boxes = [draw(plane, "MARTIN", 900, top=top) for top in (20, 340)]
    bands = places(plane, Ink(True, 900, 700))
    assert len(bands) == 2
    assert all(top <= box[0].start < box[0].stop <= bottom for (top, bottom), box in zip(bands, boxes, strict=True))


def columns(plane: Any) -> None:
    plane[:, 8::131] = 1


def a_pair(plane: Any) -> None:
    plane[10:18, [8, 14]] = 1


def steps_without_end(plane: Any) -> None:
    plane[:] = np.arange(plane.shape[1]) % 12 // 3


@pytest.mark.parametrize("drawn", [columns, a_pair, steps_without_end])
def test_what_stands_far_apart_or_nearly_alone_or_has_one_sharp_edge_is_no_line(drawn: Any) -> None:
    plane = np.zeros((40, 400), "u1")
    drawn(plane)
    assert places(plane, Ink(True, int(plane.max()), 0)) == []


@pytest.mark.parametrize("seed", range(3))
def test_in_anatomy_hardly_a_place_is_worth_a_look(seed: int) -> None:
    plane = anatomy(256, 256, seed=seed).astype("<u2")
    assert not any(places(plane, ink) for ink in (Ink(True, 500, 300), Ink(False, 300, 500)))
