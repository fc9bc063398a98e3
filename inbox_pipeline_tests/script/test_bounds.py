"""Whatever a script asks for ends, soon, and by a rule that does not depend on the machine."""

import pytest
from pydicom import Dataset, Sequence
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from inbox_pipeline.script import RunError, ScriptError, compile_script
from inbox_pipeline.script.regex import Pattern
from inbox_pipeline_tests.script.fuzz import frozen, has_place, time_limit

HEAD = 'version "6.6"\n'
SECONDS = 30


def nested(depth: int) -> Dataset:
    dataset = Dataset()
    dataset.PatientID = "P1"
    for _ in range(depth):
        outer = Dataset()
        outer.PatientID, outer.ReferencedSeriesSequence = "P1", Sequence([dataset])
        dataset = outer
    return dataset


def fails(script: str, dataset: Dataset, words: str) -> None:
    before = frozen(dataset)
    with time_limit(SECONDS), pytest.raises(RunError, match=words):
        compile_script(script).apply(dataset, {})
    assert frozen(dataset) == before


TEXT_GROWTH = [
    "v := concatenate[v, v]",
    'v := format["{0}{0}", v]',
    'v := replace[v, "a", "aa"]',
    'v := normalizeString[v, concatenate["bb", v]]',
]


@pytest.mark.parametrize("growing", TEXT_GROWTH)
def test_texts_stop_growing(growing: str) -> None:
    fails(HEAD + '(0010,0020) := "x"\nv := "aä"\n' + (growing + "\n") * 40, nested(1), "too long")


def test_all_texts_together_are_bounded() -> None:
    doubled = "v := concatenate[v, v]\n" * 18
    many = "".join(f"v{number} := concatenate[v, v]\n" for number in range(200))
    fails(HEAD + 'v := "a"\n' + doubled + many, nested(1), "more work")


def test_lists_stop_growing() -> None:
    fails(HEAD + 'v := "a"\n' + "v := {v, v}\n" * 60 + "(0008,0070) := concatenate[v]", nested(1), "members")


def test_values_of_one_element_are_counted() -> None:
    doubled = "v := concatenate[v, v]\n" * 18
    fails(HEAD + 'v := "\\\\"\n' + doubled + "(0008,0070) := v\n" * 50, nested(1), "more work")


def test_expressions_are_counted_together() -> None:
    line = '(0008,0070) ~ "(a+)+b" ? w := "x"\n'
    fails(HEAD + '(0008,0070) := "' + "a" * 14 + 'c"\n' + line * 500, nested(1), "more work")


def test_remembered_answers_count_as_if_they_were_not() -> None:
    pattern = Pattern("(?:a|b)*c")
    counts: list[int] = []
    for _ in range(3):
        pattern.whole("abab", counts.append)
    assert len(set(counts)) == 1
    assert counts[0] > 0


def test_variables_of_4_2_that_mean_each_other_are_counted() -> None:
    lines = [f'v{number} := "{{0}}{{1}}" v{number + 1}, v{number + 1}' for number in range(20)]
    fails("\n".join([*lines, 'v20 := ""', "(0008,0070) := v0"]), nested(1), "more work")


@pytest.mark.parametrize("depth", [50, 200, 400])
def test_deep_sequences_are_edited_or_refused(depth: int) -> None:
    script = HEAD + '*/(0010,0020) ?= "x"\n-+/(0008,0070)\nremoveAllPrivateTags\nblankValues["x"]\nretainPrivateTags[]'
    dataset = nested(depth)
    with time_limit(SECONDS):
        try:
            outcome = compile_script(script).apply(dataset, {})
        except RunError as error:
            assert "nested too deeply" in str(error)
            assert dataset.PatientID == "P1"
            return
    assert len(outcome.changes) == 2 * (depth + 1)


def test_thousands_of_statements() -> None:
    lines = "".join(f'(0010,0020) := "{number}"\n-*/(0008,{number % 10000:04})\n' for number in range(3_000))
    dataset = nested(3)
    with time_limit(SECONDS):
        compile_script(HEAD + lines).apply(dataset, {})
    assert dataset.PatientID == "2999"


LONG = 990_000
TEXTS = [
    HEAD + "v := " + '"a' * (LONG // 2),
    HEAD + 'v := "' + "a" * LONG + '"',
    HEAD + "v := {" + '"a",' * 50_000 + '"a"}',
    HEAD + "v := {" + "{" * LONG,
    HEAD + "(0010," * (LONG // 6),
    HEAD + " " * LONG + "x",
    HEAD + " " * LONG + 'v := "a"',
    HEAD + ("(0008,0070) := " + " " * 80 + "\\\n") * 9_000,
    HEAD + "\\\n" * (LONG // 2),
    HEAD + "/" * LONG,
    HEAD + '"://' * (LONG // 4),
    HEAD + "-(0008,0070)\n" * 20_000,
    HEAD + "if " * (LONG // 3),
    HEAD + 'if ( "a" = "a" ) {\n' * (LONG // 20),
    HEAD + "a[" * (LONG // 2),
    HEAD + "(0029,{" + "a" * LONG,
    "\n" * LONG,
    "version" * (LONG // 7),
    "v := " + '"a" ' * 50_000,
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_long_texts_are_answered(text: str) -> None:
    with time_limit(SECONDS):
        try:
            script = compile_script(text)
        except ScriptError as error:
            has_place(error)
            return
        assert isinstance(script.advice, tuple)


ODD = [
    ("\0", 2, 1),
    ("v := a\0", 2, 7),
    ("v := 1\rw := 2", 2, 7),
    ("\x1b[31m", 2, 1),
    ("\u2028v := 1", 2, 1),
    ("\ufeffv := 1", 2, 1),
    ('v := "\ud800"', 2, 7),
    ("-(0029,{A\rB}01)", 2, 2),
]


@pytest.mark.parametrize(("text", "line", "column"), ODD)
def test_odd_characters_are_refused_where_they_stand(text: str, line: int, column: int) -> None:
    with pytest.raises(ScriptError) as caught:
        compile_script(HEAD + text)
    assert (caught.value.line, caught.value.column) == (line, column)
    has_place(caught.value)
    assert str(caught.value).replace("\n", "").isprintable()


def test_a_byte_order_mark_may_come_first() -> None:
    assert compile_script("\ufeff" + HEAD).version == "6.6"


def test_a_long_line_is_shown_around_the_fault() -> None:
    with pytest.raises(ScriptError) as caught:
        compile_script(HEAD + 'v := "' + "a" * 5000 + '" ?')
    shown = str(caught.value).splitlines()
    assert max(map(len, shown[1:])) < 300
    assert shown[1][shown[2].index("^")] == "?"


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb"])
def test_half_characters_are_no_values(value: str) -> None:
    dataset, before = nested(1), frozen(nested(1))
    script = compile_script(HEAD + '(0008,0070) := hashUID[project]\n(0010,0020) := "y"\n(7776,0010) := project')
    with pytest.raises(RunError, match="Unicode"):
        script.apply(dataset, {"project": value})
    assert frozen(dataset) == before


def test_a_character_set_that_cannot_be_one() -> None:
    dataset = Dataset()
    for tag, vr, value in ((0x00080005, "CS", b"a\0b"), (0x00100010, "PN", b"M\xfcller")):
        dataset._dict[BaseTag(tag)] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)
    fails(HEAD + "(0008,0070) := (0010,0010)\n-(0008,0005)", dataset, "cannot be decoded")
