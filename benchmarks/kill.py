"""Imports by a real `up` whose processes are killed again and again: nothing lost, nothing twice, nothing left behind.

Usage: benchmarks/run kill [--kills N] [--seed S] [--sessions N] [--data FOLDER]

Each kill comes after a random 2 to 20 s of progress, every tenth one takes the whole tree. Sessions have 10 to 200
files made from those of FOLDER, in projects whose sessions wait for review and in others; a third of them come in two
parts, the second of which joins what the first has made. Where `--sessions` do not last, more are made. A file takes
0.04 s more than it would, so that little data gives work for long.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import _result
from inbox_pipeline_tests.end_to_end.siege import Sessions, Siege, besiege, models_of


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--data", type=Path, help="a folder of real DICOM to make sessions from")
    return parser.parse_args()


def measure(kills: int, seed: int, sessions: int, data: Path | None) -> dict[str, Any]:
    """Lay siege once and return what was found."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        made = Sessions(models_of(data), random.Random(seed), fewest=10, most=200)
        figures = besiege(Siege(Path(name), seed, made), kills, sessions)
    return {"kills": kills, "seed": seed, "sessions": made.made, **figures, "seconds": round(time.monotonic() - began)}


if __name__ == "__main__":
    asked = arguments()
    result = measure(asked.kills, asked.seed, asked.sessions, asked.data)
    _result.write("kill", result)
    if asked.kills >= 200:
        assert min(result["interrupted"].values()) > 0, "not every op and step was interrupted"
