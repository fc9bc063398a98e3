"""Compressed pixel data: decoded, filled, and described anew."""

import logging
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from openjpeg.utils import encode_array
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_fragments
from pydicom.pixels.decoders.base import Decoder
from pydicom.pixels.utils import compress
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from inbox_pipeline.script import RunError, codecs, compile_script

EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
TABLES = [False, True, "extended"]
ROWS, COLUMNS = 65, 70


def _dataset(frames: list[bytes], syntax: str, *, samples: int = 1, bits: int = 8, table: Any = True) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.NumberOfFrames = ROWS, COLUMNS, samples, len(frames)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits, bits - 1, 0
    dataset.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        dataset.PlanarConfiguration = 0
    if table == "extended":
        value, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    else:
        value = encapsulate(frames, has_bot=table)
    dataset.add_new(0x7FE00010, "OB", value)
    dataset["PixelData"].is_undefined_length = True
    return dataset


def _apply(dataset: Dataset) -> Any:
    script = 'version "6.3"\nalterPixels["rectangle", "l=3, t=5, r=12, b=9", "solid", "v=100"]'
    return compile_script(script).apply(dataset, {})


def _array(*shape: int, dtype: Any = np.uint8, high: int = 256) -> Any:
    return np.random.default_rng(7).integers(1, high, shape).astype(dtype)


def _filled(array: Any) -> Any:
    expected = array.copy()
    expected[:, 5:9, 3:12] = 0
    return expected


def _holds(dataset: Dataset, array: Any) -> bool:
    """Whether the data set is native and shows these frames, as it is and as it is written."""
    dest = BytesIO()
    dataset.save_as(dest, implicit_vr=False, little_endian=True)
    written = dcmread(BytesIO(dest.getvalue()), force=True)
    assert dataset.file_meta.TransferSyntaxUID == EXPLICIT
    assert not {0x7FE00001, 0x7FE00002} & dataset.keys()
    assert (dataset["PixelData"].VR == "OB") is (dataset.BitsAllocated <= 8)
    return all((each.pixel_array.reshape(array.shape) == array).all() for each in (dataset, written))


def _j2k(array: Any) -> list[bytes]:
    return [encode_array(frame, codec_format=0, use_mct=False) for frame in array]


def _jpeg_ls(array: Any) -> list[bytes]:
    dataset = _dataset([b"00"], EXPLICIT, bits=array.dtype.itemsize * 8)
    frames = []
    for frame in array:
        dataset.add_new(0x7FE00010, "OW", frame.tobytes())
        dataset.file_meta.TransferSyntaxUID = EXPLICIT
        compress(dataset, JPEGLSLossless, generate_instance_uid=False)
        frames.append(next(iter(list(generate_fragments(dataset.PixelData))[1:])))
    return frames


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("encode", "syntax"), [(_j2k, JPEG2000Lossless), (_jpeg_ls, JPEGLSLossless)])
def test_frames_with_and_without_offset_tables(encode: Any, syntax: str, dtype: Any, table: Any) -> None:
    array = _array(3, ROWS, COLUMNS, dtype=dtype)
    dataset = _dataset(encode(array), syntax, bits=array.dtype.itemsize * 8, table=table)
    assert _apply(dataset).warnings == ()
    assert _holds(dataset, _filled(array))


def test_fragments_of_one_frame() -> None:
    array = _array(1, ROWS, COLUMNS)
    dataset = _dataset([b"00"], JPEG2000Lossless)
    dataset.PixelData = encapsulate(_j2k(array), fragments_per_frame=4)
    _apply(dataset)
    assert _holds(dataset, _filled(array))


def test_colours_by_plane_become_colours_by_pixel() -> None:
    array = _array(2, ROWS, COLUMNS, 3)
    dataset = _dataset([b"00", b"00"], EXPLICIT, samples=3)
    dataset.PixelData = array.tobytes()
    compress(dataset, RLELossless, generate_instance_uid=False)
    dataset.PlanarConfiguration = 1
    _apply(dataset)
    assert (dataset.PlanarConfiguration, dataset.NumberOfFrames) == (0, 2)
    assert _holds(dataset, _filled(array))


def test_compressed_ybr_becomes_rgb_and_stays_marked_as_lossy() -> None:
    jpeg = BytesIO()
    Image.fromarray(_array(ROWS, COLUMNS, 3)).save(jpeg, "JPEG", subsampling=1)
    dataset = _dataset([jpeg.getvalue()], JPEGBaseline8Bit, samples=3)
    dataset.PhotometricInterpretation, dataset.LossyImageCompression = "YBR_FULL_422", "01"
    expected = dataset.pixel_array.reshape(1, ROWS, COLUMNS, 3)
    _apply(dataset)
    assert (dataset.PhotometricInterpretation, dataset.LossyImageCompression) == ("RGB", "01")
    assert _holds(dataset, _filled(expected))


