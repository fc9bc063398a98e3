"""The second look: what is looked at, how it is rendered, what is told; and the real reader, where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inbox_pipeline.errors import Rejected
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.frames import spread
from inbox_pipeline.services import text_in_pixels
from inbox_pipeline.services.text_in_pixels import SAMPLED, Seen, look, reader, rendered
from inbox_pipeline_tests.data_for_tests import instance
from inbox_pipeline_tests.drawing import draw


def image(frames: int = 1, size: int = 16, **values: Any) -> Any:
    pixels = np.zeros((frames, size, size), "<u2")
    pixels[:, -1, -1] = 1000
    return instance(NumberOfFrames=frames, PixelData=pixels.tobytes(), Rows=size, Columns=size, **values), pixels


@pytest.mark.parametrize(
    ("frames", "numbers"), [(0, [0]), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (11, [0, 5, 10]), (900, [0, 450, 899])]
)
def test_frames_are_sampled(frames: int, numbers: list[int]) -> None:
    assert spread(frames, SAMPLED) == numbers


def test_places_are_told_with_their_frame() -> None:
    dataset, _ = image(frames=5)
    shown: list[Any] = []

    def read(picture: Any) -> Any:
        shown.append(picture)
        return [(1, 2, 3, 4)] if len(shown) > 1 else []

    before = dict(dataset.items())
    seen = look(dataset, read)
    assert seen == Seen(3, ((3, (1, 2, 3, 4)), (5, (1, 2, 3, 4))))
    assert seen.detail == "2 places in 3 frames: frame 3 (1,2,3,4), frame 5 (1,2,3,4)"
    assert [picture.shape for picture in shown] == [(16, 16, 3)] * 3
    assert dict(dataset.items()) == before


def test_nothing_found_is_told() -> None:
    assert look(image()[0], lambda picture: []).detail == "no text found"


@pytest.mark.parametrize(
    ("array", "photometric", "expected"),
    [
        (np.array([[-10, 0], [10, 10]], "i2"), "MONOCHROME2", [[0, 127], [255, 255]]),
        (np.array([[0, 5], [10, 10]], "u2"), "MONOCHROME1", [[255, 128], [0, 0]]),
        (np.array([[7, 7], [7, 7]], "u1"), "MONOCHROME2", [[0, 0], [0, 0]]),
    ],
)
def test_grey_frames_are_stretched(array: Any, photometric: str, expected: list[list[int]]) -> None:
    picture = rendered(array, photometric)
    assert picture.dtype == np.uint8
    assert picture[..., 0].tolist() == expected
    assert (picture == picture[..., :1]).all()


def test_pixel_data_that_cannot_be_decoded() -> None:
    dataset, _ = image()
    dataset.Rows = 5000
    with pytest.raises(Failure, match="cannot be decoded"):
        look(dataset, lambda picture: [])


def test_without_the_extra_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_in_pixels, "find_spec", lambda name: None)
    reader.cache_clear()
    with pytest.raises(Rejected, match="extra ocr"):
        reader()


@pytest.mark.system
def test_the_reader_finds_text_and_no_text() -> None:
    reader.cache_clear()
    dataset, pixels = image(size=256)
    assert look(dataset, reader()).boxes == ()
    draw(pixels[0], "ANNE", 1000, scale=3)
    dataset.PixelData = pixels.tobytes()
    seen = look(dataset, reader())
    assert len(seen.boxes) == 1
    (_, (left, top, right, bottom)) = seen.boxes[0]
    assert (left < 20, top < 20, right > 60, bottom > 20) == (True, True, True, True)
    assert "ANNE" not in seen.detail
