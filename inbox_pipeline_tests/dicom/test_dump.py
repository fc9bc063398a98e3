"""A file's header as rows of texts: columns, nesting, values of every kind, what is asked for, limits."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from inbox_pipeline.dicom.dump import LONGEST_TEXT, MOST_ROWS, Row, dump, tag_of
from inbox_pipeline.dicom.errors import NotReadable, OverLimits
from inbox_pipeline_tests.data_for_tests import instance

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian]


def written(dataset: FileDataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    if syntax == ExplicitVRBigEndian:
        del dataset.PixelData
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    layout = {"implicit_vr": syntax == ImplicitVRLittleEndian, "little_endian": syntax != ExplicitVRBigEndian}
    dcmwrite(stream, dataset, **layout, force_encoding=True)
    return stream.getvalue()


def rows_of(dataset: FileDataset, *wanted: int, syntax: str = ExplicitVRLittleEndian) -> list[Row]:
    content = written(dataset, syntax)
    return dump(io.BytesIO(content), len(content), wanted)


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_element_but_pixel_data_has_a_row(syntax: str) -> None:
    dataset = instance(SeriesDescription="T1 sag")
    rows = {row.tag1: row for row in rows_of(dataset, syntax=syntax)}
    assert rows["(0008,103E)"] == Row("(0008,103E)", "", "LO", "T1 sag", "Series Description")
    assert rows["(0002,0010)"] == Row("(0002,0010)", "", "UI", syntax, "Transfer Syntax UID")
    assert rows["(0010,0010)"].value == "FAKE^PATIENT"
    assert (rows["(0028,0010)"].vr, rows["(0028,0010)"].value) == ("US", "16")
    assert "(7FE0,0010)" not in rows
    expected = [f"({element.tag.group:04X},{element.tag.element:04X})" for element in dataset]
    assert [tag for tag in rows if not tag.startswith("(0002")] == [tag for tag in expected if tag != "(7FE0,0010)"]


@pytest.mark.parametrize(
    ("keyword", "value", "vr", "text"),
    [
        ("ImageType", ["ORIGINAL", "PRIMARY"], "CS", "ORIGINAL\\PRIMARY"),
        ("SliceThickness", "1.50", "DS", "1.50"),
        ("PatientName", "", "PN", ""),
        ("SmallestImagePixelValue", 7, "US", "7"),
        ("FrameIncrementPointer", 0x00181063, "AT", "00181063"),
        ("ExaminedBodyThickness", 0.1, "FL", "0.1"),
        ("ReconstructionFieldOfView", [0.1, -2.0], "FD", "0.1\\-2.0"),
        ("PatientComments", "x" * (LONGEST_TEXT + 1), "LT", "x" * LONGEST_TEXT + "..."),
        ("ICCProfile", bytes([0, 255, 3, 4]), "OB", "0\\255\\3\\4"),
        ("ICCProfile", bytes(range(1, 101)), "OB", "\\".join(map(str, range(1, 65))) + "..."),
        ("ICCProfile", b"plain text", "OB", "plain text"),
    ],
)
@pytest.mark.parametrize("syntax", SYNTAXES[:2])
def test_values_of_every_kind_become_texts(keyword: str, value: Any, vr: str, text: str, syntax: str) -> None:
    dataset = instance(**{keyword: value})
    (row,) = rows_of(dataset, dataset[keyword].tag, syntax=syntax)
    assert (row.vr, row.value, row.tag2) == (vr, text, "")


def test_texts_are_read_in_the_character_set_of_their_level() -> None:
    dataset = instance(SpecificCharacterSet="ISO_IR 100", SeriesDescription="Schädel")
    inner = item(SpecificCharacterSet="ISO_IR 192", CodeMeaning="Größe Ω")
    dataset.ProcedureCodeSequence = Sequence([inner, item(CodeMeaning="Knie")])
    assert [row.value for row in rows_of(dataset, 0x0008103E)] == ["Schädel"]
    meanings = [row.value for row in rows_of(dataset, 0x00081032) if row.tag2 == "(0008,0104)"]
    assert meanings == ["Größe Ω", "Knie"]


@pytest.mark.parametrize("syntax", SYNTAXES[:3])
def test_a_sequence_has_rows_for_its_items_and_their_elements(syntax: str) -> None:
    dataset = instance()
    deeper = item(CodeValue="A", PurposeOfReferenceCodeSequence=Sequence([item(CodeValue="B")]))
    dataset.ProcedureCodeSequence = Sequence([deeper, item(CodeValue="C")])
    sequence = "(0008,1032)"
    assert rows_of(dataset, 0x00081032, syntax=syntax) == [
        Row(sequence, sequence, "SQ", "", "Procedure Code Sequence"),
        Row(sequence, "(0008,0100)", "SH", "A", "Code Value"),
        Row(sequence, "(0040,A170)", "SQ", "", "Purpose of Reference Code Sequence"),
        Row(sequence, sequence, "SQ", "", "Procedure Code Sequence"),
        Row(sequence, "(0008,0100)", "SH", "C", "Code Value"),
    ]


@pytest.mark.parametrize(("syntax", "own_vr"), [(ExplicitVRLittleEndian, "SH"), (ImplicitVRLittleEndian, "UN")])
def test_private_elements_are_named_by_their_creators(syntax: str, own_vr: str) -> None:
    dataset = instance()
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x08, "CS", "IMAGE NUM 4")
    dataset.private_block(0x0031, "NOBODY KNOWS", create=True).add_new(0x01, "SH", "secret")
    rows = {row.tag1: row[2:] for row in rows_of(dataset, syntax=syntax)}
    assert rows["(0029,0010)"] == ("LO", "SIEMENS CSA HEADER", "Private Creator")
    assert rows["(0029,1008)"] == ("CS", "IMAGE NUM 4", "CSA Image Header Type")
    assert rows["(0031,1001)"] == (own_vr, "secret", "?")


def test_an_ambiguous_vr_follows_the_pixel_representation() -> None:
    dataset = instance(PixelRepresentation=1, SmallestImagePixelValue=-5)
    (row,) = rows_of(dataset, 0x00280106, syntax=ImplicitVRLittleEndian)
    assert (row.vr, row.value) == ("SS", "-5")


def test_only_what_is_wanted_comes_in_the_files_order() -> None:
    assert [row.tag1 for row in rows_of(instance(), 0x00200013, 0x00020003, 0x00080060, 0x00101010)] == [
        "(0002,0003)",
        "(0008,0060)",
        "(0020,0013)",
    ]


def test_more_rows_than_can_be_listed_are_refused() -> None:
    dataset = instance()
    dataset.ProcedureCodeSequence = Sequence([Dataset() for _ in range(MOST_ROWS + 1)])
    with pytest.raises(OverLimits):
        rows_of(dataset)
    assert len(rows_of(dataset, 0x00080060)) == 1


@pytest.mark.parametrize("content", [b"", b"plain text, no DICOM" * 20, written(instance())[:700]])
def test_what_is_no_dicom_or_damaged_is_not_readable(content: bytes) -> None:
    with pytest.raises(NotReadable):
        dump(io.BytesIO(content), len(content))


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("PatientID", 0x00100020),
        ("00100020", 0x00100020),
        ("0008103e", 0x0008103E),
        ("0029100A", 0x0029100A),
        ("patientid", None),
        ("0010,0020", None),
        ("100020", None),
        ("00291020:GradientMode", None),
        ("+0010002", None),
        ("", None),
    ],
)
def test_a_field_is_a_keyword_or_eight_digits(name: str, tag: int | None) -> None:
    assert tag_of(name) == tag
