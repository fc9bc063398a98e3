"""Edits that change the transfer syntax: the whole data set follows."""

import hashlib
import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import JPEGBaseline8Bit

from inbox_pipeline.dicom.errors import NotWritable
from inbox_pipeline.dicom.header import read_header
from inbox_pipeline.dicom.rewrite import Rewritten, rewrite
from inbox_pipeline.dicom.words import reversed_words

from .builders import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    PIXELS,
    RLE,
    SYNTAXES,
    body,
    every_vr,
    framed,
    instance,
    item,
    part10,
    read,
    undefined,
    with_pixels,
)

NATIVE = (IMPLICIT, EXPLICIT, BIG, DEFLATED)
TARGETS = (IMPLICIT, EXPLICIT)


def becomes(syntax: str):
    def edit(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax

    return edit


def decompressed(syntax: str):
    def edit(dataset: Dataset) -> None:
        becomes(syntax)(dataset)
        dataset.add_new(0x7FE00010, "OW", PIXELS)

    return edit


def run(data: bytes, edit) -> tuple[bytes, Rewritten]:
    dest = BytesIO()
    result = rewrite(BytesIO(data), dest, edit)
    return dest.getvalue(), result


def saved(data: bytes, edit) -> Dataset:
    """What pydicom makes of the same edit."""
    dataset, dest = read(data), BytesIO()
    edit(dataset)
    dataset.save_as(dest)
    return read(dest.getvalue())


@pytest.mark.parametrize("source", [IMPLICIT, EXPLICIT, DEFLATED])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [lambda d: d, undefined])
def test_little_endian_becomes_what_pydicom_makes_of_it(source: str, target: str, shape) -> None:
    data = part10(with_pixels(shape(every_vr()), source), source)
    out, result = run(data, becomes(target))
    assert read(out) == saved(data, becomes(target))
    header = read_header(BytesIO(out), size=len(out))
    assert (header.regular, header.transfer_syntax_uid, result.transfer_syntax_uid) == (True, target, target)
    assert result.pixel_sha256 == hashlib.sha256(PIXELS).hexdigest()
    assert result.output_sha256 == hashlib.sha256(out).hexdigest()


@pytest.mark.parametrize("target", TARGETS)
def test_compressed_becomes_native_with_the_pixel_data_of_the_edit(target: str) -> None:
    data = part10(with_pixels(every_vr(), RLE), RLE)
    out, result = run(data, decompressed(target))
    assert read(out) == saved(data, decompressed(target))
    assert (read(out).PixelData, result.pixel_sha256) == (PIXELS, hashlib.sha256(PIXELS).hexdigest())
    assert result.path_taken == "fast"


def test_explicit_elements_keep_their_bytes_when_compressed_becomes_native() -> None:
    odd = b"\x08\x00\x20\x00DA\x0a\x002020.01.02" + b"\x10\x00\x10\x00PN\x08\0 Eve\xe4^ \0"
    pixels = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    behind = b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0\1\2"
    out, _ = run(framed(odd + pixels + behind, RLE), decompressed(EXPLICIT))
    native = b"\xe0\x7f\x10\x00OW\0\0\x00\x02\x00\x00" + PIXELS
    assert out.endswith(odd + native + behind)


def test_explicit_elements_keep_their_bytes_when_inflated() -> None:
    odd = b"\x08\x00\x20\x00DA\x0a\x002020.01.02" + b"\x10\x00\x10\x00PN\x08\0 Eve\xe4^ \0"
    out, _ = run(framed(odd, DEFLATED), becomes(EXPLICIT))
    assert out.endswith(odd)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("edit", [lambda d: None, lambda d: [e.value for e in d.iterall()]])
