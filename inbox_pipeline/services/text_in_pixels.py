"""A second look at images: whether they seem to show text. It advises; rules and kinds at risk decide.

Belongs here: which frames are looked at, how they are rendered, what is told of them: numbers and places, never the
text. Does not belong here: what becomes of the file (`recipe.py`), decoding (`script/codecs.py`).

The extra `ocr` brings the reader, which misses text (about a quarter of what was planted in a trial of 18 places) and
sees some where there is none (2 of 31 images); so what it does not find proves nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from inbox_pipeline.errors import Rejected
from inbox_pipeline.script.blanking import FRAMES, PHOTOMETRIC, number, scratch, transfer_syntax
from inbox_pipeline.script.codecs import some_frames
from inbox_pipeline.script.edits import Edits
from inbox_pipeline.script.frames import spread
from inbox_pipeline.script.levels import Root

if TYPE_CHECKING:
    from pydicom import Dataset

WARN, HOLD = "warn", "hold"
MODES = (WARN, HOLD)
"""What text that was found leads to: a warning of the session, or a file that is held (`text_in_pixels`)."""

SAMPLED = 3
"""How many frames of an image are looked at: the first, the last, and others between them."""

SHORTEST, SUREST = 4, 0.5
"""Marks of fewer characters (R, L, 10) and guesses below this confidence do not count as text."""

_PACKAGE = "rapidocr_onnxruntime"
_FAINTEST_SHARE = 99.5

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are outside."""

Reader = Callable[[Any], Iterable[Box]]
"""Gives the places of text in an image of 8 bits in three colours."""


@dataclass(frozen=True)
class Seen:
    """How many frames were looked at, and where text seems to be: number of the frame (from 1) and place."""

    frames: int
    boxes: tuple[tuple[int, Box], ...]

    @property
    def detail(self) -> str:
        """What the ledger says of it."""
        places = ", ".join(f"frame {number} ({box[0]},{box[1]},{box[2]},{box[3]})" for number, box in self.boxes[:3])
        return f"{len(self.boxes)} places in {self.frames} frames: {places}" if self.boxes else "no text found"


def is_installed() -> bool:
    """Return whether the extra `ocr` is there."""
    return find_spec(_PACKAGE) is not None


@lru_cache(maxsize=1)
def reader() -> Reader:
    """Return the reader of the extra `ocr`; its models (16 MB) are loaded once in a process, in about a second.

    Raises:
        Rejected: `settings_invalid`.
    """
    if not is_installed():
        raise Rejected("settings_invalid", "The second look needs the extra ocr.", 'Install "inbox-pipeline[ocr]".')
    from rapidocr_onnxruntime import RapidOCR  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: PLC0415

    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    engine = RapidOCR()
    return lambda image: _boxes(engine(image)[0] or ())


def _boxes(found: Iterable[tuple[Sequence[Sequence[float]], str, float]]) -> Iterable[Box]:
    for corners, text, confidence in found:
        if confidence >= SUREST and sum(letter.isalnum() for letter in text) >= SHORTEST:
            columns, rows = [corner[0] for corner in corners], [corner[1] for corner in corners]
            yield int(min(columns)), int(min(rows)), int(max(columns)) + 1, int(max(rows)) + 1


def look(dataset: Dataset, read: Reader) -> Seen:
    """Look at sampled frames of a data set's pixel data, after whatever was blanked; it stays as it is.

    Raises Failure if the pixel data cannot be decoded.
    """
    root = Root(dataset, Edits())
    numbers, photometric = spread(number(root, FRAMES, 1), SAMPLED), root.text(PHOTOMETRIC) or ""
    syntax, boxes = transfer_syntax(root), []
    for at, array in zip(numbers, some_frames(scratch(root, syntax), syntax, numbers), strict=True):
        boxes += [(at + 1, box) for box in read(rendered(array, photometric))]
    return Seen(len(numbers), tuple(boxes))


def rendered(array: Any, photometric: str) -> Any:
    """Return a frame as 8 bits in three colours, light on dark where it is grey.

    The lightest half percent is as light as can be: text is drawn in the lightest value as a rule.
    """
    import numpy as np  # noqa: PLC0415 - only the second look needs it

    low, high = float(array.min()), float(np.percentile(array, _FAINTEST_SHARE))
    high = high if high > low else max(float(array.max()), low + 1)
    grey = ((array.astype("f4") - low) * (255 / (high - low))).clip(0, 255).astype("u1")
    grey = 255 - grey if photometric == "MONOCHROME1" else grey
    return grey if grey.ndim == 3 else np.stack([grey] * 3, axis=-1)
