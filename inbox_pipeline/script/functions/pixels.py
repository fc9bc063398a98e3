"""The function alterPixels (dicomedit specification 3.6).

Belongs here: its arguments, what the attributes say of the pixel data, and the attributes that say what was done.
Does not belong here: decoding, arithmetic on pixel data.
"""

import copy
import re
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
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions.registry import VOID, Argument, Context, Function, Void
from inbox_pipeline.script.levels import Level, Root

_PIXEL_DATA, _FLOATS = 0x7FE00010, (0x7FE00008, 0x7FE00009)
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002)
_TRANSFER_SYNTAX, _BURNED_IN = 0x00020010, 0x00280301
_PHOTOMETRIC, _PLANAR, _FRAMES = 0x00280004, 0x00280006, 0x00280008
_METHOD, _METHOD_CODES = 0x00120063, 0x00120064
_METHOD_TEXT = "DicomEdit alterPixels"
_CODE = {0x00080100: "113101", 0x00080102: "DCM", 0x00080104: "Clean Pixel Data Option"}
"""PS3.16 CID 7050."""

_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
_PARAMETER = re.compile(r"\s*([A-Za-z]+)\s*=\s*(-?[0-9]{1,9})\s*")
_NUMBER = re.compile(r"\+?[0-9]{1,12}")
_SIDES = {"l": "left", "t": "top", "r": "right", "b": "bottom"}
_FILLS = frozenset(["v", "value", "r", "g", "b", "red", "green", "blue"])


def _alter_pixels(context: Context, arguments: list[Argument]) -> Void:
    shape, area, kind, colour = (context.needed(argument) for argument in arguments)
    need_shape(shape)
    need_kind(kind)
    rectangle = rectangle_of(area)
    fill_of(colour)
    root = context.root
    if any(root.has(tag) for tag in _FLOATS):
        raise Failure("pixel data of floating point numbers cannot be altered")
    if not root.has(_PIXEL_DATA):
        context.edits.warn("there is no pixel data to alter; nothing was done")
        return VOID
    _alter(context, rectangle)
    return VOID


def need_shape(text: str) -> None:
    """Raises Failure if a text names no shape."""
    if text.strip().lower() != "rectangle":
        raise Failure('only the shape "rectangle" exists')


def need_kind(text: str) -> None:
    """Raises Failure if a text names no fill."""
    if text.strip().lower() != "solid":
        raise Failure('only the fill "solid" exists')


def fill_of(text: str) -> dict[str, int]:
    """The numbers of a fill. Raises Failure."""
    numbers = _parameters(text)
    if not set(numbers) <= _FILLS:
        raise Failure("the fill is described by v=, or red=, green= and blue=")
    return numbers


def rectangle_of(text: str) -> pixels.Rectangle:
    """The rectangle that a text describes. Raises Failure."""
    sides = {_SIDES.get(name, name): number for name, number in _parameters(text).items()}
    if set(sides) != set(_SIDES.values()):
        raise Failure("a rectangle is described by l=, t=, r= and b=")
    return pixels.Rectangle(**sides)


def _parameters(text: str) -> dict[str, int]:
    """Numbers by lower-case name from `name=number, ...`. Raises Failure."""
    matches = [_PARAMETER.fullmatch(part) for part in text.split(",") if part.strip()]
    if any(match is None for match in matches):
        raise Failure("parameters are written name=number, separated by commas")
    return {match[1].lower(): int(match[2]) for match in matches if match}


def _alter(context: Context, rectangle: pixels.Rectangle) -> None:
    root = context.root
    area = rectangle.clipped(_number(root, 0x00280011), _number(root, 0x00280010))
    if area is None:
        context.edits.warn("the rectangle lies outside the image; nothing was done")
        return
    syntax, layout = _transfer_syntax(root), _layout(root)
    if syntax in _NATIVE:
        value = pixels.fill(_native(root, syntax, layout), layout, area)
        _put_pixels(root, root.vr(_PIXEL_DATA), value)
    else:
        decoded = _decoded(root, syntax, layout)
        layout = replace(layout, frames=decoded.frames, photometric=decoded.photometric, planar=decoded.planar == 1)
        _put_pixels(root, "OB" if layout.bits <= 8 else "OW", pixels.fill(decoded.value, layout, area))
        _describe(context, decoded, layout)
    _say_so(root, syntax)


