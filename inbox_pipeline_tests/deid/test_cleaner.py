"""What the cleaner does to single elements, wherever they stand and however they are written."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, Sequence

from inbox_pipeline.deid.cleaner import Cleaner, Instance
from inbox_pipeline.deid.policy import METHOD, METHOD_CODES, Policy
from inbox_pipeline.deid.pseudonyms import Patient
from inbox_pipeline.dicom.elements import Layout
from inbox_pipeline.dicom.errors import Unparsable
from inbox_pipeline.dicom.nested import encoded, encoded_item
from inbox_pipeline.dicom.quiet import quiet
from inbox_pipeline.dicom.rewrite import rewrite
from inbox_pipeline.dicom.stretches import Stretch, held

from ..dicom.builders import BIG, EXPLICIT, IMPLICIT, body, framed, instance, item, part10, read, undefined
from .reference import PSEUDONYMS, WORDS, bound

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")

NEW_SITE, BASIC = Policy.of_a_new_site(), Policy.of([])
LITTLE = Layout(False, True)
SAFE_CREATOR, SAFE_GROUP, SAFE_ELEMENT = "GEMS_ACQU_01", 0x0019, 0x9E
SEQUENCE = 0x00400275
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def run(data: bytes, policy: Policy = NEW_SITE, kept: Mapping[int, Any] | None = None, edit=lambda _: None) -> bytes:
    dest = BytesIO()
    with quiet():
        clean = bound(policy, read(data), kept or {})
    rewrite(BytesIO(data), dest, edit, clean=clean)
    return dest.getvalue()


def cleaned(dataset: Dataset, policy: Policy = NEW_SITE, kept: Mapping[int, Any] | None = None) -> Dataset:
    return read(run(part10(dataset), policy, kept))


def raw(*elements: bytes) -> bytes:
    """A file of these elements, which must be in order, and of what every instance has."""
    first = [encoded(0x00080005, b"CS", b"ISO_IR 100", LITTLE), encoded(0x00080016, b"UI", b"1.2\0", LITTLE)]
    return framed(b"".join([*first, *elements]), EXPLICIT)


@pytest.mark.parametrize("vr", [b"PN", b"UN", b"OB", b"LO", b"ST", b"US", b"FD", b"AT"])
@pytest.mark.parametrize("policy", [NEW_SITE, BASIC])
def test_identifiers_go_whatever_the_file_says_they_are(vr: bytes, policy: Policy) -> None:
    out = run(
        raw(
            encoded(0x00080020, vr, b"19631122", LITTLE),
            encoded(0x00100010, vr, b"Zork^Ann", LITTLE),
            encoded(0x00100020, vr, b"Zork77  ", LITTLE),
            encoded(0x0020000D, vr, b"1.2.31415926\0\0\0\0", LITTLE),
        ),
        policy,
    )
    assert b"Zork" not in out
    assert b"19631122" not in out
    assert b"31415926" not in out


IMPLICIT_NAME = b"\x10\0\x10\0\4\0\0\0Zork"
EXPLICIT_NAME = b"\x10\0\x10\0PN\4\0Zork"
OPEN_ITEM = b"\xfe\xff\0\xe0\xff\xff\xff\xff"
ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"


@pytest.mark.parametrize("tag", [SEQUENCE, 0x00280010, 0x00081030])
@pytest.mark.parametrize("name", [IMPLICIT_NAME, EXPLICIT_NAME])
@pytest.mark.parametrize("vr", [b"UN", b"SQ"])
def test_what_has_an_undefined_length_is_a_sequence(tag: int, name: bytes, vr: bytes) -> None:
    value = OPEN_ITEM + name + ITEM_END + DELIMITER
    element = encoded(tag, vr, b"", LITTLE)[:-4] + b"\xff\xff\xff\xff" + value
    assert b"Zork" not in run(raw(element))


@pytest.mark.parametrize("vr", [b"UN", b"OB", b"LO"])
@pytest.mark.parametrize("name", [IMPLICIT_NAME, EXPLICIT_NAME])
def test_what_the_dictionary_calls_a_sequence_is_one(vr: bytes, name: bytes) -> None:
    out = run(raw(encoded(SEQUENCE, vr, encoded_item(name + b"\x40\0\x07\0\4\0\0\0knee", LITTLE), LITTLE)))
    if name == IMPLICIT_NAME:
        assert read(out)[SEQUENCE].value[0].ScheduledProcedureStepDescription == "knee"
    assert b"Zork" not in out


def test_a_private_creator_stays_if_something_of_its_block_does() -> None:
    def level() -> Dataset:
        dataset = Dataset()
        dataset.private_block(SAFE_GROUP, SAFE_CREATOR, create=True).add_new(SAFE_ELEMENT, "LO", "EFGRE3D")
        dataset.private_block(SAFE_GROUP, "UNSAFE", create=True).add_new(SAFE_ELEMENT, "LO", "Zork")
        dataset.private_block(0x0029, SAFE_CREATOR, create=True).add_new(0xFE, "LO", "Zork")
        return dataset

    dataset = instance()
    del dataset[0x00290010], dataset[0x00291001], dataset[0x00291002]
    dataset.update(level())
    dataset.ReferencedStudySequence[0].update(level())
    got = cleaned(dataset)
    for found in (got, got.ReferencedStudySequence[0]):
        private = [each.tag for each in found if each.tag.is_private]
        assert private == [0x00190010, 0x0019109E]
    assert not [each.tag for each in cleaned(dataset, BASIC) if each.tag.is_private]


def test_scripts_decisions_stay_at_every_depth() -> None:
    dataset = instance(PatientName="Kept^Name", OtherPatientNames="Gone")
    inner = item(PatientName="Kept", OtherPatientNames="Gone")
    dataset.RequestAttributesSequence = Sequence([item(PatientName="Gone"), inner])
    kept = {0x00100010: None, SEQUENCE: {1: {0x00100010: None}}, 0x00291002: {0: {0x00100010: None}}}
    for policy in (NEW_SITE, BASIC):
        out = run(part10(dataset), policy, kept)
        got = read(out)
        assert got.PatientName == "Kept^Name"
        assert got[SEQUENCE].value[-1].PatientName == "Kept"
        assert got[0x00291002].value[0].PatientName == "Inner^Name"
        assert got[0x00290010].value == "TEST CREATOR"
        assert b"Gone" not in out
        assert 0x00291001 not in got


def test_a_kept_creator_still_tells_whose_its_block_is() -> None:
    dataset = instance()
    dataset.private_block(SAFE_GROUP, SAFE_CREATOR, create=True).add_new(SAFE_ELEMENT, "LO", "EFGRE3D")
    assert cleaned(dataset, NEW_SITE, {0x00190010: None})[0x0019109E].value == "EFGRE3D"


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_items_may_have_a_character_set_of_their_own(syntax: str) -> None:
    dataset = instance()
    inner = item(SpecificCharacterSet="ISO_IR 192", ScheduledProcedureStepDescription="Größe Zork 日本")
    dataset.RequestAttributesSequence = Sequence([inner])
    got = read(run(part10(dataset, syntax)))
    assert got[SEQUENCE].value[0].ScheduledProcedureStepDescription == "Größe  日本"


def test_text_is_read_in_the_character_set_that_scripts_left() -> None:
    def recode(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"

    out = run(part10(instance(StudyDescription="Größe Zork")), edit=recode)
    assert read(out).StudyDescription == "Größe"


def test_group_lengths_go_at_every_depth() -> None:
    length = encoded(0x00100000, b"UL", b"\4\0\0\0", LITTLE)
    member = encoded(0x00400007, b"LO", b"knee", LITTLE)
    out = run(raw(length, encoded(SEQUENCE, b"SQ", encoded_item(length + member, LITTLE), LITTLE)))
    assert length not in out
    assert member in out


def test_markers_are_set_and_codes_appended() -> None:
    dataset = instance(PatientIdentityRemoved="NO", DeidentificationMethod="by hand")
    dataset.DeidentificationMethodCodeSequence = [item(CodeValue="1", CodingSchemeDesignator="XNAT", CodeMeaning="S")]
    for kept in ({}, {METHOD_CODES: None}, {METHOD_CODES: {0: {0x00080104: None}}}):
        got = cleaned(dataset, NEW_SITE, kept)
        codes = [(code.CodeValue, code.CodingSchemeDesignator) for code in got.DeidentificationMethodCodeSequence]
        assert codes == [("1", "XNAT"), *((code.value, "DCM") for code in NEW_SITE.codes)]
        assert (got.PatientIdentityRemoved, got.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
        assert "by hand" not in got.DeidentificationMethod


def test_a_method_that_a_script_or_blanking_has_set_stays_before_ours() -> None:
    ours = list(NEW_SITE.markers()[METHOD])
    for before in ("by hand", ["Bücher", "by hand"], [ours[0], "by hand"]):
        dataset = instance(SpecificCharacterSet="ISO_IR 100", DeidentificationMethod=before)
        got = list(cleaned(dataset, NEW_SITE, {METHOD: None}).DeidentificationMethod)
        expected = [before] if isinstance(before, str) else before
        assert got == [*expected, *(each for each in ours if each not in expected)]
    assert list(cleaned(instance(), NEW_SITE, {METHOD: None}).DeidentificationMethod) == ours


@pytest.mark.parametrize(("age", "expected"), [("093Y", "090Y"), ("045Y", "045Y"), ("100M", "100M"), ("old", None)])
def test_ages(age: str, expected: str | None) -> None:
    with quiet():
        dataset = instance(PatientAge=age)
    assert cleaned(dataset).get("PatientAge") == expected
    assert "PatientAge" not in cleaned(dataset, BASIC)


def test_dates_that_are_none_get_the_basic_action() -> None:
    with quiet():
        dataset = instance(StudyDate="last week", ScheduledProcedureStepStartDate="now")
    got = cleaned(dataset)
    assert (got.StudyDate, "ScheduledProcedureStepStartDate" in got) == ("", False)


def test_overlays_and_curves_go() -> None:
    dataset = instance()
    for tag, vr, value in (
        (0x50003000, "OW", b"\0\1"),
        (0x60000010, "US", 1),
        (0x60003000, "OW", b"\0\1"),
        (0x60024000, "LT", "Zork"),
    ):
        dataset.add_new(tag, vr, value)
    assert not [each.tag for each in cleaned(dataset) if each.tag.group >= 0x5000]
    left = [each.tag for each in cleaned(dataset, Policy.of(["clean-graphics"])) if each.tag.group >= 0x5000]
    assert left == [0x60000010]


def code(scheme: str, value: str = "T-1") -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="Zork knee")


def test_meanings_of_private_schemes_are_cleaned() -> None:
    dataset = instance(ProcedureCodeSequence=[code("99ZZ"), code("SCT"), item(CodeMeaning="Zork")])
    private, standard, nameless = cleaned(dataset).ProcedureCodeSequence
    assert (private.CodeMeaning, standard.CodeMeaning) == (" knee", "Zork knee")
    assert "Zork" not in nameless.CodeMeaning


def test_a_text_that_may_not_be_empty_gets_a_dummy_when_nothing_is_left() -> None:
    got = cleaned(
        instance(
            StudyDescription="Zork",
            StructureSetLabel="Zork",
            ContentSequence=[content("TEXT", TextValue="Zork")],
            ProcedureCodeSequence=[item(CodeMeaning="Zork")],
        )
    )
    assert not got.StudyDescription
    for text in (got.StructureSetLabel, got.ContentSequence[0].TextValue, got.ProcedureCodeSequence[0].CodeMeaning):
        assert text
        assert "Zork" not in text


def content(value_type: str, concept: tuple[str, str] = ("Z", "99Z"), **more: object) -> Dataset:
    name = item(CodeValue=concept[0], CodingSchemeDesignator=concept[1], CodeMeaning="name")
    return item(ValueType=value_type, ConceptNameCodeSequence=[name], **more)


@pytest.mark.parametrize("shape", [lambda dataset: dataset, undefined])
def test_content_items_are_cleaned_by_value_type(shape) -> None:
    dataset = instance(
        ContentSequence=[
            content("TEXT", TextValue="Zork said MR99 ok"),
            content("PNAME", PersonName="Zork^Reader"),
            content("DATE", Date="20200102"),
            content("UIDREF", UID="1.2.77"),
            content("TEXT", ("121031", "DCM"), TextValue="19590101"),
            content("NUM", TextValue="Zork stray"),
            content("CONTAINER", ContentSequence=[content("PNAME", PersonName="Zork^Deep")]),
        ]
    )
    out = run(part10(shape(dataset)))
    got = read(out).ContentSequence
    assert b"Zork" not in out
    assert got[0].TextValue == " said  ok"
    assert str(got[1].PersonName).startswith("Anonymized^")
    assert got[2].Date != "20200102"
    assert len(got[2].Date) == 8
    assert PSEUDONYMS.uid("1.2.77") == got[3].UID
    assert str(got[-1].ContentSequence[0].PersonName).startswith("Anonymized^")


def test_content_items_outside_of_a_tree_lose_their_values_only() -> None:
    steps = [
        content("TEXT", TextValue="Zork said MR99 ok"),
        content("PNAME", PersonName="Zork^Reader"),
        content("DATETIME", ("111", "99Z"), DateTime="20200102"),
        content("TEXT", ("121031", "DCM"), TextValue="19590101"),
    ]
    specimen = item(SpecimenPreparationSequence=[item(SpecimenPreparationStepContentItemSequence=steps)])
    out = run(part10(instance(SpecimenDescriptionSequence=[specimen])))
    [got] = read(out).SpecimenDescriptionSequence[0].SpecimenPreparationSequence
    text, person, moment, birth = got.SpecimenPreparationStepContentItemSequence
    assert text.TextValue == " said  ok"
    assert str(person.PersonName).startswith("Anonymized^")
    assert moment.DateTime not in ("20200102", "")
    assert birth.TextValue not in ("19590101", "")
    assert [each.ValueType for each in (text, person, moment, birth)] == ["TEXT", "PNAME", "DATETIME", "TEXT"]


def test_nesting_beyond_the_limit_is_refused() -> None:
    deep = b""
    for _ in range(101):
        deep = encoded(SEQUENCE, b"SQ", encoded_item(deep, LITTLE), LITTLE)
    with pytest.raises(Unparsable, match="nested"):
        run(raw(deep))


def test_values_too_long_for_their_vr_become_unknown() -> None:
    long = b"\x10\0\x10\0\4\0\0\0Zork" + b"\x40\0\x07\0" + (70_000).to_bytes(4, "little") + b"k" * 70_000
    got = read(run(raw(encoded(SEQUENCE, b"UN", encoded_item(long, LITTLE), LITTLE))))
    assert got[SEQUENCE].value[0].get_item(0x00400007).value in {b"k" * 70_000, "k" * 70_000}


def test_unknown_value_representations_in_items_are_no_obstacle() -> None:
    member = b"\x10\0\x10\0ZZ\4\0Zork" + b"\x10\0\x20\0QQ\4\0Zork" + b"\x40\0\x07\0LO\4\0knee"
    out = run(raw(encoded(SEQUENCE, b"SQ", encoded_item(member, LITTLE), LITTLE)), BASIC)
    assert b"Zork" not in out


def test_safe_private_elements_that_hold_items_are_treated_as_sequences() -> None:
    creator = encoded(0x00190010, b"LO", SAFE_CREATOR.encode(), LITTLE)
    for vr in (b"UN", b"SQ"):
        out = run(raw(creator, encoded(0x0019109E, vr, encoded_item(IMPLICIT_NAME, LITTLE), LITTLE)))
        assert b"Zork" not in out
        assert SAFE_CREATOR.encode() in out


def test_empty_values_stay_empty() -> None:
    dataset = instance(PatientName="", StudyDate="", RequestAttributesSequence=[], PatientBirthDate=None)
    got = cleaned(dataset, BASIC)
    assert (got.PatientName, got.StudyDate) == ("", "")
    assert not got.get("PatientBirthDate")


def stretches(name: bytes) -> list[Stretch]:
    values = {0x00100010: (b"PN", name), 0x00200052: (b"UI", b"1.2.3\0")}
    return [held(encoded(tag, vr, value, LITTLE), LITTLE, (tag,), known=True) for tag, (vr, value) in values.items()]


def written(made: list[Stretch]) -> bytes:
    return b"".join(stretch.content() for stretch in made)


def test_what_is_remembered_is_of_one_patient_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaner = Cleaner(NEW_SITE, PSEUDONYMS)
    instances = [Instance(Patient(number, "", "1.2"), "1.2.3", b"", LITTLE) for number in ("1", "2", "1")]
    first, second, again = (written(cleaner.cleaned(stretches(b"Zork"), each, WORDS, {})) for each in instances)
    assert first == second == again
    assert len(cleaner._memories) == 1
    monkeypatch.setattr("inbox_pipeline.deid.cleaner.REMEMBERED_BYTES", 1000)
    for number in range(50):
        cleaner.cleaned(stretches(b"%04d" % number), instances[0], WORDS, {})
    (memory,) = cleaner._memories.values()
    assert memory.held < 2500


def test_nothing_but_what_changes_is_reported() -> None:
    data = part10(instance(SeriesDescription="knee"), EXPLICIT)
    same = encoded(0x0008103E, b"LO", b"knee", LITTLE)
    assert same in data
    assert same in run(data)
    assert body(instance(), EXPLICIT)[:18] in run(data)
