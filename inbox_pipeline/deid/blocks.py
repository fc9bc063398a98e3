"""The private blocks of one level of a data set (PS3.5 section 7.8.1).

Belongs here: whose elements a block holds, and whether its creator is still needed. Does not belong here: which private
elements are safe (`policy.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.policy import Actions
from inbox_pipeline.dicom.text import decode


class Blocks:
    """The private blocks of one level: whose elements they hold, and whether any of them stays."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._creators: dict[int, str] = {}
        self._used: set[int] = set()

    def action(self, tag: int, value: Callable[[], bytes]) -> Action:
        """Return what is done to a private element; a creator waits until its block has been seen (`unused`)."""
        low = tag & 0xFFFF
        if 0x10 <= low <= 0xFF:
            self._creators[tag] = decode(value(), b"")
            return Action.KEEP
        creator = tag & 0xFFFF0000 | low >> 8
        action = self._actions.private(tag >> 16, self._creators.get(creator, ""), low & 0xFF)
        if action is not Action.REMOVE:
            self._used.add(creator)
        return action

    def keep(self, tag: int) -> None:
        """Note that an element of a private block stays, or the creator itself."""
        if tag >> 16 & 1:
            low = tag & 0xFFFF
            self._used.add(tag if low <= 0xFF else tag & 0xFFFF0000 | low >> 8)

    def unused(self) -> dict[int, None]:
        """Return the creators of which no element stays, to be left out."""
        return dict.fromkeys(self._creators.keys() - self._used)
