"""What a policy does to elements: compound codes, options, depths, private elements, content items, markers."""

from __future__ import annotations

from itertools import combinations

import pytest
from pydicom.datadict import DicomDictionary

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.iod_types import Type
from inbox_pipeline.deid.options import NEW_SITE_OPTIONS, OPTION_CODES
from inbox_pipeline.deid.policy import LONGITUDINAL, META_REMOVED, METHOD, PATIENT_IDENTITY_REMOVED, Policy
from inbox_pipeline.deid.resolve import CLEANED_BY_THEIR_ITEMS, PATIENT_ID, REFERENCES, TEXT_VRS, attribute_action
from inbox_pipeline.deid.table import BEYOND_THE_TABLE, Attribute, ContentItem, attributes, content_items
from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import REASONS

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
UNKNOWN_CLASS = "1.2.3.4"
BASIC = Policy.of([])
NEW_SITE = Policy.of_a_new_site()
ROWS = [row for row in (*attributes(), *BEYOND_THE_TABLE) if row.tag is not None]

X, Z, D, U = Action.REMOVE, Action.EMPTY, Action.DUMMY, Action.UID
COMPOUND = {
    # code: optional, present, value, unknown
    "X": (X, Z, D, X),
    "Z": (Z, Z, D, Z),
    "D": (D, D, D, D),
    "U": (U, U, U, U),
    "X/Z": (X, Z, D, Z),
    "X/D": (X, D, D, D),
    "Z/D": (Z, Z, D, D),
    "X/Z/D": (X, Z, D, D),
}
CLEANED = {Action.SHIFT, Action.TEXT}
SPECIAL = REFERENCES | CLEANED_BY_THEIR_ITEMS | {PATIENT_ID}


def row_of(tag: int) -> Attribute:
    return next(row for row in ROWS if row.tag == tag)


@pytest.mark.parametrize("code", COMPOUND)
def test_a_compound_code_becomes_what_the_iod_asks_for(code: str) -> None:
    rows = [row for row in ROWS if row.basic == code and row.tag not in SPECIAL]
    assert rows
    for row in rows:
        types = (Type.OPTIONAL, Type.PRESENT, Type.VALUE, Type.UNKNOWN)
        assert tuple(attribute_action(row, (), type_) for type_ in types) == COMPOUND[code], row


@pytest.mark.parametrize("tag", sorted(REFERENCES))
@pytest.mark.parametrize("type_", Type)
def test_sequences_of_references_stay_whatever_the_iod_asks_for(tag: int, type_: Type) -> None:
    assert attribute_action(row_of(tag), (), type_) is Action.ITEMS


@pytest.mark.parametrize("type_", Type)
def test_patients_stay_apart_by_their_id(type_: Type) -> None:
    assert attribute_action(row_of(PATIENT_ID), (), type_) is Action.DUMMY


def expected_by_option(row: Attribute, action: str, option: str) -> set[Action]:
    if action == "K":
        return {"SQ": {Action.ITEMS}, "AS": {Action.AGE}}.get(row.vr, {Action.KEEP})
    if option == "clean-graphics":
        return {Action.GRAPHICS}
    if row.vr == "SQ":
        return {Action.TREE} if option == "clean-structured-content" else {Action.ITEMS}
    if row.vr in {"DA", "DT", "TM"}:
        return {Action.SHIFT}
    return {Action.TEXT} if row.vr in TEXT_VRS else {X, Z, D}


@pytest.mark.parametrize("option", OPTION_CODES)
@pytest.mark.parametrize("type_", Type)
def test_an_option_overrides_the_basic_action_in_every_row_that_it_names(option: str, type_: Type) -> None:
    for row in ROWS:
        found = attribute_action(row, {option}, type_)
        if action := row.options.get(option):
            assert found in expected_by_option(row, action, option), row
        else:
            assert found is attribute_action(row, (), type_), row


def test_binary_values_cannot_be_cleaned_and_get_the_basic_action() -> None:
    cleaned = [row for row in ROWS if row.vr == "OB" and "C" in row.options.values()]
    assert {row.name for row in cleaned} >= {"Certified Timestamp", "Frame Origin Timestamp"}
    for row in cleaned:
        assert attribute_action(row, row.options.keys(), Type.OPTIONAL) is {"X": X, "D": D}[row.basic]


@pytest.mark.parametrize("pair", list(combinations(sorted(OPTION_CODES), 2)))
def test_of_two_options_cleaning_goes_before_keeping(pair: tuple[str, str]) -> None:
    for row in ROWS:
        asked = {row.options.get(option) for option in pair}
        alone = {row.options.get(option): attribute_action(row, {option}, Type.OPTIONAL) for option in pair}
        both = attribute_action(row, pair, Type.OPTIONAL)
        assert both is (alone["C"] if "C" in asked else alone["K"] if "K" in asked else alone[None]), row


