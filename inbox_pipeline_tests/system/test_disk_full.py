"""A full disk under staging, catalog and Dagster in turn; `benchmarks/run disk-full` does it at twenty points.

Needs tmpfs mounts: it runs in a mount namespace of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.services]
ROOT = Path(__file__).parents[2]
POINTS, SEED = 3, 1


def test_an_import_waits_for_space_and_completes_when_there_is_some() -> None:
    code = f"from benchmarks.disk_full import judge, measure; judge(measure({POINTS}, {SEED}))"
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
