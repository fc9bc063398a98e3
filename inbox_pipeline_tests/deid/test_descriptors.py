"""Cleaned descriptions: what research needs stays, what identifies goes; texts are made here, in six languages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox_pipeline.deid.descriptors import Descriptors
from inbox_pipeline.deid.folding import fold
from inbox_pipeline.deid.identifiers import NOTHING, IdentifierCollector, Identifiers
from inbox_pipeline.deid.vocabulary import ambiguous, core, is_known, known, placeholders

clean = Descriptors.clean


def of_patient(*elements: tuple[int, str, str]) -> Identifiers:
    collector = IdentifierCollector()
    for element in elements:
        collector.add(*element)
    return collector.freeze()


PATIENT = of_patient(
    (0x00100010, "PN", "QUATTLEBAUM^ODALYS"),
    (0x00100020, "LO", "MRN0012345"),
    (0x00080090, "PN", "Fitzgibbon^Araminta"),
    (0x00081048, "PN", "Long^Rose"),
    (0x00081070, "PN", "Dixon^Li"),
)

KEPT = [
    "t1_mprage_sag_p2_iso",
    "ep2d_diff_mddw_64",
    "FLAIR TE/TR 120/9000",
    "CT, HEAD/BRAIN WO CONTRAST",
    "11 ml Omniscan",
    "3D Ax T1 MP-RAGE_R22",
    "noPF_p2_noPOS_PEres100_ES0p59_BW2222_AP",
    "DTI b1000 64dir",
    "T2 FSE 2.0mm_0.5gap",
    "1.5T MR knee 3mm TR 2000",
    "XR C Spine Comp Min 4 Views",
    "AX T2 3MM",
    "BRAIN SEQ  4.8  H31s",
    "SE - TI 2500",
    "JPEG 2000 reversible (lossless)",
    "16 bit signed -32768 to 32767, Window 0 65536",
    "Image 23x38x3",
    "rows (255,0,0)",
    "MRT oberes Abdomen",
    "LWS sagittal T2 gewichtet, Kniegelenk links",
    "Halswirbelsäule nativ und mit Kontrastmittel",
    "IRM cérébrale avec injection de gadolinium",
    "scanner du genou droit sans contraste",
    "ECOTOMOGRAFIA CODO IZQUIERDO",
    "Resonancia magnética de rodilla derecha con contraste",
    "RM columna lumbar",
    "Risonanza magnetica encefalo senza mezzo di contrasto",
    "Ginocchio destro proiezione laterale",
    "TC torace addome",
    "MRI knie links zonder contrast",
    "CT bovenbuik arteriële fase",
    "Echografie lever en nieren",
    "Ressonância magnética do joelho esquerdo",
    "Tomografia computadorizada de crânio sem contraste",
    "Axial EPI-FMRI (Interleaved I to S)",
    "epiRT IntAsc GD3s",
    "MobiView COR STIR MULTI-STACK",
    "ISOVUE300/100",
    "t1_vibe_fs_tra_bh_dyn",
    "SmartScore - Gated 0.5 sec",
    "e+1",
    "^^^^",
    "",
    "T1W/SE/1024",
    "PhoenixZIPReport",
    "b0",
]


@pytest.mark.parametrize("text", KEPT)
def test_what_research_needs_stays_as_it_was(text: str) -> None:
    left = [word for word in re.findall(r"[^\W_]+", text) if word not in clean(text, NOTHING)]
    assert left == []
    assert clean(text, NOTHING) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("CT HEAD WO CONTRAST for Quattlebaum", "CT HEAD WO CONTRAST for"),
        ("PROTO Fitzgibbon routine", "PROTO routine"),
        ("QUATTLEBAUMODALYS_T1", "T1"),
        ("T1QUATTLEBAUM axial", "axial"),
        ("BrainQuattlebaum", "Brain"),
        ("t1_vibe_dixon_tra", "t1_vibe_tra"),
        ("rose knee long axis", "knee axis"),
        ("HEAD^Harms", "HEAD"),
        ("Odalys Quattlebaum (MRN MRN0012345) shows no lesion. Phone (201) 555-1234.", "shows no lesion. Phone"),
        ("Dr. Long MR Knie links", "MR Knie links"),
        ("Pat.: Meier, Hans LWS 2020-01-31 10:45", "LWS"),
        ("Kontakt max.muster@klinik.test Tel. +49 30 123456", ""),
        ("SSN 900-12-3456 knee", "knee"),
        ("lives at 4711 Larkspur Lane, Marrowstone WA 98358; abdomen", "at;abdomen"),
        ("Hauptstr. 12 MRT Schädel", "MRT Schädel"),
        ("12 rue de la Paix IRM cérébrale", "IRM cérébrale"),
        ("Calle Mayor 15 rodilla", "rodilla"),
        ("Via Roma Nuova 7 torace", "torace"),
        ("Kerkstraat 12 knie", "knie"),
        ("Prior exam 03/12/2019 MRN 123", "Prior exam"),
        ("liver Fall 12-3456", "liver"),
        ("A12345 chest", "chest"),
        ("MR123456", ""),
        ("Kopf 1999", "Kopf"),
        ("see https://pacs.example.test/?id=1 liver", "see liver"),
        ("copy of 1.2.840.113619.2.5 knee", "of knee"),
        ("knee\r\nSmith", "knee"),
        ("knee\\Smith\\hip", "knee\\hip"),
        ("김희중", ""),
        ("Mr. Smith knee", "knee"),
        ("PHANTOM003", ""),
        ("(Smith)", ""),
        ("knee (Smith) axial", "knee axial"),
    ],
)
def test_what_identifies_goes(text: str, cleaned: str) -> None:
    result = clean(text, PATIENT)
    kept = re.sub(r"\b(?:Tel|lives|Kontakt|copy)\b\W*|^49 30$", "", result).strip()
    assert kept == cleaned


NAMES = ["Szczepanski", "Oyelaran", "Hallgrimsdottir", "Krzyzanowski", "Vandenbroucke", "Papadopoulos", "Featherstone"]
LABELLED = [
    "MRN {id}",
    "mrn:{id}",
    "Pat-ID {id}",
    "ID#{id}",
    "Acc# {id}",
    "SSN {ssn}",
    "Tel. {phone}",
    "call {phone}",
    "{date}",
    "DOB {date}",
    "Dr. {name}",
    "Prof. {name}",
    "Patient: {name}",
    "Frau {name}",
    "{name}",
    "for {name}",
    "{mail}",
    "{name}^{id}",
    "{name}{id}",
    "Sra. {name}",
    "Mme {name}",
    "{street}",
    "seen {time}",
]
WANTED = ["knee", "T1", "axial", "LWS", "Schädel", "genou", "rodilla", "ginocchio", "joelho", "lever", "mprage", "3mm"]
identifying = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "id": st.integers(100000, 99999999).map(str),
        "ssn": st.from_regex(r"[1-8]\d\d-[1-9]\d-[1-9]\d{3}", fullmatch=True),
        "phone": st.from_regex(
            r"\([2-9]\d\d\) 555-\d{4}|\+49 [1-9]\d{2} [1-9]\d{6}|[2-9]\d\d[-.]555[-.]\d{4}", fullmatch=True
        ),
        "date": st.dates().map(lambda day: f"{day.day:02}.{day.month:02}.{2000 + day.year % 30}"),
        "mail": st.sampled_from(NAMES).map(lambda name: f"{name.lower()}@clinic.test"),
        "street": st.sampled_from(["4711 Hawkridge Street", "Lindenstraße 12", "12 rue du Bac", "Kerkstraat 7"]),
        "time": st.from_regex(r"(?:0\d|1\d|2[0-3]):[0-5]\d", fullmatch=True),
    }
)


@settings(max_examples=300)
@given(
    st.sampled_from(WANTED), st.sampled_from(LABELLED), identifying, st.sampled_from(WANTED), st.sampled_from(" _-;^/")
)
def test_what_identifies_goes_from_between_what_is_wanted(
    before: str, label: str, values: dict[str, str], behind: str, separator: str
) -> None:
    result = clean(f"{before} {label.format(**values)}{separator} {behind}", NOTHING)
    assert result.startswith(before)
    assert result.endswith(behind)
    for name, value in values.items():
        if f"{{{name}}}" in label:
            assert fold(value) not in fold(result)
            assert not [part for part in re.findall(r"\d{3,}|[^\W\d_]{4,}", value) if fold(part) in fold(result)]


@settings(max_examples=200)
@given(
    st.sampled_from(["{f}", "{g} {f}", "{f}, {g}", "{f}{g}", "{F}_{G}", "{f}^{g}", "{G}", "{f}01", "X{f}", "{G}{F}"]),
    st.sampled_from(WANTED), st.sampled_from(["_", " ", "^", "-", ".", " - ", ", "]),
)  # fmt: skip
def test_the_patients_own_name_goes_in_every_spelling(form: str, wanted: str, separator: str) -> None:
    forms = {"f": "quattlebaum", "g": "odalys", "F": "Quattlebaum", "G": "Odalys"}
    result = clean(f"{wanted}{separator}{form.format(**forms)}", PATIENT)
    assert result == wanted


@given(st.lists(st.sampled_from(sorted(known() - {"may", "mar", "sep"})), max_size=6), st.sampled_from(" _-"))
def test_vocabulary_stays(words: list[str], separator: str) -> None:
    text = separator.join(word for word in words if not word.isdigit())
    assert set(re.findall(r"[^\W_]+", text)) - set(re.findall(r"[^\W_]+", clean(text, NOTHING))) == set()


@given(st.text(max_size=60))
def test_any_text_is_cleaned_once_for_all(text: str) -> None:
    once = clean(text, PATIENT)
    assert clean(once, PATIENT) == once
    assert len(once) <= len(text)


def test_the_word_lists_hold_no_names_by_themselves() -> None:
    assert not known() & {"quattlebaum", "smith", "johnson", "garcia", "mueller", "schmidt", "kim", "nguyen", "rossi"}
    assert not known() & {"thomas", "robert", "maria", "john", "michael", "peter", "anna", "martin", "allen", "james"}
    assert not (known() - core()) & ambiguous()
    assert len(known()) > 8000
    assert {"phantom", "anonymous"} <= placeholders()


@pytest.mark.parametrize("word", ["kniegelenk", "schultergelenk", "handgelenk", "konvertertest", "verlaufskontrolle"])
def test_compounds(word: str) -> None:
    assert is_known(word)


@pytest.mark.parametrize("word", ["armstrong", "whitehead", "bergmann", "longbottom", "steinkopf"])
def test_names_that_look_like_compounds(word: str) -> None:
    assert not is_known(word)
