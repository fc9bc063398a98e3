"""Writes the pages of `docs/` that follow from the program: run `python docs/generate.py` after changing a table.

Belongs here: rendering only. A test compares each page with what this module would write.
"""

from __future__ import annotations

from pathlib import Path

from inbox_pipeline.deid.conformance import conformance_statement
from inbox_pipeline.intake.reasons import DISPOSITIONS, LEDGER, REFUSALS, REQUEST_ENDINGS, WAITS, Reason

DOCS = Path(__file__).parent


def reasons_page() -> str:
    """Return `reasons.md`: every stable code with its cause and next step."""
    parts = [
        "# Reason codes",
        "Generated from `inbox_pipeline/intake/reasons.py`. Codes are stable: scripts may depend on them.",
        "## Refusals",
        "A refused request creates nothing. The code is in the header `X-Inbox-Reason`.",
        _table("HTTP status", REFUSALS),
        "## Why a request waits",
        "A request that is Queued and has a `reason` waits for that; it goes on by itself.",
        _table("of", WAITS),
        "## How a request ends",
        _table("of", REQUEST_ENDINGS),
        "## The ledger",
        f"Every file found has exactly one of these dispositions: {', '.join(DISPOSITIONS)}.",
        _table("disposition", LEDGER),
    ]
    return "\n\n".join(parts) + "\n"


def _table(kind: str, reasons: list[Reason]) -> str:
    head = f"| code | {kind} | cause | next step |\n|---|---|---|---|"
    return "\n".join([head, *(f"| `{r.code}` | {r.kind} | {r.sentence} | {r.hint} |" for r in reasons)])


PAGES = {"reasons.md": reasons_page, "deidentification-conformance.md": conformance_statement}

if __name__ == "__main__":
    for name, render in PAGES.items():
        (DOCS / name).write_text(render(), encoding="utf-8")
