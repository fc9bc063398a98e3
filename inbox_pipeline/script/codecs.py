"""Decoding compressed pixel data to the native one of PS3.5 section 8.1.

Belongs here: which decoders a transfer syntax has, those that pydicom lacks, samples as wide as Bits Allocated says.
Does not belong here: changing pixels, the attributes of the data set.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from typing import Any, cast

from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import Decoder, DecodeRunner, get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from inbox_pipeline.script.errors import Failure

DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
"""Deflated Image Frame Compression (PS3.5 section 8.2.16)."""

FRAME_LIMIT = 1 << 29
"""The largest frame, in bytes, that is decoded; what a file claims beyond that is taken for a fault."""

VALUE_LIMIT = (1 << 32) - 2
"""The longest native pixel data, in bytes, that an element can hold (PS3.5 section 7.1)."""

_PLUGIN = "inbox_pipeline"
_NAMES = {
    DEFLATED_FRAMES: "Deflated Image Frame Compression",
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
"""Transfer syntaxes that pydicom 3.0 does not know."""

_PREFERRED: dict[str, str] = {
    **dict.fromkeys((RLELossless, JPEG2000Lossless, JPEG2000), _PLUGIN),
    **dict.fromkeys((JPEGLSLossless, JPEGLSNearLossless), "pyjpegls"),
}
"""Plugins to try first: pydicom's RLE is slow, and it cannot settle the sign of samples from gdcm, tried first else."""


Frames = Iterator[tuple[bytes, str, int]]
"""Frames with one byte or more per sample, each with its photometric interpretation and planar configuration."""


@dataclass(frozen=True)
class Image:
    """What the data set says about its compressed frames."""

    frames: int
    frame_bytes: int
    bits: int
    photometric: str
    planar: int


@dataclass(frozen=True)
class Decoded:
    """Native pixel data in little endian order, and the attributes that differ from those of the compressed one."""

    value: bytes
    frames: int
    photometric: str
    planar: int


def decoded(dataset: Dataset, syntax: str, image: Image) -> Decoded:
    """Decode the pixel data of `dataset`, whose transfer syntax is `syntax`; YBR colours become RGB.

    Raises Failure, which names the transfer syntax, if there is no decoder, or the pixel data is not what it should be.
    """
    if image.frame_bytes > FRAME_LIMIT:
        raise Failure("the attributes claim a larger frame than can be decoded")
    name = _name(syntax)
    if syntax == DEFLATED_FRAMES:
        result = _attempt([lambda: _deflated_frames(dataset, image)], image, name)
    else:
        decoder = _decoder(syntax, name)
        plugins = [plugin for plugin in decoder.available_plugins if plugin == _PREFERRED.get(syntax)]
        ways = [partial(_frames, dataset, decoder, plugin, image) for plugin in (*plugins, "")]
        result = _attempt(ways, image, name)
    if result.frames < image.frames:
        raise Failure(f"the pixel data of {name} holds fewer frames than stated")
    return result


def some_frames(dataset: Dataset, syntax: str, numbers: Sequence[int]) -> "Iterator[Any]":
    """The frames of those numbers (from 0), native or compressed, as arrays of rows, columns and perhaps samples.

    YBR colours become RGB. Raises Failure as `decoded`.
    """
    name = _name(syntax)
    decoder = _decoder(syntax, name)
    try:
        for array, _ in decoder.iter_array(dataset, indices=list(numbers), as_rgb=True):
            yield array
    except Exception as error:  # noqa: BLE001 - decoders raise anything, and quote values
        raise Failure(f"pixel data of {name} cannot be decoded ({type(error).__name__})") from None


def _attempt(ways: "Sequence[Callable[[], Frames]]", image: Image, name: str) -> Decoded:
    """What the first of the ways that succeeds gives."""
    reason = ""
    for way in ways:
        try:
            return _joined(way(), image)
        except Failure:
            raise
        except Exception as error:  # noqa: BLE001 - decoders raise anything, and quote values
            reason = type(error).__name__
    raise Failure(f"pixel data of {name} cannot be decoded ({reason})")


def _name(syntax: str) -> str:
    known = _NAMES.get(syntax) or str(UID(syntax).name)
    return "the transfer syntax " + (known if known != syntax else "of the file, which is not known,")


def _joined(frames: "Frames", image: Image) -> Decoded:
    buffer, count, photometric, planar = BytesIO(), 0, image.photometric, image.planar
    for frame, photometric, planar in frames:  # noqa: B007 - the last frame's attributes are those of all
        if buffer.tell() + len(frame) > VALUE_LIMIT:
            raise Failure("the pixel data is too long to be stored without compression")
        buffer.write(frame)
        count += 1
    buffer.write(b"\0" * (image.bits > 1 and buffer.tell() % 2))
    value = buffer.getvalue()
    return Decoded(_packed(value) if image.bits == 1 else value, count, photometric, planar)


