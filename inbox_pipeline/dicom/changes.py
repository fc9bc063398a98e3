"""What an edit changed in a data set, element by element of its root.

Belongs here: telling a changed element from one that was only looked at, and encoding the changed ones; encoding all of
them where the edit asks for another layout.
Does not belong here: where the bytes of unchanged elements come from, group 0002.

An editor may convert elements in place by reading them, and may change nested items without touching the root element.
So nothing is taken from the editor's word: a raw element that is still there is unchanged, every other one is encoded
and compared with the encoding of a fresh conversion of the same original.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from inbox_pipeline.dicom.digests import Segment
from inbox_pipeline.dicom.elements import PIXEL_TAGS, SHORT_VRS, UNDEFINED, Layout
from inbox_pipeline.dicom.errors import NotWritable
from inbox_pipeline.dicom.plain import is_text_of, plain
from inbox_pipeline.dicom.words import reverse_untouched

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement

    AnyElement = DataElement | RawDataElement

T = TypeVar("T")

CHARSET = 0x00080005
_SPECIMEN_BYTES = 8
_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


class Encoded(NamedTuple):
    """One element as written. Of pixel data, `value` is what its digest is over; other elements are all `head`."""

    head: bytes
    value: bytes = b""
    tail: bytes = b""
    pixel: bool = False

    def segments(self) -> Iterator[Segment]:
        """The output of this element, its pixel data marked."""
        yield Segment(data=self.head)
        if self.pixel:
            yield Segment(data=self.value, pixel=True)
            yield Segment(data=self.tail)


class Changes:
    """Compares `dataset` after an edit with `originals`, its elements before; `twin` makes it once more."""

    def __init__(
        self, dataset: "Dataset", originals: "dict[int, AnyElement]", layout: Layout, twin: "Callable[[], Dataset]"
    ) -> None:
        self._dataset = dataset
        self._originals = originals
        self._layout = layout
        self._make_twin = twin
        self._twin: Dataset | None = None
        self._recoded: set[int] = set()
        self._pristine: dict[int, Encoded] = {}

    def relaid(self, layout: Layout) -> Iterator[Encoded]:
        """All elements by ascending tag, encoded in another layout than that of the originals. Raises NotWritable.

        This is what pydicom's writer does, but words that the edit left alone follow the byte order.
        """
        self._follow_charset()
        guarded(0, lambda: _convert_all(self._dataset))
        if self._layout.little != layout.little:
            guarded(0, self._reverse_words)
        self._layout = layout
        for tag in sorted(int(tag) for tag, _ in self._dataset.items() if tag & 0xFFFF):
            yield self.encode(self._dataset[tag])

    def _reverse_words(self) -> None:
        twin = self._make_twin()
        _convert_all(twin)
        reverse_untouched(self._dataset, twin)

    def changed(self) -> dict[int, Encoded | None]:
        """Encoded elements by tag that are new or not as they were, and None for each that is gone. Raises NotWritable.

        Retired group lengths (PS3.5 section 7.2) are never among them.
        """
        from pydicom.dataelem import RawDataElement  # noqa: PLC0415 - costs half a second

        originals, suspects = self._originals, []
        if self._dataset.get_item(CHARSET) is not originals.get(CHARSET):
            self._follow_charset()
        for tag, now in self._dataset.items():
            if originals.get(tag) is not now or type(now) is not RawDataElement:
                suspects.append((tag, now))
        gone = originals.keys() - self._dataset.keys()
        found = {int(tag): self._change(tag, now) for tag, now in suspects if tag & 0xFFFF}
        return {tag: encoded for tag, encoded in found.items() if encoded is not None} | {
            int(tag): None for tag in gone
        }

    def _change(self, tag: int, now: "AnyElement") -> Encoded | None:
        """The encoded element, or None if it was only looked at."""
        known = tag in self._originals and tag not in self._recoded
        same = is_text_of(now, self._originals[tag]) if known else False
        if same is not None:
            return None if same else self.encode(now)
        encoded = self.encode(now)
        return None if known and self._is_as_before(tag, now, encoded) else encoded

    def _is_as_before(self, tag: int, now: "AnyElement", encoded: Encoded) -> bool:
        """Whether the element equals a fresh one; nested elements are compared converted, as reading leaves them."""
        try:
            if encoded == self.pristine(tag):
                return True
            return now.VR == "SQ" and _converted(now, self.encode) == _converted(self._fresh()[tag], self.encode)
        except NotWritable:  # the original cannot be converted, so the editor has not read it but replaced it
            return False

    def pristine(self, tag: int) -> Encoded:
        """The original element as pydicom writes it. Raises NotWritable if it cannot be converted."""
        if tag in PIXEL_TAGS:  # not kept, since it may be large
            twin = self._make_twin()
            return guarded(tag, lambda: _encoded(twin[tag], twin, self._layout))
        if tag not in self._pristine:
            self._pristine[tag] = guarded(tag, lambda: _encoded(self._fresh()[tag], self._fresh(), self._layout))
        return self._pristine[tag]

    def encode(self, element: "AnyElement") -> Encoded:
        """An element under the data set's layout and character set. Raises NotWritable."""
        return guarded(element.tag, lambda: _encoded(element, self._dataset, self._layout))

    def _fresh(self) -> "Dataset":
        if self._twin is None:
            self._twin = self._make_twin()
        return self._twin

    def _follow_charset(self) -> None:
        """After a change of (0008,0005) texts are decoded under the old one, to be encoded under the new."""
        now = self._dataset._character_set
        if now == self._dataset.original_character_set:
            return
        for tag, element in list(self._dataset.items()):
            if tag != CHARSET and _may_hold_text(element):
                _decode(self._dataset[tag], now)
                self._recoded.add(tag)


