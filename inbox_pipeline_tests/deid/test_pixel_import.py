"""Other people's pixel rules: what is converted means the same, what is not is refused by its line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from inbox_pipeline.deid.pixel_ctp import import_ctp
from inbox_pipeline.deid.pixel_decision import PixelDecision, PixelOptions, decide
from inbox_pipeline.deid.pixel_deid import import_deid
from inbox_pipeline.deid.pixel_facts import read_facts
from inbox_pipeline.deid.pixel_import import Imported
from inbox_pipeline.deid.pixel_rules import read_rules
from inbox_pipeline.deid.pixel_writing import write_rules
from inbox_pipeline.deid.pixel_yaml import LONGEST_TEXT
from inbox_pipeline.script.pixels import Rectangle


def image(**more: Any) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality, dataset.Rows, dataset.Columns = "1.2.3", "CT", 512, 512
    for name, value in more.items():
        setattr(dataset, name, value)
    dataset.add_new(0x7FE00010, "OW", bytes(4))
    return dataset


def decided(imported: Imported, dataset: Dataset) -> PixelDecision:
    """The decision by the rules as a user would read them from the file that was written."""
    assert imported.refused == []
    rules = read_rules(write_rules(imported.rules))
    return decide(read_facts(dataset, rules.wanted), rules, PixelOptions())


PIECES = [
    *('{ Modality.equals("CT") ', '[0008,0070].contains("x") ', "+ ", "* ", "!", "(", ")", "} ", "(0,0,9,9) ", "\n"),
    *(
        "%filter whitelist\n",
        "%filter graylist\n",
        "LABEL one\n",
        "contains Modality CT|MR",
        "missing Rows",
        "|| ",
        "+ ",
    ),
    *("coordinates 0,0,9,9\n", "keepcoordinates 1,1,5,5\n", "coordinates all\n", "# words\n", "%header\n"),
]


CTP = """Some library.

MAKERS
 ACME dose page
  { Modality.equals("CT") *
    ( [0008,0070].containsIgnoreCase("acme") + Manufacturer.startsWith("Other") ) *
    ![0028,0301].equals("NO") }
  (0,0,512,110) (500,500,90,90)

 Any other page
  { [0018,6011]::[0018,601A].isLessThan("4") * Rows.matches("51[0-9]") + [0008,103e].endsWithIgnoreCase("PAGE") }
  (0,0,10,10)
