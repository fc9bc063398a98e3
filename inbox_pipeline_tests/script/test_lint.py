"""Advice about scripts that compile."""

import pytest

from inbox_pipeline.script import DEFAULT_SITE_SCRIPT, compile_script

FAULTS = [
    ("6.3", "removeTags[(0008,0070)]", 2, "needs DicomEdit 6.6"),
    ("6.3", 'if ( "a" = "a" ) {\n}', 2, "needs DicomEdit 6.4"),
    ("6.1", '(0008,0070) ?= "a"', 2, "needs DicomEdit 6.3"),
    ("6.3", '*/(0008,0070) ?= "a"', 2, "needs DicomEdit 6.5"),
    ("6.6", 'true[] ? (0008,0070) := "a"', 2, "needs DicomEdit 6.7"),
    ("6.6", 'v := "a"\nif (faced = v) {\n}\n', 3, "will not parse in XNAT"),
    ("6.6", 'v := "a"\nif ( v = 2020) {\n}\n', 3, "will not parse in XNAT"),
    ("6.6", '\n// note \\\n(0008,0070) := "a"', 3, "swallows"),
    ("6.6", "shiftDateByIncrement[(0008,0020), 1]", 2, "no effect"),
    ("6.6", "(0010,0010) := (0010,0020)", 2, "silently keeps"),
    ("6.6", "(0010,0010) := hashUID[(0010,0030)]", 2, "trying all values"),
    ("6.6", "(0010,0020) := hashUID[(0010,0020)]\n-(0010,0020)", 3, "deleted here"),
    ("6.6", "-(0011,{ACME}01)\n-(0010,0011)", 3, "dictionary"),
    ("6.6", "-(0011,{ACME, Inc.}01)", 2, "private creator"),
    ("6.6", "removeAllPrivateTags\nv := (0011,{ACME}01)", 3, "removed above"),
    ("6.6", "(0010,0010) := Subject", 2, "upper and lower case"),
    ("6.6", "(0010,0010) := scan", 2, "not set above"),
    ("6.6", '(0008,0060) = "MR" ? v := "a"\n(0010,0010) := v', 3, "only in a branch"),
    ("6.6", '(0010,0010) := lookup["a", subject]', 2, "no table"),
]


@pytest.mark.parametrize(("version", "text", "line", "words"), FAULTS)
def test_a_fault_is_named_with_its_line(version: str, text: str, line: int, words: str) -> None:
    advice = compile_script(f'version "{version}"\n{text}').advice
    assert any(each.line == line and words in each.sentence for each in advice)


@pytest.mark.parametrize(
    "text",
    [
        DEFAULT_SITE_SCRIPT,
        'version "6.1"\n(0008,0018) := hashUID[(0008,0018)]\n-(0010,0030)\n*/(0008,1155) = "a" ? -(0008,0070)',
        'version "6.4"\n(0010,0020) ~ ".+" ? (0010,0010) := (0010,0020)\nif ( (0008,0060) = "MR" ) {\n}\n',
        'version "6.6"\nnames := collectValues[(0010,0010)]\nblankValues[names]\necho names // and so on',
        "(0010,0010) := subject",
    ],
)
def test_a_correct_script_gets_no_advice(text: str) -> None:
    assert compile_script(text).advice == ()
