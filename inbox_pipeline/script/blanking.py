"""Blanking rectangles of a data set's pixel data, and making its attributes say so.

Belongs here: what the attributes say of the pixel data, and those that say what was done; for scripts and for pixel
rules alike. Does not belong here: decoding (`codecs.py`), arithmetic on pixel data (`pixels.py`), which rectangles.
"""

import copy
import re
from collections.abc import Sequence
from dataclasses import replace

from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from inbox_pipeline.dicom.words import reversed_words, width_of_pixels
from inbox_pipeline.script import codecs, pixels, texts, values
from inbox_pipeline.script.edits import Change, Edits
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.levels import Level, Root

PIXEL_DATA, _FLOATS = 0x7FE00010, (0x7FE00008, 0x7FE00009)
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002)
_TRANSFER_SYNTAX, _BURNED_IN = 0x00020010, 0x00280301
PHOTOMETRIC, _PLANAR, FRAMES = 0x00280004, 0x00280006, 0x00280008
_METHOD, _METHOD_CODES = 0x00120063, 0x00120064
_CODE = {0x00080100: "113101", 0x00080102: "DCM", 0x00080104: "Clean Pixel Data Option"}
"""PS3.16 CID 7050."""

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
_NUMBER = re.compile(r"\+?[0-9]{1,12}")


def blank_pixels(dataset: Dataset, rectangles: Sequence[pixels.Rectangle], method: str) -> tuple[Change, ...]:
    """Blank rectangles in every frame of a data set, in place; what lies outside the image does not count.

    `method` joins (0012,0063) and the code of the Clean Pixel Data Option (0012,0064), Burned In Annotation becomes NO,
    and compressed pixel data native. Returns the changes; none if there is nothing to blank. Raises Failure, which
    names no value, and then the data set is as it was.
    """
    edits = Edits()
    try:
        blank(Root(dataset, edits), rectangles, method)
    except Exception:
        edits.undo()
        raise
    return tuple(edits.changes)


def blank(root: Root, rectangles: Sequence[pixels.Rectangle], method: str) -> None:
    """Do what `blank_pixels` does through the journal of `root`, with a warning where nothing is done."""
    if any(root.has(tag) for tag in _FLOATS):
        raise Failure("pixel data of floating point numbers cannot be altered")
    if not root.has(PIXEL_DATA):
        root.edits.warn("there is no pixel data to alter; nothing was done")
        return
    columns, rows = number(root, 0x00280011), number(root, 0x00280010)
    areas = [area for area in (each.clipped(columns, rows) for each in rectangles) if area]
    if areas:
        _fill(root, areas)
        _say_so(root, method)
    else:
        root.edits.warn("the rectangle lies outside the image; nothing was done")


def _fill(root: Root, areas: Sequence[pixels.Rectangle]) -> None:
    syntax, layout = transfer_syntax(root), layout_of(root)
    if syntax in NATIVE:
        value = pixels.fill(native_value(root, syntax, layout), layout, areas)
        _put_pixels(root, root.vr(PIXEL_DATA), value)
    else:
        decoded = _decoded(root, syntax, layout)
        layout = replace(layout, frames=decoded.frames, photometric=decoded.photometric, planar=decoded.planar == 1)
        _put_pixels(root, "OB" if layout.bits <= 8 else "OW", pixels.fill(decoded.value, layout, areas))
        _describe(root, decoded, layout)
    if syntax != ExplicitVRLittleEndian:
        texts.set_text(root.need_meta(), _TRANSFER_SYNTAX, ExplicitVRLittleEndian)


def _put_pixels(root: Root, vr: str, value: bytes) -> None:
    root.put(values.element_with(PIXEL_DATA, vr, value), "pixels")


