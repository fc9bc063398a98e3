"""The header of one file as a table of texts: a row for each element, as XNAT's DICOM dump service lists them.

Belongs here: rows, and putting values into short texts whatever they hold. Does not belong here: which file is read,
who may see it, HTTP. The texts hold patients' values: they are for people who may read the file, and go nowhere else.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from struct import error as struct_error
from struct import iter_unpack, pack, unpack
from typing import BinaryIO, NamedTuple

from inbox_pipeline.dicom.elements import PIXEL_TAGS, UNDEFINED, Element, Layout, root_elements
from inbox_pipeline.dicom.errors import OverLimits
from inbox_pipeline.dicom.nested import elements_of, items_of
from inbox_pipeline.dicom.preface import read_preface
from inbox_pipeline.dicom.text import ascii_text, decode
from inbox_pipeline.dicom.window import Window, require_room

LONGEST_TEXT = 1024
"""Characters of a value that are shown."""
MOST_ROWS = 50_000
LARGEST_SEQUENCE = 1 << 26
"""Bytes of one sequence that are held in memory."""
_BINARY_BYTES = 64
_CUT = "..."
_CHARSET, _SIGNED = 0x00080005, 0x00280103
_IN_CHARSET = frozenset(["LO", "LT", "PN", "SH", "ST", "UC", "UT"])
_ASCII = frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"])
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d", "AT": "HH"}
_FLOAT_DIGITS = range(6, 10)
_UNKNOWN = "?"


class Row(NamedTuple):
    """An element, in XNAT's columns: `tag1` is its tag, or that of the sequence at the root that it lies in, and then
    `tag2` its own; `desc` is its name in PS3.6, `?` if it has none."""

    tag1: str
    tag2: str
    vr: str
    value: str
    desc: str


@dataclass
class _Level:
    """What the elements of a data set or item are read by."""

    layout: Layout
    charset: bytes = b""
    signed: bool = False
    creators: dict[int, str] = field(default_factory=dict)

    def below(self, layout: Layout) -> "_Level":
        return _Level(layout, self.charset, self.signed)

    def learn(self, element: Element, value: bytes) -> None:
        """Remember what tells how elements after it are read."""
        if element.tag == _CHARSET:
            self.charset = value
        elif element.tag == _SIGNED:
            self.signed = value[:1] == b"\1" or value[1:2] == b"\1"
        elif _is_creator(element.tag):
            self.creators[element.tag] = decode(value, self.charset)

    def creator(self, tag: int) -> str:
        """The creator of a private element's block (PS3.5 section 7.8.1)."""
        return self.creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF, "")


def tag_of(name: str) -> int | None:
    """The tag that a keyword of PS3.6 or eight hexadecimal digits name; None if they name none."""
    from pydicom.datadict import tag_for_keyword  # noqa: PLC0415 - costs half a second

    tag = tag_for_keyword(name) if name else None
    if tag is not None:
        return tag
    digits = len(name) == len("GGGGEEEE") and all(letter in "0123456789abcdefABCDEF" for letter in name)
    return int(name, 16) if digits else None


def dump(stream: BinaryIO, size: int, wanted: Collection[int] = ()) -> list[Row]:
    """Return the rows of a file's elements, or of the wanted ones at its root, in the file's order.

    Of a sequence there is a row for each item, followed by one for each element of the item; sequences below that are
    named without their items. Pixel data are left out.

    Args:
        stream: the file, seekable.
        size: its length in bytes.
        wanted: tags; none means all.

    Raises:
        OverLimits: there are more than 50,000 rows, or a sequence is larger than 64 MiB.
        NotReadable: the file is not DICOM, or damaged.
    """
    rows: list[Row] = []
    for row in _rows(stream, size, frozenset(wanted)):
        rows.append(row)
        if len(rows) > MOST_ROWS:
            raise OverLimits(f"more than {MOST_ROWS} rows")
    return rows