def _may_hold_text(element: "AnyElement") -> bool:
    from pydicom.dataelem import RawDataElement  # noqa: PLC0415 - costs half a second
    from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR  # noqa: PLC0415 - costs half a second

    deferred = isinstance(element, RawDataElement) and element.value is None and element.length != 0
    return not deferred and (element.VR in CUSTOMIZABLE_CHARSET_VR or element.VR in {None, "SQ", "UN"})


def _decode(element: "DataElement", charset: "str | list[str]") -> None:
    """Convert nested elements under the charset they were read with; items with one of their own keep it."""
    if element.VR != "SQ":
        return
    for item in element.value:
        if CHARSET not in item:
            item._parent_encoding = charset
            for nested in item:
                _decode(nested, charset)


def _converted(element: "AnyElement", encoder: "Callable[[AnyElement], Encoded]") -> Encoded:
    """The encoding after all nested elements were converted from their raw form."""
    guarded(element.tag, lambda: _read_nested(element))
    return encoder(element)


def _read_nested(element: "AnyElement") -> None:
    items: Iterable[Dataset] = element.value if element.VR == "SQ" and not element.is_raw else ()  # type: ignore[assignment]
    for item in items:
        for nested in item:
            _read_nested(nested)


def _convert_all(dataset: "Dataset") -> None:
    """Convert raw elements at every depth; what cannot be converted, such as a number of wrong length, becomes UN."""
    from pydicom.dataelem import DataElement, RawDataElement  # noqa: PLC0415 - costs half a second

    for tag, entry in list(dataset.items()):
        try:
            element = dataset[tag]
        except Exception:  # pydicom raises anything
            if not isinstance(entry, RawDataElement):
                raise
            element = DataElement(tag, "UN", entry.value or b"", already_converted=True)
            dataset[tag] = element
        for item in element.value if element.VR == "SQ" else ():
            _convert_all(item)


def guarded(tag: int, work: Callable[[], T]) -> T:
    """What `work` returns for an element; its errors become NotWritable: pydicom raises anything and quotes values."""
    name = f"({tag >> 16:04X},{tag & 0xFFFF:04X})" if tag else "the data set"
    try:
        return work()
    except NotWritable:
        raise
    except UnicodeError:
        raise NotWritable(f"{name} cannot be expressed in its character set") from None
    except Exception as error:  # noqa: BLE001 - see above
        raise NotWritable(f"{name} cannot be encoded ({type(error).__name__})") from None


def _encoded(element: "AnyElement", dataset: "Dataset", layout: Layout) -> Encoded:
    """One element as pydicom writes it, but the value of pixel data is not copied. Raises what pydicom raises."""
    value = element.value
    if element.tag not in PIXEL_TAGS:
        return Encoded(plain(element, layout) or encode(element, dataset, layout))
    if not isinstance(value, bytes) or (element.VR or "").encode() in SHORT_VRS:
        return _split(encode(element, dataset, layout), layout)
    short, undefined = _beginning(element, value[:_SPECIMEN_BYTES])
    head = encode(short, dataset, layout)[: 8 if layout.implicit else 12]
    value += b"\0" * (len(value) % 2)
    length = (UNDEFINED if undefined else len(value)).to_bytes(4, "little" if layout.little else "big")
    return Encoded(head[:-4] + length, value, _DELIMITER if undefined else b"", True)


def _beginning(element: "AnyElement", value: bytes) -> "tuple[AnyElement, bool]":
    """The same element with less value, and whether its length is undefined."""
    from pydicom.dataelem import DataElement, RawDataElement  # noqa: PLC0415 - costs half a second

    if isinstance(element, RawDataElement):
        return element._replace(value=value), element.length == UNDEFINED
    short = DataElement(element.tag, element.VR, value, already_converted=True)
    short.is_undefined_length = element.is_undefined_length
    return short, element.is_undefined_length


def _split(encoded: bytes, layout: Layout) -> Encoded:
    """Encoded pixel data under a VR that is not one for bytes."""
    start = 8 if layout.implicit or encoded[4:6] in SHORT_VRS else 12
    return Encoded(encoded[:start], encoded[start:], pixel=True)


def encode(element: "AnyElement", dataset: "Dataset", layout: Layout) -> bytes:
    """Bytes of one element as pydicom writes them; raises what pydicom raises."""
    from pydicom import config  # noqa: PLC0415 - costs half a second
    from pydicom.dataelem import RawDataElement  # noqa: PLC0415
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415
    from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element  # noqa: PLC0415
    from pydicom.valuerep import AMBIGUOUS_VR  # noqa: PLC0415

    if isinstance(element, RawDataElement) and element.value is None:
        element = element._replace(value=b"")
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = layout
    if element.VR in AMBIGUOUS_VR:
        element = correct_ambiguous_vr_element(element, dataset, layout.little)
    before = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.RAISE  # else unencodable letters become question marks
    try:
        write_data_element(buffer, element, dataset._character_set)
    finally:
        config.settings.writing_validation_mode = before
    return buffer.getvalue()