def native_value(root: Root, syntax: str, layout: pixels.Layout) -> bytes:
    """The value of pixel data that is not compressed, in little endian order. Raises Failure if it cannot be read."""
    element = root.element(PIXEL_DATA)
    value = element.value if element is not None else None
    if not isinstance(value, bytes):
        raise Failure("the pixel data cannot be read", root.path(PIXEL_DATA))
    if syntax != ExplicitVRBigEndian:
        return value
    return reversed_words(value, width_of_pixels(root.vr(PIXEL_DATA), layout.bits))


def _decoded(root: Root, syntax: str, layout: pixels.Layout) -> codecs.Decoded:
    frame_bytes = layout.rows * layout.columns * layout.samples * max(layout.bits // 8, 1)
    planar = number(root, _PLANAR, 0)
    image = codecs.Image(layout.frames, frame_bytes, layout.bits, root.text(PHOTOMETRIC) or "", planar)
    try:
        return codecs.decoded(scratch(root, syntax), syntax, image)
    except Failure as failure:
        raise Failure(failure.message, root.path(PIXEL_DATA)) from None


def _describe(root: Root, decoded: codecs.Decoded, layout: pixels.Layout) -> None:
    """Make the attributes say of the decoded pixel data what they said of the compressed one."""
    described = {PHOTOMETRIC: decoded.photometric}
    if layout.samples > 1:
        described[_PLANAR] = str(decoded.planar)
    if decoded.frames != number(root, FRAMES, 1):
        described[FRAMES] = str(decoded.frames)
        root.edits.warn("the pixel data holds more frames than stated; all were altered, and (0028,0008) corrected")
    for tag, text in described.items():
        if root.text(tag) != text:
            texts.set_text(root, tag, text)
    for tag in filter(root.has, _OFFSET_TABLES):
        root.remove(tag)


def transfer_syntax(root: Root) -> str:
    """The transfer syntax that the file states; without one, that in which it was read."""
    stated = root.meta.text(_TRANSFER_SYNTAX) if root.meta else None
    if stated:
        return stated
    implicit, little = root.dataset.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRBigEndian if little is False else ExplicitVRLittleEndian


def layout_of(root: Root) -> pixels.Layout:
    """What the attributes say of native pixel data. Raises Failure where a number is missing."""
    photometric, samples = root.text(0x00280004) or "", number(root, 0x00280002, 1)
    return pixels.Layout(
        rows=number(root, 0x00280010),
        columns=number(root, 0x00280011),
        frames=number(root, 0x00280008, 1),
        samples=samples,
        bits=number(root, 0x00280100),
        planar=number(root, 0x00280006, 0) == 1,
        photometric=photometric if samples == 3 else "",
        stored=number(root, 0x00280101, 8),
    )


def number(root: Root, tag: int, default: int | None = None) -> int:
    """A number that describes the pixel data. Raises Failure without one, and without a default."""
    text = root.text(tag)
    if not text and default is not None:
        return default
    if not text or not _NUMBER.fullmatch(text):
        raise Failure("pixel data cannot be altered without this number", root.path(tag))
    return int(text)


def scratch(root: Root, syntax: str) -> Dataset:
    """A data set of its own that pydicom may decode."""
    scratch = root.copied()
    scratch.file_meta = copy.deepcopy(scratch.file_meta)
    scratch.file_meta.TransferSyntaxUID = UID(syntax)
    return scratch


def _say_so(root: Root, method: str) -> None:
    """Record what was done: no burned-in annotation, method and its code."""
    texts.set_text(root, _BURNED_IN, "NO")
    methods = (root.text(_METHOD) or "").split("\\")
    if method not in methods:
        texts.set_text(root, _METHOD, "\\".join([*filter(None, methods), method]))
    items = root.need_items(_METHOD_CODES, 0)
    if not any(item.text(0x00080100) == _CODE[0x00080100] for item in items):
        _add_code(root.need_items(_METHOD_CODES, len(items) + 1)[-1])


def _add_code(item: Level) -> None:
    for tag, text in _CODE.items():
        texts.set_text(item, tag, text)
