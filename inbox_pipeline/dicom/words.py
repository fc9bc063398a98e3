"""The byte order of values that pydicom leaves as bytes: words of fixed width (PS3.5 section 7.3).

Belongs here: which values consist of words, reversing words, finding those that an edit left alone.
Does not belong here: values that pydicom converts to numbers; it writes them in the order asked for.
"""

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement

PIXEL_DATA = 0x7FE00010
_WIDTHS = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}
_CODES = {array(code).itemsize: code for code in "HIQ"}


def reversed_words(value: bytes, width: int) -> bytes:
    """The value with the bytes of each word of `width` reversed; bytes behind the last whole word stay."""
    if width not in _CODES:
        return value
    whole = len(value) - len(value) % width
    words = array(_CODES[width], value[:whole])
    words.byteswap()
    return words.tobytes() + value[whole:]


def width_of_pixels(vr: str, bits_allocated: int) -> int:
    """How many bytes of pixel data make a word: a sample's, or two where smaller samples are stored as OW.

    Samples of more than two bytes are taken as words of their own, as other readers of big endian files take them.
    """
    return bits_allocated // 8 if bits_allocated > 8 else _WIDTHS.get(vr, 1)


def reverse_untouched(dataset: "Dataset", twin: "Dataset") -> None:
    """Reverse, at every depth, the words of values that `twin`, the data set before an edit, holds as well.

    What the edit has given another value is taken to be in the new order already, as pydicom's writer takes it.
    """
    before = {(element.tag, element.value) for element, _ in _words(twin)}
    for element, width in list(_words(dataset)):
        if (element.tag, element.value) in before:
            element.value = reversed_words(element.value, width)


def _words(dataset: "Dataset") -> "Iterator[tuple[DataElement, int]]":
    """The elements that hold words of several bytes, and the width of these."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _words(item)
        elif isinstance(element.value, bytes) and (width := _width(dataset, element)) > 1:
            yield element, width


def _width(dataset: "Dataset", element: "DataElement") -> int:
    if element.tag != PIXEL_DATA:
        return _WIDTHS.get(element.VR, 1)
    bits = dataset.get("BitsAllocated")
    return width_of_pixels(element.VR, bits if isinstance(bits, int) else 0)