"""


def test_signatures_of_ctp() -> None:
    imported = import_ctp(CTP, "mine.script")
    assert [(rule.name, rule.citation) for rule in imported.rules] == [
        ("ACME dose page", "mine.script, line 5"),
        ("Any other page", "mine.script, line 11"),
    ]
    fitting = decided(imported, image(Manufacturer="The ACME"))
    assert fitting.rectangles == (Rectangle(0, 0, 512, 110), Rectangle(500, 500, 512, 512))
    assert decided(imported, image(Manufacturer="other")).kind == "keep"
    assert decided(imported, image(Manufacturer="Other X")).rule == "ACME dose page"
    assert decided(imported, image(Manufacturer="ACME", BurnedInAnnotation="NO")).kind == "keep"
    assert decided(imported, image(SeriesDescription="a page")).rule == "Any other page"
    region = Dataset()
    region.RegionLocationMinY0 = 3
    assert decided(imported, image(SequenceOfUltrasoundRegions=[region])).rule == "Any other page"
    assert decided(imported, image(SequenceOfUltrasoundRegions=[region], Rows=600)).kind == "keep"


@pytest.mark.parametrize(
    ("signature", "fits"),
    [
        ('Manufacturer.equals("")', True),
        ('!Manufacturer.equals("")', False),
        ('Rows.equals("512") + Columns.equals("1") * Modality.equals("MR")', True),
        ('(Rows.equals("512") + Columns.equals("1")) * Modality.equals("MR")', False),
        ('!(Rows.equals("512") * Columns.equals("512"))', False),
        ('!!Rows.equals("512")', True),
        ('Rows.isGreaterThan("511")', True),
        ('Modality.equals("ct")', False),
        ('Modality.equalsIgnoreCase("ct")', True),
        ('Modality.matches("C")', False),
        (' [0008,0060] . contains ( "T" ) ', True),
    ],
)
def test_operators_of_ctp(signature: str, fits: bool) -> None:
    imported = import_ctp(f"{{ {signature} }} (0,0,9,9)", "x")
    assert (decided(imported, image()).kind == "blank") is fits


@pytest.mark.parametrize(
    ("script", "line", "message"),
    [
        ('\n{ Modalty.equals("CT") } (0,0,1,1)', 2, "no dictionary knows"),
        ('{\nModality.equals("CT" } (0,0,1,1)', 2, "what is no term"),
        ('{\n\nModality.resembles("CT") } (0,0,1,1)', 3, "a method that is not known"),
        ('{ Modality.equals("CT") + } (0,0,1,1)', 1, "a term is missing"),
        ('{ (Modality.equals("CT") } (0,0,1,1)', 1, "without its partner"),
        ('{ Modality.equals("CT") Rows.equals("1") } (0,0,1,1)', 1, "left over"),
        ('{ Modality.equals("CT") }', 1, "without regions"),
        ('{ Modality.equals("CT") } (0,0,1,1)\n(0,0,5,5', 2, "without its partner"),
        ('{ Modality.equals("CT") } (0,0,1,1)\nwords }', 2, "without its partner"),
        ('{ Modality.equals("CT") }\n(0,0,1)', 2, "a region is"),
        ('{ Modality.equals("CT") }\n\n(0,0,0,1)', 3, "without extent"),
        ('{ Modality.equals("CT")', 1, "a brace without its partner"),
        ("{ true. } (0,0,1,1)", 1, "what is no term"),
        ('{ Modality.matches("(") } (0,0,1,1)', 1, "regular expression"),
        ('{ ImageType.equals("A\\B") } (0,0,1,1)', 1, "a backslash"),
        ('{ Rows.contains("") } (0,0,1,1)', 1, "always holds"),
        ('{ Rows.isLessThan("") } (0,0,1,1)', 1, "a number"),
        ("{ " + "(" * 50 + " } (0,0,1,1)", 1, "nested too deeply"),
        ("x" * (LONGEST_TEXT + 1), 1, "characters"),
        ("{" + '!Rows.equals("1") * ' * 500 + 'Rows.equals("1") } (0,0,1,1)', 1, "more than 200 terms"),
        ("{" + '(Rows.equals("1") + (Rows.equals("1") * ' * 5 + "x" + "))" * 5 + "} (0,0,1,1)", 1, "what is no term"),
    ],
)
def test_what_ctp_says_and_we_cannot_is_refused_by_line(script: str, line: int, message: str) -> None:
    imported = import_ctp(script, "x")
    assert imported.rules == []
    (fault,) = imported.refused
    assert (fault.line, message in fault.message) == (line, True)


def test_a_refused_signature_leaves_the_others() -> None:
    imported = import_ctp(
        '{ X.equals("1") } (0,0,1,1)\n{ Rows.equals("1") } (0,0,1,1)\n{ Y.equals("1") } (0,0,1,1)', "x"
    )
    assert [rule.line for rule in imported.rules] == [2]
    assert [fault.line for fault in imported.refused] == [1, 3]


DEID = """FORMAT dicom

%filter whitelist   # known

LABEL said to be clean # (somebody)
  contains BurnedInAnnotation No

%filter graylist

LABEL page
  contains Manufacturer ACME|Other
  + contains Modality CT
  + contains ImageType SCREEN SAVE || contains SeriesDescription Dose
  coordinates 0,0,512, 121
  ctpcoordinates 350,0,162,30

LABEL page of all
  + equals Rows 512
  + missing StationName
  ctpcoordinates 0,500,10,10

LABEL only the middle
  present SequenceOfUltrasoundRegions
  keepcoordinates from:SequenceOfUltrasoundRegions

