"""Child processes: started so that they never outlive their parent, restarted with a pause, ended by pid.

Belongs here: one child and the set of them. Does not belong here: which children there are (`plan.py`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from inbox_pipeline.services.lease import process_start
from inbox_pipeline.services.processes import dies_with

GRACE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
LOG_BYTES = 20_000_000


@dataclass(frozen=True)
class Recipe:
    """How a child is started: its name, `python -m` arguments, and variables on top of those all children get."""

    name: str
    arguments: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


class Child:
    """One child process under supervision.

    Args:
        environment: all variables of the process.
        log_path: file to which its standard output and error are appended.
    """

    def __init__(self, recipe: Recipe, environment: Mapping[str, str], log_path: Path) -> None:
        self.recipe = recipe
        self._environment = {**environment, **recipe.variables}
        self._log_path = log_path
        self._failures = 0
        self._started_at = 0.0
        self._restart_at: float | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, in a group of its own, to be killed by the kernel should this process die."""
        _rotate(self._log_path)
        with open(self._log_path, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", *self.recipe.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                preexec_fn=dies_with(os.getpid()),  # noqa: PLW1509 - this process starts no threads before its children
            )
        self._started_at = time.monotonic()
        self._restart_at = None

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def tend(self) -> str | None:
        """Restart the process if it ended and its pause is over; return a sentence when it ended or was restarted."""
        if self.process is None or self.process.poll() is None:
            return None
        if self._restart_at is None:
            pause = self._pause()
            self._restart_at = time.monotonic() + pause
            return f"{self.recipe.name} ended with {self.process.returncode}; starting it again in {pause:.1f} s"
        if time.monotonic() < self._restart_at:
            return None
        self.start()
        return f"{self.recipe.name} started again"

    def _pause(self) -> float:
        """Return the seconds to wait before a restart: none after a planned end, longer after each quick failure."""
        if self.process is not None and self.process.returncode == 0:
            return 0.0
        steady = time.monotonic() - self._started_at > STEADY_SECONDS
        self._failures = 1 if steady else self._failures + 1
        return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures - 1, 10))


class Family:
    """The children of one `up`, and the record of their pids with which the next `up` finds leftovers."""

    def __init__(self, environment: Mapping[str, str], log_folder: Path, record_path: Path) -> None:
        self._environment = environment
        self._log_folder = log_folder
        self._record_path = record_path
        self.children: list[Child] = []

    def add(self, recipes: Iterable[Recipe]) -> None:
        """Start children, together."""
        for recipe in recipes:
            child = Child(recipe, self._environment, self._log_folder / f"{recipe.name}.log")
            self.children.append(child)
            child.start()
        self._record()

    def drop(self, name: str) -> int | None:
        """Forget a child that has ended by itself, instead of restarting it; return its exit code, None if it runs."""
        child = next(child for child in self.children if child.recipe.name == name)
        code = None if child.process is None else child.process.poll()
        if code is not None:
            self.children.remove(child)
        return code

    def tend(self, say: Callable[[str], None]) -> None:
        """Restart whichever children ended."""
        events = [event for event in (child.tend() for child in self.children) if event]
        for event in events:
            say(event)
        if events:
            self._record()

    def stop(self) -> None:
        """End all children: SIGTERM together, SIGKILL for those that are still there after the grace."""
        running = [child.process for child in self.children if child.process is not None and child.pid is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._record_path.unlink(missing_ok=True)

    def _record(self) -> None:
        pids = [child.pid for child in self.children if child.pid is not None]
        write_text(self._record_path, json.dumps({str(pid): process_start(pid) for pid in pids}))


def end_leftovers(record_path: Path) -> list[int]:
    """End the processes that an earlier `up` of this HOME recorded and that still run; return their pids.

    A pid counts only together with its start time, so that a process that happens to have got the same pid is safe.
    """
    try:
        recorded: dict[str, str] = json.loads(record_path.read_text())
    except (OSError, ValueError):
        return []
    leftovers = {int(pid): start for pid, start in recorded.items() if start and process_start(int(pid)) == start}
    for number, grace in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        _signal_all(leftovers, number)
        if _gone(leftovers, grace):
            break
    record_path.unlink(missing_ok=True)
    return sorted(leftovers)


def write_text(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a small file whole or not at all, readable by its owner alone unless `mode` says more."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    partial.replace(path)


def _signal_all(processes: Mapping[int, str], number: int) -> None:
    for pid, start in processes.items():
        if process_start(pid) == start:
            with suppress(ProcessLookupError):  # it ended between the look and the signal
                os.kill(pid, number)


def _gone(processes: Mapping[int, str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(process_start(pid) == start and not _is_zombie(pid) for pid, start in processes.items()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return True


def _rotate(path: Path) -> None:
    """Keep one older file, so that a log cannot fill the disk."""
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(path.name + ".1"))


def tail(path: Path, lines: int = 5) -> Sequence[str]:
    """Return a log's last lines."""
    try:
        return path.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []
