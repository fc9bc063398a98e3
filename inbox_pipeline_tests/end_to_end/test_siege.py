"""A few kills of `benchmarks/run kill`, with small sessions."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from inbox_pipeline_tests.end_to_end.siege import Sessions, Siege, besiege, models_of

pytestmark = pytest.mark.services


def test_imports_end_whole_whatever_is_killed(tmp_path: Path) -> None:
    sessions = Sessions(models_of(None), random.Random(7), fewest=5, most=25)
    figures = besiege(Siege(tmp_path, 7, sessions, progress=(0.5, 2.0), tree_every=4), kills=4, sessions=3)
    assert figures["killed"] == {"a worker": 3, "everything": 1}
    assert figures["requests"] == {"complete": sum(figures["requests"].values())}
