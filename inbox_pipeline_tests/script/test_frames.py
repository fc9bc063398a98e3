"""Frames as planes: every layout of native pixel data, read one at a time."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRBigEndian, RLELossless

from inbox_pipeline.script.edits import Edits
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.frames import is_native, native_frames
from inbox_pipeline.script.levels import Root
from inbox_pipeline_tests.data_for_tests import instance


def planes(dataset: Any) -> list[list[Any]]:
    return list(native_frames(Root(dataset, Edits())))


def image(array: Any, **values: Any) -> Any:
    bits = array.dtype.itemsize * 8
    described = {"Rows": 4, "Columns": 6, "BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1}
    return instance(PixelData=array.tobytes(), **described, **values)


@pytest.mark.parametrize("kind", ["u1", "<u2", "<u4"])
def test_grey_frames_are_planes(kind: str) -> None:
    array = np.arange(3 * 24).reshape(3, 4, 6).astype(kind)
    found = planes(image(array, NumberOfFrames=3))
    assert [len(frame) for frame in found] == [1, 1, 1]
    assert np.array_equal([frame[0].samples for frame in found], array)


def test_signed_samples_are_taken_both_ways() -> None:
    array = np.arange(-12, 12).reshape(4, 6).astype("<i2")
    ((signed, bare),) = planes(image(array, PixelRepresentation=1))
    assert np.array_equal(signed.samples, array)
    assert np.array_equal(bare.samples, array.view("<u2"))
    assert (signed.bare, bare.bare) == (False, True)


def test_signed_samples_none_of_which_is_negative_are_taken_once() -> None:
    array = np.arange(24).reshape(4, 6).astype("<i2")
    ((plane,),) = planes(image(array, PixelRepresentation=1))
    assert np.array_equal(plane.samples, array)
    assert not plane.bare


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize(("photometric", "black"), [("RGB", [0, 0, 0]), ("YBR_FULL", [0, 128, 128])])
def test_colours_are_planes(planar: int, photometric: str, black: list[int]) -> None:
    array = np.arange(144).reshape(2, 4, 6, 3).astype("u1")
    stored = np.moveaxis(array, -1, 1) if planar else array
    colours = {"SamplesPerPixel": 3, "PhotometricInterpretation": photometric, "PlanarConfiguration": planar}
    found = planes(image(np.ascontiguousarray(stored), NumberOfFrames=2, **colours))
    assert np.array_equal([[plane.samples for plane in frame] for frame in found], np.moveaxis(array, -1, 1))
    assert [plane.black for plane in found[0]] == black


def test_of_shared_chrominance_only_luminance_is_taken() -> None:
    luminance = np.arange(24).reshape(4, 6).astype("u1")
    stored = np.full((4, 3, 4), 128, "u1")
    stored[..., :2] = luminance.reshape(4, 3, 2)
    ((plane,),) = planes(image(stored, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL_422"))
    assert np.array_equal(plane.samples, luminance)


def test_big_endian_words_are_turned() -> None:
    array = np.arange(24).reshape(4, 6).astype(">u2")
    dataset = image(array)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    assert np.array_equal(planes(dataset)[0][0].samples, array)


def test_frames_are_read_from_the_file_when_it_is_their_turn() -> None:
    array, file = np.arange(50 * 24).reshape(50, 4, 6).astype("<u2"), BytesIO()
    image(array, NumberOfFrames=50).save_as(file)
    file.seek(0)
    dataset = dcmread(file, defer_size=64)
    reads: list[int] = []

    class Stream(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            reads.append(size or 0)
            return super().read(size)

    dataset.buffer = Stream(file.getvalue())
    frames = native_frames(Root(dataset, Edits()))
    assert np.array_equal(next(frames)[0].samples, array[0])
    assert reads == [48]
    assert np.array_equal([frame[0].samples for frame in frames], array[1:])
    assert set(reads) == {48}


def test_what_a_frame_lacks_is_black_and_what_is_too_much_is_a_frame() -> None:
    array = np.arange(24).astype("<u2")
    (short,) = planes(image(array[:20]))
    assert short[0].samples.reshape(-1).tolist() == [*range(20), 0, 0, 0, 0]
    assert len(planes(image(np.concatenate([array, array])))) == 2


@pytest.mark.parametrize("values", [{"BitsAllocated": 1}, {"BitsAllocated": 64}, {"Rows": None}, {"Rows": 0}])
def test_what_cannot_be_taken_apart_fails(values: dict[str, Any]) -> None:
    dataset = instance()
    for name, value in values.items():
        delattr(dataset, name) if value is None else setattr(dataset, name, value)
    with pytest.raises(Failure):
        planes(dataset)


def test_compressed_is_not_native() -> None:
    dataset = instance()
    assert is_native(Root(dataset, Edits()))
    dataset.file_meta.TransferSyntaxUID = RLELossless
    assert not is_native(Root(dataset, Edits()))


def test_of_many_frames_some_are_taken_over_all() -> None:
    array = np.arange(100 * 16, dtype="<u2").reshape(100, 4, 4)
    dataset = instance(NumberOfFrames=100, PixelData=array.tobytes(), Rows=4, Columns=4)
    taken = [int(frame[0].samples[0, 0]) // 16 for frame in native_frames(Root(dataset, Edits()), 5)]
    assert taken == [0, 25, 50, 74, 99]
    assert len(list(native_frames(Root(dataset, Edits()), 200))) == 100