def test_a_calibration_date_moves_with_the_others_when_the_device_is_kept() -> None:
    actions = Policy.of(["retain-device-identity", "retain-longitudinal-modified-dates"]).actions(CT)
    assert actions.at_root(0x0018700C) is Action.SHIFT
    assert Policy.of(["retain-device-identity"]).actions(CT).at_root(0x0018700C) is Action.KEEP


@pytest.mark.parametrize(
    ("sop_class", "tag", "action"),
    [
        (CT, 0x00181000, X),
        (ENHANCED_CT, 0x00181000, D),
        (UNKNOWN_CLASS, 0x00181000, D),
        (CT, 0x00080020, Z),
        (CT, 0x00080021, X),
        (CT, 0x00080023, Z),
        (ENHANCED_CT, 0x00080023, D),
        (CT, 0x0008002A, X),
        (ENHANCED_CT, 0x0008002A, D),
        (CT, 0x00102297, Z),
        (UNKNOWN_CLASS, 0x00102297, X),
        (CT, 0x00100010, Z),
        (CT, 0x00100020, D),
        (CT, 0x00080018, U),
        (CT, 0x00080016, Action.KEEP),
        (CT, 0x7FE00010, Action.KEEP),
        (CT, 0x00280010, Action.KEEP),
        (CT, 0x00081140, Action.ITEMS),
        (CT, 0x00082218, Action.ITEMS),
        (CT, 0x00880200, X),
        (CT, 0xFFFAFFFA, X),
        (CT, 0x04000561, X),
        (CT, 0xFFFCFFFC, X),
    ],
)
def test_basic_without_options(sop_class: str, tag: int, action: Action) -> None:
    assert BASIC.actions(sop_class).at_root(tag) is action


@pytest.mark.parametrize(
    ("tag", "action"),
    [
        (0x00080020, Action.SHIFT),
        (0x00080030, Action.SHIFT),
        (0x00100030, Z),
        (0x00101010, Action.AGE),
        (0x00100040, Action.KEEP),
        (0x00081030, Action.TEXT),
        (0x0008103E, Action.TEXT),
        (0x00080080, X),
        (0x00080070, Action.KEEP),
        (0x00081090, Action.KEEP),
        (0x00181000, X),
        (0x0040A730, Action.TREE),
        (0x00400275, Action.ITEMS),
        (0x0020000D, U),
    ],
)
def test_what_a_new_site_starts_with(tag: int, action: Action) -> None:
    assert NEW_SITE.actions(CT).at_root(tag) is action
    assert NEW_SITE.options == set(NEW_SITE_OPTIONS)


@pytest.mark.parametrize("policy", [BASIC, NEW_SITE], ids=["basic", "new site"])
@pytest.mark.parametrize("sop_class", [CT, UNKNOWN_CLASS])
@pytest.mark.parametrize(
    "tag",
    [
        0x00080000,
        0x00100000,
        0x00000010,
        0x00020010,
        0x00041130,
        0x0008FFFF,
        0x12340010,
        0x00090010,
        0x00091001,
        0x50000010,
        0x501E3000,
        0x60003000,
        0x60000010,
        0x601E4000,
    ],
)
def test_what_nobody_knows_and_overlays_go_whole(policy: Policy, sop_class: str, tag: int) -> None:
    actions = policy.actions(sop_class)
    assert (actions.at_root(tag), actions.within(0x00081140, tag)) == (X, X)


def test_graphics_are_left_to_be_judged_under_their_option() -> None:
    actions = Policy.of(["clean-graphics"]).actions(CT)
    assert [actions.at_root(tag) for tag in (0x60023000, 0x60024000, 0x50000010, 0x00700001)] == [Action.GRAPHICS] * 4
    assert actions.at_root(0x60020010) is Action.KEEP
    assert BASIC.actions(CT).at_root(0x00700001) is Action.ITEMS


def test_every_attribute_of_the_dictionary_gets_an_action_at_every_depth() -> None:
    actions = NEW_SITE.actions(CT)
    listed = {row.tag for row in ROWS}
    for tag, (vr, *_) in DicomDictionary.items():
        found = actions.at_root(tag)
        if tag not in listed:
            low = tag >> 16 < 8 or tag & 0xFFFF == 0
            assert found is (X if low else Action.ITEMS if vr == "SQ" else Action.KEEP), f"{tag:08X}"
            assert actions.within(0x00081140, tag) is found


def test_within_a_sequence_the_sequence_decides() -> None:
    actions = BASIC.actions(CT)
    assert actions.within(0x0040A073, 0x0040A088) is Z
    assert actions.within(0x00400275, 0x00401001) is D
    assert actions.within(0x00081111, 0x00401001) is X
    assert actions.within(0x00081140, 0x00081155) is U
    assert actions.within(0x00091001, 0x00100010) is Z


