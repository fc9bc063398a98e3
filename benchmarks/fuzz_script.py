"""Coverage-guided fuzzing of the script engine: crashes and hangs are counted, and must be none.

Usage: benchmarks/run fuzz-script [SECONDS]

Needs the extra `fuzz` (atheris, where it has wheels). The fuzzer runs in a process of its own, since it ends with it;
what an input must hold, and how scripts and data sets come from bytes, is in `inbox_pipeline_tests/script/fuzz.py`.
The first input that breaks a promise ends the run: it stays as a file, whose folder is printed.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from benchmarks import _result

SEEDS = 200
LONGEST = 1024
_STATUS = re.compile(r"#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)/(\S+)")
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")


def fuzz(arguments: list[str]) -> None:
    """Be the fuzzer; does not return."""
    import atheris  # noqa: PLC0415 - the child alone needs it

    with atheris.instrument_imports(include=["inbox_pipeline.script"]):
        from inbox_pipeline_tests.script.fuzz import one_input  # noqa: PLC0415 - to be instrumented
    warnings.simplefilter("ignore")
    atheris.Setup([sys.argv[0], *arguments], one_input)
    atheris.Fuzz()


def seed_corpus(folder: Path) -> None:
    """Write inputs to begin with, the same ones in every run."""
    folder.mkdir()
    chance = random.Random(1)
    for number in range(SEEDS):
        (folder / f"{number:03d}").write_bytes(chance.randbytes(chance.randrange(16, LONGEST)))


def measure(seconds: int) -> dict[str, Any]:
    """Fuzz for so long and return what the fuzzer says about it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-script-"))
    seed_corpus(folder / "corpus")
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-seed=1", "-timeout=60", "-rss_limit_mb=2048"]
    command = [sys.executable, "-m", "benchmarks.fuzz_script", "child", *options, str(folder / "corpus")]
    log = folder / "log"
    with log.open("w") as output:
        command.append(f"-artifact_prefix={folder}/")
        code = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
    text = log.read_text(errors="replace")
    broken = [path for path in folder.iterdir() if re.match("crash|timeout|oom|leak|slow", path.name)]
    hung = "Hang" in text or any("timeout" in path.name for path in broken)
    if code:
        print(text[-6000:], f"\nthe input is in {folder}")
    return {**status(text), "seconds": seconds, "crashes": int(code != 0 and not hung), "hangs": int(hung)}


def status(text: str) -> dict[str, Any]:
    """The last figures in the fuzzer's log: executions, coverage counters and features reached, size of the corpus."""
    found = _STATUS.findall(text)
    runs, coverage, features, corpus, size = found[-1] if found else ("0", "0", "0", "0", "0b")
    done = _DONE.search(text)
    return {
        "executions": int(done[1] if done else runs),
        "coverage_counters": int(coverage),
        "features": int(features),
        "corpus_inputs": int(corpus),
        "corpus_size": size,
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        fuzz(sys.argv[2:])
    figures = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
    _result.write("fuzz-script", figures)
    assert figures["executions"] > 0
    assert figures["crashes"] == figures["hangs"] == 0
