"""Advice about scripts that compile: each fault is named with its place, correct scripts get none."""

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox_pipeline.script import DEFAULT_SITE_SCRIPT, ScriptError, compile_script
from inbox_pipeline.script.advice import Advice, server
from inbox_pipeline.script.functions import FUNCTIONS
from inbox_pipeline.script.lint import EDITING

from .test_shared_cases import cases

CORRECT: dict[str, str] = yaml.safe_load((Path(__file__).parent / "correct.yaml").read_text("utf-8"))
A_CALL = '["rectangle", "l=0, t=0, r=9, b=9", "solid", "v=0"]'

FAULTS = [
    ("6.3", "removeTags[(0008,0070)]", (2, 1), "newer_feature"),
    ("6.3", 'if ( "a" = "a" ) {\n}', (2, 1), "newer_feature"),
    ("6.1", '(0008,0070) ?= "a"', (2, 1), "newer_feature"),
    ("6.3", '*/(0008,0070) ?= "a"', (2, 1), "newer_feature"),
    ("6.6", 'true[] ? (0008,0070) := "a"', (2, 1), "newer_feature"),
    ("6.5", '(0008,0070) := \\\n"a"', (2, 16), "newer_feature"),
    (
        "6.3",
        '(0008,0020) ~ ".+" ? (0008,0020) := shiftDateByIncrement[(0008,0020), 1, "days"]',
        (2, 37),
        "newer_feature",
    ),
    ("6.6", 'v := "a"\nif (faced = v) {\n}\n', (3, 4), "lexer_trap"),
    ("6.6", 'v := "a"\nif ( v = 2020) {\n}\n', (3, 10), "lexer_trap"),
    ("6.6", '\n// note \\\n(0008,0070) := "a"', (3, 1), "comment_swallows"),
    ("6.6", 'shiftDateByIncrement["20200101", 1]', (2, 1), "no_effect"),
    ("6.6", 'concatenate["a"]', (2, 1), "no_effect"),
    ("6.6", "(0010,0010) := (0010,0020)", (2, 1), "silent_no_op"),
    ("6.6", '(0010,0020) != "" ? (0010,0010) := (0010,0020)', (2, 21), "silent_no_op"),
    ("6.6", "v := (0010,0020)\n(0010,0010) := v", (3, 1), "silent_no_op"),
    ("6.6", '(0010,0010) := match[project, "P(.)", 1]', (2, 1), "silent_no_op"),
    ("6.6", "(0010,0010) := hashUID[(0010,0020)]", (2, 1), "silent_no_op"),
    ("6.6", "(0010,0010) ?= normalizeString[(0010,0020)]", (2, 1), "silent_no_op"),
    ("6.6", 'set["(0010,0010)", (0010,0020)]', (2, 1), "silent_no_op"),
    ("6.6", "(0008,0020) := shiftDateByIncrement[(0008,0020), 1]", (2, 37), "missing_date"),
    ("6.6", '(0008,0020) != "" ? (0008,0020) := shiftDateByIncrement[(0008,0020), 1]', (2, 57), "missing_date"),
    ("6.7", "isPresent[(0008,0020)] ? (0008,0020) := shiftDateByIncrement[(0008,0020), 1]", (2, 62), "missing_date"),
    ("6.6", '(0008,0020) ~ ".*" ? (0008,0020) := shiftDateByIncrement[(0008,0020), 1]', (2, 58), "missing_date"),
    ("6.6", "(0010,0010) := hashUID[(0010,0030)]", (2, 16), "guessable_hash"),
    ("6.6", "d := (0010,0030)\n(0020,0010) := hashUID[d]", (3, 16), "guessable_hash"),
    ("6.6", "hashUIDList[{(0010,1010), (0010,0040)}]", (2, 1), "guessable_hash"),
    ("6.6", "(0010,0020) := hashUID[(0010,0020)]\n-(0010,0020)", (3, 1), "deleted_after_edit"),
    ("6.6", "(0032,1060) := project\n-(0032,XXXX)", (3, 1), "deleted_after_edit"),
    ("6.6", "(0032,1060) := project\nremoveTags[{*/(0032,1060)}]", (3, 1), "deleted_after_edit"),
    ("6.6", '(0020,0052) ~ ".+" ? (0020,0052) := hashUID[(0020,0052)]\n-(0020,0052)', (3, 1), "deleted_after_edit"),
    ("6.6", '(0011,{ACME}01) := "a"\nremoveAllPrivateTags', (3, 1), "deleted_after_edit"),
    ("6.6", '(0010,0020) := hashUID[(0010,0020)]\n(0010,0020) := "none"', (3, 1), "overwritten"),
    ("6.6", "-(0011,{ACME}01)\n-(0010,0011)", (3, 1), "unknown_tag"),
    ("6.6", "removeTags[{(0010,0010), (0010,0011)}]", (2, 26), "unknown_tag"),
    ("6.6", 'hashUIDList["*/(0010,0011)"]', (2, 13), "unknown_tag"),
    ("6.6", "-(0011,{ACME, Inc.}01)", (2, 1), "creator_not_portable"),
    ("6.6", "-(0010,0020)\n(0010,0010) := (0010,0020)", (3, 16), "deleted_before_read"),
    ("6.6", "removeTags[*/(0010,00XX)]\nv := (0010,0020)", (3, 6), "deleted_before_read"),
    ("6.6", "removeAllPrivateTags\nv := (0011,{ACME}01)", (3, 6), "private_removed"),
    ("6.6", "retainPrivateTags[(0011,{ACME}02)]\nv := (0011,{ACME}01)", (3, 6), "private_removed"),
    ("6.6", "removeAllPrivateTags\nretainPrivateTags[(0011,{ACME}02)]", (3, 19), "private_removed"),
    ("6.6", "(0010,0010) := Subject", (2, 16), "case_differs"),
    ("6.6", "(0010,0010) := scan", (2, 16), "not_set"),
    ("6.6", '(0010,0010) := v\nv := "a"', (2, 16), "not_set"),
    ("6.6", '(0008,0060) = "MR" ? v := "a"\n(0010,0010) := v', (3, 16), "perhaps_not_set"),
    ("6.6", '(0010,0010) := lookup["a", subject]', (2, 16), "not_portable"),
    ("6.6", '(0010,0010) := getURL["http://a"]', (2, 16), "needs_permission"),
    ("6.6", "v := (0040,0275)", (2, 6), "sequence_read"),
    ("6.6", '(0040,0275) = "a" ? -(0040,0275)', (2, 1), "sequence_read"),
    ("6.6", "v := (0040,0275)[0]", (2, 6), "sequence_read"),
    ("6.6", '*/(0008,1155) = "a" ? -(0008,0070)', (2, 1), "wildcard_read"),
    ("6.6", "v := uppercase[(0010,00XX)]", (2, 16), "wildcard_read"),
    ("6.7", "isPresent[*/(0010,0010)] ? -(0010,0010)", (2, 11), "wildcard_read"),
    ("6.6", '(0010,00XX) := ""', (2, 1), "wildcard_assigned"),
    ("6.6", '(0040,0275)/(0040,0007) := ""', (2, 1), "wildcard_assigned"),
    ("6.6", "(0040,0275)[1] := subject", (2, 1), "item_assigned"),
    ("6.6", "(0010,0010) := blankValues[subject]", (2, 16), "no_result"),
    ("6.6", "(0010,0010) := {subject}", (2, 16), "list_as_text"),
    ("6.6", "v := collectValues[(0010,0010)]\n(0010,0010) := v", (3, 16), "list_as_text"),
    ("6.6", '(0010,0010) ~ "(a" ? -(0010,0010)', (2, 15), "bad_regex"),
    ("6.6", 'v := match[subject, "a[", 0]', (2, 21), "bad_regex"),
    ("6.6", 'v := match[subject, "a", 1]', (2, 26), "bad_group"),
    ("6.6", 'v := format["{a}", subject]', (2, 13), "bad_format"),
    ("6.6", 'v := format["{1}", subject, session]\nw := format["{1}", "a"]', (3, 13), "format_index"),
    ("6.6", "v := substring[subject, 3, 1]", (2, 25), "bad_number"),
    ("6.6", 'v := shiftDateByIncrement["20200101", "ten"]', (2, 39), "bad_number"),
    ("6.6", 'v := shiftDateByIncrement["20200101", 1, "weeks"]', (2, 42), "bad_units"),
    ("6.6", 'v := shiftDateByIncrement["2020-01-01", 1]', (2, 27), "bad_date"),
    ("6.6", '(0008,0030) ~ ".+" ? v := shiftDateByIncrement[(0008,0030), 1]', (2, 48), "bad_date"),
    ("6.6", 'shiftDateTimeSequenceByIncrement["1", "(0008,002A"]', (2, 39), "bad_path"),
    ("6.6", 'v := mapUID[subject, "1.2.840.113619.2.55.3.2831.1"]', (2, 22), "bad_prefix"),
    ("6.6", 'delete["(0029,XXXX)"]', (2, 8), "bad_path"),
    ("6.6", "delete[(0010,0010)]", (2, 8), "bad_path"),
    ("6.6", "retainPrivateTags[(0010,0010)]", (2, 19), "public_retained"),
    ("6.6", f"alterPixels{A_CALL.replace('rectangle', 'circle')}", (2, 13), "bad_pixels"),
    ("6.6", f"alterPixels{A_CALL.replace('b=9', 'x=9')}", (2, 26), "bad_pixels"),
    ("6.6", f"alterPixels{A_CALL.replace('r=9', 'r=0')}", (2, 26), "empty_rectangle"),
    ("6.6", f"alterPixels{A_CALL.replace('v=0', 'v=8')}", (2, 57), "fill_is_zero"),
    ("6.6", '(0028,0010) := "many"', (2, 16), "bad_value"),
    ("6.6", '(0008,0060) := "Ä"', (2, 16), "bad_value"),
    ("6.6", '(0008,1140) := "none"', (2, 16), "sequence_emptied"),
    ("6.6", '(0010,0010)[0]/(0008,0100) := "a"', (2, 1), "no_sequence"),
    ("6.6", 'reject[]\n(0010,0010) := "a"', (3, 1), "unreachable"),
    ("6.6", "(0002,0003) := newUID[]", (2, 1), "synced_tag"),
    ("6.6", "echo", (2, 1), "bare_echo"),
    ("4.2", '(0010,0010) := "a"\n(0010,0010) := "b"', (2, 1), "shadowed"),
    ("4.2", '-(0010,XXXX)\n(0008,0060) = "MR" : (0010,0020) := "b"', (2, 22), "shadowed"),
    ("4.2", '(0010,0011) := ""', (1, 1), "unknown_tag"),
    ("4.2", '(0010,0010) ~ "(" : -(0010,0010)', (1, 15), "bad_regex"),
    ("4.2", "(0010,0010) := who", (1, 16), "not_set"),
    ("4.2", "a := b\nb := A\n(0010,0010) := a", (1, 1), "circular"),
    ("4.2", 'Subject := "a"', (1, 1), "definition_ignored"),
    ("4.2", 'a := "a"\nA := "b"', (2, 1), "definition_ignored"),
    ("4.2", "born := (0010,0030)\n(0010,0020) := hashUID[Born]", (2, 16), "guessable_hash"),
    ("4.2", "(0010,0010) := (0040,0275)", (1, 16), "sequence_read"),
    ("4.2", '(0010,0010) := getURL["http://a"]', (1, 16), "needs_permission"),
    ("4.2", "(0008,0018) := new UID", (1, 1), "root_only"),
]


