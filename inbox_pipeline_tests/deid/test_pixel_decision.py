"""What is done about pixels and documents: kinds at risk, ultrasound regions, rules, faces."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from inbox_pipeline.deid.pixel_decision import PixelDecision, PixelOptions, decide
from inbox_pipeline.deid.pixel_facts import read_facts
from inbox_pipeline.deid.pixel_risks import RISK_NAMES
from inbox_pipeline.deid.pixel_rules import FORMAT, Rules, read_rules
from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import REASONS
from inbox_pipeline.script.pixels import Rectangle

STORAGE = "1.2.840.10008.5.1.4.1.1."
CT, MR, US, CINE, PDF, SC = (STORAGE + end for end in ("2", "4", "6.1", "3.1", "104.1", "7"))


def header(sop_class: str, modality: str, **more: Any) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality, dataset.Rows, dataset.Columns = sop_class, modality, 100, 200
    for name, value in more.items():
        setattr(dataset, name, value)
    if "EncapsulatedDocument" not in dataset:
        dataset.add_new(0x7FE00010, "OW", bytes(4))
    return dataset


def region(*sides: int) -> Dataset:
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = sides
    return item


def decided(dataset: Dataset, rules: Rules | str = "", passing: tuple[str, ...] = ()) -> PixelDecision:
    if isinstance(rules, str):
        rules = read_rules(f"format: {FORMAT}\nrules:\n{rules}") if rules else Rules()
    before = dict(dataset.items())
    decision = decide(read_facts(dataset, rules.wanted), rules, PixelOptions.of(passing))
    assert dict(dataset.items()) == before
    return decision


AT_RISK = [
    (header(SC, "OT"), "burned_in_risk"),
    (header(SC, "CT"), "burned_in_risk"),
    (header(STORAGE + "7.4", "US"), "burned_in_risk"),
    (header("1.2.840.10008.5.1.1.30", "HC"), "burned_in_risk"),
    (header(CT, "CT", BurnedInAnnotation="YES"), "burned_in_risk"),
    (header(CT, "CT", ConversionType="SD"), "burned_in_risk"),
    (header("1.2.3", "OT", ConversionType="WSD"), "burned_in_risk"),
    (header(US, "US"), "burned_in_risk"),
    (header(US, "US", BurnedInAnnotation="NO"), "burned_in_risk"),
    (header(CINE, "IVUS"), "burned_in_risk"),
    (header(STORAGE + "6.2", "US"), "burned_in_risk"),
    (header(STORAGE + "77.1.4", "XC"), "burned_in_risk"),
    (header(STORAGE + "77.1.1.1", "ES"), "burned_in_risk"),
    (header(STORAGE + "77.1.6", "SM", ImageType=["ORIGINAL", "PRIMARY", "LABEL", "NONE"]), "burned_in_risk"),
    (header(STORAGE + "77.1.6", "SM", SpecimenLabelInImage="YES"), "burned_in_risk"),
    (header(CT, "CT", ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), "burned_in_risk"),
    (header(CT, "CT", ImageType=["DERIVED", "SECONDARY", "DOSE_INFO"]), "burned_in_risk"),
    (header(CT, "CT", SeriesDescription="Dose Report"), "burned_in_risk"),
    (header(MR, "MR", PhotometricInterpretation="RGB"), "burned_in_risk"),
    (header(PDF, "DOC", EncapsulatedDocument=b"%PDF"), "document_not_cleaned"),
    (header(STORAGE + "104.3", "M3D", EncapsulatedDocument=b"solid "), "document_not_cleaned"),
    (header("1.2.3", "OT", EncapsulatedDocument=b"??"), "document_not_cleaned"),
    (header(STORAGE + "9.4.1", "AU"), "document_not_cleaned"),
]


@pytest.mark.parametrize(("dataset", "reason"), AT_RISK)
def test_kinds_at_risk_are_held(dataset: Dataset, reason: str) -> None:
    decision = decided(dataset)
    assert (decision.kind, decision.reason) == ("hold", reason)
    assert decision.detail
    assert ("held", reason) in REASONS


NOT_AT_RISK = [
    header(CT, "CT", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], SeriesDescription="LOW DOSE CHEST"),
    header(MR, "MR", ImageType=["DERIVED", "SECONDARY", "MPR"], PhotometricInterpretation="MONOCHROME2"),
    header(STORAGE + "481.2", "RTDOSE", SeriesDescription="Dose record"),
    header(STORAGE + "1", "CR", ConversionType="DI"),
    header(STORAGE + "30", "OT"),
    header(STORAGE + "66.4", "SEG"),
    header(STORAGE + "6.2", "US", BurnedInAnnotation="NO"),
    header(STORAGE + "77.1.6", "SM", ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]),
]


@pytest.mark.parametrize("dataset", NOT_AT_RISK)
def test_other_images_are_kept_without_a_claim(dataset: Dataset) -> None:
    decision = decided(dataset)
    assert (decision.kind, decision.codes, decision.markers) == ("keep", (), {})


def test_what_has_no_pixels_shows_nothing() -> None:
    dataset = header(SC, "OT", BurnedInAnnotation="YES")
    del dataset[0x7FE00010]
    assert decided(dataset).kind == "keep"


def test_a_policy_lets_kinds_pass_by_name() -> None:
    assert decided(header(SC, "OT"), passing=("secondary-capture",)).kind == "keep"
    both = header(SC, "OT", BurnedInAnnotation="YES")
    assert decided(both, passing=("secondary-capture",)).detail == "Burned In Annotation is YES"
    assert decided(both, passing=("secondary-capture", "annotation")).kind == "keep"
    assert decided(header(PDF, "DOC", EncapsulatedDocument=b""), passing=("document",)).kind == "keep"
    every = [decided(dataset, passing=RISK_NAMES).kind for dataset, _ in AT_RISK]
    assert set(every) == {"keep"}


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        PixelOptions.of(["secondary-captures"])
    assert (refused.value.code, "secondary-captures" in str(refused.value)) == ("parameter_invalid", False)


@pytest.mark.parametrize("sop_class", [US, CINE])
def test_ultrasound_is_blanked_outside_its_regions(sop_class: str) -> None:
    regions = [region(10, 20, 99, 79), region(100, 20, 189, 59)]
    decision = decided(header(sop_class, "US", SequenceOfUltrasoundRegions=regions))
    left = {(x, y) for area in decision.rectangles for x in range(area.left, area.right) for y in range(*ys(area))}
    kept = {(x, y) for x in range(10, 100) for y in range(20, 80)} | {
        (x, y) for x in range(100, 190) for y in range(20, 60)
    }
    assert decision.kind == "blank"
    assert left == {(x, y) for x in range(200) for y in range(100)} - kept
    assert [code.value for code in decision.codes] == ["113101"]


def ys(area: Rectangle) -> tuple[int, int]:
    return area.top, area.bottom


@pytest.mark.parametrize(
    "regions",
    [
        [],
        [region(0, 0, 199, 99)],
        [region(0, 0, 99, 99), region(100, 0, 199, 99)],
        [region(10, 20, 400, 79)],
        [region(10, 20, 99, 300)],
        [region(99, 20, 10, 79)],
        [Dataset()],
    ],
)
def test_regions_that_tell_nothing_do_not_clean(regions: list[Dataset]) -> None:
    assert decided(header(US, "US", SequenceOfUltrasoundRegions=regions)).reason == "burned_in_risk"


def test_a_region_may_end_one_beyond_the_image() -> None:
    decision = decided(header(US, "US", SequenceOfUltrasoundRegions=[region(0, 20, 200, 100)]))
    assert decision.rectangles == (Rectangle(0, 0, 200, 20),)


def test_regions_do_not_clean_what_says_that_it_is_burned_in() -> None:
    dataset = header(US, "US", SequenceOfUltrasoundRegions=[region(0, 20, 199, 99)], BurnedInAnnotation="YES")
    assert decided(dataset).detail == "Burned In Annotation is YES"
    rule = "- {name: a, modality: US, action: blank, outside: ultrasound-regions}"
    assert decided(dataset, rule).rectangles == (Rectangle(0, 0, 200, 20),)


def test_the_first_rule_that_matches_decides() -> None:
    rules = """
