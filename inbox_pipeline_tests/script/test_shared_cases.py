"""The conformance cases of the shared reference data, each as one test.

Belongs here: nothing of our own. Does not belong here: the project's own cases.
"""

import os
from pathlib import Path

import pytest
import yaml

from .conformance import Case, problems

SHARED = Path(os.environ.get("INBOX_PIPELINE_SHARED") or Path(__file__).parents[2].parent / "shared")
CASES = SHARED / "reference" / "dicomedit-cases.yaml"


def cases() -> list[Case]:
    return yaml.safe_load(CASES.read_text("utf-8")) if CASES.exists() else []


@pytest.mark.shared
@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_conformance_case(case: Case) -> None:
    assert list(problems(case)) == []


@pytest.mark.shared
def test_the_cases_are_there() -> None:
    assert len(cases()) >= 132
