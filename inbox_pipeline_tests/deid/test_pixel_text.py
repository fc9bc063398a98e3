"""Drawn text in one plane: what is found, how closely it is covered, and what is no text."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from inbox_pipeline.deid.pixel_shapes import joined, runs_of, shapes_of
from inbox_pipeline.deid.pixel_text import STRICT, SURE, find_text
from inbox_pipeline.script.pixels import Rectangle
from inbox_pipeline_tests.drawing import GLYPHS, anatomy, draw, glyph

TYPES = ["u1", "<u2", "<i2", "<u4", "<i4"]


def forms(text: str) -> set[tuple[int, int, int]]:
    """What tells a text's letters apart for the detector: width, ink, and runs of ink (docs/pixels.md)."""
    dots = [glyph(letter, 1) for letter in text]
    return {(int(np.ptp(np.nonzero(d)[1])), int(d.sum()), int((np.diff(d, prepend=0, axis=1) > 0).sum())) for d in dots}


NAMES = st.text(sorted(set(GLYPHS) - {" "}), min_size=5, max_size=16).filter(lambda text: len(forms(text)) >= 3)


def covered(shape: tuple[int, int], areas: Iterable[Rectangle]) -> Any:
    mask = np.zeros(shape, bool)
    for area in areas:
        mask[area.top : area.bottom, area.left : area.right] = True
    return mask


def grown(rows: slice, columns: slice, by: int) -> tuple[slice, slice]:
    return slice(max(rows.start - by, 0), rows.stop + by), slice(max(columns.start - by, 0), columns.stop + by)


def assert_found(plane: Any, box: tuple[slice, slice], beyond: int) -> None:
    mask = covered(plane.shape, find_text(plane))
    assert mask[box].all()
    mask[grown(*box, beyond)] = False
    assert not mask.any()


