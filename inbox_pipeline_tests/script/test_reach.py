"""What can be told from a script's text: which root elements it may look at or change."""

from __future__ import annotations

import pytest

from inbox_pipeline.script import DEFAULT_SITE_SCRIPT, compile_script

VERSION = 'version "6.6"\n'


def looks_at(text: str) -> frozenset[int] | None:
    return compile_script(text).looks_at()


def test_the_default_script_looks_at_three_elements() -> None:
    assert looks_at(DEFAULT_SITE_SCRIPT) == {0x00081030, 0x00100010, 0x00100020}


@pytest.mark.parametrize(
    ("statement", "tags"),
    [
        ('(0010,0010) := "X"', {0x00100010}),
        ("(0010,0010) := (0010,0020)", {0x00100010, 0x00100020}),
        ("(0010,1010) ?= lowercase[(0008,1030)]", {0x00101010, 0x00081030}),
        ("- (0040,0275)/*/(0010,XXXX)", {0x00400275}),
        ('(0040,0275)[0]/(0029,{ACME}10) := "X"', {0x00400275}),
        ('(0008,0060) = "CT" ? (0010,0010) := "X" : - (0010,0030)', {0x00080060, 0x00100010, 0x00100030}),
        ('if ( isPresent[(0008,0050), "(0008,0060)"] ) {\n- (0010,0010)\n}', {0x00080050, 0x00080060, 0x00100010}),
        ('set["(0040,0275)[0]/(0010,0010)", (0008,0050)]', {0x00400275, 0x00080050}),
        ('delete["(0010,0030)"]', {0x00100030}),
        ("hashUIDList[{(0008,0018), (0020,000D)}]", {0x00080018, 0x0020000D}),
        ('mapReferencedUIDs["1.2.3", (0008,1140)/(0008,1155)]', {0x00081140}),
        ("low := uppercase[(0010,0020)]\necho low", {0x00100020}),
        ('(0002,0016) := "AET"', {0x00020016}),
    ],
)
def test_scripts_that_tell_what_they_look_at(statement: str, tags: set[int]) -> None:
    assert looks_at(f"{VERSION}{statement}\n") == tags


@pytest.mark.parametrize(
    "statement",
    [
        "- (0010,XXXX)",
        "- */(0010,0010)",
        "- (0029,{ACME}10)",
        '(0008,0005) := "ISO_IR 192"',
        'set["(0008,0005)", "ISO_IR 192"]',
        "low := (0010,0020)\nremoveTags[low]",
        "low := (0010,0020)\nset[low, low]",
        "blankValues[(0010,0010)]",
        "retainPrivateTags[(0029,{ACME}10)]",
        "removeAllPrivateTags",
        "scalePatientAgeAndDobFromStudyDate[]",
        'alterPixels["rectangle", "l=1, t=1, r=2, b=2", "solid", "v=1"]',
        '(0008,0060) = "CT" ? - (0010,XXXX)',
        'set["(0029,1010)", "X"]',
    ],
)
def test_scripts_that_may_look_at_anything(statement: str) -> None:
    assert looks_at(f"{VERSION}{statement}\n") is None


def test_scripts_of_the_older_language() -> None:
    assert looks_at('(0008,0060) = "CT" : (0010,0010) := (0008,0050)\n') == {0x00080060, 0x00100010, 0x00080050}
    assert looks_at("-(0010,XXXX)\n") is None
