"""Processes that rewrite files, most of which help another one: how they begin, and that they end with it.

Belongs here: what holds for every such process. Does not belong here: what they do (`folder_worker.py`), and those that
are kept running (`supervise`).
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_TASKS = Path("/proc/self/task")
_RARELY = (10_000, 20, 20)
"""New objects before the youngest are looked at, and how often these are before older ones are, too."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = ((_M_TRIM_THRESHOLD, 8 << 20), (_M_MMAP_THRESHOLD, 4 << 20))
"""Bytes that stay when they are freed, and of a block that is never kept."""


def helpers_context() -> ForkContext | SpawnContext:
    """Return how helpers are started: as copies of this process, or afresh."""
    return get_context("fork") if copies() else get_context("spawn")


def copies() -> bool:
    """Return whether helpers are copies, which cost next to nothing, since all is loaded.

    Only a process with one thread is copied: a copy of another has the locks that its other threads held.
    """
    return _TASKS.is_dir() and len(list(_TASKS.iterdir())) == 1


def collect_rarely() -> tuple[int, int, int]:
    """Have the collector of cycles look less often through what is kept; return how often it did.

    What is remembered of headers is much, kept for long and in no cycles: looking through it again and again takes a
    tenth of the time in which files are rewritten.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_RARELY)
    return before


def keep_freed_memory() -> None:
    """Have glibc keep some megabytes of what is freed (`mallopt(3)`), for good; elsewhere nothing is done.

    Else the memory for each file's pixels goes back to the system and is asked for anew, page by page: on 500 KB of
    pixels a fifth of the time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _KEPT:
            mallopt(parameter, value)


@contextmanager
def rewriting_many() -> Iterator[None]:
    """`keep_freed_memory`, and `collect_rarely` while files are rewritten, no longer."""
    keep_freed_memory()
    before = collect_rarely()
    try:
        yield
    finally:
        gc.set_threshold(*before)


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
