"""Why a file cannot be written, as everything that works on one file says it.

Belongs here: the one exception of that kind. Does not belong here: codes and sentences (`intake/reasons.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inbox_pipeline.script import ScriptError


class Stopped(Exception):
    """This file cannot be written; `code` is its reason, `detail` says where, without values.

    `fault` is the script error behind it, with its place, if that is what it was.
    """

    def __init__(self, code: str, detail: str | None = None, fault: ScriptError | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.fault = fault
