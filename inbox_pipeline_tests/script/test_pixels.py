"""Rectangles in pixel data of every layout."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.utils import compress

from inbox_pipeline.script import RunError, compile_script
from inbox_pipeline.script.blanking import blank_pixels
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.pixels import Rectangle, complement

EXPLICIT, IMPLICIT, BIG, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"


def _image(array: Any, photometric: str = "MONOCHROME2", syntax: str = EXPLICIT, **more: Any) -> Dataset:
    """An image of frames, rows, columns and samples, given in the order in which its bytes are stored."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    bits = array.dtype.itemsize * 8
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 4, 6, 3 if photometric[:3] in ("RGB", "YBR") else 1
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation, dataset.PhotometricInterpretation = bits - 1, 0, photometric
    for name, value in more.items():
        setattr(dataset, name, value)
    dataset.add_new(0x7FE00010, "OB" if bits == 8 else "OW", array.tobytes())
    return dataset


def _apply(dataset: Dataset, area: str = "l=1, t=1, r=4, b=3", fill: str = "v=100") -> Any:
    return compile_script(f'version "6.3"\nalterPixels["rectangle", "{area}", "solid", "{fill}"]').apply(dataset, {})


def _filled(array: Any, black: Any = 0) -> Any:
    expected = array.copy()
    expected[..., 1:3, 1:4, :] = black
    return expected