def test_private_elements_stay_only_when_the_option_and_the_table_say_so() -> None:
    basic, new = BASIC.actions(CT), NEW_SITE.actions(CT)
    assert basic.private(0x0019, "SIEMENS MR HEADER", 0x0C) is X
    assert new.private(0x0019, "SIEMENS MR HEADER", 0x0C) is Action.KEEP
    assert new.private(0x0019, "SIEMENS MR HEADER", 0x0B) is X
    assert new.private(0x0021, "SIEMENS MR HEADER", 0x0C) is X
    assert new.private(0x0019, "", 0x0C) is X
    assert new.private(0x0099, "NQHeader", 0x02) is U
    assert new.private(0x2001, "Philips Imaging DD 001", 0x5F) is Action.ITEMS


@pytest.mark.parametrize(
    ("policy", "concept", "value_type", "action"),
    [
        (BASIC, ("DCM", "121022"), "TEXT", X),
        (BASIC, ("DCM", "126201"), "DATE", X),
        (NEW_SITE, ("DCM", "126201"), "DATE", Action.SHIFT),
        (BASIC, ("DCM", "113795"), "IMAGE", Action.ITEMS),
        (BASIC, ("DCM", "121112"), "WAVEFORM", Action.ITEMS),
        (BASIC, ("SCT", "371524004"), "TEXT", X),
        (NEW_SITE, ("SCT", "371524004"), "TEXT", Action.TEXT),
        (NEW_SITE, ("SCT", "371524004"), "COMPOSITE", Action.ITEMS),
        (NEW_SITE, ("99LOCAL", "1"), "TEXT", Action.TEXT),
        (NEW_SITE, ("99LOCAL", "1"), "PNAME", D),
        (NEW_SITE, ("99LOCAL", "1"), "DATETIME", Action.SHIFT),
        (BASIC, ("99LOCAL", "1"), "DATETIME", D),
        (Policy.of(["retain-longitudinal-full-dates"]), ("99LOCAL", "1"), "TIME", Action.KEEP),
        (NEW_SITE, ("99LOCAL", "1"), "NUM", Action.ITEMS),
        (NEW_SITE, ("99LOCAL", "1"), "CONTAINER", Action.ITEMS),
    ],
)
def test_content_items(policy: Policy, concept: tuple[str, str], value_type: str, action: Action) -> None:
    assert policy.content_action(*concept, value_type) is action


@pytest.mark.parametrize("row", content_items(), ids=lambda row: f"{row.scheme} {row.code} {row.value_type}")
def test_every_content_item_of_the_table(row: ContentItem) -> None:
    references = row.value_type in {"IMAGE", "COMPOSITE", "WAVEFORM", "UIDREF"}
    basic = BASIC.content_action(row.scheme, row.code, row.value_type)
    assert basic is (Action.ITEMS if references else X if row.basic == "X" else D)
    for option, letter in row.options.items():
        found = Policy.of([option]).content_action(row.scheme, row.code, row.value_type)
        assert found is Action.ITEMS if references else found in {"K": {Action.KEEP}, "C": CLEANED}[letter]


def test_codes_and_markers_name_the_profile_and_every_option() -> None:
    everything = Policy.of(set(OPTION_CODES) - {"retain-longitudinal-full-dates"})
    assert [code.value for code in everything.codes] == [
        "113100",
        *(str(n) for n in range(113103, 113113) if n != 113106),
    ]
    assert NEW_SITE.markers()[PATIENT_IDENTITY_REMOVED] == ("YES",)
    assert NEW_SITE.markers()[METHOD][:2] == ("DICOM PS3.15 2026d", "Basic Application Confidentiality Profile")
    assert all(len(text) <= 64 for text in everything.markers()[METHOD])
    assert NEW_SITE.markers()[LONGITUDINAL] == ("MODIFIED",)
    assert BASIC.markers()[LONGITUDINAL] == ("REMOVED",)
    assert Policy.of(["retain-longitudinal-full-dates"]).markers()[LONGITUDINAL] == ("UNMODIFIED",)


@pytest.mark.parametrize(
    "names",
    [
        ["retain-longitudinal-full-dates", "retain-longitudinal-modified-dates"],
        ["retain-everything"],
        [""],
        ["RETAIN-UIDS"],
        [*OPTION_CODES],
    ],
)
def test_what_is_no_option_or_contradicts_is_refused(names: list[str]) -> None:
    with pytest.raises(Rejected) as refused:
        Policy.of(names)
    assert ("400", refused.value.code) in REASONS
    assert "retain-uids" in refused.value.hint


def test_policies_are_equal_by_their_options_and_prepare_once() -> None:
    assert Policy.of(["retain-uids"]) == Policy.of(("retain-uids", "retain-uids"))
    assert NEW_SITE.actions(CT) is Policy.of_a_new_site().actions(CT)
    assert {0x00020016, 0x00020102} <= META_REMOVED