LABEL doubts
  empty Manufacturer
  || notequals Columns 512

%filter blacklist

LABEL never
  notcontains Modality CT|MR

%header

REMOVE PatientName
"""


def test_labels_of_deid() -> None:
    imported = import_deid(DEID, "mine.deid")
    assert [(rule.name, rule.action) for rule in imported.rules] == [
        ("never", "hold"),
        ("page", "blank"),
        ("page of all", "blank"),
        ("only the middle", "blank"),
        ("doubts", "hold"),
        ("said to be clean", "keep"),
    ]
    page = decided(imported, image(Manufacturer="acme", SeriesDescription="dose", BurnedInAnnotation="NO"))
    assert page.rule == "page, page of all"
    assert page.rectangles == (Rectangle(0, 0, 512, 121), Rectangle(350, 0, 512, 30), Rectangle(0, 500, 10, 510))
    assert decided(imported, image(Modality="US")).rule == "never"
    assert decided(imported, image(Columns=100, StationName="x")).rule == "doubts"
    assert decided(imported, image(StationName="x", BurnedInAnnotation="NO")).rule == "said to be clean"
    assert decided(imported, image(StationName="x")).rule is None


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ("LABEL a\n coordinates all", 2, "without filters"),
        ("LABEL a\n contains Manfacturer X\n", 3, "no dictionary knows"),
        ("LABEL a\n resembles Modality X", 3, "a filter is one of"),
        ("LABEL a\n contains Modality", 3, "a value is needed"),
        ("LABEL a\n contains Modality (", 3, "regular expression"),
        ("LABEL a\n contains Modality CT\n coordinates 1,2,3", 4, "no four numbers"),
        ("LABEL a\n contains Modality CT\n coordinates from:Field", 4, "no four numbers"),
        ("LABEL a\n contains Modality CT\n coordinates 9,9,1,1", 4, "without extent"),
        ("LABEL a\n contains Modality CT\n coordinates 1,1,9,9\n keepcoordinates 2,2,3,3", 2, "whose order matters"),
        ("contains Modality CT", 2, "outside of its labels"),
        ("LABEL a" + "\n contains Modality CT" * 201, 2, "more than 200 terms"),
        ("LABEL a" + "\n + missing Rows\n || missing Rows" * 12, 2, "nested too deeply"),
    ],
)
def test_what_deid_says_and_we_cannot_is_refused_by_line(lines: str, line: int, message: str) -> None:
    imported = import_deid(f"%filter graylist\n{lines}", "x")
    assert imported.rules == []
    (fault,) = imported.refused
    assert (fault.line, message in fault.message) == (line, True)


@pytest.mark.parametrize(
    ("coordinates", "expected"),
    [
        ("coordinates all", (Rectangle(0, 0, 512, 512),)),
        ("keepcoordinates 0,10,512,512", (Rectangle(0, 0, 512, 10),)),
        ("coordinates all\n ctpkeepcoordinates 0,10,512,502", (Rectangle(0, 0, 512, 10),)),
    ],
)
def test_coordinates_of_deid(coordinates: str, expected: tuple[Rectangle, ...]) -> None:
    imported = import_deid(f"%filter x\nLABEL a\n contains Modality CT\n {coordinates}", "x")
    assert decided(imported, image()).rectangles == expected


def test_names_of_rules_are_made_unique() -> None:
    imported = import_deid("%filter x\nLABEL a\n missing Rows\nLABEL a\n empty Rows\nLABEL\n present Rows", "x")
    assert [rule.name for rule in imported.rules] == ["a", "a (line 4)", "rule"]


@pytest.mark.parametrize("convert", [import_ctp, import_deid])
@given(pieces=st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40))
@settings(max_examples=150)
def test_whatever_is_given_is_converted_or_refused(convert: Any, pieces: list[str]) -> None:
    imported = convert("".join(pieces), "x")
    if imported.rules:
        assert len(read_rules(write_rules(imported.rules)).rules) == len(imported.rules)
