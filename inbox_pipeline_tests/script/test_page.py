"""`docs/dicomedit.md` says what the program does: functions, examples, versions, limits, codes."""

import re
from pathlib import Path

import pytest
from pydicom import Dataset

from inbox_pipeline.script import compile_script, source, tokens
from inbox_pipeline.script.advice import server
from inbox_pipeline.script.functions import FUNCTIONS, text
from inbox_pipeline.script.parser import VERSIONS
from inbox_pipeline.script.regex import machine, pattern

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dicomedit.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (6\.\d) \| .* \| (`.*) \|$", PAGE, re.MULTILINE)
RESULTS = re.findall(r"^(`(\w+\[.*\])` gives `(.*)`)$", "\n".join(row[3] for row in ROWS), re.MULTILINE)
BLOCKS = re.findall(r"^```\n(version .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_functions_are_those_of_the_registry() -> None:
    written = {name: (arity, since) for name, arity, since, _ in ROWS}
    assert written == {name: (function.arity, function.since) for name, function in FUNCTIONS.items()}


@pytest.mark.parametrize(("call", "result"), [row[1:] for row in RESULTS])
def test_an_example_gives_what_the_page_says(call: str, result: str) -> None:
    dataset = Dataset()
    compile_script(f'version "6.7"\n(0010,4000) := {call}').apply(dataset, {})
    assert dataset.PatientComments == result


@pytest.mark.parametrize("example", [row[3] for row in ROWS])
def test_an_example_compiles_without_a_certain_fault(example: str) -> None:
    call = example.split("` gives ", maxsplit=1)[0].strip("`")
    advice = compile_script(f'version "6.7"\nv := {call}').advice
    assert [each for each in advice if each.severity == "error" and each.code != "no_result"] == []


def test_the_script_of_the_page_is_correct() -> None:
    (block,) = BLOCKS
    assert compile_script(block).advice == ()


def test_the_levels_of_xnat_are_those_of_the_checker() -> None:
    for first, level in re.findall(r"(1\.\d+(?:\.\d+)?) [^|]*\| (6\.\d)", PAGE.split("## A script")[0]):
        assert server(first).level == level
    assert (f'`version "{VERSIONS[0]}"`' in PAGE, f'`version "{VERSIONS[-1]}"`' in PAGE) == (True, True)


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("characters of a script", source.MAX_SCRIPT_CHARACTERS),
        ("constructs in each other", tokens.MAX_DEPTH),
        ("characters of a text that a function makes", text.MAX_TEXT),
        ("characters of a regular expression", pattern.MAX_CHARACTERS),
        ("steps of one match", machine.MAX_STEPS),
    ],
)
def test_the_limits_are_those_in_force(words: str, limit: int) -> None:
    assert f"| {words} | {limit:,}" in PAGE


def test_every_code_of_the_checker_is_on_the_page() -> None:
    folder = ROOT / "inbox_pipeline" / "script"
    modules = "".join((folder / name).read_text("utf-8") for name in ("lint.py", "literals.py", "legacy/lint.py"))
    codes = set(re.findall(r'(?:ERROR|WARNING|NOTE), "(\w+)"|_try\([^"]*, "(\w+)"', modules))
    named = {code for pair in codes for code in pair if code}
    assert len(named) > 35
    assert {code for code in named if f"`{code}`" not in PAGE} == set()
