"""What is done to an element: the action codes of PS3.15 Table E.1-1a, resolved so that nothing is left to decide.

A value that an action cannot treat (no date, no age, text that cannot be read) gets the basic action instead, which is
that of `Policy.of([])` at the same place: it is as safe, and valid in the IOD.

Belongs here: the closed list of actions. Does not belong here: which element gets which (`resolve.py`, `policy.py`).
"""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """One thing to do to an element or to an item of a content tree."""

    __hash__ = object.__hash__  # that of Enum is a call in Python, for every element that is looked up

    REMOVE = "X"
    """Leave the element out, with everything in it."""
    EMPTY = "Z"
    """Keep the element with no value (a sequence: no item)."""
    DUMMY = "D"
    """Give it a value that is legal and says nothing: `Pseudonyms.dummy`, for a sequence `dummy_items`."""
    UID = "U"
    """Replace each UID by `Pseudonyms.uid`; standard ones stay."""
    KEEP = "K"
    """The bytes as they are."""
    AGE = "K/age"
    """Keep, except that ages over 89 years become 090Y: `capped_age`."""
    ITEMS = "K/items"
    """Keep the sequence and treat each element of each item by itself."""
    SHIFT = "C/date"
    """Move dates by the patient's offset: `shifted`. Times of day stay."""
    TEXT = "C/text"
    """Clean the text of what may identify."""
    TREE = "C/tree"
    """Clean a sequence of content items by `Policy.content_action`."""
    GRAPHICS = "C/graphics"
    """Keep graphics or an overlay only as far as it is known to show nothing that identifies; else remove it."""