- {name: other, manufacturer: Nobody, action: exclude}
- {name: page, manufacturer: acme, rows: 100, action: blank,
   rectangles: [[0, 0, 50, 10], {x: 190, y: 0, width: 50, height: 9}],
   citation: seen on a device}
- {name: all of them, manufacturer: ACME, action: exclude}
"""
    decision = decided(header(SC, "CT", Manufacturer="ACME Corp"), rules)
    assert (decision.kind, decision.rule) == ("blank", "page")
    assert decision.rectangles == (Rectangle(0, 0, 50, 10), Rectangle(190, 0, 200, 9))
    dropped = decided(header(CT, "CT", Manufacturer="Acme", Rows=99), rules)
    assert (dropped.kind, dropped.reason, dropped.rule) == ("exclude", "pixel_rule_exclude", "all of them")
    assert ("excluded", "pixel_rule_exclude") in REASONS
    assert decided(header(CT, "CT"), rules).kind == "keep"


@pytest.mark.parametrize(
    ("action", "kind", "reason"),
    [
        ("keep", "keep", None),
        ("hold", "hold", "pixel_rule_hold"),
        ("blank, rectangles: image", "blank", None),
        ("blank, outside: [[0, 0, 200, 100]]", "hold", "pixel_rule_error"),
        ("blank, rectangles: [[200, 0, 300, 9]]", "hold", "pixel_rule_error"),
        ("blank, outside: ultrasound-regions", "hold", "pixel_rule_error"),
    ],
)
def test_every_action(action: str, kind: str, reason: str | None) -> None:
    decision = decided(header(SC, "CT"), f"- {{name: one, modality: CT, action: {action}}}")
    assert (decision.kind, decision.reason, decision.rule) == (kind, reason, "one")


def test_a_rule_that_blanks_does_not_clean_a_document() -> None:
    rule = "- {name: one, modality: DOC, action: blank, rectangles: image}"
    assert decided(header(PDF, "DOC", EncapsulatedDocument=b"%PDF"), rule).reason == "document_not_cleaned"
    keep = "- {name: one, modality: DOC, action: keep}"
    assert decided(header(PDF, "DOC", EncapsulatedDocument=b"%PDF"), keep).kind == "keep"


def test_a_rule_that_cannot_be_decided_holds() -> None:
    slow = "- {name: one, match: [{element: ImageComments, matches: '(a*)*b'}], action: keep}"
    decision = decided(header(CT, "CT", ImageComments="a" * 10_100), slow)
    assert (decision.reason, decision.rule) == ("pixel_rule_error", "one")


CONDITIONS = [
    ("{element: Manufacturer, equals: acme corp}", True),
    ("{element: Manufacturer, equals: acme corp, exact: yes}", False),
    ("{element: Manufacturer, equals: ACME Corp, exact: yes}", True),
    ("{element: '0008,0070', contains: CME}", True),
    ("{element: '(0008,0070)', starts: acme}", True),
    ("{element: Manufacturer, ends: corp}", True),
    ("{element: Manufacturer, starts: corp}", False),
    ("{element: Manufacturer, matches: '^acme (corp|inc)$'}", True),
    ("{element: ImageType, equals: 'ORIGINAL\\PRIMARY'}", True),
    ("{element: ImageType, matches: '(^|\\\\)PRIMARY(\\\\|$)'}", True),
    ("{element: SliceThickness, less: 2.5}", True),
    ("{element: SliceThickness, greater: 2.5}", False),
    ("{element: Manufacturer, less: 2.5}", False),
    ("{element: Manufacturer, exists: yes}", True),
    ("{element: StationName, exists: no}", True),
    ("{element: StationName, contains: a}", False),
    ("{not: {element: StationName, contains: a}}", True),
    ("{element: InstitutionName, empty: yes}", True),
    ("{element: StationName, empty: yes}", False),
    ("{element: BurnedInAnnotation, equals: NO}", True),
    ("{element: Rows, equals: 100}", True),
    ("{element: AnatomicRegionSequence/CodeMeaning, equals: first}", True),
    ("{element: 'AnatomicRegionSequence/0008,0100', exists: yes}", False),
    ("{element: '0002,0013', equals: MADE}", True),
    ("{any: [{element: Rows, equals: 1}, {element: Columns, equals: 200}]}", True),
    ("{all: [{element: Rows, equals: 1}, {element: Columns, equals: 200}]}", False),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_conditions(condition: str, expected: bool) -> None:
    first, second = Dataset(), Dataset()
    first.CodeMeaning, second.CodeMeaning, second.CodeValue = "first", "second", "2"
    dataset = header(
        *(CT, "CT"),
        Manufacturer="ACME Corp",
        ImageType=["ORIGINAL", "PRIMARY"],
        SliceThickness="1.25",
        InstitutionName="",
        BurnedInAnnotation="NO",
        AnatomicRegionSequence=[first, second],
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.ImplementationVersionName = "MADE"
    decision = decided(dataset, f"- {{name: one, match: [{condition}], action: exclude}}")
    assert (decision.kind == "exclude") is expected


@pytest.mark.parametrize(
    ("more", "face"),
    [
        ({"BodyPartExamined": "BRAIN"}, True),
        ({"BodyPartExamined": "HEAD AND NECK"}, True),
        ({"BodyPartExamined": "CHEST", "StudyDescription": "head"}, False),
        ({"StudyDescription": "MRI BRAIN_W/O"}, True),
        ({"SeriesDescription": "t1_mprage_sag"}, True),
        ({"SeriesDescription": "Schädel nativ"}, True),
        ({"SeriesDescription": "forehead lamp"}, False),
        ({}, False),
        ({"BodyPartExamined": "BRAIN", "RecognizableVisualFeatures": "NO"}, False),
        ({"RecognizableVisualFeatures": "YES"}, True),
    ],
)
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_faces_are_told(modality: str, more: dict[str, str], face: bool) -> None:
    decision = decided(header(MR, modality, **more))
    assert (decision.face, decision.kind) == (face, "keep")
    assert decision.markers == ({0x00280302: ("YES",)} if face else {})


def test_faces_are_told_of_volumes_only() -> None:
    assert not decided(header(STORAGE + "66.4", "SEG", BodyPartExamined="HEAD")).face
    assert not decided(header(STORAGE + "1", "CR", BodyPartExamined="HEAD")).face


def test_a_script_that_blanked_has_spoken_for_an_image_at_risk() -> None:
    held = decided(header(SC, "OT"))
    assert held.after_scripts(pixels_altered=False) == held
    assert held.after_scripts(pixels_altered=True).kind == "keep"
    document = decided(header(PDF, "DOC", EncapsulatedDocument=b"%PDF"))
    assert document.after_scripts(pixels_altered=True) == document
    ruled = decided(header(SC, "OT"), "- {name: one, modality: OT, action: hold}")
    assert ruled.after_scripts(pixels_altered=True) == ruled