def _packed(bits: bytes) -> bytes:
    """One bit per pixel instead of one byte, without gaps between frames (PS3.5 section 8.1.1)."""
    import numpy as np  # noqa: PLC0415 - decoding needs it, other scripts do not

    packed = np.packbits(np.frombuffer(bits, "u1"), bitorder="little").tobytes()
    return packed + b"\0" * (len(packed) % 2)


def _frames(dataset: Dataset, decoder: Decoder, plugin: str, image: Image) -> "Frames":
    for array, attributes in decoder.iter_array(dataset, as_rgb=True, decoding_plugin=plugin):
        width = max(image.bits // 8, 1)
        if array.dtype.itemsize > width:
            raise Failure("the samples of the compressed pixel data are wider than Bits Allocated says")
        planar = int(attributes.get("planar_configuration", image.planar))
        yield (
            array.astype(f"<{array.dtype.kind}{width}").tobytes(),
            str(attributes["photometric_interpretation"]),
            planar,
        )


def _decoder(syntax: str, name: str) -> Decoder:
    """pydicom's decoder of a transfer syntax, with the plugin of this module where that can help."""
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise Failure(f"no decoder exists here for pixel data of {name}") from None
    if _PLUGIN not in decoder.available_plugins and is_available(syntax):
        decoder.add_plugin(_PLUGIN, (__name__, "decode_frame"))
    if not decoder.is_available:
        raise Failure(f'pixel data of {name} needs a codec: install the extra "pixels" of this package')
    return decoder


def is_available(syntax: str) -> bool:
    """Whether `decode_frame` can decode frames of a transfer syntax; asked by pydicom."""
    package, _ = _OWN.get(syntax, ("", None))
    return bool(package) and find_spec(package) is not None


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes | bytearray:
    """One decoded frame, by codecs that pydicom uses otherwise or not at all; called by pydicom."""
    decode: Callable[[bytes, DecodeRunner], bytes | bytearray] = _OWN[runner.transfer_syntax][1]
    return decode(source, runner)


def _decode_rle(source: bytes, runner: DecodeRunner) -> bytes | bytearray:
    from rle.utils import decode_pixel_data  # noqa: PLC0415 - an optional codec

    runner.set_option("planar_configuration", 1)
    if runner.bits_allocated > 1:
        return cast(bytearray, decode_pixel_data(source, version=2, **runner.options))
    pixels = runner.rows * runner.columns
    packed = decode_pixel_data(source, version=2, rows=1, columns=(pixels + 7) // 8, bits_allocated=8)
    return _unpacked(bytes(packed), pixels)


def _unpacked(bits: bytes, pixels: int) -> bytes:
    """One byte per pixel instead of one bit."""
    import numpy as np  # noqa: PLC0415 - decoding needs it, other scripts do not

    return np.unpackbits(np.frombuffer(bits, "u1"), bitorder="little")[:pixels].tobytes()


def _decode_j2k(source: bytes, runner: DecodeRunner) -> bytes | bytearray:
    """What pydicom does with this codec, which it uses only where pylibjpeg is installed as well."""
    from openjpeg.utils import decode_pixel_data  # noqa: PLC0415 - an optional codec

    frame = cast(bytearray, decode_pixel_data(source, version=2))
    if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
        runner.set_option("photometric_interpretation", "RGB")
    precision = runner.get_option("j2k_precision", runner.bits_stored)
    runner.set_option("bits_allocated", 8 if precision <= 8 else 16 if precision <= 16 else 32)
    return frame


def _decode_jpeg(source: bytes, runner: DecodeRunner) -> bytes | bytearray:
    """Samples of 12 bits, which pydicom does not hand to this codec."""
    import gdcm  # type: ignore[import-untyped]  # noqa: PLC0415 - an optional codec

    if runner.samples_per_pixel != 1 or runner.bits_stored != 12:
        raise ValueError("only samples of 12 bits, one per pixel")
    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(source)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    image.SetDataElement(element)
    monochrome = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(monochrome))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(JPEGExtended12Bit))))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, 0))
    return bytes(image.GetBuffer().encode("utf-8", "surrogateescape"))  # gdcm returns bytes as text


_OWN: dict[str, tuple[str, Any]] = {
    RLELossless: ("rle", _decode_rle),
    JPEGExtended12Bit: ("gdcm", _decode_jpeg),
    **dict.fromkeys((JPEG2000Lossless, JPEG2000), ("openjpeg", _decode_j2k)),
    **dict.fromkeys((HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K), ("openjpeg", _decode_j2k)),
}


def _deflated_frames(dataset: Dataset, image: Image) -> "Frames":
    """Each frame is native pixel data of its own, deflated without a header (PS3.5 section A.4.13)."""
    for source in generate_frames(dataset.PixelData, number_of_frames=image.frames):
        frame = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(source, image.frame_bytes)
        frame = _unpacked(frame, image.frame_bytes) if image.bits == 1 else frame
        if len(frame) < image.frame_bytes:
            raise Failure("a frame of the pixel data is shorter than its attributes say")
        yield frame, image.photometric, image.planar