def test_words_follow_the_byte_order_at_every_depth(target: str, edit) -> None:
    big, little = instance(), instance()
    for dataset, reverse in ((big, reversed_words), (little, lambda value, width: value)):
        dataset.add_new(0x7FE00010, "OW", reverse(PIXELS, 2))
        dataset.add_new(0x60003000, "OW", reverse(b"abcdef", 2))
        nested = item(LUTDescriptor=[3, 0, 16])
        nested.add_new(0x00283006, "OW", reverse(b"123456", 2))
        dataset.add_new(0x00283000, "SQ", [nested, item(VectorGridData=reverse(b"12345678", 4), PatientName="A")])
        block = dataset.private_block(0x0031, "WORDS", create=True)
        for offset, (vr, width) in enumerate({"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}.items()):
            block.add_new(0x80 + offset, vr, reverse(bytes(range(16)), width))
        block.add_new(0x90, "OB", b"unmoved!")

    def change(dataset: Dataset) -> None:
        edit(dataset)
        dataset[0x00283000].value[1].PatientName = "B"
        becomes(target)(dataset)

    out, result = run(part10(big, BIG), change)
    expected = saved(part10(little, EXPLICIT), change)
    assert read(out) == expected
    assert (result.path_taken, result.pixel_sha256) == ("full", hashlib.sha256(PIXELS).hexdigest())


@pytest.mark.parametrize(("bits", "vr", "width"), [(8, "OB", 1), (8, "OW", 2), (16, "OW", 2), (32, "OW", 4)])
def test_samples_of_big_endian_pixel_data_become_little_endian(bits: int, vr: str, width: int) -> None:
    dataset = instance(BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1)
    dataset.add_new(0x7FE00010, vr, PIXELS)
    out, _ = run(part10(dataset, BIG), becomes(EXPLICIT))
    assert read(out).PixelData == reversed_words(PIXELS, width)


def test_pixel_data_that_the_edit_sets_is_in_the_new_byte_order() -> None:
    out, _ = run(
        part10(with_pixels(instance(), BIG), BIG), lambda ds: (becomes(EXPLICIT)(ds), setattr(ds, "PixelData", b"\1\2"))
    )
    assert read(out).PixelData == b"\1\2"


@pytest.mark.parametrize("source", [IMPLICIT, BIG])
def test_ambiguous_values_private_ones_and_group_lengths(source: str) -> None:
    dataset = instance(PixelRepresentation=1, SmallestImagePixelValue=-3)
    dataset.RealWorldValueMappingSequence = [item(RealWorldValueFirstValueMapped=-7)]
    out, _ = run(part10(dataset, source), becomes(EXPLICIT))
    got = read(out)
    assert (got["SmallestImagePixelValue"].VR, got.SmallestImagePixelValue) == ("SS", -3)
    assert got.RealWorldValueMappingSequence[0].RealWorldValueFirstValueMapped == -7
    assert got[0x00290010].VR == "LO"
    order = "big" if source == BIG else "little"
    length = (8).to_bytes(2, order) + bytes(2) + (b"UL\0\4" if source == BIG else b"\4\0\0\0") + bytes(4)
    out, _ = run(framed(length + body(dataset, source), source), becomes(EXPLICIT))
    assert read(out) == got


@pytest.mark.parametrize("source", SYNTAXES)
@pytest.mark.parametrize("target", [BIG, DEFLATED, RLE, JPEGBaseline8Bit, "1.2.3"])
def test_other_targets_are_refused_before_a_byte_is_written(source: str, target: str) -> None:
    if source == target:
        target = "1.2.4"
    dest = BytesIO()
    with pytest.raises(NotWritable, match="transfer syntax"):
        rewrite(BytesIO(part10(with_pixels(instance(), source), source)), dest, becomes(target))
    assert dest.getvalue() == b""


def test_a_new_character_set_and_a_new_layout_together() -> None:
    def edit(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        becomes(EXPLICIT)(dataset)

    for source in (IMPLICIT, BIG):
        out, _ = run(part10(instance(), source), edit)
        assert (read(out).PatientName, read(out).Manufacturer) == ("Fälschung^Anna", "Müller GmbH")


def test_pixel_data_of_an_edit_is_held_once_more_at_most(tmp_path: Path) -> None:
    size = 20_000_000
    dataset = instance()
    dataset.add_new(0x7FE00010, "OW", bytes(size))
    (tmp_path / "in").write_bytes(part10(dataset))
    with (tmp_path / "in").open("rb") as source, open("/dev/null", "wb") as dest:
        tracemalloc.start()
        rewrite(source, dest, lambda ds: setattr(ds, "PixelData", bytes([1]) * size))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert used < 2.2 * size
