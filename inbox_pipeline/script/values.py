"""Elements as the text that scripts see, and text as elements (dicomedit specification 2.2 and 2.4).

Belongs here: padding, multiple values, the conversion that each VR asks for (PS3.5 section 6.2).
Does not belong here: where an element lies, character sets of scopes.
"""

import math
import re
import struct
from collections.abc import Callable, Set
from functools import lru_cache

from pydicom import Sequence
from pydicom.charset import decode_bytes
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pydicom.valuerep import DS, IS, PersonName

from inbox_pipeline.script.errors import Failure

CHARSET_VRS = frozenset(["LO", "LT", "PN", "SH", "ST", "UC", "UT"])
"""VRs whose bytes depend on the Specific Character Set (PS3.5 section 6.1.2.3)."""

_WHOLE_TEXT = frozenset(["LT", "ST", "UR", "UT"])
_SINGLE_BYTE = frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"])
TEXT_VRS = CHARSET_VRS | _SINGLE_BYTE
_BYTES = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
_RANGES = {
    "US": (0, 2**16 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "UL": (0, 2**32 - 1),
    "SL": (-(2**31), 2**31 - 1),
    "UV": (0, 2**64 - 1),
    "SV": (-(2**63), 2**63 - 1),
}
NUMBERS = {
    vr: struct.Struct(f"<{code}") for vr, code in {"US": "H", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}.items()
}
"""VRs whose bytes are read here, not by pydicom, and one number of each; SS is not among them, see PS3.3 C.11.1.1."""

_NUMBER_VRS = frozenset(["AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"])
_OF_NUMBERS = frozenset("0123456789ABCDEF+-.einfa\\")
_UNSTATED = (None, "UN")
_PADDING_ROOM = 4096

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,300}\.?[0-9]{0,300}|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,3})?")
_TAG_NUMBER = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_DELIMITERS = set(b"\r\n\t\f\\")
_NAME_DELIMITERS = _DELIMITERS | set(b"^=")


def text_of_bytes(value: bytes, vr: str, encodings: Callable[[], list[str]]) -> str:
    """The text of an undecoded element of a text VR; `encodings` is asked only for bytes beyond ASCII."""
    if value.isascii() and b"\x1b" not in value:
        return trimmed(value.decode("ascii"), vr)
    if vr not in CHARSET_VRS:
        return trimmed(value.decode("latin-1"), vr)
    return trimmed(decode_bytes(value, encodings(), _NAME_DELIMITERS if vr == "PN" else _DELIMITERS), vr)


def text_of_numbers(value: bytes, vr: str, *, little: bool) -> str:
    """The text of an undecoded element of one of `NUMBERS`; its bytes must be a multiple of that VR's size."""
    form = NUMBERS[vr]
    order = "<" if little else ">"
    numbers = struct.unpack(f"{order}{len(value) // form.size}{form.format[-1]}", value)
    return "\\".join(_text_of_value(number, vr) for number in numbers)


def trimmed(text: str, vr: str) -> str:
    """Text without the padding of its VR, value by value (PS3.5 section 6.2)."""
    if vr in _WHOLE_TEXT:
        return text.rstrip(" \0")
    if "\\" not in text:
        return text.strip(" \0")
    return "\\".join(value.strip(" \0") for value in text.split("\\"))


def text_of(element: DataElement) -> str:
    """The text of a decoded element; several values are joined by a backslash. Raises Failure for a sequence."""
    vr, value = element.VR, element.value
    if vr == "SQ":
        raise Failure("a sequence has no text")
    if isinstance(value, str):
        return trimmed(value, vr)
    if value is None:
        return ""
    if isinstance(value, bytes):
        return _text_of_unknown(value)
    values = value if isinstance(value, (MultiValue, list, tuple)) else [value]
    return trimmed("\\".join(_text_of_value(each, vr) for each in values), vr)


class Wanted:
    """Texts to look for, and quick tests that only elements whose text is none of them fail."""

    def __init__(self, texts: Set[str]) -> None:
        self._texts = {text.strip(" \0") for text in texts}
        self._bytes = {text.encode() for text in self._texts if text.isascii()}
        self._numeric = any(_OF_NUMBERS.issuperset(text) for text in texts)
        self._beyond_ascii = not all(map(str.isascii, texts))
        self._plain = not self._numeric and not self._beyond_ascii and not any("\\" in text for text in texts)
        self._longest = 8 * max(map(len, texts)) + _PADDING_ROOM

    def may_equal(self, element: DataElement | RawDataElement | None) -> bool:
        """Whether the text of an element may be one of these; true whenever that is not plain to see."""
        if isinstance(element, RawDataElement):
            return element.value is None or self._may_be(element.value, element.VR)
        value = element.value if element is not None else ""
        return not isinstance(value, str) or value.strip(" \0") in self._texts or "\\" in value

    def _may_be(self, value: bytes, vr: str | None) -> bool:
        if len(value) > self._longest or vr in _NUMBER_VRS:
            return self._numeric and len(value) <= self._longest
        if self._numeric and vr in _UNSTATED:
            return True
        if not value.isascii():
            return self._beyond_ascii
        return value.strip(b" \0") in self._bytes or b"\\" in value or b"\x1b" in value

    def may_be_below(self, element: DataElement | RawDataElement | None) -> bool:
        """Whether elements with one of these texts may lie in a sequence; true for what is decoded."""
        value = getattr(element, "value", None)
        if not self._plain or not isinstance(element, RawDataElement) or not isinstance(value, bytes):
            return True
        return b"\x1b" in value or any(text in value for text in self._bytes)


