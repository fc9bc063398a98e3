"""What identifies, in which spellings, and what is too short or too common to."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox_pipeline.deid.date_spellings import MONTHS, dates_in, pattern_of, run_together
from inbox_pipeline.deid.folding import fold
from inbox_pipeline.deid.identifier import Kind
from inbox_pipeline.deid.identifiers import IdentifierCollector, Identifiers
from inbox_pipeline.deid.identifying import KEPT_IN_THE_OPEN, kind_of
from inbox_pipeline.deid.policy import Policy
from inbox_pipeline.deid.table import attributes

NAME, PATIENT_ID, BIRTH, PHONE = 0x00100010, 0x00100020, 0x00100030, 0x00102154
ADDRESS, INSTITUTION, STATION, STUDY_ID, ACCESSION = 0x00101040, 0x00080080, 0x00081010, 0x00200010, 0x00080050
STUDY_DATE, STUDY_UID, MODEL = 0x00080020, 0x0020000D, 0x00081090


def gathered(*elements: tuple[int, str, str], days: int | None = None) -> Identifiers:
    collector = IdentifierCollector()
    for element in elements:
        collector.add(*element)
    return collector.freeze(days)


def kinds(identifiers: Identifiers, text: str, *, cleaning: bool = False) -> set[Kind]:
    return {hit.identifier.kind for hit in identifiers.hits(fold(text), cleaning=cleaning)}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("Quattlebaum^Odalys", ["QUATTLEBAUM", "odalys", "Brain_Quattlebaum_1", "xquattlebaumx", "T1QUATTLEBAUM2"]),
        ("Müller-Lüdenscheidt^Jörg", ["Mueller", "MULLER", "müller", "MÜLLER T1", "joerg", "Ludenscheidt"]),
        ("Mueller^Hans", ["Müller", "mueller", "MUELLER", "hans"]),
        ("Li^Wu", ["Li Wu", "WU, LI", "li_wu", "Wu^Li", "liwu", "wu-li"]),
        ("Long^Rose", ["long rose", "Rose, Long", "LONGROSE", "rose"]),
        ("Smith^John^Q", ["SMITHJOHN_T1", "john", "smith,john", "JohnSmith"]),
        ("Doe^Jane=山田^花子=やまだ^はなこ", ["山田花子様", "はなこ", "doe"]),
        ("Hong^Gildong=洪^吉洞=홍^길동", ["홍길동", "길동님", "gildong", "吉洞"]),
        ("Nuñez^Íñigo", ["NUNEZ", "inigo", "Íñigo"]),
        ("O'Brien^Mary Ann", ["brien", "Mary-Ann"]),
        ("SMITH01^X", ["smith01"]),
        ("Søren^Åse", ["soren", "soeren", "ase"]),
    ],
)
def test_names_in_every_spelling(name: str, texts: list[str]) -> None:
    identifiers = gathered((NAME, "PN", name))
    assert [text for text in texts if Kind.NAME not in kinds(identifiers, text) and not kinds(identifiers, text)] == []


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("Anna^B", ["Hanna", "annab", "b", "anne", "savanna"]),
        ("Li^Wu", ["li", "wu", "delirium wu", "wulia"]),
        ("Phantom^Head", ["head phantom", "Phantom", "HEAD", "head"]),
        ("ANONYMOUS", ["anonymous"]),
        ("Long^Rose", ["long axis", "prolonged", "long"]),
        ("A^B", ["a b", "AB"]),
        ("", ["", "x"]),
        ("^^^^", ["^^^^"]),
        ("Test^Patient", ["test", "patient test"]),
    ],
)
def test_no_name_by_coincidence(name: str, texts: list[str]) -> None:
    identifiers = gathered((NAME, "PN", name))
    assert [text for text in texts if kinds(identifiers, text)] == []


def test_an_ambiguous_name_counts_where_text_is_cleaned() -> None:
    identifiers = gathered((NAME, "PN", "Dixon^Wu"))
    assert kinds(identifiers, "t1_vibe_dixon", cleaning=True) == {Kind.NAME}
    assert kinds(identifiers, "t1_vibe_dixon") == set()
    assert kinds(identifiers, "wu", cleaning=True) == {Kind.NAME}


@pytest.mark.parametrize(
    ("value", "found", "missed"),
    [
        ("MRN0012345", ["mrn0012345", "MRN 0012345", "MRN-0012345", "0012345"], ["mrn", "MRN00123456"]),
        ("0012345", ["12345", "0012345", "id0012345"], ["x12345", "112345", "123456", "1.2.12345.6", "0.12345"]),
        ("1234567", ["1234567", "P1234567x"], ["1.1234567", "1234567.5", "12345678"]),
        ("12345", ["12345", "id 12345"], ["x12345", "1.12345", "12345.6"]),
        ("AB-12/34", ["ab1234", "AB 12 34"], ["ab123"]),
        ("1", [], ["1", "1 2 3"]),
        ("123", [], ["123"]),
        ("0000", [], ["0000", "0"]),
        ("HEAD", [], ["head"]),
        ("ANON", [], ["anon"]),
        ("M", [], ["m"]),
        ("MR", [], ["mr"]),
        ("T1", [], ["t1"]),
        ("Quattlebaum_Odalys_1970", ["quattlebaum", "odalys", "quattlebaum odalys 1970"], ["1970"]),
        ("QUATTLEBAUM", ["Quattlebaum"], []),
        ("Head Phantom", [], ["head phantom"]),
        ("ADNI_0023", ["adni0023"], ["adni"]),
    ],
)
def test_ids(value: str, found: list[str], missed: list[str]) -> None:
    for tag in (PATIENT_ID, ACCESSION, STUDY_ID):
        identifiers = gathered((tag, "LO", value))
        assert [text for text in found if not kinds(identifiers, text)] == []
        assert [text for text in missed if kinds(identifiers, text)] == []


@pytest.mark.parametrize(
    ("tag", "value", "found", "missed"),
    [
        (
            PHONE,
            "(201) 555-1234",
            ["201.555.1234", "2015551234", "+1 201 555 1234"],
            ["201", "555-1234", "20155512345"],
        ),
        (PHONE, "jane.roe@example.test", ["Jane.Roe@example.test"], ["example"]),
        (PHONE, "110", [], ["110"]),
        (ADDRESS, "4711 Larkspur Lane, Marrowstone WA 98358", ["larkspur", "MARROWSTONE"], ["lane", "4711", "wa"]),
        (INSTITUTION, "Saint Cuthbert Memorial Hospital", ["saint_cuthbert memorial-hospital"], ["hospital", "saint"]),
        (INSTITUTION, "Radiology", [], ["radiology"]),
        (INSTITUTION, "Universität Würzburg", ["universitat wurzburg"], ["universitat"]),
        (STATION, "HOSTXYZ9", ["hostxyz9"], ["host"]),
        (STATION, "CT01", [], ["ct01"]),
        (STATION, "AVANTO", [], ["avanto"]),
        (
            STUDY_UID,
            "1.2.3.4.5",
            ["1.2.3.4.5", "MR.1.2.3.4.5", "1.2.3.4.5.6", "1.2.3.4.5.dcm"],
            ["1.2.3.4.55", "1.2.3.4"],
        ),
        (STUDY_UID, "1.2.840.10008.1.2.1", [], ["1.2.840.10008.1.2.1"]),
    ],
)
def test_the_rest(tag: int, value: str, found: list[str], missed: list[str]) -> None:
    identifiers = gathered((tag, "UI" if tag == STUDY_UID else "LO", value))
    assert [text for text in found if not kinds(identifiers, text)] == []
    assert [text for text in missed if kinds(identifiers, text)] == []


def test_what_is_kept_in_the_open_is_no_secret() -> None:
    elements = [(STATION, "SH", "ZEPHYR9000"), (NAME, "PN", "Zephyrus")]
    assert kinds(gathered(*elements), "zephyr9000") == {Kind.DEVICE}
    assert kinds(gathered(*elements, (MODEL, "LO", "ZEPHYR9000 Zephyrus")), "zephyr9000 zephyrus") == set()


def test_the_representation_shows_nothing() -> None:
    identifiers = gathered((NAME, "PN", "Quattlebaum^Odalys"), (BIRTH, "DA", "19560307"))
    shown = repr(identifiers) + "".join(repr(one) for one in identifiers.patterned)
    assert "quattlebaum" not in shown.lower()


@pytest.mark.parametrize(
    "text",
    ["19560307", "1956-03-07", "1956.3.7", "07.03.1956", "7/3/1956", "03/07/1956", "3-7-56", "07 Mar 1956",
     "7. März 1956", "March 7, 1956", "7th of March 1956", "7 mars 1956", "7 de marzo de 1956", "07-MRT-56",
     "19560307101530.5", "07031956", "1956_03_07"],
)  # fmt: skip
def test_a_birth_date_in_every_spelling(text: str) -> None:
    identifiers = gathered((BIRTH, "DA", "19560307"))
    assert kinds(identifiers, f"born {text} x") == {Kind.BIRTH_DATE}
    assert any(date(1956, 3, 7) in days for _, _, days in dates_in(fold(text)))


@pytest.mark.parametrize(
    "text", ["119560307", "1.19560307.2", "19560308", "1956", "195603071", "1.2.19560307", "march"]
)
def test_no_date_by_coincidence(text: str) -> None:
    assert kinds(gathered((BIRTH, "DA", "19560307")), text) == set()


@given(st.dates(date(1900, 1, 2), date(2039, 12, 31)), st.booleans())
def test_the_quick_spellings_are_in_all_that_the_exact_ones_find(day: date, thorough: bool) -> None:
    quick = run_together(day, thorough=thorough)
    month = MONTHS[day.month - 1]
    texts = [f"{day:%Y%m%d}", f"{day:%Y-%m-%d}", f"{day:%d.%m.%Y}", f"{day:%m/%d/%Y}"]
    texts += [f"{day.day} {month[0]} {day.year}", f"{month[1]} {day.day:02}, {day.year}"]
    for text in texts:
        assert pattern_of(day, thorough=thorough).search(text)
        joined = "".join(filter(str.isalnum, text))
        assert any(number in joined for number in quick.numbers) or any(name in joined for name in quick.months)


@given(st.dates(date(1950, 1, 1), date(2030, 1, 1)), st.integers(1, 365))
def test_a_date_that_another_becomes_is_not_looked_for(day: date, days: int) -> None:
    later = day + timedelta(days)
    elements = [(STUDY_DATE, "DA", f"{day:%Y%m%d}"), (0x00080021, "DA", f"{later:%Y%m%d}")]
    assert kinds(gathered(*elements, days=days), f"{day:%Y-%m-%d}") == set()
    assert kinds(gathered(*elements, days=days), f"{later:%Y-%m-%d}") == {Kind.DATE}
    assert kinds(gathered(*elements), f"{day:%Y-%m-%d}") == {Kind.DATE}


def test_dummies_and_what_is_no_date_are_not_looked_for() -> None:
    identifiers = gathered((STUDY_DATE, "DA", "19000101"), (STUDY_DATE, "DA", "20209999"), (STUDY_DATE, "DA", ""))
    assert identifiers.days == frozenset()


def test_every_element_that_is_looked_at_is_treated_by_the_profile() -> None:
    """What a policy keeps must not be listed: it would hold every file back."""
    profile = {row.tag: row for row in attributes()}
    listed = [row.tag for row in profile.values() if row.tag and kind_of(row.tag, "LO") is not None]
    assert len(listed) > 70
    actions = Policy.of([]).actions("1.2.840.10008.5.1.4.1.1.4")
    assert [f"{tag:08X}" for tag in listed if tag not in KEPT_IN_THE_OPEN and actions.at_root(tag).value == "K"] == []


def test_sorts_by_vr() -> None:
    assert kind_of(0x00081060, "PN") is Kind.NAME
    assert kind_of(0x0040A123, "PN") is Kind.NAME
    assert kind_of(0x00081155, "UI") is Kind.UID
    assert kind_of(0x0008002A, "DT") is Kind.DATE
    assert kind_of(0x00081030, "LO") is None