def _random(*shape: int, dtype: Any = np.uint8) -> Any:
    return np.random.default_rng(4).integers(1, 200, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"])
def test_grey_values_become_zero_in_every_frame(dtype: Any, photometric: str) -> None:
    array = _random(3, 4, 6, 1, dtype=dtype)
    dataset = _image(array, photometric, NumberOfFrames=3)
    _apply(dataset)
    assert dataset.PixelData == _filled(array).tobytes()


@pytest.mark.parametrize(("photometric", "black"), [("RGB", 0), ("YBR_FULL", [0, 128, 128])])
def test_colours_become_black(photometric: str, black: Any) -> None:
    array = _random(2, 4, 6, 3)
    dataset = _image(array, photometric, NumberOfFrames=2, PlanarConfiguration=0)
    _apply(dataset)
    assert dataset.PixelData == _filled(array, black).tobytes()


def test_planes_of_colours() -> None:
    array = _random(2, 4, 6, 3)
    stored = array.transpose(0, 3, 1, 2)
    dataset = _image(stored, "YBR_FULL", NumberOfFrames=2, PlanarConfiguration=1)
    _apply(dataset)
    assert dataset.PixelData == _filled(array, [0, 128, 128]).transpose(0, 3, 1, 2).tobytes()


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_RCT", "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"])
def test_every_layout(photometric: str, syntax: str, dtype: Any, planar: int, frames: int) -> None:
    samples = 3 if photometric[:3] in ("RGB", "YBR") else 1
    array = _random(frames, 4, 6, samples, dtype=dtype)
    neutral = 1 << np.dtype(dtype).itemsize * 8 - 1
    expected = _filled(array, [0, neutral, neutral] if photometric.startswith("YBR") else 0)
    if planar:
        array, expected = array.transpose(0, 3, 1, 2).copy(), expected.transpose(0, 3, 1, 2).copy()
    stored = array.byteswap() if syntax == BIG else array
    dataset = _image(stored, photometric, syntax, NumberOfFrames=frames, PlanarConfiguration=planar)
    _apply(dataset)
    assert dataset.PixelData == expected.tobytes()
    assert (dataset.file_meta.TransferSyntaxUID, dataset.PhotometricInterpretation) == (EXPLICIT, photometric)
    assert dataset.PlanarConfiguration == planar


def test_shared_chrominance_at_the_edge_stays() -> None:
    array = _random(4, 3, 4)
    dataset = _image(array, "YBR_FULL_422", PlanarConfiguration=0)
    _apply(dataset)
    expected = array.copy()
    expected[1:3, 0, 1] = 0
    expected[1:3, 1] = [0, 0, 128, 128]
    assert dataset.PixelData == expected.tobytes()


def test_single_bits() -> None:
    bits = np.ones((2, 4, 6, 1), np.uint8)
    dataset = _image(np.packbits(bits, axis=None, bitorder="little"), NumberOfFrames=2, BitsAllocated=1, BitsStored=1)
    _apply(dataset)
    assert dataset.PixelData == np.packbits(_filled(bits), axis=None, bitorder="little").tobytes()


@pytest.mark.parametrize("left", range(6))
@pytest.mark.parametrize("right", range(1, 19))
def test_single_bits_of_any_rectangle(left: int, right: int) -> None:
    bits = np.random.default_rng(5).integers(0, 2, (3, 4, 19, 1)).astype(np.uint8)
    stored = np.packbits(bits, axis=None, bitorder="little")
    dataset = _image(stored, NumberOfFrames=3, BitsAllocated=1, BitsStored=1, Columns=19)
    _apply(dataset, f"l={left}, t=1, r={right}, b=3")
    bits[:, 1:3, left : max(left, right)] = 0
    assert dataset.PixelData == np.packbits(bits, axis=None, bitorder="little").tobytes()


@pytest.mark.parametrize("left", range(6))
@pytest.mark.parametrize("right", range(1, 7))
def test_shared_chrominance_of_any_rectangle(left: int, right: int) -> None:
    luma, chroma = _random(2, 4, 6), _random(2, 4, 3, 2)
    stored = np.concatenate([luma.reshape(2, 4, 3, 2), chroma], axis=-1)
    dataset = _image(stored, "YBR_FULL_422", NumberOfFrames=2, PlanarConfiguration=0)
    _apply(dataset, f"l={left}, t=1, r={right}, b=3")
    if left < right:
        luma[:, 1:3, left:right] = 0
        chroma[:, 1:3, -(-left // 2) : max(-(-left // 2), right // 2)] = 128
    assert dataset.PixelData == np.concatenate([luma.reshape(2, 4, 3, 2), chroma], axis=-1).tobytes()


def test_frames_beyond_the_stated_ones_are_altered_and_padding_stays() -> None:
    array = _random(3, 4, 6, 1)
    dataset = _image(array, NumberOfFrames=2)
    dataset.PixelData += b"\7"
    _apply(dataset)
    assert dataset.PixelData == _filled(array).tobytes() + b"\7"


def test_large_pixel_data_is_copied_once() -> None:
    size = 8_000_000
    dataset = _image(np.zeros((8, 1000, 1000), np.uint8), NumberOfFrames=8, Rows=1000, Columns=1000)
    tracemalloc.start()
    _apply(dataset, "l=0, t=0, r=900, b=100")
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < 1.5 * size


@pytest.mark.parametrize("area", ["left=-5,top=-5,right=99,bottom=99", "L = 0, T = 0, R = 6, B = 4"])
def test_a_rectangle_is_clipped(area: str) -> None:
    dataset = _image(_random(4, 6))
    _apply(dataset, area, "red=1, green=2, blue=3")
    assert not any(dataset.PixelData)


def test_a_rectangle_outside_changes_nothing() -> None:
    dataset = _image(_random(4, 6))
    outcome = _apply(dataset, "l=6,t=0,r=9,b=4")
    assert outcome.changes == ()
    assert "outside" in outcome.warnings[0]


def test_no_pixel_data_is_no_error() -> None:
    dataset = Dataset()
    outcome = _apply(dataset)
    assert (len(dataset), len(outcome.warnings)) == (0, 1)


def test_what_was_done_is_recorded_once() -> None:
    dataset = _image(_random(4, 6), syntax=IMPLICIT, DeidentificationMethod="before")
    _apply(dataset)
    outcome = _apply(dataset)
    assert dataset.file_meta.TransferSyntaxUID == EXPLICIT
    assert dataset.BurnedInAnnotation == "NO"
    assert list(dataset.DeidentificationMethod) == ["before", "DicomEdit alterPixels"]
    codes = [(item.CodeValue, item.CodingSchemeDesignator) for item in dataset.DeidentificationMethodCodeSequence]
    assert codes == [("113101", "DCM")]
    assert ("(7FE0,0010)", "pixels") in [(change.path, change.action) for change in outcome.changes]


@pytest.mark.parametrize(("dtype", "vr"), [(np.uint8, "OB"), (np.uint8, "OW"), (np.uint16, "OW"), (np.uint32, "OW")])
def test_big_endian_becomes_little_endian(dtype: Any, vr: str) -> None:
    array = _random(4, 6, 1, dtype=dtype)
    dataset = _image(array, syntax=BIG)
    stored = array.reshape(-1).view(np.uint16) if (dtype, vr) == (np.uint8, "OW") else array
    dataset.add_new(0x7FE00010, vr, stored.byteswap().tobytes())
    outcome = _apply(dataset)
    assert (outcome.warnings, dataset.file_meta.TransferSyntaxUID) == ((), EXPLICIT)
    assert dataset.PixelData == _filled(array).tobytes()


@pytest.mark.parametrize(("photometric", "frames"), [("MONOCHROME2", 1), ("RGB", 2)])
def test_compressed_pixel_data_becomes_native(photometric: str, frames: int) -> None:
    array = _random(frames, 4, 6, 3 if photometric == "RGB" else 1)
    dataset = _image(array, photometric, NumberOfFrames=frames, PlanarConfiguration=0, SOPInstanceUID="1.2.3")
    compress(dataset, RLE, generate_instance_uid=False)
    _apply(dataset)
    assert dataset.file_meta.TransferSyntaxUID == EXPLICIT
    assert dataset.SOPInstanceUID == "1.2.3"
    assert dataset.pixel_array.tobytes() == _filled(array).tobytes()


_NOT_SHARED = {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422", "Rows": 2, "Columns": 4}
"""24 bytes: three for each of 8 pixels, not two as this photometric interpretation has it."""


@pytest.mark.parametrize(
    ("area", "fill", "change"),
    [
        ("l=1,t=1,r=4", "v=0", {}),
        ("l=1,t=1,r=4,b=x", "v=0", {}),
        ("l=1,t=1,r=4,b=3", "colour=0", {}),
        ("l=1,t=1,r=4,b=3", "v=0", {"Rows": 40}),
        ("l=1,t=1,r=4,b=3", "v=0", {"Rows": None}),
        ("l=1,t=1,r=4,b=3", "v=0", {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 999_999_999_999}),
        ("l=1,t=1,r=4,b=3", "v=0", {"NumberOfFrames": 2}),
        ("l=1,t=1,r=4,b=3", "v=0", {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}),
        ("l=0,t=0,r=2,b=2", "v=0", _NOT_SHARED),
        ("l=1,t=1,r=4,b=3", "v=0", {"BitsAllocated": 12}),
        ("l=1,t=1,r=4,b=3", "v=0", {"FloatPixelData": b"0000"}),
    ],
)
def test_what_cannot_be_done_is_an_error(area: str, fill: str, change: dict[str, Any]) -> None:
    dataset = _image(_random(4, 6), **change)
    before = dict(dataset.items())
    with pytest.raises(RunError):
        _apply(dataset, area, fill)
    assert dict(dataset.items()) == before


def test_a_transfer_syntax_without_a_decoder_is_named() -> None:
    dataset = _image(_random(4, 6))
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    with pytest.raises(RunError, match="no decoder exists here for pixel data of the transfer syntax MPEG2"):
        _apply(dataset)


@pytest.mark.parametrize("seed", range(40))
def test_a_complement_is_what_the_rectangles_leave(seed: int) -> None:
    random = np.random.default_rng(seed)
    columns, rows = (int(number) for number in random.integers(1, 20, 2))
    kept = [Rectangle(*(int(side) for side in random.integers(-3, 23, 4))) for _ in range(seed % 6)]
    expected = np.ones((rows, columns), np.uint8)
    for area in kept:
        if area.left < area.right and area.top < area.bottom:
            expected[max(area.top, 0) : max(area.bottom, 0), max(area.left, 0) : max(area.right, 0)] = 0
    found = np.zeros_like(expected)
    for area in complement(kept, columns, rows):
        found[area.top : area.bottom, area.left : area.right] += 1
    assert (found == expected).all()


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG, RLE])
def test_several_rectangles_at_once(syntax: str) -> None:
    array = _random(3, 4, 6, 1)
    dataset = _image(array, syntax=EXPLICIT if syntax == RLE else syntax, NumberOfFrames=3, SOPInstanceUID="1.2.3")
    if syntax == RLE:
        compress(dataset, RLE, generate_instance_uid=False)
    changes = blank_pixels(dataset, complement([Rectangle(2, 1, 5, 3)], 6, 4), "a method")
    expected = np.zeros_like(array)
    expected[:, 1:3, 2:5] = array[:, 1:3, 2:5]
    assert dataset.PixelData == expected.tobytes()
    assert (dataset.BurnedInAnnotation, dataset.DeidentificationMethod) == ("NO", "a method")
    assert {"(7FE0,0010)", "(0028,0301)", "(0012,0063)"} <= {change.path for change in changes}


def test_nothing_to_blank_says_nothing() -> None:
    dataset = _image(_random(4, 6))
    before = dict(dataset.items())
    assert blank_pixels(dataset, [Rectangle(6, 0, 9, 4)], "a method") == ()
    assert blank_pixels(dataset, [], "a method") == ()
    assert dict(dataset.items()) == before


def test_what_cannot_be_blanked_stays_as_it_was() -> None:
    dataset = _image(_random(4, 6), Rows=40)
    before = dict(dataset.items())
    with pytest.raises(Failure, match="shorter"):
        blank_pixels(dataset, [Rectangle(0, 0, 2, 2)], "a method")
    assert dict(dataset.items()) == before
