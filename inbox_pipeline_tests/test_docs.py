"""The documentation says what the program does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from inbox_pipeline.intake.reasons import LEDGER, LITTER, REASONS, REFUSALS, REQUEST_ENDINGS, WAITS
from inbox_pipeline.intake.verdict import REASON_WORDS

ROOT = Path(__file__).parent.parent
PAGES = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name](), "run python docs/generate.py"


@pytest.mark.parametrize("page", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


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
