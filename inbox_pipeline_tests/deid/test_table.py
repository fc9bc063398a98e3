"""The shipped tables against the dictionary and against another reading of the standard."""

from __future__ import annotations

from collections import Counter

import pytest
from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import DicomDictionary, dictionary_VR
from pydicom.uid import UID_dictionary

from inbox_pipeline.deid import iod_types, table
from inbox_pipeline.deid.iod_types import Type, iod_of, nested_types, root_types
from inbox_pipeline.deid.options import OPTION_CODES
from inbox_pipeline.deid.table import BEYOND_THE_TABLE, PRIVATE, attributes, content_items, safe_private, standard_uids

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
RT_PLAN = "1.2.840.10008.5.1.4.1.1.481.5"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"

NOT_MEDICAL = ("1.2.840.10008.5.1.4.1.1.501.", "1.2.840.10008.5.1.4.1.1.601.")
"""DICOS (security) and DICONDE (materials) share the registry of UIDs, not PS3.3."""
NOT_IN_2026C = {"3004007F": "X"}
"""Rows of 2026d that edition 2026c does not have; besides, the private row, which the other reading leaves out."""
KEPT_BY_DESIGN = {
    *("00000002", "00000003", "00020002", "00020010", "00020012", "00020032", "00020033", "00020100", "00041510"),
    *("00041512", "0004151A", "00080016", "0008001A", "0008001B", "00080062", "0008010C", "0008010D", "00080117"),
    *("00080118", "0008040E", "00081150", "0008115A", "00083002", "00089123", "00340003", "04000010", "04000510"),
    *("30100052", "30100053"),
}
"""UIDs that name a class, a syntax, a scheme or an implementation, not an instance."""


def kitware() -> dict[str, str]:
    """Another project's reading of edition 2026c, as patterns and basic actions."""
    sets = dicom_anonymization_database_selector("dicomfields_2026c")
    actions = {name.removesuffix("_TAGS").replace("_STAR", "*").replace("_", "/"): tags for name, tags in sets.items()}
    return {pattern(tag): action for action, tags in actions.items() if action != "ALL" for tag in tags}


def pattern(tag: tuple[int, ...]) -> str:
    if len(tag) == 2:
        return f"{tag[0]:04X}{tag[1]:04X}"
    group, element, _, mask = tag
    return f"{group >> 8:02X}xx" + (f"{element:04X}" if mask else "xxxx")


def test_the_basic_actions_are_those_of_another_reading_except_for_rows_that_are_newer() -> None:
    ours = {row.pattern: row.basic for row in attributes() if row.pattern != PRIVATE}
    theirs = kitware()
    assert {tag: action for tag, action in theirs.items() if ours.get(tag) != action} == {}
    assert {tag: action for tag, action in ours.items() if tag not in theirs} == NOT_IN_2026C
    assert (len(ours), len(theirs)) == (656, 655)


def test_edition_and_size() -> None:
    assert table.source()["edition"] == "2026d"
    assert len(table.source()["sha256_of_part15_xml"]) == 64
    assert (len(attributes()), len(content_items()), len(safe_private())) == (657, 214, 479)
    assert Counter(row.basic for row in attributes()) == {
        **{"X": 417, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2}
    }
    assert Counter((name, action) for row in attributes() for name, action in row.options.items()) == {
        ("retain-longitudinal-full-dates", "K"): 169,
        ("retain-longitudinal-modified-dates", "C"): 169,
        ("clean-descriptors", "C"): 141,
        ("retain-uids", "K"): 60,
        ("retain-device-identity", "K"): 48,
        ("retain-device-identity", "C"): 11,
        ("retain-patient-characteristics", "K"): 14,
        ("retain-patient-characteristics", "C"): 5,
        ("retain-institution-identity", "K"): 10,
        ("clean-structured-content", "C"): 4,
        ("clean-graphics", "C"): 4,
        ("retain-safe-private", "C"): 1,
    }


def test_a_row_says_only_what_the_standard_can_say() -> None:
    for row in (*attributes(), *BEYOND_THE_TABLE, *content_items()):
        assert row.basic in {"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"}, row
        assert row.options.keys() <= OPTION_CODES.keys(), row
        assert set(row.options.values()) <= {"K", "C"}, row


