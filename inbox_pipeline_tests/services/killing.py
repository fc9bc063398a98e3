"""Killing the command `anonymize` at a random point, and what must hold then.

Belongs here: one kill and its checks, for the test and for `benchmarks/run kill-anonymize`. Does not belong here: how
often.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from inbox_pipeline_tests.data_for_tests import instance, save

ROOT = Path(__file__).parent.parent.parent
ORPHAN_SECONDS = 2.0
MARK = "INBOX_PIPELINE_TESTS_MARK"
FILES, ROWS = 96, 256


@dataclass(frozen=True)
class Killed:
    """What was found after a kill: whether the command still ran, and what must not be."""

    running: bool
    finished: int
    partial: list[str]
    strange: list[str]
    orphans: int


class Victim:
    """The command with policy basic on a folder of files, and what a run that nobody kills writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._source, self._secret = folder / "source", folder / "secret.key"
        pixels = random.Random(1).randbytes(ROWS * ROWS * 2)
        for number in range(1, FILES + 1):
            picture = instance(series=1 + number // 20, number=number, Rows=ROWS, Columns=ROWS, PixelData=pixels)
            save(picture, self._source / f"{number:03d}.dcm")
        subprocess.run(self._command("secret", "new", str(self._secret)), check=True, cwd=ROOT, capture_output=True)
        began = time.monotonic()
        process = self._started(folder / "whole", 1)
        writes = began_to_write(process, folder / "whole")
        assert process.wait() == 0
        self._seconds, self._writing = time.monotonic() - began, time.monotonic() - writes
        self.whole = digests(folder / "whole")
        assert len(self.whole) == FILES

    def written_by(self, jobs: int) -> dict[str, str]:
        """The digests of what a run with so many processes writes, by path; nobody kills it."""
        out = self._folder / f"jobs{jobs}"
        assert self._started(out, jobs).wait() == 0
        return digests(out)

    def kill(self, number: int, jobs: int, chance: random.Random) -> Killed:
        """Run the command anew and kill it: one in eight times anywhere, else while it writes."""
        out, mark = self._folder / f"out{number}", f"{MARK}={uuid.uuid4()}"
        process = self._started(out, jobs, mark)
        anywhere = chance.random() < 1 / 8
        if not anywhere:
            began_to_write(process, out)
        time.sleep(chance.uniform(0, self._seconds if anywhere else self._writing / jobs))
        running = process.poll() is None
        process.kill()
        process.wait()
        orphans = len(left(mark, ORPHAN_SECONDS))
        found = digests(out)
        named = {path: digest for path, digest in found.items() if path.endswith(".dcm")}
        partial = [path for path, digest in named.items() if self.whole.get(path) != digest]
        strange = [path for path in found if path not in named and not path.endswith(".part")]
        return Killed(running, len(named), partial, strange, orphans)

    def _started(self, out: Path, jobs: int, mark: str = f"{MARK}=none") -> subprocess.Popen[bytes]:
        given = ["--policy", "basic", "--secret-file", str(self._secret), "--jobs", str(jobs)]
        command = ["env", mark, *self._command("anonymize", str(self._source), str(out), *given)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "inbox_pipeline.cli", *arguments]


def began_to_write(process: subprocess.Popen[bytes], out: Path) -> float:
    """Wait until the command has begun to write, or has ended; return when that was."""
    while not out.exists() and process.poll() is None:
        time.sleep(0.001)
    return time.monotonic()


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below a folder, by its path there."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def left(mark: str, seconds: float) -> list[int]:
    """The processes that bear a mark in their environment and are still there after so long."""
    end = time.monotonic() + seconds
    while (found := bearers(mark)) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def bearers(mark: str) -> list[int]:
    """The processes that bear a mark in their environment, without those that have ended and wait to be read."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:  # it has ended, or is another user's
                continue
    return found
