import warnings
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from inbox_pipeline.dicom.elements import Layout, root_elements
from inbox_pipeline.dicom.errors import DicomDir, Empty, NotDicom, NotReadable, Truncated, Unparsable
from inbox_pipeline.dicom.header import Header, read_header
from inbox_pipeline.dicom.window import Window

from .builders import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    RLE,
    SYNTAXES,
    body,
    every_vr,
    framed,
    instance,
    item,
    meta,
    part10,
    undefined,
    with_pixels,
)


def header(data: bytes, **limits: int) -> Header:
    return read_header(BytesIO(data), size=len(data), **limits)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("shape", [lambda d: d, undefined])
def test_reads_every_layout(syntax: str, shape) -> None:
    got = header(part10(with_pixels(shape(every_vr()), syntax), syntax))
    assert got.transfer_syntax_uid == syntax
    assert (got.sop_class_uid, got.sop_instance_uid) == (got.media_storage_sop_class_uid, "1.2.3.4.5")
    assert (got.study_instance_uid, got.series_instance_uid) == ("1.2.3", "1.2.3.4")
    assert (got.patient_name, got.patient_id, got.issuer_of_patient_id) == ("Fälschung^Anna", "P-77", "")
    assert (got.manufacturer, got.study_description, got.accession_number) == ("Müller GmbH", "Knie links", "A1")
    assert (got.series_number, got.instance_number, got.number_of_frames) == ("3", 17, 1)
    assert (got.rows, got.columns, got.has_pixel_data, got.regular) == (16, 16, True, True)
    assert (got.patient_comments, got.study_comments, got.additional_patient_history) == ("Project:X", None, None)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Ünïcode^名前"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("GB18030", "王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ],
)
def test_text_follows_the_character_set(charset: object, name: str) -> None:
    dataset = instance(SpecificCharacterSet=charset, PatientName=name, Manufacturer="M")
    assert header(part10(dataset)).patient_name == name


@pytest.mark.parametrize("charset", [b"ISO_IR 192", b"NOT A CHARSET", b"\\\\", b"ISO 2022 IR 87", b"\xff\xfe"])
@given(value=st.binary(max_size=40))
@settings(max_examples=60)
def test_bad_text_never_raises_and_never_warns(charset: bytes, value: bytes) -> None:
    encoded = _short(0x0008, 0x0005, b"CS", charset) + _short(0x0010, 0x0010, b"PN", value)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert header(framed(encoded, EXPLICIT)).patient_name is not None
    assert not seen


def test_missing_is_none_and_empty_is_empty() -> None:
    got = header(part10(item(PatientID="", InstanceNumber=None)))
    assert (got.patient_id, got.patient_name, got.sop_instance_uid) == ("", None, None)
    assert (got.instance_number, got.has_pixel_data, got.rows) == (None, False, None)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_without_preamble_and_meta(syntax: str) -> None:
    got = header(body(with_pixels(instance(), syntax), syntax))
    assert (got.transfer_syntax_uid, got.sop_instance_uid, got.regular) == (syntax, "1.2.3.4.5", False)
    assert got.media_storage_sop_class_uid is None


def test_meta_without_preamble_or_transfer_syntax() -> None:
    encoded = body(instance(), BIG)
    assert header(meta(BIG) + encoded).patient_id == "P-77"
    assert header(b"\0" * 128 + b"DICM" + meta(None) + encoded).transfer_syntax_uid == BIG
    assert header(b"\0" * 128 + b"DICM" + encoded).patient_id == "P-77"


def test_prefix_letters_inside_a_data_set_are_no_prefix() -> None:
    fill = _short(0x0008, 0x0005, b"CS", b" " * 112) + _short(0x0008, 0x0008, b"CS", b"DICM")
    assert fill[128:132] == b"DICM"
    assert header(fill + _short(0x0010, 0x0020, b"LO", b"P1")).patient_id == "P1"


@pytest.mark.parametrize("stated", [IMPLICIT, EXPLICIT])
def test_layout_other_than_stated(stated: str) -> None:
    actual = IMPLICIT if stated == EXPLICIT else EXPLICIT
    got = header(framed(body(instance(), actual), stated))
    assert (got.patient_id, got.transfer_syntax_uid, got.regular) == ("P-77", stated, False)


def test_trailing_zeros_are_padding_and_other_bytes_are_not() -> None:
    data = part10(with_pixels(instance(), EXPLICIT))
    for count in (1, 7, 8, 5000):
        assert not header(data + b"\0" * count).regular
    for tail in (b"x", b"\0\0\0\0\0\0\0\0x"):
        with pytest.raises((Truncated, Unparsable)):
            header(data + tail)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Empty),
        (b"hello, this is text\n" * 40, NotDicom),
        (b"%PDF-1.7" + b"x" * 500, NotDicom),
        (b"\0" * 1000, NotDicom),
        (b"\x08", NotDicom),
        (b"\0" * 128 + b"DICM", Truncated),
        (b"\0" * 128 + b"DICM" + b"garbage" * 50, NotReadable),
    ],
)
def test_what_is_not_dicom(data: bytes, error: type[NotReadable]) -> None:
    with pytest.raises(error):
        header(data)


def test_codes_are_stable() -> None:
    kinds = (Empty, NotDicom, DicomDir, Truncated, Unparsable)
    assert [kind.code for kind in kinds] == ["empty", "not_dicom", "dicomdir", "truncated", "unparsable"]


