"""What an edit changed in a data set, element by element of its root.

Belongs here: telling a changed element from one that was only looked at, and encoding the changed ones.
Does not belong here: where the bytes of unchanged elements come from, group 0002.

An editor may convert elements in place by reading them, and may change nested items without touching the root element.
So nothing is taken from the editor's word: a raw element that is still there is unchanged, every other one is encoded
and compared with the encoding of a fresh conversion of the same original.
"""

from collections.abc import Callable
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
        from pydicom.dataelem import RawDataElement  # noqa: PLC0415 - costs half a second

        before = self._originals.get(tag)
        encoded = self.encode(now)
        same_text = tag not in self._recoded and isinstance(before, RawDataElement)
        unchanged = same_text and encoded == self._encoded_before(tag)
        return None if unchanged else encoded

    def _encoded_before(self, tag: int) -> bytes | None:
        """The original as it would be written had it only been looked at; None if it cannot be converted."""
        if self._twin is None:
            self._twin = self._make_twin()
        try:
            return encode(self._twin[tag], self._twin, self._layout)
        except Exception:  # noqa: BLE001 - pydicom raises anything on bad values; such an element was replaced unseen
            return None

    def encode(self, element: "AnyElement") -> bytes:
        """Bytes of an element under the data set's layout and character set. Raises NotWritable."""
        try:
            return encode(element, self._dataset, self._layout)
        except UnicodeError:
            raise NotWritable(f"{element.tag} cannot be expressed in the file's character set") from None
        except Exception as error:  # noqa: BLE001 - whatever pydicom raises, its message may quote the value
            raise NotWritable(f"{element.tag} cannot be encoded ({type(error).__name__})") from None

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
