"""Keyed pseudonyms: stable for one key, unrelated under another, legal where they go."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.config import RAISE
from pydicom.uid import UID, UID_dictionary
from pydicom.valuerep import VR, validate_value

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.dummies import Item, dummy_bytes, dummy_item, dummy_text
from inbox_pipeline.deid.iod_types import Type
from inbox_pipeline.deid.options import OPTION_CODES
from inbox_pipeline.deid.policy import Policy
from inbox_pipeline.deid.pseudonyms import PATIENT_ID, Keys, Patient, Pseudonyms
from inbox_pipeline.deid.resolve import attribute_action
from inbox_pipeline.deid.table import attributes
from inbox_pipeline.intake.labels import is_legal
from inbox_pipeline.store.secret import Secret

ONE = Keys.derived(Secret(b"\1" * 32).subkey, "demo")
FIXED = Pseudonyms(ONE)
OTHER_SECRET = Pseudonyms(Keys.derived(Secret(b"\2" * 32).subkey, "demo"))
OTHER_PROJECT = Pseudonyms(Keys.derived(Secret(b"\1" * 32).subkey, "other"))
JANE = Patient("MRN-1", "HOSP", "1.2.3")
TEXTS = st.text(st.characters(exclude_characters="\\", exclude_categories=["Cs"]), max_size=20)


def test_a_key_gives_these_values_for_ever() -> None:
    """Archives hold them: a change here breaks every session that is appended to."""
    assert FIXED.uid("1.2.826.0.1.3680043.8.498.1") == "2.25.181717841182739837641430447630443327266"
    assert FIXED.subject(JANE) == "P-09M77Q-FV921K"
    assert FIXED.session("1.2.3") == "S-R3ABCB-680TS8"
    assert FIXED.days(JANE) == 117
    assert FIXED.dummy(0x00080090, "PN", "Doe^Jane", JANE) == "Anonymized^NMZMXMGN"


def test_five_purposes_five_keys() -> None:
    assert len({ONE.uids, ONE.subjects, ONE.sessions, ONE.dates, ONE.values}) == 5
    assert {len(key) for key in (ONE.uids, ONE.dates)} == {32}
    assert "x01" not in repr(ONE)


@given(st.lists(st.from_regex(r"1\.2(\.(0|[1-9][0-9]{0,5})){1,8}", fullmatch=True), unique=True, max_size=50))
def test_uids_are_legal_distinct_and_unrelated_under_another_key(uids: list[str]) -> None:
    ours = [FIXED.uid(uid) for uid in uids]
    assert ours == [Pseudonyms(ONE).uid(uid) for uid in uids]
    assert len(set(ours)) == len(uids)
    assert not set(ours) & {pseudonyms.uid(uid) for pseudonyms in (OTHER_SECRET, OTHER_PROJECT) for uid in uids}
    for uid in ours:
        number = uuid.UUID(int=int(uid.removeprefix("2.25.")))
        assert UID(uid).is_valid
        assert (number.version, number.variant) == (8, uuid.RFC_4122)


def test_standard_uids_stay() -> None:
    assert [FIXED.uid(uid) for uid in UID_dictionary] == list(UID_dictionary)
    assert FIXED.uid("1.2.840.10008.5.1.4.1.1.2.99999").startswith("2.25.")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", ""),
        (" ", ""),
        ("\0", ""),
        ("1.2\\\\1.2.840.10008.1.2", r"2\.25\.\d+\\\\1\.2\.840\.10008\.1\.2"),
        ("not a uid", r"2\.25\.\d+"),
        ("2.25.1", r"2\.25\.\d{10,}"),
    ],
)
def test_blank_several_and_broken_uids(text: str, form: str) -> None:
    assert re.fullmatch(form, FIXED.uid(text))


def test_padding_is_not_part_of_a_uid() -> None:
    assert FIXED.uid("1.2.3\0") == FIXED.uid("1.2.3 ") == FIXED.uid("1.2.3")
    assert FIXED.uid("1.2.3\\1.2.4") == f"{FIXED.uid('1.2.3')}\\{FIXED.uid('1.2.4')}"


@pytest.mark.parametrize("function", [FIXED.subject, FIXED.days], ids=["subject", "days"])
def test_who_is_one_patient(function: Callable[[Patient], object]) -> None:
    assert function(JANE) == function(Patient(" MRN-1\0", "HOSP ", "9.9"))
    assert function(Patient("M\u00fcller", "", "1")) == function(Patient("Mu\u0308ller", "", "2"))
    assert function(Patient("", "HOSP", "1.2.3")) == function(Patient("  ", "", "1.2.3"))
    different = [JANE, Patient("MRN-1", "CLINIC", "1"), Patient("MRN-1", "", "1"), Patient("mrn-1", "HOSP", "1")]
    different += [
        Patient("MRN-1H", "OSP", "1"),
        Patient("", "", "1.2.3"),
        Patient("", "", "1.2.4"),
        Patient("1.2.3", "", ""),
    ]
    assert len({function(patient) for patient in different}) == len(different)


@given(TEXTS, TEXTS, TEXTS)
def test_labels_are_legal_and_offsets_move(patient_id: str, issuer: str, study: str) -> None:
    patient = Patient(patient_id, issuer, study)
    for label in (FIXED.subject(patient), FIXED.session(study)):
        assert is_legal(label)
        assert re.fullmatch(r"[PS]-[0-9A-HJKMNP-TV-Z]{6}-[0-9A-HJKMNP-TV-Z]{6}", label)
    assert 1 <= FIXED.days(patient) <= 365
    assert FIXED.subject(patient) != OTHER_SECRET.subject(patient)


def test_a_hundred_thousand_patients_share_no_label_and_use_every_offset() -> None:
    patients = [Patient(str(number), "", "") for number in range(100_000)]
    assert len({FIXED.subject(patient) for patient in patients}) == len(patients)
    counts = [0] * 366
    for patient in patients:
        counts[FIXED.days(patient)] += 1
    assert counts[0] == 0
    assert min(counts[1:]) > 150 and max(counts) < 400


def test_undecodable_bytes_are_values_too() -> None:
    patient = Patient(b"\xff\xfe".decode("utf-8", "surrogateescape"), "", "")
    assert FIXED.subject(patient) == FIXED.subject(patient)


def test_dummies_tell_values_apart_where_they_name_somebody() -> None:
    names = [FIXED.dummy(0x00081070, "PN", name, JANE) for name in ("A^B", "A^B ", "C^D")]
    assert names[0] == names[1] != names[2]
    assert FIXED.dummy(PATIENT_ID, "LO", "MRN-1", JANE) == FIXED.subject(JANE)
    assert FIXED.dummy(0x006A0003, "UI", "1.2.3", JANE) == FIXED.uid("1.2.3")
    assert FIXED.dummy(0x00321060, "LO", "x", JANE) != OTHER_PROJECT.dummy(0x00321060, "LO", "x", JANE)


@lru_cache(maxsize=1)
def text_and_binary_vrs() -> tuple[set[str], set[str]]:
    """The VRs of attributes that some policy gives a dummy."""
    vrs = {row.vr for row in attributes() if Action.DUMMY in {attribute_action(row, (), type_) for type_ in Type}}
    binary = {vr for vr in vrs if vr[0] == "O" or vr in {"UN", "US", "SS", "UL", "FD", "FL"}}
    return vrs - binary - {"SQ", "UI"}, binary


@pytest.mark.parametrize("vr", sorted({*text_and_binary_vrs()[0], "IS", "DS"}))
def test_a_dummy_is_legal_for_its_vr(vr: str) -> None:
    value = dummy_text(vr, "0123ABCD")
    assert value
    validate_value(vr, value, RAISE)


@pytest.mark.parametrize("vr", sorted({*text_and_binary_vrs()[1], "US", "FD", "AT"}))
def test_a_binary_dummy_is_one_value(vr: str) -> None:
    assert dummy_bytes(vr).strip(b"\0") == b""
    assert dummy_bytes(vr)


@pytest.mark.parametrize("tag", [0x0040A730, 0x00081072, 0x00080082, 0x00401101])
def test_a_dummy_item_has_legal_values_all_the_way_down(tag: int) -> None:
    def check(item: Item) -> None:
        assert item
        for vr, value in item.values():
            if isinstance(value, str):
                validate_value(VR(vr), value, RAISE)
            else:
                assert vr == "SQ"
                for inner in value:
                    check(inner)

    check(dummy_item(tag))


def test_every_policy_knows_a_dummy_for_every_element_that_needs_one() -> None:
    vrs = {row.tag: row.vr for row in attributes()}
    for option in OPTION_CODES:
        for tag, action in Policy.of([option]).actions("").root.items():
            if action is Action.DUMMY and vrs[tag] != "SQ":
                text = vrs[tag] in text_and_binary_vrs()[0] or vrs[tag] == "UI"
                assert FIXED.dummy(tag, vrs[tag], "x", JANE) if text else dummy_bytes(vrs[tag])
