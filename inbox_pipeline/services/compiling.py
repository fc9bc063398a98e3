"""Scripts and lookup tables compiled to find out whether they can be read.

Belongs here: faults as refusals with their place. Does not belong here: what a site keeps (`scripts.py`), the language
(`script`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.store.texts import can_hold

if TYPE_CHECKING:
    from inbox_pipeline.script import Script, ScriptError

PLACE = ("line", "column", "message", "source")
"""Members of the data of `script_invalid` and `lookup_invalid`: where the fault is, what it is, and that line."""


def check_script(text: str, lookup: str | None = None) -> Script:
    """Compile a script with its lookup table, without the network, and return it.

    Raises:
        Rejected: `script_invalid` or `lookup_invalid`, with `line`, `column`, `message` and `source` (that line) in its
            data, or `script_not_text`.
    """
    from inbox_pipeline.script import ScriptError, compile_script  # noqa: PLC0415 - it loads pydicom, half a second

    _require_text(text)
    if lookup is not None:
        check_lookup(lookup)
    try:
        return compile_script(text, lookup=lookup)
    except ScriptError as error:
        raise _invalid("script_invalid", error) from None


def check_lookup(lookup: str) -> None:
    """Read a lookup table.

    Raises:
        Rejected: `lookup_invalid`, with its place as in `check_script`, or `script_not_text`.
    """
    from inbox_pipeline.script import ScriptError  # noqa: PLC0415 - as above
    from inbox_pipeline.script.lookup import parse_lookup  # noqa: PLC0415 - as above

    _require_text(lookup)
    try:
        parse_lookup(lookup)
    except ScriptError as error:
        raise _invalid("lookup_invalid", error) from None


def _require_text(text: str) -> None:
    """Refuse what not every catalog can store: NUL, and lone surrogates."""
    if not can_hold(text):
        raise refusal("script_not_text")


def _invalid(code: str, error: ScriptError) -> Rejected:
    rejected = refusal(code, error=f"line {error.line}, column {error.column}: {error.message}.")
    rejected.data.update(zip(PLACE, (error.line, error.column, error.message, error.source_line), strict=True))
    return rejected
