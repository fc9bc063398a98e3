"""Text files that say who somebody is: maps, reports, previews.

Belongs here: writing one whole or not at all, readable by its owner alone. Does not belong here: what stands in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Yield a new file in UTF-8 that takes the place of `path` at the end, unless the block raises.

    Whatever lay there or at its temporary name before, with other rights or as a link, lends it nothing.

    Raises:
        OSError: the file cannot be made or written.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
