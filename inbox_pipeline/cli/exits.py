"""Exit codes (DESIGN section 6).

Belongs here: what each code means and which error leads to which. Does not belong here: ending the process.
"""

from __future__ import annotations

from inbox_pipeline.errors import Cancelled, InboxError, Unavailable

COMPLETE = 0
USAGE = 2
PARTIAL = 3
FAILED = 4
DIFFERENT = 5
UNREACHABLE = 6
REFUSED = 7

MEANINGS = {
    COMPLETE: "complete, or done",
    USAGE: "the command was not given as it must be",
    PARTIAL: "partial: some files or sessions did not reach their destination",
    FAILED: "failed or cancelled",
    DIFFERENT: "verify found differences",
    UNREACHABLE: "the server cannot be reached, does not know you (401, 403, 429), or `wait` timed out",
    REFUSED: "refused (400, 404, 409)",
}

_BY_OUTCOME = {"complete": COMPLETE, "partial": PARTIAL, "failed": FAILED, "cancelled": FAILED}
_NOT_AUTHORISED = frozenset({401, 403, 429})


def of_outcome(outcome: str) -> int:
    """Return the exit code of a request's outcome."""
    return _BY_OUTCOME[outcome]


def of_error(error: InboxError) -> int:
    """Return the exit code of an error that ends a command."""
    if isinstance(error, Unavailable) or error.data.get("status") in _NOT_AUTHORISED:
        return UNREACHABLE
    return FAILED if isinstance(error, Cancelled) else REFUSED
