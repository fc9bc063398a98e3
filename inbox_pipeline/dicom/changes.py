"""What an edit changed in a data set, element by element of its root.

Belongs here: telling a changed element from one that was only looked at, and encoding the changed ones.
Does not belong here: where the bytes of unchanged elements come from, group 0002.

An editor may convert elements in place by reading them, and may change nested items without touching the root element.
So nothing is taken from the editor's word: a raw element that is still there is unchanged, every other one is encoded
and compared with the encoding of a fresh conversion of the same original.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from inbox_pipeline.dicom.elements import Layout
from inbox_pipeline.dicom.errors import NotWritable

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement

    AnyElement = DataElement | RawDataElement

CHARSET = 0x00080005


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
        self._pristine: dict[int, bytes] = {}

    def changed(self) -> dict[int, bytes | None]:
        """Encoded elements by tag that are new or not as they were, and None for each that is gone. Raises NotWritable.

        Retired group lengths (PS3.5 section 7.2) are never among them.
        """
        from pydicom.dataelem import RawDataElement  # noqa: PLC0415 - costs half a second

        self._follow_charset()
        originals, suspects = self._originals, []
        for tag, now in self._dataset.items():
            if originals.get(tag) is not now or type(now) is not RawDataElement:
                suspects.append((tag, now))
        gone = originals.keys() - self._dataset.keys()
        found = {int(tag): self._change(tag, now) for tag, now in suspects if tag & 0xFFFF}
        return {tag: encoded for tag, encoded in found.items() if encoded is not None} | {
            int(tag): None for tag in gone
        }

    def _change(self, tag: int, now: "AnyElement") -> bytes | None:
        """The encoded element, or None if it was only looked at."""
        encoded = self.encode(now)
        known = tag in self._originals and tag not in self._recoded
        return None if known and self._is_as_before(tag, now, encoded) else encoded

    def _is_as_before(self, tag: int, now: "AnyElement", encoded: bytes) -> bool:
        """Whether the element equals a fresh one; nested elements are compared converted, as reading leaves them."""
        try:
            if encoded == self.pristine(tag):
                return True
            return now.VR == "SQ" and _converted(now, self.encode) == _converted(self._fresh()[tag], self.encode)
        except NotWritable:  # the original cannot be converted, so the editor has not read it but replaced it
            return False

    def pristine(self, tag: int) -> bytes:
        """Bytes of the original element as pydicom writes it. Raises NotWritable if it cannot be converted."""
        if tag not in self._pristine:
            self._pristine[tag] = _guarded(tag, lambda: encode(self._fresh()[tag], self._fresh(), self._layout))
        return self._pristine[tag]

    def encode(self, element: "AnyElement") -> bytes:
        """Bytes of an element under the data set's layout and character set. Raises NotWritable."""
        return _guarded(element.tag, lambda: encode(element, self._dataset, self._layout))

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


def _converted(element: "AnyElement", encoder: "Callable[[AnyElement], bytes]") -> bytes:
    """The encoding after all nested elements were converted from their raw form."""
    _guarded(element.tag, lambda: _read_nested(element))
    return encoder(element)


def _read_nested(element: "AnyElement") -> bytes:
    items: Iterable[Dataset] = element.value if element.VR == "SQ" and not element.is_raw else ()  # type: ignore[assignment]
    for item in items:
        for nested in item:
            _read_nested(nested)
    return b""


def _guarded(tag: int, work: Callable[[], bytes]) -> bytes:
    """What `work` returns; its errors become NotWritable, since pydicom raises anything and quotes values."""
    try:
        return work()
    except UnicodeError:
        raise NotWritable(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) cannot be expressed in its character set") from None
    except Exception as error:  # noqa: BLE001 - see above
        name = type(error).__name__
        raise NotWritable(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) cannot be encoded ({name})") from None


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