def _rows(stream: BinaryIO, size: int, wanted: frozenset[int]) -> Iterator[Row]:
    window = Window(stream, size)
    preface = read_preface(stream, window)
    meta = _Level(Layout(False, True))
    for tag, element in preface.meta.items():
        if not wanted or tag in wanted:
            yield _row(meta, element, preface.meta_values[tag])
    level, data_set = _Level(preface.layout), preface.data_set
    for element in root_elements(data_set, preface.start, preface.layout):
        if element.tag in PIXEL_TAGS:
            continue
        shown = not wanted or element.tag in wanted
        if _vr(level, element) == "SQ":
            if shown:
                require_room(element.end - element.value, LARGEST_SEQUENCE)
                yield from _items(level, element, data_set.whole(element.value, element.end))
            continue
        value = data_set.take(element.value, min(element.length, 4 * LONGEST_TEXT))
        level.learn(element, value)
        if shown:
            yield _row(level, element, value)


def _items(level: _Level, sequence: Element, value: bytes) -> Iterator[Row]:
    """The rows of a sequence: itself before the elements of each item, as XNAT has it."""
    parent = _tag_text(sequence.tag)
    for item in items_of(value, level.layout):
        yield _row(level, sequence, b"", parent)
        inner = level.below(item.layout)
        for element in elements_of(item):
            content = item.data[element.value : min(element.end, element.value + 4 * LONGEST_TEXT)]
            inner.learn(element, content)
            yield _row(inner, element, content, parent)


def _row(level: _Level, element: Element, value: bytes, parent: str = "") -> Row:
    vr, tag = _vr(level, element), _tag_text(element.tag)
    text = "" if vr == "SQ" else _text(level, vr, value)
    cut = text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + _CUT
    return Row(parent or tag, tag if parent else "", vr, cut, _name(level, element.tag))


def _tag_text(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _is_private(tag: int) -> bool:
    return bool(tag >> 16 & 1)


def _is_creator(tag: int) -> bool:
    return _is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF


def _vr(level: _Level, element: Element) -> str:
    """The VR that is stated, else the dictionary's; an undefined length means a sequence (PS3.5 section 6.2.2)."""
    if element.length == UNDEFINED and element.tag not in PIXEL_TAGS:
        return "SQ"
    if element.vr:
        return element.vr.decode("ascii", "replace")
    known = _known_vr(level, element.tag)
    return "SS" if known == "US or SS" and level.signed else known.partition(" or ")[0]


def _known_vr(level: _Level, tag: int) -> str:
    from pydicom.datadict import dictionary_VR, private_dictionary_VR  # noqa: PLC0415 - costs half a second

    if tag & 0xFFFF == 0:
        return "UL"
    if _is_creator(tag):
        return "LO"
    try:
        return private_dictionary_VR(tag, level.creator(tag)) if _is_private(tag) else dictionary_VR(tag)
    except KeyError:
        return "UN"


def _name(level: _Level, tag: int) -> str:
    from pydicom.datadict import dictionary_description, private_dictionary_description  # noqa: PLC0415

    if tag & 0xFFFF == 0:
        return "Group Length"
    if _is_creator(tag):
        return "Private Creator"
    try:
        if _is_private(tag):
            return private_dictionary_description(tag, level.creator(tag))
        return dictionary_description(tag)
    except KeyError:
        return _UNKNOWN


def _text(level: _Level, vr: str, value: bytes) -> str:
    """A value as text, several of them with a backslash between."""
    if vr in _IN_CHARSET:
        return decode(value, level.charset, name=vr == "PN")
    if vr in _ASCII:
        return ascii_text(value)
    if vr in _NUMBERS:
        return _number_text(vr, value, level.layout)
    plain = value.rstrip(b" \0")
    if plain.isascii() and plain.decode("ascii").isprintable():
        return plain.decode("ascii")
    return "\\".join(map(str, value[:_BINARY_BYTES])) + (_CUT if len(value) > _BINARY_BYTES else "")


def _number_text(vr: str, value: bytes, layout: Layout) -> str:
    kind = ("<" if layout.little else ">") + _NUMBERS[vr]
    try:
        numbers = list(iter_unpack(kind, value))
    except struct_error:
        return ""
    if vr == "AT":
        return "\\".join(f"{group:04X}{element:04X}" for group, element in numbers)
    return "\\".join(_single(number) if vr == "FL" else str(number) for (number,) in numbers)


def _single(number: float) -> str:
    """A 32-bit number by as few digits as tell it from others."""
    texts = [f"{number:.{digits}g}" for digits in _FLOAT_DIGITS]
    return next((text for text in texts if unpack("<f", pack("<f", float(text)))[0] == number), texts[-1])
