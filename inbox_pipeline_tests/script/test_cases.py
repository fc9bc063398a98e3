"""The project's own conformance cases, each as one test."""

from pathlib import Path

import pytest
import yaml

from .conformance import Case, problems

CASES: list[Case] = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: Case) -> None:
    assert list(problems(case)) == []


def test_names_are_unique() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)
