"""Following a request to its end, with live progress on stderr.

Belongs here: polling and the progress line. Does not belong here: what is written to stdout.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from inbox_pipeline.errors import Unavailable
from inbox_pipeline.intake.reasons import REASONS

if TYPE_CHECKING:
    from inbox_pipeline.client import Client

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 120.0
"""How long a server that does not answer (a restart) is waited for."""
CLEAR_LINE = "\r\x1b[K"


def follow(client: Client, request: Mapping[str, Any]) -> dict[str, Any]:
    """Poll a request until it has ended, and return its last JSON.

    Raises:
        Unavailable: when the server does not answer for `PATIENCE_SECONDS`.
        Rejected: when the request may no longer be seen.
    """
    line = _Line()
    current = dict(request)
    while current["outcome"] is None:
        line.show(_sentence(current))
        time.sleep(POLL_SECONDS)
        current = _patiently(client, current["id"])
    line.end()
    return current


def _patiently(client: Client, request_id: int) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return client.request(request_id)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def _sentence(request: Mapping[str, Any]) -> str:
    files = request["files"]
    left = files["by_disposition"].get("pending", 0)
    count = f", {files['found']:,} files, {left:,} to do" if files["found"] else ""
    why = f" ({request['reason']})" if request["reason"] else ""
    return f"request {request['id']}: {request['status']}, {request['phase']}{why}{count}"


def explained(code: str) -> str:
    """Return why a request waits, in words where this version knows them."""
    reason = REASONS.get(("waiting", code))
    return f"{reason.sentence} {reason.hint}" if reason else code


class _Line:
    """The progress line: rewritten in place on a terminal, else written when it has changed."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._last = ""

    def show(self, sentence: str) -> None:
        """Show the present state."""
        if self._live:
            click.echo(f"{CLEAR_LINE}{sentence}", nl=False, err=True)
        elif sentence != self._last:
            click.echo(sentence, err=True)
        self._last = sentence

    def end(self) -> None:
        """Leave the terminal's line clean."""
        if self._live and self._last:
            click.echo(CLEAR_LINE, nl=False, err=True)
