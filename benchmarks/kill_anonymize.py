"""The command `anonymize` killed at random points: what has a final name is whole, and no process stays.

Usage: benchmarks/run kill-anonymize [KILLS] [SEED]

Every kill begins anew, with one process and two in turn. After it, each file with a final name must be the one that an
undisturbed run writes, all others must be `.part`, and no process of the command may be there after two seconds.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import _result
from inbox_pipeline_tests.services.killing import FILES, ORPHAN_SECONDS, Victim


def measure(kills: int, seed: int) -> dict[str, Any]:
    """Kill so many times and count what was found."""
    counts, finished, chance = Counter[str](), [], random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        victim = Victim(Path(name))
        for number in range(kills):
            killed = victim.kill(number, 1 + number % 2, chance)
            shutil.rmtree(Path(name) / f"out{number}", ignore_errors=True)
            found = {"partial": len(killed.partial), "strange": len(killed.strange), "orphans": killed.orphans}
            counts.update({**found, "killed_while_running": killed.running, "between": 0 < killed.finished < FILES})
            finished.append(killed.finished)
    return {
        "kills": kills,
        "seed": seed,
        "killed_while_running": counts["killed_while_running"],
        "killed_between_first_and_last_file": counts["between"],
        "files": FILES,
        "files_finished": {"least": min(finished), "most": max(finished)},
        "partial_files_under_a_final_name": counts["partial"],
        "other_files_that_are_not_part": counts["strange"],
        f"processes_after_{ORPHAN_SECONDS:.0f}_seconds": counts["orphans"],
    }


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    figures = measure(*(numbers + [100, 1][len(numbers) :]))
    _result.write("kill-anonymize", figures)
    assert figures["killed_while_running"] > figures["kills"] / 2
    assert figures["partial_files_under_a_final_name"] == figures["other_files_that_are_not_part"] == 0
    assert figures[f"processes_after_{ORPHAN_SECONDS:.0f}_seconds"] == 0