def _text_of_unknown(value: bytes) -> str:
    try:
        return value.decode("utf-8").rstrip(" \0")
    except UnicodeDecodeError:
        return value.decode("latin-1").rstrip(" \0")


def _text_of_value(value: object, vr: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return _text_of_unknown(value)
    if vr == "FL" and isinstance(value, float):
        return _shortest_single(value)
    if vr == "AT" and isinstance(value, int):
        return f"{value:08X}"
    return str(value)


def _shortest_single(value: float) -> str:
    """The shortest decimal text that is this single-precision number."""
    packed = struct.pack("<f", value)
    texts = (f"{value:.{digits}g}" for digits in range(6, 9))
    shortest = next((text for text in texts if struct.pack("<f", float(text)) == packed), f"{value:.9g}")
    return repr(float(shortest))


def element_from_text(tag: int, vr: str, text: str) -> DataElement:
    """A new element of that VR that holds the text. Raises Failure if a numeric VR cannot hold it."""
    return element_with(tag, vr, _value_from_text(vr, text))


def emptied(tag: int, vr: str) -> DataElement:
    """A new element without a value; a sequence without items."""
    return element_with(tag, vr, _value_from_text(vr, ""))


def sequence_element(tag: int) -> DataElement:
    """A new sequence without items."""
    return element_with(tag, "SQ", Sequence())


@lru_cache(maxsize=10_000)
def standard_vr(tag: int) -> str:
    """The VR of the standard dictionary (PS3.6); LO for a private creator, UN for what is unknown."""
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UL" if tag & 0xFFFF == 0 else "UN"


def element_with(tag: int, vr: str, value: object) -> DataElement:
    """A new element with a value that is what pydicom expects for the VR."""
    return DataElement(BaseTag(tag), vr, value, already_converted=True, validation_mode=IGNORE)


def _value_from_text(vr: str, text: str) -> object:
    if vr == "SQ":
        return Sequence()
    if not text:
        return empty_value_for_VR(vr)
    if vr in _BYTES:
        return text.encode("utf-8")
    if vr in _WHOLE_TEXT:
        return text
    convert = _CONVERTERS.get(vr) or _number_converter(vr)
    parts = [convert(part) for part in text.split("\\")]
    return parts[0] if len(parts) == 1 else MultiValue(_same, parts)


def _same(value: object) -> object:
    return value


def _number_converter(vr: str) -> Callable[[str], object]:
    """What makes a number of that VR from text; an ambiguous VR takes the range of its first part."""
    low, high = _RANGES.get(vr[:2], (0, 0))
    if not high:
        raise Failure(f"text cannot be stored under the VR {vr}")

    def convert(text: str) -> int:
        number = int(text) if _INTEGER.fullmatch(text.strip()) else None
        if number is None or not low <= number <= high:
            raise Failure(f"the value is not a number that the VR {vr} can hold")
        return number

    return convert


def _float(text: str) -> float:
    if not _NUMBER.fullmatch(text.strip()):
        raise Failure("the value is not a number, which this VR needs")
    number = float(text)
    if not math.isfinite(number):
        raise Failure("the value is too large for this VR")
    return number


def _single(text: str) -> float:
    try:
        struct.pack("<f", _float(text))
    except OverflowError:
        raise Failure("the value is too large for the VR FL") from None
    return float(text)


def _attribute_tag(text: str) -> BaseTag:
    match = _TAG_NUMBER.fullmatch(text.strip())
    if match is None:
        raise Failure("the value is not a tag, which the VR AT needs")
    return BaseTag(int(match[1] + match[2], 16))


def _decimal(text: str) -> object:
    """A pydicom number where the text is one; other text is stored as it is."""
    return DS(text, validation_mode=IGNORE) if _NUMBER.fullmatch(text.strip()) else text


def _integer(text: str) -> object:
    """A pydicom number where the text is one; other text is stored as it is."""
    return IS(text, validation_mode=IGNORE) if _INTEGER.fullmatch(text.strip()) else text


_CONVERTERS: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(TEXT_VRS, str),
    "PN": lambda text: PersonName(text, validation_mode=IGNORE),
    "UI": lambda text: UID(text, validation_mode=IGNORE),
    "DS": _decimal,
    "IS": _integer,
    "FL": _single,
    "FD": _float,
    "AT": _attribute_tag,
}
