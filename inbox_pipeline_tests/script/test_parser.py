"""What is refused, where, and with which words; any text is answered in bounded time."""

import re
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox_pipeline.script import ScriptError, compile_script

HEAD = 'version "6.6"\n'

FAULTS = [
    ('(0008,0070) := "a', 2, 16, "not closed"),
    ('(0008,0070) ~ "\\d" ? -(0008,0070)', 2, 16, "typed twice"),
    ('( 0008,0070) := "a"', 2, 1, "blank"),
    ('(0008,0070 ) := "a"', 2, 1, "blank"),
    ("-(0029,1001)", 2, 2, "{creator}"),
    ("-(0010,{ACME}01)", 2, 2, "gggg,eeee"),
    ("-(001X,0010)", 2, 2, "even"),
    ("(0008,0070) := nothing[1]", 2, 16, "no function nothing"),
    ("(0008,0070) := LOWERCASE[1]", 2, 16, "lowercase is written so"),
    ("(0008,0070) := lowercase[]", 2, 16, "takes 1 argument"),
    ('(0008,0070) := urlEncode["a"]', 2, 16, "4.2 only"),
    ("removeAllPrivateTags[]", 2, 21, "statement"),
    ('"a" = "a" ? removeAllPrivateTags', 2, 13, "only an assignment"),
    ('"a" = "a" ? "b" = "b" ? -(0008,0070)', 2, 17, ":= or ?="),
    ("(0008,0070)", 2, 12, "statement or one of"),
    ('(0008,0070) := "a" // fine\n(0008,0070) =: "b"', 3, 14, "a value"),
    ("(0008,0070) := \\\n  (0010,0010)[x]", 3, 14, "statement"),
    ('if (0008,0070) = "a" {\n}', 2, 5, "expected"),
    ('if ("a" = "a") {\n', 3, 1, "}"),
    ("# a comment", 2, 1, "//"),
    ("v := 'a'", 2, 6, "double quotes"),
    ("else := 1", 2, 1, "may stand here"),
    ('version "7.0"', 2, 9, "no such version"),
    ("describe x y", 2, 10, "wildcard"),
    ("export", 2, 7, "name"),
    ("}", 2, 1, "expected"),
]


@pytest.mark.parametrize(("fault", "line", "column", "words"), FAULTS)
def test_a_fault_is_named_with_its_place(fault: str, line: int, column: int, words: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(words)) as caught:
        compile_script(HEAD + fault)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_the_message_shows_the_line_and_a_caret() -> None:
    with pytest.raises(ScriptError) as caught:
        compile_script(HEAD + '\t(0008,0070) := nothing["secret"]')
    assert str(caught.value) == (
        'line 2, column 17: there is no function nothing\n     (0008,0070) := nothing["secret"]\n                    ^'
    )
    assert caught.value.source_line == '\t(0008,0070) := nothing["secret"]'


@pytest.mark.parametrize("number", ["6.0", "6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "6.7"])
def test_versions_of_the_language(number: str) -> None:
    script = compile_script(f'// first\nversion "{number}"')
    assert (script.language, script.version) == ("6.x", number)


def test_a_version_that_is_only_in_a_swallowed_line_is_refused() -> None:
    with pytest.raises(ScriptError, match="block"):
        compile_script('// note \\\nversion "6.6"')


def test_without_a_version_a_script_is_4_2() -> None:
    script = compile_script('(0008,0070) := "a"')
    assert (script.language, script.version) == ("4.2", "4.2")


def test_the_digest_is_that_of_the_text() -> None:
    assert compile_script("").digest == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    "opening", ['if ("a" = "a") {\n', "v := {", 'v := lowercase["a", ', "v := {lowercase[{", "{", "(("]
)
def test_deep_nesting_is_refused_not_recursed_into(opening: str) -> None:
    with pytest.raises(ScriptError):
        compile_script(HEAD + opening * 5000)


@pytest.mark.parametrize(
    "text", ['"' * 50_000, "(" * 50_000, "\\\n" * 50_000, "/" * 50_000, '"\\' * 30_000, "a " * 20_000]
)
def test_long_nonsense_is_answered_quickly(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(ScriptError):
        compile_script(HEAD + "v := " + text)
    assert time.monotonic() - started < 5


def test_a_script_has_a_longest_size() -> None:
    with pytest.raises(ScriptError, match="characters"):
        compile_script(HEAD + "\n" * 1_000_001)


PATHS = ["(0010,0010)", "(0008,1110)[0]/(0008,1155)", "*/(0010,00XX)", "(0029,{ACME}01)"]
WORDS = ["if", "elseif", "else", "v", "echo", "version", "describe", "hidden", "new", "UID", "hashUID[", "newUID[]"]
VALUES = ["5", "-0", "1.5", '"a"', '"6.1"', '"', "[%]", "\n", "\\\n", "//"]
SIGNS = [*"-?:=~{}()[],", ":=", "?=", "!=", "!~"]
PIECES = st.sampled_from([*PATHS, *WORDS, *VALUES, *SIGNS])


@settings(max_examples=400, deadline=1000)
@given(
    st.lists(PIECES, max_size=12).map(" ".join) | st.text(max_size=60) | st.text(string.printable, max_size=60),
    st.booleans(),
)
def test_any_text_compiles_or_raises_an_error_with_a_place(text: str, six: bool) -> None:
    try:
        compile_script(HEAD + text if six else text)
    except ScriptError as error:
        assert 1 <= error.line <= text.count("\n") + 2
        assert 1 <= error.column <= len(error.source_line) + 1
        assert "\n" not in error.source_line