def test_directory_by_meta_by_data_set_and_by_records() -> None:
    directory = "1.2.840.10008.1.3.10"
    encoded = body(item(SOPClassUID=directory), EXPLICIT)
    records = body(item(FileSetID="X", DirectoryRecordSequence=[item(DirectoryRecordType="PATIENT")]), EXPLICIT)
    prefix = b"\0" * 128 + b"DICM"
    for data in (
        prefix + meta(EXPLICIT, sop_class=directory) + records,
        prefix + meta(EXPLICIT) + encoded,
        prefix + meta(EXPLICIT) + records,
    ):
        with pytest.raises(DicomDir):
            header(data)


def test_a_damaged_directory_is_a_directory_and_a_misnamed_instance_is_none() -> None:
    directory = "1.2.840.10008.1.3.10"
    prefix = b"\0" * 128 + b"DICM" + meta(EXPLICIT, sop_class=directory)
    with pytest.raises(DicomDir):
        header(prefix + body(item(FileSetID="X"), EXPLICIT)[:-1])
    misnamed = header(prefix + body(instance(SOPClassUID=directory), EXPLICIT))
    assert misnamed.sop_class_uid == directory


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, RLE])
def test_every_cut_is_seen_unless_it_falls_between_two_root_elements(syntax: str) -> None:
    data = part10(with_pixels(undefined(instance()), syntax), syntax)
    whole, readable = len(data), set()
    start = len(framed(b"", syntax))
    layout = Layout(syntax == IMPLICIT, syntax != BIG)
    ends = {element.end for element in root_elements(Window(BytesIO(data), whole), start, layout)}
    for cut in range(start + 1, whole):
        try:
            header(data[:cut])
            readable.add(cut)
        except Truncated:
            continue
    assert readable <= ends
    assert whole in ends


def test_cuts_of_meta_and_of_a_deflated_data_set_are_seen() -> None:
    data = part10(with_pixels(instance(), DEFLATED), DEFLATED)
    for cut in range(132, len(data) - 1, 3):
        with pytest.raises((Truncated, Unparsable)):
            pytest.fail(f"{cut} {header(data[:cut])}")


def test_lengths_beyond_the_file_are_not_trusted() -> None:
    lie = b"\x28\x00\x10\x00OB\0\0\xf0\xff\xff\xff"
    with pytest.raises(Truncated):
        header(framed(_short(0x0010, 0x0020, b"LO", b"P1") + lie, EXPLICIT))
    with pytest.raises(Unparsable):
        header(framed(b"\x30\x00" + lie[2:4] + b"LO\2\0ab" + lie, EXPLICIT))


def test_bounds_hold() -> None:
    deep = Dataset()
    for _ in range(90):
        deep = item(ReferencedSeriesSequence=[deep])
    data = part10(undefined(deep))
    assert header(data).sop_instance_uid is None
    with pytest.raises(Unparsable):
        header(data, depth_limit=64)
    with pytest.raises(Unparsable):
        header(part10(with_pixels(every_vr(), EXPLICIT)), header_limit=100)
    with pytest.raises(Unparsable):
        header(part10(instance(PatientComments="x" * 9000), DEFLATED), inflated_limit=1000)


def test_nesting_of_a_hundred_thousand_levels_neither_recurses_nor_hangs() -> None:
    level = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(Unparsable):
        header(framed(level * 100_000, EXPLICIT))


def test_a_deflate_bomb_ends_at_the_limit() -> None:
    compress = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(compress.compress(bytes(1 << 20)) for _ in range(64)) + compress.flush()
    with pytest.raises(Unparsable):
        header(framed(b"", EXPLICIT)[:132] + meta(DEFLATED) + bomb, inflated_limit=1 << 24)


def test_pixel_data_is_not_read() -> None:
    class Counting(BytesIO):
        total = 0

        def read(self, count: int | None = -1) -> bytes:
            data = super().read(count)
            self.total += len(data)
            return data

    dataset = instance()
    dataset.add_new(0x7FE00010, "OW", bytes(8_000_000))
    data = part10(dataset)
    stream = Counting(data)
    read_header(stream, size=len(data))
    assert stream.total < 100_000


def test_un_sequence_of_undefined_length_with_implicit_items() -> None:
    nested = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + body(item(PatientID="in"), IMPLICIT) + b"\xfe\xff\x0d\xe0\0\0\0\0"
    un = b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff" + nested + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert header(framed(un + _short(0x0010, 0x0020, b"LO", b"P1"), EXPLICIT)).patient_id == "P1"


@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
@settings(max_examples=300)
def test_garbage_ends_in_a_header_or_a_code(tail: bytes, syntax: str) -> None:
    for data in (tail, b"\x08\x00" + tail, b"\0" * 128 + b"DICM" + meta(syntax) + tail):
        try:
            assert header(data).transfer_syntax_uid
        except NotReadable as error:
            assert error.code in {"empty", "not_dicom", "dicomdir", "truncated", "unparsable"}


@given(st.data())
@settings(max_examples=300)
def test_mutated_files_end_in_a_header_or_a_code(draw: st.DataObject) -> None:
    data = bytearray(_MUTANT)
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(100, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        header(bytes(data))
    except NotReadable as error:
        assert "Anna" not in str(error)


def _short(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    value += b" " * (len(value) & 1)
    parts = (group.to_bytes(2, "little"), element.to_bytes(2, "little"), vr, len(value).to_bytes(2, "little"), value)
    return b"".join(parts)


_MUTANT = part10(with_pixels(undefined(every_vr()), RLE), RLE)
