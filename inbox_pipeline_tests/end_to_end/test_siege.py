"""A few kills of `benchmarks/run kill`, with small sessions."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from inbox_pipeline_tests.end_to_end.siege import Sessions, Siege, besiege, models_of

pytestmark = pytest.mark.services


def test_imports_end_whole_whatever_is_killed_while_others_delete_and_relabel(tmp_path: Path) -> None:
    sessions = Sessions(models_of(None), random.Random(7), fewest=5, most=25)
    siege = Siege(tmp_path, 7, sessions, progress=(0.5, 2.0), tree_every=4, with_clerk=True)
    figures = besiege(siege, kills=4, sessions=3)
    assert figures["killed"] == {"a worker": 2, "the web process": 1, "everything": 1}
    assert sum(figures["clerk"].values()) > 0
    assert figures["requests"]["complete"] > 0