def advice_on(version: str, text: str) -> tuple[Advice, ...]:
    return compile_script(text if version == "4.2" else f'version "{version}"\n{text}').advice


@pytest.mark.parametrize(("version", "text", "place", "code"), FAULTS)
def test_a_fault_is_named_with_its_place(version: str, text: str, place: tuple[int, int], code: str) -> None:
    found = [(each.line, each.column, each.code) for each in advice_on(version, text)]
    assert (*place, code) in found


@pytest.mark.parametrize("text", [DEFAULT_SITE_SCRIPT, *CORRECT.values()], ids=["default", *CORRECT])
def test_a_correct_script_gets_no_advice(text: str) -> None:
    assert compile_script(text).advice == ()


def test_advice_shows_the_line_as_it_was_typed() -> None:
    (advice,) = advice_on("6.6", "  (0010,0010)  := scan")
    assert (advice.line, advice.column, advice.severity) == (2, 19, "error")
    assert advice.source_line == "  (0010,0010)  := scan"


def test_an_xnat_lacks_what_later_versions_brought() -> None:
    script = compile_script('version "6.1"\n(0008,0070) ?= "a"\nremoveTags[(0008,0080)]')
    assert [(each.line, each.code, each.severity) for each in script.lacking(server("1.8.6"))] == [
        (3, "server_lacks", "error")
    ]
    assert script.lacking(server("1.9")) == ()
    stated = compile_script('// first\nversion "6.6"\n').lacking(server("1.8.9.1"))
    assert [(each.line, each.sentence) for each in stated] == [
        (2, "the stated version needs DicomEdit 6.6; XNAT 1.8.9.1 has 6.5")
    ]


