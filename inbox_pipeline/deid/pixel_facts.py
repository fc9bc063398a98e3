"""What a file's original header says about its pixels and documents.

Belongs here: reading the elements that decisions about pixels look at. Does not belong here: the decisions
(`pixel_decision.py`), changing anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox_pipeline.script.edits import Edits
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.levels import Level, Root
from inbox_pipeline.script.pixels import Rectangle

if TYPE_CHECKING:
    from pydicom import Dataset

Path = tuple[int, ...]
"""Tags from the root down; all but the last are sequences, of which the first item counts."""

SOP_CLASS, MODALITY, MANUFACTURER, MODEL = (0x00080016,), (0x00080060,), (0x00080070,), (0x00081090,)
IMAGE_TYPE, CONVERSION, SOFTWARE = (0x00080008,), (0x00080064,), (0x00181020,)
BURNED_IN, FEATURES, PHOTOMETRIC = (0x00280301,), (0x00280302,), (0x00280004,)
ROWS, COLUMNS, LABEL_IN_IMAGE = (0x00280010,), (0x00280011,), (0x00480010,)
BODY_PART, REGION_NAME, FRAME_REGION_NAME = (
    (0x00180015,),
    (0x00082218, 0x00080104),
    (0x52009229, 0x00209071, 0x00082218, 0x00080104),
)
SERIES_DESCRIPTION = (0x0008103E,)
DESCRIPTIONS = ((0x00081030,), SERIES_DESCRIPTION, (0x00181030,))
"""Study Description, Series Description, Protocol Name."""

ALWAYS_READ = (
    *(SOP_CLASS, MODALITY, IMAGE_TYPE, CONVERSION, BURNED_IN, FEATURES, PHOTOMETRIC, LABEL_IN_IMAGE),
    *(BODY_PART, REGION_NAME, FRAME_REGION_NAME, *DESCRIPTIONS),
)
_PIXELS = (0x7FE00010, 0x7FE00008, 0x7FE00009)
_LAYOUT = (0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280100, 0x00280101, 0x00280103)
"""What says, besides rows and columns, where samples lie (`script/frames.py`)."""
_DOCUMENT = 0x00420011
_REGIONS = 0x00186011
_REGION_SIDES = (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)
"""Region Location Min X0, Min Y0, Max X1, Max Y1 (PS3.3 section C.8.5.5): pixels of the region itself."""
_LARGEST_SIDE = 1 << 16
_META_GROUP = 2


@dataclass(frozen=True)
class Facts:
    """Facts of one instance.

    `texts` holds the elements that exist, padding stripped, several values joined by backslashes; `unreadable` those
    that exist and cannot be read. `regions` are the ultrasound regions (0018,6011); None without that sequence, and
    empty if one of them cannot be read or is none.
    """

    texts: Mapping[Path, str]
    unreadable: frozenset[Path] = frozenset()
    regions: tuple[Rectangle, ...] | None = None
    has_pixels: bool = True
    has_document: bool = False

    def text(self, path: Path) -> str:
        """Return an element's text in upper case, as coded strings are compared; empty without one."""
        return self.texts.get(path, "").upper()

    def values(self, path: Path) -> frozenset[str]:
        """Return the values of a coded string."""
        return frozenset(value.strip() for value in self.text(path).split("\\")) - {""}

    @property
    def size(self) -> tuple[int, int] | None:
        """Columns and rows of the image; None if one of them is missing or no number above 0."""
        columns, rows = (self.texts.get(path, "") for path in (COLUMNS, ROWS))
        numbers = [int(text) for text in (columns, rows) if text.isascii() and text.isdigit() and len(text) < 10]
        return (numbers[0], numbers[1]) if len(numbers) == 2 and all(numbers) else None


def looked_at(wanted: Collection[Path] = ()) -> frozenset[int]:
    """Return the root elements that `read_facts` may look at, and those that say how to look at the pixels."""
    paths = (*ALWAYS_READ, *wanted, ROWS, COLUMNS)
    return frozenset((*(path[0] for path in paths), *_LAYOUT, *_PIXELS, _REGIONS, _DOCUMENT))


def read_facts(dataset: Dataset, wanted: Collection[Path] = ()) -> Facts:
    """Return the facts of a data set that nothing has changed yet; it stays the bytes that it is.

    Args:
        dataset: with its file meta information.
        wanted: what rules look at, besides the elements that are always read; nothing means that there are no rules.
    """
    root, texts, unreadable = Root(dataset, Edits()), {}, set()
    size = (ROWS, COLUMNS) if wanted or root.has(_REGIONS) else ()
    for path in {*ALWAYS_READ, *wanted, *size}:
        try:
            text = _text(root, path)
        except Failure:
            unreadable.add(path)
            continue
        if text is not None:
            texts[path] = text
    return Facts(texts, frozenset(unreadable), _regions(root), any(map(root.has, _PIXELS)), root.has(_DOCUMENT))


def _text(root: Root, path: Path) -> str | None:
    level: Level | None = root.meta if path[0] >> 16 == _META_GROUP else root
    for tag in path[:-1]:
        items = level.items(tag) if level is not None else []
        level = items[0] if items else None
    return None if level is None else level.text(path[-1])


def _regions(root: Root) -> tuple[Rectangle, ...] | None:
    if not root.has(_REGIONS):
        return None
    try:
        sides = [[item.text(tag) or "" for tag in _REGION_SIDES] for item in root.items(_REGIONS)]
    except Failure:
        return ()
    if not all(side.isascii() and side.isdigit() and int(side) < _LARGEST_SIDE for each in sides for side in each):
        return ()
    areas = [Rectangle(int(x0), int(y0), int(x1) + 1, int(y1) + 1) for x0, y0, x1, y1 in sides]
    return tuple(areas) if all(area.left < area.right and area.top < area.bottom for area in areas) else ()
