"""The private blocks of one level of a data set (PS3.5 section 7.8.1).

Belongs here: whose elements a block holds, and whether its creator is still needed. Does not belong here: which private
elements are safe (`policy.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.policy import Actions
from inbox_pipeline.dicom.text import decode

PrivateActions: TypeAlias = dict[tuple[str, int], Action]
"""What is done to private elements: by creator, and group and lowest byte of the tag."""

Creators: TypeAlias = tuple[tuple[int, str], ...]
"""The private creators of a group: the tags where they stand, and their names."""

_NONE: Mapping[int, str] = {}


class Blocks:
    """The private blocks of one level: whose elements they hold, and whether any of them stays."""

    __slots__ = ("_actions", "_creators", "_known", "_used")

    def __init__(self, actions: Actions, known: PrivateActions, creators: Creators = ()) -> None:
        self._actions = actions
        self._known = known
        self._creators: dict[int, dict[int, str]] = {}
        """By group, as a level may have very many of them."""
        self._used: set[int] = set()
        for tag, name in creators:
            self._create(tag, name)

    def _create(self, tag: int, name: str) -> None:
        self._creators.setdefault(tag >> 16, {})[tag] = name

    def creators_before(self, tag: int) -> Creators:
        """Return the creators seen so far that an element and what follows it may belong to."""
        group = tag >> 16
        if not group & 1:
            return ()
        return tuple(self._creators.get(group, _NONE).items())

    def join(self, others: Blocks) -> None:
        """Take note of what has been seen of the level elsewhere."""
        if others._creators or others._used:
            for group, creators in others._creators.items():
                self._creators.setdefault(group, {}).update(creators)
            self._used |= others._used

    def action(self, tag: int, value: Callable[[], bytes]) -> Action:
        """Return what is done to a private element; a creator waits until its block has been seen (`unused`)."""
        low = tag & 0xFFFF
        if 0x10 <= low <= 0xFF:
            self._create(tag, decode(value(), b""))
            return Action.KEEP
        name = self._creators.get(tag >> 16, _NONE).get(tag & 0xFFFF0000 | low >> 8)
        if name is None:
            return Action.REMOVE
        place = name, tag & 0xFFFF00FF
        action = self._known.get(place) or self._known.setdefault(
            place, self._actions.private(tag >> 16, name, low & 0xFF)
        )
        if action is not Action.REMOVE:
            self._used.add(tag & 0xFFFF0000 | low >> 8)
        return action

    def keep(self, tag: int, value: Callable[[], bytes]) -> None:
        """Note that an element stays; of a private block that keeps its creator, or it is the creator itself."""
        if tag >> 16 & 1:
            low = tag & 0xFFFF
            if 0x10 <= low <= 0xFF:
                self._create(tag, decode(value(), b""))
            self._used.add(tag if low <= 0xFF else tag & 0xFFFF0000 | low >> 8)

    def unused(self) -> dict[int, None]:
        """Return the creators of which no element stays, to be left out."""
        return dict.fromkeys(tag for creators in self._creators.values() for tag in creators if tag not in self._used)