def test_patterns_are_unique_and_the_private_row_is_spelled_as_one() -> None:
    patterns = [row.pattern for row in (*attributes(), *BEYOND_THE_TABLE)]
    assert len(patterns) == len(set(patterns))
    assert [row.pattern for row in attributes() if row.tag is None] == ["50xxxxxx", "60xx3000", "60xx4000", PRIVATE]


def test_the_vr_is_the_dictionarys() -> None:
    known = [row for row in (*attributes(), *BEYOND_THE_TABLE) if row.tag in DicomDictionary]
    assert [row for row in known if row.vr != dictionary_VR(row.tag or 0)] == []
    assert len(known) > 650


@pytest.mark.parametrize("vr", ["AS", "DA", "DT", "PN", "UI"])
def test_every_date_age_name_and_uid_of_the_dictionary_has_a_row(vr: str) -> None:
    known = {row.tag for row in (*attributes(), *BEYOND_THE_TABLE)} | {int(tag, 16) for tag in KEPT_BY_DESIGN}
    assert {f"{tag:08X}" for tag in DicomDictionary if dictionary_VR(tag) == vr} == {
        f"{tag:08X}" for tag in DicomDictionary if dictionary_VR(tag) == vr and tag in known
    }


def test_rows_of_our_own_are_not_in_the_table() -> None:
    assert not {row.pattern for row in BEYOND_THE_TABLE} & {row.pattern for row in attributes()}


def test_safe_private_elements_by_creator() -> None:
    count = Counter(creator for _, creator, _ in safe_private())
    assert count["Philips Imaging DD 001"] + count["Philips Imaging DD 002"] + count["Philips Imaging DD 097"] == 340
    assert count["SIEMENS Ultrasound SC2000"] == 40
    assert safe_private()[0x0019, "SIEMENS MR HEADER", 0x0C] == "IS"
    assert safe_private()[0x0043, "GEMS_PARM_01", 0x39] == "IS"
    assert all(group % 2 and 0 <= element <= 0xFF for group, _, element in safe_private())


def test_standard_uids_are_those_of_the_dictionary() -> None:
    assert standard_uids() == UID_dictionary.keys()


@pytest.mark.parametrize(
    ("sop_class", "tag", "type_"),
    [
        (CT, 0x00100010, Type.PRESENT),
        (CT, 0x00080020, Type.PRESENT),
        (CT, 0x00080021, Type.OPTIONAL),
        (CT, 0x00181000, Type.OPTIONAL),
        (ENHANCED_CT, 0x00181000, Type.VALUE),
        (ENHANCED_CT, 0x00080023, Type.VALUE),
        (ENHANCED_CT, 0x0008002A, Type.VALUE),
        (MR, 0x00080023, Type.PRESENT),
        (RT_PLAN, 0x300A00B2, Type.OPTIONAL),
        (RT_PLAN, 0x300A0006, Type.PRESENT),
        (ENHANCED_SR, 0x00081111, Type.PRESENT),
        (ENHANCED_SR, 0x00080023, Type.VALUE),
    ],
)
def test_what_an_iod_asks_for(sop_class: str, tag: int, type_: Type) -> None:
    """PS3.3: sections A.3, A.38, A.4, A.20, A.35.2 and the modules they name."""
    assert root_types(iod_of(sop_class)).get(tag, Type.OPTIONAL) is type_


def test_what_is_asked_for_in_items() -> None:
    assert nested_types()[0x0040A073, 0x0040A088] is Type.PRESENT
    assert nested_types()[0x00400275, 0x00401001] is Type.VALUE


def test_every_storage_class_of_the_dictionary_that_is_not_retired_has_an_iod() -> None:
    storage = {
        uid: name
        for uid, (name, kind, _, retired, _) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and not retired and ".5.1.4.1.1." in uid
    }
    unknown = {uid for uid in storage if iod_of(uid) is None}
    assert {uid for uid in unknown if not uid.startswith(NOT_MEDICAL)} == set()
    assert iod_of("1.2.3") is None
    assert iod_types.source()["package"].startswith("highdicom")
