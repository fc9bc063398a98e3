"""The command `inbox-pipeline`: the same use cases by another door.

Belongs here: options, exit codes, and how results and errors are shown on a terminal. Does not belong here: any rule;
commands call `services`, or a server through `client`.
"""

from __future__ import annotations

from inbox_pipeline.cli.app import main

__all__ = ["main"]
