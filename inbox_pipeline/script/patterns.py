"""Java regular expressions, as conditions and functions use them.

Belongs here: whole matches and searches. Does not belong here: what a match decides.
"""

import re
from functools import lru_cache

from inbox_pipeline.script.errors import Failure


class Pattern:
    """A compiled expression. Raises Failure if it is none."""

    def __init__(self, text: str) -> None:
        try:
            self._re = re.compile(text, re.ASCII)
        except re.error:
            raise Failure("not a regular expression") from None

    def whole(self, text: str) -> bool:
        """Whether the expression matches the whole text."""
        return self._re.fullmatch(text) is not None

    def group(self, text: str, number: int) -> str | None:
        """The text of a group of the first match anywhere; None without a match. Raises Failure for a bad number."""
        found = self._re.search(text)
        if found is None:
            return None
        if not 0 <= number <= self._re.groups:
            raise Failure("no such group")
        return found[number]


@lru_cache(maxsize=512)
def compiled(text: str) -> Pattern:
    """The expression, compiled once."""
    return Pattern(text)