def _put_pixels(root: Root, vr: str, value: bytes) -> None:
    root.put(values.element_with(_PIXEL_DATA, vr, value), "pixels")


def _native(root: Root, syntax: str, layout: pixels.Layout) -> bytes:
    """The value of pixel data that is not compressed, in little endian order."""
    element = root.element(_PIXEL_DATA)
    value = element.value if element is not None else None
    if not isinstance(value, bytes):
        raise Failure("the pixel data cannot be read", root.path(_PIXEL_DATA))
    if syntax != ExplicitVRBigEndian:
        return value
    return reversed_words(value, width_of_pixels(root.vr(_PIXEL_DATA), layout.bits))


def _decoded(root: Root, syntax: str, layout: pixels.Layout) -> codecs.Decoded:
    frame_bytes = layout.rows * layout.columns * layout.samples * max(layout.bits // 8, 1)
    planar = _number(root, _PLANAR, 0)
    image = codecs.Image(layout.frames, frame_bytes, layout.bits, root.text(_PHOTOMETRIC) or "", planar)
    try:
        return codecs.decoded(_scratch(root, syntax), syntax, image)
    except Failure as failure:
        raise Failure(failure.message, root.path(_PIXEL_DATA)) from None


def _describe(context: Context, decoded: codecs.Decoded, layout: pixels.Layout) -> None:
    """Make the attributes say of the decoded pixel data what they said of the compressed one."""
    root = context.root
    described = {_PHOTOMETRIC: decoded.photometric}
    if layout.samples > 1:
        described[_PLANAR] = str(decoded.planar)
    if decoded.frames != _number(root, _FRAMES, 1):
        described[_FRAMES] = str(decoded.frames)
        context.edits.warn("the pixel data holds more frames than stated; all were altered, and (0028,0008) corrected")
    for tag, text in described.items():
        if root.text(tag) != text:
            texts.set_text(root, tag, text)
    for tag in filter(root.has, _OFFSET_TABLES):
        root.remove(tag)


def _transfer_syntax(root: Root) -> str:
    stated = root.meta.text(_TRANSFER_SYNTAX) if root.meta else None
    if stated:
        return stated
    implicit, little = root.dataset.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRBigEndian if little is False else ExplicitVRLittleEndian


def _layout(root: Root) -> pixels.Layout:
    photometric, samples = root.text(0x00280004) or "", _number(root, 0x00280002, 1)
    return pixels.Layout(
        rows=_number(root, 0x00280010),
        columns=_number(root, 0x00280011),
        frames=_number(root, 0x00280008, 1),
        samples=samples,
        bits=_number(root, 0x00280100),
        planar=_number(root, 0x00280006, 0) == 1,
        photometric=photometric if samples == 3 else "",
        stored=_number(root, 0x00280101, 8),
    )


def _number(root: Root, tag: int, default: int | None = None) -> int:
    text = root.text(tag)
    if not text and default is not None:
        return default
    if not text or not _NUMBER.fullmatch(text):
        raise Failure("pixel data cannot be altered without this number", root.path(tag))
    return int(text)


def _scratch(root: Root, syntax: str) -> Dataset:
    """A data set of its own that pydicom may decode."""
    scratch = root.copied()
    scratch.file_meta = copy.deepcopy(scratch.file_meta)
    scratch.file_meta.TransferSyntaxUID = UID(syntax)
    return scratch


def _say_so(root: Root, syntax: str) -> None:
    """Record what was done: transfer syntax, no burned-in annotation, method and its code."""
    if syntax != ExplicitVRLittleEndian:
        texts.set_text(root.need_meta(), _TRANSFER_SYNTAX, ExplicitVRLittleEndian)
    texts.set_text(root, _BURNED_IN, "NO")
    methods = (root.text(_METHOD) or "").split("\\")
    if _METHOD_TEXT not in methods:
        texts.set_text(root, _METHOD, "\\".join([*filter(None, methods), _METHOD_TEXT]))
    items = root.need_items(_METHOD_CODES, 0)
    if not any(item.text(0x00080100) == _CODE[0x00080100] for item in items):
        _add_code(root.need_items(_METHOD_CODES, len(items) + 1)[-1])


def _add_code(item: Level) -> None:
    for tag, text in _CODE.items():
        texts.set_text(item, tag, text)


FUNCTIONS = {"alterPixels": Function(_alter_pixels, 4, 4, "6.3")}
