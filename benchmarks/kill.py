"""Imports by a real `up` whose processes are killed again and again: nothing lost, nothing twice, nothing left behind.

Usage: benchmarks/run kill [--kills N] [--seed S] [--sessions N] [--data FOLDER] [--outages N] [--clerk]

Each kill comes after a random 2 to 20 s of progress, every tenth one takes the whole tree. Sessions have 10 to 200
files made from those of FOLDER, in projects whose sessions wait for review and in others; a third of them come in two
parts, the second of which joins what the first has made, a quarter in archive files of all kinds. Where `--sessions` do
not last, more are made. A file takes 0.04 s more than it would, so that little data gives work for long.

With `--outages`, catalog and Dagster's storage are in a PostgreSQL server, which is stopped and started so many times
besides. With `--clerk`, somebody deletes, restores, relabels, moves and archives sessions over HTTP meanwhile, and the
web process is killed as well. Where something does not hold, HOME and log are kept and their place is told.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from benchmarks import _result
from inbox_pipeline_tests.end_to_end.siege import Sessions, Siege, besiege, models_of
from inbox_pipeline_tests.postgres_for_tests import running_postgres


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--data", type=Path, help="a folder of real DICOM to make sessions from")
    parser.add_argument("--outages", type=int, default=0, help="so many times PostgreSQL is stopped and started")
    parser.add_argument("--clerk", action="store_true", help="sessions are deleted and relabelled meanwhile")
    return parser.parse_args()


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Lay siege once and return what was found."""
    began = time.monotonic()
    made = Sessions(models_of(asked.data), random.Random(asked.seed), fewest=10, most=200)
    with _kept_if_wrong() as folder, running_postgres() if asked.outages else nullcontext() as postgres:
        siege = Siege(folder, asked.seed, made, postgres=postgres, with_clerk=asked.clerk)
        figures = besiege(siege, asked.kills, asked.sessions, asked.outages)
    told = {name: getattr(asked, name) for name in ("kills", "outages", "clerk", "seed")}
    return {**told, "sessions": made.made, **figures, "seconds": round(time.monotonic() - began)}


@contextmanager
def _kept_if_wrong() -> Iterator[Path]:
    """Yield a new folder, and delete it unless something went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="kill"))
    try:
        yield folder
    except BaseException:
        print(f"HOME and log are kept in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)


if __name__ == "__main__":
    asked = arguments()
    result = measure(asked)
    kind = "kill-postgres" if asked.outages else "kill-clerk" if asked.clerk else "kill"
    _result.write(kind, result)
    if asked.kills >= 200:
        assert min(result["interrupted"].values()) > 0, "not every op and step was interrupted"
