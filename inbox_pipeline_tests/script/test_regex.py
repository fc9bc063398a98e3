"""Regular expressions in Java's dialect, and the budget they run within."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.regex import Pattern

WHOLE = [
    (r".+", "abc", True),
    (r".+", "", False),
    (r"a.c", "a\nc", False),
    (r"a.c", "a\u2028c", False),
    (r"(?s)a.c", "a\nc", True),
    (r"\d{3}", "123", True),
    (r"\d", "٣", False),
    (r"\w+", "ä", False),
    (r"(?i)sIEMENS.*", "Siemens Healthineers", True),
    (r"(?i)ä", "Ä", False),
    (r"(?i)[a-c]+", "AbC", True),
    (r"(?i:a)b", "Ab", True),
    (r"(?i:a)b", "AB", False),
    (r"a(?i)b|c", "aC", False),
    (r"a(?i)b|c", "C", True),
    (r"\Qa.b\E+", "a.bb", True),
    (r"\Qa.b\E", "axb", False),
    (r"[a-c&&[^b]]+", "ac", True),
    (r"[a-c&&[^b]]+", "ab", False),
    (r"[a[xy]]+", "axy", True),
    (r"[^a[xy]]", "y", False),
    (r"[]a]+", "]a", True),
    (r"[a-]+", "a-", True),
    (r"[\d\s]+", "1 2", True),
    (r"\p{Alpha}+", "abZ", True),
    (r"\p{Alpha}+", "ä", False),
    (r"\p{L}+", "äß", True),
    (r"\P{L}", "1", True),
    (r"\pL", "x", True),
    (r"\p{Lu}\p{IsLl}", "Ab", True),
    (r"a++a", "aaa", False),
    (r"(?>a*)a", "aaa", False),
    (r"(?<n>a)\k<n>", "aa", True),
    (r"(a|b)\1", "ba", False),
    (r"(a)|b\1", "b", False),
    (r"(?=ab)a.", "ab", True),
    (r"(?!ab)..", "ab", False),
    (r"..(?<=ab)", "ab", True),
    (r"..(?<!ab)", "ab", False),
    (r"a\u0062\x63\0144\t", "abcd\t", True),
    (r"a{2,3}?", "aaa", True),
    (r"(a|ab)(c|bcd)(d*)", "abcd", True),
    (r"(?:a?){3}a{3}", "aaa", True),
    (r"(a*)*", "aaa", True),
    (r"", "", True),
    (r"^MR\b.*$", "MR scan", True),
    (r"one\Rtwo", "one\r\ntwo", True),
    (r"(?m)a$\n^b", "a\nb", True),
    (r"1\.2\.840\..*", "1.2.840.1", True),
    (r"\h\v", "\t\n", True),
    (r"10", "1010", False),
]
BROKEN = [r"(", r")", r"[", r"[a", r"a**", r"*a", r"a{3,2}", r"\y", "a\\", r"(?<n", r"\k<no>", r"\1", r"[b-a]"]
REFUSED = [r"\G", r"(?x)a b", r"(?U)a", r"\p{IsGreek}", r"\X", r"(?(1)a)"]


@pytest.mark.parametrize(("pattern", "text", "matches"), WHOLE)
def test_whole_match(pattern: str, text: str, matches: bool) -> None:
    assert Pattern(pattern).whole(text) is matches


@pytest.mark.parametrize("pattern", BROKEN + REFUSED)
def test_what_is_broken_or_not_supported_is_refused(pattern: str) -> None:
    with pytest.raises(Failure):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "group", "found"),
    [
        (r"ID-(\d+)", "the ID-0042 here", 1, "0042"),
        (r"(a(b)?)+", "aba", 2, "b"),
        (r"(x)|b", "abc", 0, "b"),
        (r"(x)|b", "abc", 1, None),
        (r"z", "abc", 0, None),
        (r"(?:)", "abc", 0, ""),
        (r"b.*?d", "abcdcd", 0, "bcd"),
        (r"\b\w+$", "one two", 0, "two"),
    ],
)
def test_search(pattern: str, text: str, group: int, found: str | None) -> None:
    assert Pattern(pattern).group(text, group) == found


def test_a_group_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(Failure):
        Pattern("(a)").group("a", 2)


@pytest.mark.parametrize(
    "pattern",
    [r"(a+)+b", r"(a|a)*b", r"(.*)*x", r".*.*.*.*.*.*x", r"(?:(?:a*)*)*b", r"(a?){40}b", r"(?<=a*b)c|(?:a*)*d"],
)
def test_explosive_expressions_end_in_bounded_time(pattern: str) -> None:
    started = time.monotonic()
    with pytest.raises(Failure, match="too long"):
        Pattern(pattern).whole("a" * 3000)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("pattern", [r"(?:(?:(?:a{900}){900}){900}){900}", r"(?:(?:(?:){999}){999}){999}", "(" * 99])
def test_explosive_sizes_are_refused(pattern: str) -> None:
    with pytest.raises(Failure):
        Pattern(pattern)


ATOMS = st.sampled_from(["a", "b", ".", r"\d", "[ab]", "[^a]", "", r"\.", "1"])


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    times = st.sampled_from(["*", "+", "?", "{0,2}", "{2}", "*?", "+?", "??", "{1,}"])
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, times).map(lambda pair: f"({pair[0]}){pair[1]}"),
        inner.map(lambda part: f"(?={part})"),
        inner.map(lambda part: f"(?!{part})"),
    )


@settings(max_examples=300)
@given(st.recursive(ATOMS, _wider, max_leaves=6), st.text("ab1.", max_size=6))
def test_same_as_python_where_the_dialects_agree(pattern: str, text: str) -> None:
    ours, python = Pattern(pattern), re.compile(pattern, re.ASCII)
    assert ours.whole(text) == (python.fullmatch(text) is not None)
    found = python.search(text)
    assert ours.group(text, 0) == (found[0] if found else None)


@settings(max_examples=300)
@given(st.text("ab(){}[]*+?|\\^$.&-<=!>:1,QEpdkxi", max_size=16), st.text("ab1", max_size=8))
def test_any_text_is_an_expression_or_is_refused(pattern: str, text: str) -> None:
    try:
        Pattern(pattern).whole(text)
    except Failure:
        return


@pytest.mark.parametrize(
    ("pattern", "text", "replacement", "made"),
    [
        ("x*", "abc", "-", "-a-b-c-"),
        ("a*", "aaab", "-", "--b-"),
        (r"(\d)(\d)?", "12 3", "[$2$1]", "[21] [3]"),
        ("a", "banana", r"\$0\\", r"b$0\n$0\n$0" + "\\"),
        ("(a)", "a", "$12", "a2"),
        ("^0+", "00100", "", "100"),
        ("b(?=c)", "abc bd", "B", "aBc bd"),
        ("z", "", "x", ""),
    ],
)
def test_replacing_as_java_does(pattern: str, text: str, replacement: str, made: str) -> None:
    assert Pattern(pattern).replaced(text, replacement) == made


@pytest.mark.parametrize("replacement", ["$", "$x", "a\\", "$2", "${name}"])
def test_a_replacement_that_means_nothing(replacement: str) -> None:
    with pytest.raises(Failure):
        Pattern("(a)").need_replacement(replacement)


def test_a_replacement_is_bounded() -> None:
    with pytest.raises(Failure, match="too long"):
        Pattern("a").replaced("a" * 1000, "x" * 100)
    with pytest.raises(Failure, match="takes too long"):
        Pattern("(a+)+b").replaced("a" * 100, "x")


def test_a_group_of_a_whole_match() -> None:
    assert Pattern("(a)(b)?.*").whole_group("axx", 1) == "a"
    assert Pattern("(a)(b)?.*").whole_group("axx", 2) is None
    assert Pattern("(a)").whole_group("ab", 1) is None
    with pytest.raises(Failure):
        Pattern("(a)").whole_group("a", 2)
