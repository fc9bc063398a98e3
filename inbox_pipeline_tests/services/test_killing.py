"""The command `anonymize` killed at a few points; `benchmarks/run kill-anonymize` does it a hundred times."""

from __future__ import annotations

import random
from pathlib import Path

from inbox_pipeline_tests.services.killing import Victim

KILLS = 6


def test_a_kill_leaves_whole_files_and_no_process(tmp_path: Path) -> None:
    victim, chance = Victim(tmp_path), random.Random(7)
    found = [victim.kill(number, 1 + number % 2, chance) for number in range(KILLS)]
    assert [(one.partial, one.strange, one.orphans) for one in found] == [([], [], 0)] * KILLS
    assert any(one.running for one in found)


def test_two_processes_write_what_one_writes(tmp_path: Path) -> None:
    victim = Victim(tmp_path)
    assert victim.written_by(2) == victim.whole
