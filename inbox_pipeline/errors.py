"""The two kinds of failure that cross a room's wall, and nothing else.

Belongs here: the exception types that services raise and that `pipeline`, `web` and `cli` translate. Does not belong
here: the table of reason codes (`intake/reasons.py`) and errors private to one room.

A message here is shown to people and stored by Dagster, so it never holds a value read from a DICOM file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class InboxError(Exception):
    """Something that stops a piece of work, said in one sentence with a stable code and a next step.

    Args:
        code: stable reason code, a key of `intake.reasons.REASONS`.
        sentence: the cause, in words for people, without patient values.
        hint: what the reader can do next.
        data: ids and counts that help; never patient values.
    """

    retryable = False

    def __init__(self, code: str, sentence: str, hint: str = "", data: Mapping[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.hint = hint
        self.data = dict(data or {})

    def __str__(self) -> str:
        """Return the sentence and the hint, as people read them."""
        return f"{self.sentence} {self.hint}".strip()


class Rejected(InboxError):
    """Permanent: the same input gives the same answer; trying again does not help."""


class Unavailable(InboxError):
    """Transient: the disk, the database or a server is away; trying again may help."""

    retryable = True


class Throttled(Unavailable):
    """Too many failures: nothing is checked until the seconds in `data["retry_after"]` have passed."""


class LeaseLost(Unavailable):
    """This run no longer holds its request's lease: another attempt has taken over. It must stop writing at once."""


class Cancelled(InboxError):
    """The request was cancelled while this run worked on it."""