def test_samples_narrower_than_allocated_are_widened() -> None:
    array = _array(2, ROWS, COLUMNS)
    dataset = _dataset(_j2k(array), JPEG2000Lossless, bits=16)
    dataset.BitsStored, dataset.HighBit = 8, 7
    _apply(dataset)
    assert dataset.BitsAllocated == 16
    assert _holds(dataset, _filled(array).astype(np.uint16))


def test_signed_samples() -> None:
    array = _array(1, ROWS, COLUMNS, dtype=np.int16) - 100
    dataset = _dataset(_j2k(array), JPEG2000Lossless, bits=16)
    dataset.PixelRepresentation = 1
    _apply(dataset)
    assert _holds(dataset, _filled(array))


@pytest.mark.parametrize("syntax", [DEFLATED_FRAMES, RLELossless, JPEG2000Lossless])
def test_single_bits_are_packed_without_gaps(syntax: str) -> None:
    array = _array(3, ROWS, COLUMNS - 1, high=3) // 2
    dataset = _dataset([b"00"] * 3, syntax, bits=1)
    dataset.Columns = COLUMNS - 1
    packed = [np.packbits(frame, bitorder="little").tobytes() for frame in array]
    frames = {DEFLATED_FRAMES: _deflated, RLELossless: _literal_rle, JPEG2000Lossless: lambda _: _j2k(array)}
    dataset.PixelData = encapsulate(frames[syntax](packed))
    _apply(dataset)
    expected = np.packbits(_filled(array), bitorder="little").tobytes()
    assert dataset.PixelData[: len(expected)] == expected
    assert _holds(dataset, _filled(array))


def _deflated(frames: list[bytes]) -> list[bytes]:
    return [zlib.compressobj(wbits=-15).compress(b"") + _deflate(frame) for frame in frames]


def _deflate(frame: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(frame) + compressor.flush()


def _literal_rle(frames: list[bytes]) -> list[bytes]:
    """One segment each, of literal runs (PS3.5 annex G)."""
    header = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56)
    return [header + b"".join(bytes([len(run) - 1]) + run for run in _runs(frame)) for frame in frames]


def _runs(frame: bytes) -> list[bytes]:
    return [frame[start : start + 128] for start in range(0, len(frame), 128)]


@pytest.mark.parametrize("bits", [8, 16])
def test_deflated_frames(bits: int) -> None:
    array = _array(2, ROWS, COLUMNS, dtype=f"u{bits // 8}")
    dataset = _dataset([_deflate(frame.tobytes()) for frame in array], DEFLATED_FRAMES, bits=bits)
    _apply(dataset)
    assert _holds(dataset, _filled(array))


def test_more_frames_than_stated_are_all_altered() -> None:
    array = _array(3, ROWS, COLUMNS)
    dataset = _dataset(_j2k(array), JPEG2000Lossless)
    dataset.NumberOfFrames = 2
    assert "more frames than stated" in _apply(dataset).warnings[0]
    assert dataset.NumberOfFrames == 3
    assert _holds(dataset, _filled(array))


def _too_few(dataset: Dataset) -> None:
    dataset.NumberOfFrames = 4


def _cut(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]


def _huge(dataset: Dataset) -> None:
    dataset.Rows = dataset.Columns = 65535


def _narrow(dataset: Dataset) -> None:
    dataset.BitsAllocated = dataset.BitsStored = 8


def _other_size(dataset: Dataset) -> None:
    dataset.Columns = COLUMNS + 1


def _nothing(dataset: Dataset) -> None:
    dataset.PixelData = b""


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("fault", [_too_few, _cut, _huge, _narrow, _other_size, _nothing])
def test_what_is_wrong_with_compressed_pixel_data_changes_nothing(fault: Any, table: bool) -> None:
    frames = _j2k(_array(3, ROWS, COLUMNS, dtype=np.uint16, high=4000))
    dataset = _dataset(frames, JPEG2000Lossless, bits=16, table=table)
    fault(dataset)
    before, value = dict(dataset.items()), dataset.PixelData
    with pytest.raises(RunError):
        _apply(dataset)
    assert (dict(dataset.items()), dataset.PixelData) == (before, value)
    assert dataset.file_meta.TransferSyntaxUID == JPEG2000Lossless


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, "1.2.840.10008.1.2.4.202"])
def test_a_codec_that_is_not_installed_is_named(syntax: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "get_decoder", lambda uid: Decoder(UID(uid)))
    monkeypatch.setattr(codecs, "find_spec", lambda name: None)
    with pytest.raises(RunError, match=r'JPEG 2000.*install the extra "pixels"'):
        _apply(_dataset([b"00"], syntax))


@pytest.mark.parametrize(("syntax", "name"), [("1.2.840.10008.1.2.4.112", "JPEG XL"), ("1.2.3.4", "not known")])
def test_a_transfer_syntax_that_nothing_decodes_is_named(syntax: str, name: str) -> None:
    with pytest.raises(RunError, match=name):
        _apply(_dataset([b"00"], syntax))


def test_decoders_do_not_speak_of_what_they_cannot_decode(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(RunError):
        _apply(_dataset([b"no code stream"], JPEG2000Lossless))
    assert caplog.records == []
