"""Writing a result: what was measured, on which commit and machine, under which load."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def of_this_commit(name: str) -> dict[str, Any]:
    """Return the result that was written of this commit; empty if there is none."""
    path = RESULTS / f"{name}.json"
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return result if result.get("commit") == _commit() else {}


def _commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()


def write(name: str, figures: dict[str, Any]) -> None:
    """Print the figures and write `results/NAME.json`."""
    result = {
        "name": name,
        "commit": _commit(),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
        "load": [round(value, 2) for value in os.getloadavg()],
        **figures,
    }
    text = json.dumps(result, indent=2)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