def test_the_first_xnats_run_no_script_of_4_2() -> None:
    script = compile_script("-(0010,0010)")
    assert [each.code for each in script.lacking(server("1.7.2"))] == ["server_lacks"]
    assert script.lacking(server("1.7.3")) == ()


@pytest.mark.parametrize("release", ["", "1.6.5", "new", "1", "1.x"])
def test_what_is_no_release_of_xnat_is_refused(release: str) -> None:
    with pytest.raises(ValueError, match="XNAT version"):
        server(release)


def test_functions_without_result_are_known() -> None:
    assert FUNCTIONS.keys() >= EDITING


@pytest.mark.shared
def test_no_case_that_runs_is_said_to_fail() -> None:
    wrong = [
        (case["name"], advice.sentence)
        for case in cases()
        if not case.get("error")
        for advice in compile_script(case["script"]).advice
        if advice.severity == "error"
    ]
    assert wrong == []


_PARTS = st.sampled_from(
    [
        *("(0010,0010)", "(0010,00XX)", "*", "*/(0010,0010)", "(0040,0275)[0]/(0010,0010)", "(0011,{A}01)", "+/.", "v"),
        *('"(0010,0010)"', '"a"', '"[a"', '"%"', "3", "subject", "{}", "{v, *}", "newUID[]", "match[v, v, v]"),
        *("hashUID[v]", "collectValues[*]", "format[v, v]", "concatenate[w, w]", "removeTags[]", 'set["*", v]', "w"),
    ]
)
_STATEMENTS = st.one_of(
    st.tuples(_PARTS, st.sampled_from([":=", "?="]), _PARTS).map(" ".join),
    st.tuples(_PARTS, st.sampled_from(["=", "!~", "~"]), _PARTS, st.just("? v :="), _PARTS).map(" ".join),
    _PARTS.map("if ( {0} = {0} ) {{\n w := {0}\n}}".format),
    st.sampled_from([*(f"{name}[v, (0010,0010), v]" for name in FUNCTIONS), "reject[]", "-(0010,00XX)", "echo", "-*"]),
    st.just("removeAllPrivateTags"),
)


