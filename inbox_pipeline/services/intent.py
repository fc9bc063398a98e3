"""A commit's intent: where a session will appear and what will appear there, as the journal holds it.

Belongs here: its form, and reading it back. Does not belong here: when it is written (`commit.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import RowMapping

from inbox_pipeline.intake.sessions import ARCHIVE
from inbox_pipeline.services.site import Site


@dataclass(frozen=True)
class Intent:
    """Where a session will appear, the digest of what will appear there, and the session whose place it takes."""

    destination: str
    target: str
    timestamp: str | None
    manifest_digest: str
    into: int | None = None

    def final_path(self, site: Site) -> Path:
        """Return the session's place."""
        root = site.settings.archive_path if self.destination == ARCHIVE else site.settings.prearchive_path
        return root / self.target


def recorded(plan: RowMapping) -> Intent | None:
    """Return the intent of an interrupted commit, or None."""
    if plan["intent_token"] is None:
        return None
    return Intent(
        plan["destination"],
        plan["intent_target"],
        plan["intent_timestamp"],
        plan["manifest_digest"],
        plan["intent_into"],
    )