@pytest.mark.parametrize("scale", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", TYPES)
def test_the_lightest_text_is_found_on_anatomy(kind: str, scale: int) -> None:
    plane = anatomy(128, 400, most=200)
    box = draw(plane, "MARTIN 1347", 250, scale=scale)
    assert_found(plane.astype(kind), box, beyond=7 * scale // 4 + 1)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(("ground", "value"), [(0, 1000), (1000, 0), (-1000, 1000), (0, -2000)])
def test_text_is_found_on_ground_of_any_other_value(ground: int, value: int, scale: int) -> None:
    plane = anatomy(most=900)
    plane[4:40] = ground
    box = draw(plane, "MARTIN 1347", value, scale=scale)
    assert_found(plane.astype("<i2"), box, beyond=4)


def test_two_lines_are_found_apart_or_together() -> None:
    plane = np.zeros((96, 128), "<u2")
    boxes = draw(plane, "MARTIN", 300, 4, 4), draw(plane, "ANTON 1347", 300, 4, 13)
    mask = covered(plane.shape, find_text(plane))
    assert all(mask[box].all() for box in boxes)
    assert not mask[26:].any()


@settings(max_examples=60, deadline=None)
@given(NAMES, st.integers(1, 3), st.integers(0, 40), st.integers(0, 60), st.sampled_from(TYPES), st.booleans())
def test_any_name_is_covered_wherever_it_stands(
    text: str, scale: int, left: int, top: int, kind: str, dark: bool
) -> None:
    plane = np.full((96, 360), 100 if dark else 0)
    box = draw(plane, text, 0 if dark else 100, left, top, scale)
    letters = plane == (0 if dark else 100)
    mask = covered(plane.shape, find_text(plane.astype(kind)))
    assert mask[letters].all()
    mask[grown(*box, 7 * scale // 4 + 1)] = False
    assert not mask.any()


FONTS = [(size, mode) for size in (12, 16, 24) for mode in ("1", "L")]


@pytest.mark.parametrize(("size", "mode"), FONTS)
@pytest.mark.parametrize("text", ["MUSTERMANN^ERIKA", "Mustermann, Erika", "ID: 4711-0815 M"])
def test_fonts_of_workstations_are_found_on_black(text: str, size: int, mode: str) -> None:
    image = Image.new(mode, (360, 60), 0)
    ImageDraw.Draw(image).text((10, 10), text, font=ImageFont.load_default(size), fill=1 if mode == "1" else 255)
    plane = np.asarray(image).astype("u1")
    letters = plane >= plane.max() * 0.6
    assert np.count_nonzero(covered(plane.shape, find_text(plane))[letters]) >= 0.95 * np.count_nonzero(letters)


def ruler(plane: Any) -> None:
    for at in range(10, 150, 6):
        plane[20 : 30 if at % 5 else 34, at] = 1000


def dashes(plane: Any) -> None:
    for at in range(10, 150, 12):
        plane[20:26, at : at + 8] = 1000


def board(plane: Any) -> None:
    y, x = np.indices(plane.shape)
    plane[(x // 8 + y // 8) % 2 == 0] = 1000


def repeated(plane: Any) -> None:
    for at in range(10, 150, 8):
        plane[20:27, at : at + 5][glyph("O", 1)] = 1000


def marks(plane: Any) -> None:
    draw(plane, "R", 1000, scale=3)
    draw(plane, "1", 1000, 120, 90, scale=2)


@pytest.mark.parametrize("drawn", [ruler, dashes, board, repeated, marks])
@pytest.mark.parametrize("kind", TYPES[1:])
def test_what_is_drawn_and_no_text_stays(drawn: Any, kind: str) -> None:
    plane = anatomy(most=800).astype(kind)
    drawn(plane)
    assert find_text(plane) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("look", [SURE, STRICT])
def test_anatomy_is_no_text(seed: int, look: Any) -> None:
    plane = anatomy(256, 256, seed=seed)
    assert find_text(plane.astype("<u2"), look) == []
    saturated = np.clip(plane, 150, 500)
    assert find_text(saturated.astype("<u2")) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (4, 4), (5, 5), (7, 90)])
def test_small_planes_are_looked_at_or_not(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(2).integers(0, 2, size).astype("u1")
    assert len(find_text(noise)) < 3
    assert find_text(np.zeros(size, "<u2")) == []


@pytest.mark.parametrize("share", [0.05, 0.2, 0.35, 0.5, 0.9])
def test_noise_takes_bounded_time(share: float) -> None:
    plane = (np.random.default_rng(3).random((512, 512)) < share).astype("<u2") * 4095
    began = time.process_time()
    assert len(find_text(plane)) < 20
    assert time.process_time() - began < 2


def test_the_extremes_of_a_type_do_not_overflow() -> None:
    plane = np.full((64, 128), -32768, "<i2")
    box = draw(plane, "MARTIN 1347", 32767)
    assert_found(plane, box, beyond=2)


def test_without_soft_edges_only_one_value_counts() -> None:
    plane = np.zeros((64, 128), "<u2")
    draw(plane, "MARTIN 1347", 700)
    plane[60, 100] = 1000
    assert find_text(plane)
    assert find_text(plane, soft=False) == []


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 12), st.integers(1, 14), st.integers(0, 2**32 - 1), st.floats(0.1, 0.9))
def test_shapes_are_those_of_a_flood_fill(rows: int, columns: int, seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((rows, columns)) < share
    runs = runs_of(mask)
    if not len(runs.row):
        assert not mask.any()
        return
    shapes = shapes_of(runs, np.ones(len(runs.row), int))
    found = sorted(zip(*(column.tolist() for column in shapes[:5]), strict=True))
    assert found == sorted(flooded(mask))
    assert shapes.runs.tolist() == shapes.marked.tolist()


def flooded(mask: Any) -> Iterable[tuple[int, int, int, int, int]]:
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    while left:
        shape, todo = set(), [left.pop()]
        while todo:
            y, x = todo.pop()
            shape.add((y, x))
            near = {(y + down, x + aside) for down in (-1, 0, 1) for aside in (-1, 0, 1)} & left
            left -= near
            todo += near
        ys, xs = [y for y, _ in shape], [x for _, x in shape]
        yield min(xs), min(ys), max(xs) + 1, max(ys) + 1, len(shape)


def test_a_long_chain_is_joined_in_few_rounds() -> None:
    count = 20_000
    order = np.random.default_rng(4).permutation(count)
    assert not joined(count, order[1:], order[:-1]).any()
