"""Labels that give a patient away: the same by identifiers and by digests of them, which say nothing themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox_pipeline.deid.identifier import Kind
from inbox_pipeline.deid.keyed import digests_of, forms_of, kinds_by_digest, kinds_in, uids_in
from inbox_pipeline.intake.pseudonymous import own_words
from inbox_pipeline_tests.deid.test_verify import ALL

KEY, SCOPE = b"k" * 32, "1"
FORMS = forms_of(ALL, own_words("MRN0012345", "QUATTLEBAUM^ODALYS", "77001234"))
DIGESTS = digests_of(FORMS, KEY, SCOPE)
GIVING_AWAY = {
    "QUATTLEBAUM": Kind.NAME,
    "quattlebaum_mr1": Kind.NAME,
    "Odalys-Quattlebaum": Kind.NAME,
    "OdalysBrain": Kind.NAME,
    "xquattlebaumx": Kind.NAME,
    "Mueller_2": Kind.NAME,
    "jorg": Kind.NAME,
    "MRN0012345": Kind.ID,
    "mrn-0012345-a": Kind.ID,
    "S_12345": Kind.ID,
    "900-12-3456": Kind.ID,
    "visit_77001234": Kind.ID,
    "19560307": Kind.BIRTH_DATE,
    "s_7Mar1956": Kind.BIRTH_DATE,
    "S-1956-03-07": Kind.BIRTH_DATE,
    "x_070356": Kind.BIRTH_DATE,
    "030756": Kind.BIRTH_DATE,
    "560307": Kind.BIRTH_DATE,
    "ses_20200131": Kind.DATE,
    "201_555_1234": Kind.PHONE,
    "larkspur-1": Kind.ADDRESS,
}
HARMLESS = [
    "sub-01",
    "Trial7",
    "MR_2",
    "S12",
    "1956",
    "HOSTXYZ9",
    "Saint_Cuthbert_Memorial_Hospital",
    "310120",
    "Quattle",
]


@pytest.mark.parametrize("label", GIVING_AWAY)
def test_a_label_that_is_or_holds_an_identifier(label: str) -> None:
    assert GIVING_AWAY[label] in kinds_in(label, FORMS)
    assert kinds_by_digest(label, DIGESTS, KEY, SCOPE) == kinds_in(label, FORMS)


@pytest.mark.parametrize("label", HARMLESS)
def test_a_label_that_says_nothing(label: str) -> None:
    assert kinds_in(label, FORMS) == set()
    assert kinds_by_digest(label, DIGESTS, KEY, SCOPE) == set()


@given(st.text("abcdefgQ0123456789_-", min_size=1, max_size=30))
def test_digests_and_identifiers_judge_every_label_alike(label: str) -> None:
    assert kinds_by_digest(label, DIGESTS, KEY, SCOPE) == kinds_in(label, FORMS)


def test_words_that_are_common_count_as_the_whole_label_only() -> None:
    forms = forms_of(ALL, own_words("", "HEAD^ANN", ""))
    assert kinds_in("Head", forms) == {Kind.NAME}
    assert kinds_in("ann-head", forms) == {Kind.NAME}
    assert kinds_in("head_mr1", forms) == set()


def test_a_label_of_the_longest_kind_is_judged_at_once() -> None:
    assert kinds_by_digest("aB3_" * 50, DIGESTS, KEY, SCOPE) == set()
    assert kinds_by_digest("z" * 189 + "quattlebaum", DIGESTS, KEY, SCOPE) == {Kind.NAME}


def test_digests_say_nothing_and_cannot_be_compared_elsewhere() -> None:
    assert not any(word in str(DIGESTS).lower() for word in ("quattlebaum", "12345", "1956", "mueller"))
    assert {len(digest) for digest in DIGESTS} == {32}
    assert digests_of(FORMS, b"o" * 32, SCOPE).keys().isdisjoint(DIGESTS)
    assert digests_of(FORMS, KEY, "2").keys().isdisjoint(DIGESTS)
    assert kinds_by_digest("QUATTLEBAUM", DIGESTS, b"o" * 32, SCOPE) == set()


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("1_2_840_113619", {"1.2.840.113619"}),
        ("s-1-2-840-5-x", {"1.2.840.5"}),
        ("1_2_3", set()),
        ("sub-01", set()),
    ],
)
def test_uids_in_labels(label: str, found: set[str]) -> None:
    assert uids_in(label) == found
