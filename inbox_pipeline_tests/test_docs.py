"""The documentation says what the program does."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from inbox_pipeline.cli import main
from inbox_pipeline.intake.reasons import LEDGER, LITTER, REASONS, REFUSALS, REQUEST_ENDINGS, WAITS
from inbox_pipeline.intake.verdict import REASON_WORDS

ROOT = Path(__file__).parent.parent
PAGES = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]
GUIDES = [page for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")) if page.name != "cli.md"]
CONTEXT = click.Context(main)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name](), "run python docs/generate.py"


@pytest.mark.parametrize("page", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def commands_in(page: Path) -> Iterator[list[str]]:
    """The words of our commands in the code of a page, with the program or, inside of a sentence, without it."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in re.sub(r"\\\n", " ", block).splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    for line in (*lines, *(" ".join(span.split()) for span in spans)):
        for part in re.split(r"&&|\||;|\s#", line):
            try:
                words = shlex.split(re.sub(r"[\[\]]", " ", part))
            except ValueError:
                continue  # an apostrophe: no command line
            if words and words[0].rpartition("/")[2] == "inbox-pipeline":
                yield words[1:]
            elif part in spans and " --" in part and words[0] in main.list_commands(CONTEXT):
                yield words


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_command_of_a_guide_is_one(page: Path) -> None:
    for words in commands_in(page):
        command, rest = main, list(words)
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            command = command.get_command(CONTEXT, rest.pop(0))
        assert command is not None, f"inbox-pipeline {' '.join(words)}"
        known = {"--help", "--version", "-h", *(name for each in command.params for name in each.opts)}
        unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in known]
        assert unknown == [], f"inbox-pipeline {' '.join(words)}"


def test_every_reason_is_said_once_and_has_words_in_a_verdict() -> None:
    assert len(REASONS) == len([*REFUSALS, *REQUEST_ENDINGS, *WAITS, *LEDGER])
    codes = {reason.code for reason in LEDGER}
    assert codes - {"archived"} <= REASON_WORDS.keys() | {"archived"}
    assert {reason.code for reason in LEDGER if reason.kind == "not_dicom"} >= LITTER
    assert all(reason.sentence.endswith((".", "}")) and reason.hint for reason in REASONS.values())


def test_every_feature_of_xnat_is_compared() -> None:
    rows = re.findall(
        r"^\| (\d+) \|[^|]*\| ([a-z ]+) \|", (ROOT / "docs" / "xnat-compatibility.md").read_text(), re.MULTILINE
    )
    assert [int(number) for number, _ in rows] == list(range(1, 36))
    assert {word for _, word in rows} <= {"same", "better", "not supported"}
