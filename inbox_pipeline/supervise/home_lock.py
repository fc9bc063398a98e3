"""One `up` per HOME: a lock that the kernel releases when its holder dies.

Belongs here: the lock file. Does not belong here: leftovers of an `up` that died (`children.py`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from inbox_pipeline.errors import Rejected
from inbox_pipeline.settings import Settings


@contextmanager
def locked_home(settings: Settings) -> Iterator[None]:
    """Hold HOME's lock while the body runs.

    Raises:
        Rejected: `home_in_use`, with the pid of the process that holds it.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o750)
    with open(settings.home / "up.lock", "a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _in_use(settings, file.read().strip()) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _in_use(settings: Settings, pid: str) -> Rejected:
    return Rejected(
        "home_in_use",
        f"The home {settings.home} is in use by process {pid}.",
        "Stop that one, or choose another home with --home.",
        {"pid": int(pid) if pid.isdigit() else None},
    )
