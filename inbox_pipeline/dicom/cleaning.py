"""What a cleaner sees of a data set on its way from source to output: root elements as bytes, and what it answers.

Belongs here: the types between a road and a cleaner. Does not belong here: what is cleaned (`deid`), the roads.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import NamedTuple

from inbox_pipeline.dicom.changes import Encoded
from inbox_pipeline.dicom.elements import UNDEFINED, Ends, Layout, head_at
from inbox_pipeline.dicom.nested import IN_MEMORY
from inbox_pipeline.dicom.window import Window


class RootElement(NamedTuple):
    """An element: its tag, the VR that it is stated with (None if none), and how to get its value.

    What has an undefined length and is no pixel data is a sequence, with the VR SQ (PS3.5 section 6.2.2). `ends` tells
    where nested values end, if that is known; the value begins at `origin` there.
    """

    tag: int
    vr: bytes | None
    value: Callable[[], bytes]
    ends: Ends | None = None
    origin: int = 0


Treated = Mapping[int, bytes | None]
"""Elements by tag that are not as they were: their new bytes with header, or None to leave them out."""

Clean = Callable[[Iterable[RootElement], Layout], Treated]
"""Given the root elements in order and their layout: what becomes of those that do not stay."""


Look = Callable[[Iterable[RootElement], Layout], object]
"""Shown the root elements of a source in order, and their layout."""

_TAG = itemgetter(0)


def as_root(encoded: Encoded, layout: Layout) -> RootElement:
    """An element that has been encoded, as a cleaner sees it."""
    window = Window(IN_MEMORY, len(encoded.head), head=encoded.head)
    tag, vr, value, length = head_at(window, 0, layout)
    if encoded.pixel:
        return RootElement(tag, vr, lambda: encoded.value)
    if length == UNDEFINED:
        return RootElement(tag, b"SQ", lambda: encoded.head[value:-8])
    return RootElement(tag, vr, lambda: encoded.head[value:])


def cleaned(pieces: Iterable[Encoded], clean: Clean | None, layout: Layout) -> tuple[list[Encoded], Treated]:
    """Encoded elements as a cleaner leaves them, and what it did."""
    if clean is None:
        return list(pieces), {}
    roots = {root.tag: (root, piece) for piece in pieces for root in (as_root(piece, layout),)}
    treated = clean([root for root, _ in roots.values()], layout)
    kept = {tag: piece for tag, (_, piece) in roots.items() if tag not in treated}
    made = {tag: Encoded(head) for tag, head in treated.items() if head is not None}
    return [piece for _, piece in sorted({**kept, **made}.items())], treated


def in_order(roots: Iterable[RootElement], changed: Mapping[int, Encoded | None], layout: Layout) -> list[RootElement]:
    """The root elements of a source with those exchanged that an edit has changed."""
    made = [as_root(encoded, layout) for encoded in changed.values() if encoded is not None]
    left = [root for root in roots if root.tag not in changed]
    return sorted([*left, *made], key=_TAG)
