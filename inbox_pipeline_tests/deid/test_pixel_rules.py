"""The YAML of device rules: what is wrong is named by its line, and what is written reads back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox_pipeline.deid.pixel_conditions import AllOf, AnyOf, Comparison, Not
from inbox_pipeline.deid.pixel_risks import RISK_NAMES
from inbox_pipeline.deid.pixel_rules import FORMAT, Area, Rule, read_rules
from inbox_pipeline.deid.pixel_writing import write_rules
from inbox_pipeline.deid.pixel_yaml import LONGEST_TEXT
from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import REASONS
from inbox_pipeline.script.pixels import Rectangle

PIECES = [
    *("- name: a\n", "  modality: CT\n", "  action: blank\n", "  rectangles: ", "[[0, 0, 5, 5]]\n", "  match:\n"),
    *(
        "  - {element: Rows, ",
        "less: 5}\n",
        "matches: '('}\n",
        "  - any: ",
        "[",
        "]",
        "{",
        "}",
        "- ",
        "  ",
        "\n",
        ": ",
        "&a",
        "*a",
    ),
]
HEAD = f"format: {FORMAT}\nrules:\n"


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(Rejected) as refused:
        read_rules(text)
    assert refused.value.code == "pixel_rules_invalid"
    assert ("400", "pixel_rules_invalid") in REASONS
    return [(fault["line"], fault["message"]) for fault in refused.value.data["faults"]]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "nothing in it"),
        ("- a", 1, "a mapping is needed"),
        ("rules: []", 1, "the format must be stated"),
        ("rules: []\nformat: other 2", 2, "the format must be stated"),
        (f"format: {FORMAT}", 1, "the key rules is missing"),
        (f"format: {FORMAT}\nrules: []", 2, "a list is needed"),
        ("format: [\n  a: }", 2, "this is no YAML"),
        ("format: \x01", 1, "a character that YAML does not allow"),
        ("format: &a x\nrules: *a", 1, "anchors and aliases"),
        ("a: " + "[" * 40 + "]" * 40, 1, "nested too deeply"),
        ("#" * (LONGEST_TEXT + 1), 1, "characters"),
        (f"format: {FORMAT}\nrules:\n  - name: a\n    colour: red", 4, "this key is not known"),
    ],
)
def test_what_is_no_set_of_rules(text: str, line: int, message: str) -> None:
    ((found, said),) = faults(text)
    assert found == line
    assert message in said


@pytest.mark.parametrize(
    ("rule", "line", "message"),
    [
        ("name: a\n  action: keep", 1, "needs a condition"),
        ("name: a\n  modality: CT", 1, "the key action is missing"),
        ("modality: CT\n  action: keep", 1, "the key name is missing"),
        ("name: ''\n  modality: CT\n  action: keep", 1, "a name has"),
        ("name: a\n  name: b", 2, "is there twice"),
        ("name: a\n  modality: CT\n  action: drop", 3, "an action is one of"),
        ("name: a\n  modality: CT\n  action: blank", 1, "needs rectangles or outside"),
        ("name: a\n  modality: CT\n  action: keep\n  rectangles: image", 4, "only the action blank"),
        ("name: a\n  modality: CT\n  action: blank\n  rectangles: all", 4, "a list of rectangles, or image"),
        ("name: a\n  modality: CT\n  action: blank\n  outside: image", 4, "or ultrasound-regions"),
        ("name: a\n  modality: CT\n  action: blank\n  rectangles: [[0, 0, 5]]", 4, "a rectangle is"),
        ("name: a\n  modality: CT\n  action: blank\n  rectangles: [[0, 0, 5, 0]]", 4, "left must be less"),
        ("name: a\n  modality: CT\n  action: blank\n  rectangles: [[0, 0, -5, 1]]", 4, "a whole number"),
        ("name: a\n  modality: CT\n  action: blank\n  rectangles: [{x: 0, y: 0}]", 4, "a rectangle has"),
        ("name: a\n  modality: []\n  action: keep", 2, "a list is needed"),
        ("name: a\n  modality: ''\n  action: keep", 2, "a value is needed"),
        ("name: a\n  action: keep\n  match: [{element: Modalty, equals: CT}]", 3, "a keyword or a tag"),
        ("name: a\n  action: keep\n  match: [{element: Modality}]", 3, "a condition needs one of"),
        ("name: a\n  action: keep\n  match: [{element: Modality, equals: a, ends: b}]", 3, "needs one of"),
        ("name: a\n  action: keep\n  match: [{element: Modality, equals: ''}]", 3, "a value is needed"),
        ("name: a\n  action: keep\n  match: [{element: Modality, empty: no}]", 3, "empty: yes"),
        ("name: a\n  action: keep\n  match: [{element: Modality, exists: maybe}]", 3, "yes or no"),
        ("name: a\n  action: keep\n  match: [{element: Modality, matches: '('}]", 3, "regular expression"),
        ("name: a\n  action: keep\n  match: [{element: Rows, less: many}]", 3, "a number is needed"),
        ("name: a\n  action: keep\n  match: [{equals: CT}]", 3, "a condition has"),
        ("name: a\n  action: keep\n  match: [{any: []}]", 3, "a list is needed"),
        ("name: a\n  action: keep\n  match: [{any: [a]}]", 3, "a mapping is needed"),
    ],
)
def test_a_fault_is_named_by_its_line(rule: str, line: int, message: str) -> None:
    ((found, said),) = faults(f"{HEAD}- {rule}")
    assert found == line + 2
    assert message in said


def test_every_faulty_rule_is_named_without_its_values() -> None:
    text = f"{HEAD}- {{name: secret one, action: keep}}\n- {{name: b, modality: SECRET, action: SECRET}}"
    found = faults(text)
    assert [line for line, _ in found] == [3, 4]
    assert "SECRET" not in str(found)


def test_names_are_unique() -> None:
    assert faults(f"{HEAD}- {{name: a, rows: 1, action: keep}}\n- {{name: a, rows: 2, action: keep}}") == [
        (4, "another rule has the same name")
    ]


def test_values_are_what_is_typed() -> None:
    rules = read_rules(f"{HEAD}- name: a\n  rows: 0512\n  modality: [NO, 1e3]\n  action: hold")
    parts = rules.rules[0].condition
    assert isinstance(parts, AllOf)
    assert parts.parts[0] == AnyOf(
        (Comparison((0x00080060,), "equals", "NO"), Comparison((0x00080060,), "equals", "1e3"))
    )
    assert parts.parts[1] == Comparison((0x00280010,), "equals", "0512")


RULES = [
    Rule(
        "all kinds: of # conditions",
        3,
        AllOf(
            (
                Comparison((0x00080060,), "equals", "NO"),
                Comparison((0x00080070,), "contains", "a: b # c", exact=True),
                AnyOf((Comparison((0x00280010,), "less", "512"), Not(Comparison((0x00191010,), "present")))),
                Not(AllOf((Comparison((0x00080008,), "empty"), Comparison((0x00080008,), "missing")))),
                Comparison((0x00082218, 0x00080104), "matches", "^(é|\\\\)$"),
            )
        ),
        "blank",
        Area((Rectangle(0, 0, 512, 110), Rectangle(1, 2, 3, 4)), outside=True),
        "some page, 2026",
    ),
    Rule("b", 3, AllOf((Comparison((0x00080060,), "starts", "US"),)), "blank", Area((), True, "ultrasound-regions")),
    Rule("c", 3, AllOf((Comparison((0x00080060,), "ends", "US"),)), "blank", Area((), False, "image")),
    Rule("d", 3, AllOf((Comparison((0x00080060,), "greater", "1"),)), "exclude"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_what_is_written_reads_back(rule: Rule) -> None:
    assert read_rules(write_rules([rule])).rules == (rule,)


def test_comments_stand_above() -> None:
    text = write_rules(RULES, ["line one", "line two"])
    assert text.startswith("# line one\n# line two\n")
    assert [rule.name for rule in read_rules(text).rules] == [rule.name for rule in RULES]


def test_rules_know_what_they_look_at() -> None:
    rules = read_rules(write_rules(RULES))
    assert {(0x00082218, 0x00080104), (0x00191010,), (0x00080060,)} <= rules.wanted
    assert rules.sha256 != read_rules(write_rules(RULES[:1])).sha256


PAGE = (Path(__file__).parents[2] / "docs" / "pixels.md").read_text(encoding="utf-8")


def test_the_examples_of_the_documentation_are_rules() -> None:
    text = PAGE.split("```yaml\n")[1].split("```")[0]
    assert [rule.action for rule in read_rules(text).rules] == ["blank", "blank", "keep", "exclude"]


@pytest.mark.parametrize("name", RISK_NAMES)
def test_the_documentation_names_every_kind_at_risk(name: str) -> None:
    assert f"\n| `{name}` |" in PAGE


@given(pieces=st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40))
@settings(max_examples=200)
def test_whatever_is_given_is_read_or_refused(pieces: list[str]) -> None:
    try:
        read_rules(HEAD + "".join(pieces))
    except Rejected as refused:
        assert refused.data["faults"]
