"""Processes that help another one: how they begin, and that they end with it.

Belongs here: what holds for every such process. Does not belong here: what they do (`folder_worker.py`), and those that
are kept running (`supervise`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing import get_context, parent_process
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_TASKS = Path("/proc/self/task")


def helpers_context() -> ForkContext | SpawnContext:
    """Return how helpers are started: as copies of this process, or afresh."""
    return get_context("fork") if copies() else get_context("spawn")


def copies() -> bool:
    """Return whether helpers are copies, which cost next to nothing, since all is loaded.

    Only a process with one thread is copied: a copy of another has the locks that its other threads held.
    """
    return _TASKS.is_dir() and len(list(_TASKS.iterdir())) == 1


def end_with_parent() -> None:
    """In a helper: end when the process that started it ends, however that ends."""
    parent = parent_process()
    if parent is not None and parent.pid is not None:
        dies_with(parent.pid)()


def dies_with(parent: int) -> Callable[[], None]:
    """Return what a new child does first: ask the kernel to kill it with its parent (Linux, `prctl(2)`)."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

    def first() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return first
