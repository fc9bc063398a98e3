"""A rectangle in every real file with pixel data beside the checkout, from the script to the written file."""

import sys
from collections import Counter
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.pixels import get_decoder

from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.header import read_header
from inbox_pipeline.dicom.quiet import quiet
from inbox_pipeline.dicom.rewrite import rewrite
from inbox_pipeline.script import RunError, compile_script
from inbox_pipeline_tests.dicom.test_shared import ROOT, files, parsed

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")]

EXPLICIT = "1.2.840.10008.1.2.1"
NATIVE = {"1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
UNDECODABLE = {
    "CARDIO_US/ECHO_JXL/will-jxl.dcm": "no decoder exists here for pixel data of the transfer syntax JPEG XL JPEG "
    "Recompression",
    "CODECS/JPEG_MISC/JPEG2000-embedded-sequence-delimiter.dcm": "pixel data of the transfer syntax JPEG 2000 Image "
    "Compression cannot be decoded (RuntimeError)",
    "ODD/BAD_VR/badVR.dcm": "pixel data cannot be altered without this number",
}
"""No codec here knows JPEG XL; a code stream of 250 bytes, made to test parsers; a number of frames that is 1A."""

SINGLE_BITS = "ONCO_CT/CT3SLICE_SEG/SEG/liver.dcm"
"""The native form of the files whose compressed single bits pydicom cannot decode."""


def pixels(dataset: Dataset, syntax: str, *, raw: bool) -> Any:
    """The samples as frames, rows, columns and samples."""
    array, _ = get_decoder(syntax).as_array(dataset, raw=raw)
    frames = (array.shape[0],) if array.ndim - (dataset.SamplesPerPixel > 1) == 3 else (1,)
    return array.reshape(*frames, dataset.Rows, dataset.Columns, -1)


def rectangle(dataset: Dataset) -> tuple[int, int, int, int]:
    """About a quarter of the image, with odd sides."""
    rows, columns = dataset.Rows, dataset.Columns
    return columns // 4, rows // 4, columns // 2 + 1, rows // 2 + 1


def edit_of(area: tuple[int, int, int, int]):
    script = compile_script(
        'version "6.3"\nalterPixels["rectangle", "l={}, t={}, r={}, b={}", "solid", "v=100"]'.format(*area)
    )
    return lambda dataset: script.apply(dataset, {})


def differing(before: Any, after: Any, area: tuple[int, int, int, int], photometric: str) -> str:
    left, top, right, bottom = area
    if before.shape != after.shape:
        return f"{before.shape} became {after.shape}"
    inside = after[:, top:bottom, left:right]
    outside = np.ones(before.shape, bool)
    outside[:, top:bottom, left:right] = False
    if photometric == "YBR_FULL_422":  # a chrominance that is shared with a pixel outside stays
        left, right = -(-left // 2) * 2, right // 2 * 2
        inside = after[:, top:bottom, left:right]
    black = [0, 128, 128] if photometric.startswith("YBR") else 0
    if not (before[outside] == after[outside]).all():
        return "outside"
    return "" if (inside == black).all() else "inside"


def test_a_rectangle_in_every_file() -> None:
    counts, refused, different = Counter(), {}, {}
    for path, data, _ in files():
        try:
            source = read_header(BytesIO(data), size=len(data)).transfer_syntax_uid
        except NotReadable:
            continue
        with quiet():
            before = parsed(data)
            if "PixelData" not in before or "Rows" not in before:
                continue
            before.file_meta = getattr(before, "file_meta", None) or pydicom.dataset.FileMetaDataset()
            before.file_meta.TransferSyntaxUID = source
            dest, area = BytesIO(), rectangle(before)
            try:
                result = rewrite(BytesIO(data), dest, edit_of(area))
            except RunError as error:
                refused[path] = error.message.partition(": ")[2]
                assert dest.getvalue() == b""
                continue
            counts[source, result.path_taken] += 1
            after = pydicom.dcmread(BytesIO(dest.getvalue()))
            assert (result.transfer_syntax_uid, after.file_meta.TransferSyntaxUID) == (EXPLICIT, EXPLICIT), path
            codes = [item.CodeValue for item in after.DeidentificationMethodCodeSequence]
            assert (after.BurnedInAnnotation, "113101" in codes) == ("NO", True), path
            raw = source in NATIVE
            if path.endswith(("liver_deflate.dcm", "liver_rle.dcm")):
                expected = pixels(pydicom.dcmread(ROOT / SINGLE_BITS), EXPLICIT, raw=True)
            else:
                expected = pixels(before, source, raw=raw)
            got = pixels(after, EXPLICIT, raw=True)
            if fault := differing(expected, got, area, after.PhotometricInterpretation):
                different[path] = fault
            if raw and before.SamplesPerPixel == 1 and before.BitsAllocated > 1 and source != "1.2.840.10008.1.2.2":
                old, new = np.frombuffer(before.PixelData, "u1"), np.frombuffer(after.PixelData, "u1")
                assert len(new) == len(old) + len(old) % 2, path
                allowed = np.zeros(got.shape, bool)
                allowed[:, area[1] : area[3], area[0] : area[2]] = True
                kept = ~np.repeat(allowed.reshape(-1), before.BitsAllocated // 8)
                assert (old[: len(kept)][kept] == new[: len(kept)][kept]).all(), path
    sys.stdout.write(f"{counts}\n")
    assert different == {}
    assert refused == UNDECODABLE


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_jpeg_of_twelve_bits(name: str) -> None:
    """Two values outside the rectangle that pydicom's tests state, read off in a viewer."""
    dest = BytesIO()
    with (ROOT / "CODECS" / "JPEG_MISC" / name).open("rb") as source:
        rewrite(source, dest, edit_of((64, 256, 129, 400)))
    array = pydicom.dcmread(BytesIO(dest.getvalue())).pixel_array
    assert (array[420, 140], array[230, 120]) == (244, 95)
