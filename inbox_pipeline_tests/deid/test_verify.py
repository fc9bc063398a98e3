"""The search of an output: a planted identifier is found wherever and however it stands, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence

from inbox_pipeline.deid.identifier import Kind
from inbox_pipeline.deid.identifiers import IdentifierCollector, Identifiers
from inbox_pipeline.deid.leaves import leaves
from inbox_pipeline.deid.verify import META_LAYOUT, Finding, Region, Run, Verifier
from inbox_pipeline.dicom.elements import Layout
from inbox_pipeline_tests.dicom.builders import BIG, EXPLICIT, IMPLICIT, body, every_vr, item, meta, undefined

LAYOUTS = {IMPLICIT: Layout(True, True), EXPLICIT: Layout(False, True), BIG: Layout(False, False)}
PATIENT = (
    (0x00100010, "PN", "QUATTLEBAUM^ODALYS"),
    (0x00100010, "PN", "Müller^Jörg=山田^太郎=やまだ^たろう"),
    (0x00100020, "LO", "MRN0012345"),
    (0x00101000, "LO", "900-12-3456"),
    (0x00080050, "SH", "77001234"),
    (0x00100030, "DA", "19560307"),
    (0x00080020, "DA", "20200131"),
    (0x00101040, "LO", "4711 Larkspur Lane, Marrowstone WA 98358"),
    (0x00102154, "SH", "(201) 555-1234"),
    (0x00080080, "LO", "Saint Cuthbert Memorial Hospital"),
    (0x00080018, "UI", "1.3.12.2.1107.5.2.32.35131.2014"),
    (0x00081010, "SH", "HOSTXYZ9"),
)
PLANTS = {
    "QUATTLEBAUM": Kind.NAME,
    "Odalys Quattlebaum": Kind.NAME,
    "quattlebaum_odalys": Kind.NAME,
    "OdalysBrain": Kind.NAME,
    "Mueller": Kind.NAME,
    "MRN0012345": Kind.ID,
    "mrn 0012345": Kind.ID,
    "900123456": Kind.ID,
    "77001234": Kind.ID,
    "7 March 1956": Kind.BIRTH_DATE,
    "1956-03-07": Kind.BIRTH_DATE,
    "31.01.2020": Kind.DATE,
    "20200131101500": Kind.DATE,
    "larkspur": Kind.ADDRESS,
    "201.555.1234": Kind.PHONE,
    "SAINT CUTHBERT MEMORIAL HOSPITAL": Kind.INSTITUTION,
    "1.3.12.2.1107.5.2.32.35131.2014": Kind.UID,
    "hostxyz9": Kind.DEVICE,
}


def identifiers(*elements: tuple[int, str, str]) -> Identifiers:
    collector = IdentifierCollector()
    for element in elements or PATIENT:
        collector.add(*element)
    return collector.freeze()


ALL = identifiers()
VERIFIER = Verifier(ALL)


def clean() -> Dataset:
    """An output as it should be: every VR, private data, sequences, and nothing of the patient."""
    dataset = every_vr()
    dataset.PatientName, dataset.PatientID, dataset.StudyDate = "Anonymized^1", "P-09M77Q-FV921K", "20190601"
    dataset.SOPInstanceUID = dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "2.25.181717841182739837641430"
    dataset.Manufacturer = "Siemens"
    return dataset


def header(dataset: Dataset, syntax: str = EXPLICIT) -> Run:
    return Run(Region.HEADER, body(dataset, syntax), LAYOUTS[syntax])


def in_text(dataset: Dataset, text: str) -> str:
    dataset.StudyDescription = f"knee {text} axial"
    return "(0008,1030)"


def in_name(dataset: Dataset, text: str) -> str:
    dataset.ReferringPhysicianName = text
    return "(0008,0090)"


def nested(dataset: Dataset, text: str) -> str:
    inner = item(RequestedProcedureDescription=text)
    dataset.RequestAttributesSequence = Sequence([item(), item(RequestedProcedureCodeSequence=Sequence([inner]))])
    return "(0040,0275)>(0032,1064)>(0032,1060)"


def in_private(dataset: Dataset, text: str) -> str:
    dataset.private_block(0x0009, "ACME", create=True).add_new(0x01, "LO", text)
    return "(0009,1001)"


def in_unknown(dataset: Dataset, text: str) -> str:
    dataset.private_block(0x0009, "ACME", create=True).add_new(0x02, "UN", text.encode())
    return "(0009,1002)"


def in_utf_16(dataset: Dataset, text: str) -> str:
    dataset.private_block(0x0009, "ACME", create=True).add_new(0x03, "OB", b"\0\1\2" + text.encode("utf-16-le"))
    return "(0009,1003)"


def in_private_sequence(dataset: Dataset, text: str) -> str:
    inner = Dataset()
    inner.add_new(0x00090010, "LO", "ACME")
    inner.add_new(0x00091005, "LT", text)
    dataset.private_block(0x0009, "ACME", create=True).add_new(0x04, "SQ", Sequence([inner]))
    return "(0009,1004)"


def amid_bytes(dataset: Dataset, text: str) -> str:
    dataset.private_block(0x0009, "ACME", create=True).add_new(0x06, "OB", bytes(range(48)) + text.encode() + bytes(64))
    return "(0009,1006)"


PLACES = (in_text, in_name, nested, in_private, in_unknown, in_utf_16, in_private_sequence, amid_bytes)


@settings(max_examples=200)
@given(st.sampled_from(sorted(PLANTS)), st.sampled_from(PLACES), st.sampled_from([*LAYOUTS]), st.booleans())
def test_a_plant_is_found_anywhere(
    text: str, place: Callable[[Dataset, str], str], syntax: str, delimited: bool
) -> None:
    dataset = clean()
    where = place(dataset, text)
    run = header(undefined(dataset) if delimited else dataset, syntax)
    found = VERIFIER.residuals([run])
    assert PLANTS[text] in {finding.kind for finding in found}
    assert all(finding.place.startswith(where) for finding in found)


@pytest.mark.parametrize("syntax", [*LAYOUTS])
def test_nothing_is_found_in_a_clean_output(syntax: str) -> None:
    assert VERIFIER.residuals([header(clean(), syntax), Run(Region.META, meta(syntax), META_LAYOUT)]) == []


@pytest.mark.parametrize("region", [Region.PREAMBLE, Region.TRAILING, Region.NAME])
def test_regions_without_elements(region: Region) -> None:
    assert VERIFIER.residuals([Run(region, b"\0" * 8 + b"ODALYS QUATTLEBAUM".ljust(64, b"\0"))]) == [
        Finding(region.value, Kind.NAME)
    ]
    assert VERIFIER.residuals([Run(region, bytes(128))]) == []


def test_file_meta() -> None:
    run = Run(Region.META, meta(EXPLICIT, SourceApplicationEntityTitle="HOSTXYZ9"), META_LAYOUT)
    assert VERIFIER.residuals([run]) == [Finding("(0002,0016)", Kind.DEVICE)]


@pytest.mark.parametrize(
    ("charset", "encoded"),
    [
        ("ISO_IR 192", "MÜLLER".encode()),
        ("ISO_IR 100", "MÜLLER".encode("latin-1")),
        ("ISO_IR 100", "Müller".encode("latin-1")),
        ("ISO_IR 192", "Mu\u0308ller".encode()),
        ("ISO_IR 192", "山田".encode()),
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
        ("\\ISO 2022 IR 87", "たろう".encode("iso2022_jp")),
        ("GB18030", "太郎".encode("gb18030")),
        ("ISO_IR 13", "山田".encode("shift_jis")),
        ("ISO_IR 192", "Yamada=山田=やまだ".encode()),
    ],
)
def test_encodings(charset: str, encoded: bytes) -> None:
    dataset = clean()
    dataset.private_block(0x0009, "ACME", create=True).add_new(0x01, "UN", encoded)
    assert VERIFIER.residuals([header(dataset)]) == [Finding("(0009,1001)", Kind.NAME)], charset


@pytest.mark.parametrize(
    ("element", "tag", "vr", "value"),
    [
        ((0x00100020, "LO", "12345"), 0x00281052, "DS", "12345"),
        ((0x00100020, "LO", "12345"), 0x00280030, "DS", "0.12345\\0.12345"),
        ((0x00100020, "LO", "12345"), 0x0020000D, "UI", "1.2.12345.6"),
        ((0x00100020, "LO", "1234567"), 0x00281053, "DS", "1.1234567"),
        ((0x00100020, "LO", "101530"), 0x00080030, "TM", "101530"),
        ((0x00200010, "SH", "2020"), 0x00080020, "DA", "20200101"),
        ((0x00100010, "PN", "Ann"), 0x00081030, "LO", "annular"),
        ((0x00100010, "PN", "Kim"), 0x00189073, "OB", b"\1\2\3KIM\4\5"),
        ((0x00100010, "PN", "Dixon"), 0x00180024, "SH", "*fl3d_dixon"),
        ((0x00100010, "PN", "Head^Neck"), 0x00180015, "CS", "HEAD"),
        ((0x0040A123, "PN", "Enter text"), 0x0040A040, "CS", "TEXT"),
        ((0x00100010, "PN", "Clean^Option"), 0x00120063, "LO", ["Clean Pixel Data Option", "DICOM PS3.15 2026d"]),
        ((0x0040A123, "PN", "Contains^Ann"), 0x0040A010, "CS", "CONTAINS"),
        ((0x00080020, "DA", "20140310"), 0x0020000D, "UI", "2.25.20140310124939507"),
        ((0x00080018, "UI", "1.3.12.2.1107.5"), 0x0020000D, "UI", "1.3.12.2.1107.55"),
    ],
)
def test_no_alarm_by_coincidence(element: tuple[int, str, str], tag: int, vr: str, value: object) -> None:
    dataset = Dataset()
    dataset.add_new(tag, vr, value)
    assert Verifier(identifiers(element)).residuals([header(dataset)]) == []


def test_a_name_is_found_where_the_grammar_has_no_such_term() -> None:
    dataset = Dataset()
    dataset.ValueType, dataset.DeidentificationMethod = "QUATTLEBAUM", ["Clean Graphics Option", "Odalys Option"]
    assert VERIFIER.residuals([header(dataset)]) == [
        Finding("(0012,0063)", Kind.NAME),
        Finding("(0040,A040)", Kind.NAME),
    ]


def test_what_cannot_be_walked_is_searched_as_bytes() -> None:
    data = body(clean(), EXPLICIT) + b"\xfc\xff\xfc\xff"
    dataset_then_text = data[:-4] + b"QUATTLEBAUM " * 2
    assert VERIFIER.residuals([Run(Region.HEADER, dataset_then_text, LAYOUTS[EXPLICIT])])[0].kind is Kind.NAME
    assert VERIFIER.residuals([Run(Region.HEADER, data, LAYOUTS[EXPLICIT])]) == []


@pytest.mark.parametrize("syntax", [*LAYOUTS])
def test_leaves_are_what_pydicom_reads(syntax: str) -> None:
    dataset = clean()
    walked = [leaf.path[-1] for leaf in leaves(body(dataset, syntax), LAYOUTS[syntax])]
    unwalked = {tag for tag in (0x00311011, 0x00291002) if syntax == IMPLICIT}
    assert set(walked) - unwalked >= {int(e.tag) for e in dataset if e.VR != "SQ"} - unwalked
    assert BytesIO(body(dataset, syntax)).getbuffer().nbytes > sum(
        len(leaf.value) for leaf in leaves(body(dataset, syntax), LAYOUTS[syntax])
    )