@given(st.lists(_STATEMENTS, max_size=6).map("\n".join))
@settings(max_examples=300)
def test_whatever_compiles_can_be_checked(text: str) -> None:
    for version in ('version "6.7"\n', ""):
        try:
            script = compile_script(version + text)
        except ScriptError:
            continue
        assert all(1 <= each.line <= len(text.splitlines()) + 1 for each in script.advice)


@pytest.mark.parametrize("version", ["", 'version "6.7"\n'])
def test_variables_made_of_each_other_are_checked_in_bounded_time(version: str) -> None:
    doubled = "\n".join(f"v{n} := replace[v{n - 1}, v{n - 1}, v{n - 1}]" for n in range(1, 60))
    script = compile_script(f"{version}v0 := (0010,0010)\n{doubled}\n(0010,0010) := v59")
    assert {each.severity for each in script.advice} <= {"note"}


def test_a_long_script_is_checked_in_bounded_time() -> None:
    lines = (f'(0008,0060) = "M{n}" ? (0010,{n:04X}) := "a"\n-(0012,{n:04X})' for n in range(500))
    script = compile_script("\n".join(['version "6.6"', *lines]))
    began = time.process_time()
    assert "unknown_tag" in {each.code for each in script.advice}
    assert time.process_time() - began < 10
