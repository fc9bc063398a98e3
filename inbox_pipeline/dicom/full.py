"""The full road of a rewrite: the data set is read by pydicom as a whole, for files that are in any way unusual.

Belongs here: big endian, deflated, missing preamble or meta, disorderly tags, elements with unknown VRs.
Does not belong here: streaming; the file is held in memory.
"""

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from inbox_pipeline.dicom.changes import Changes
from inbox_pipeline.dicom.datasets import new_dataset
from inbox_pipeline.dicom.digests import Segment
from inbox_pipeline.dicom.elements import KNOWN_VRS, Element
from inbox_pipeline.dicom.errors import Unparsable
from inbox_pipeline.dicom.fast import encoded_segments
from inbox_pipeline.dicom.preface import DEFLATED, Preface, stated_layout

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement


class FullRoad:
    """One file on the full road: `dataset` is for the editor; afterwards `segments` are what to write after the meta.

    `pixel` are then the value bytes of the pixel data, which a deflated output does not show.
    Bytes behind the last element are dropped, disorderly tags are put in order, of duplicates the last one stays, and
    the data set is laid out as the transfer syntax says.
    """

    def __init__(self, preface: Preface, elements: list[Element]) -> None:
        self._deflated = preface.transfer_syntax_uid == DEFLATED
        self._layout = stated_layout(preface.transfer_syntax_uid)
        self._same_layout = self._layout == preface.layout
        originals = _read(preface, elements)
        self._raw = originals
        self.pixel: bytes | None = None
        self.dataset: Dataset = new_dataset(originals, None, preface)
        self.changes = Changes(
            self.dataset, originals, self._layout, lambda: new_dataset(_read(preface, elements), None, preface)
        )

    def segments(self) -> list[Segment]:
        """The encoded data set, deflated if the transfer syntax says so. Raises NotWritable."""
        pieces = list(self._pieces())
        values = [piece.data or b"" for piece in pieces if piece.pixel]
        self.pixel = b"".join(values) if values else None
        if not self._deflated:
            return pieces
        compress = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = b"".join(compress.compress(piece.data or b"") for piece in pieces) + compress.flush()
        return [Segment(data=body + b"\0" * (len(body) & 1))]

    def _pieces(self) -> Iterator[Segment]:
        changes = self.changes.changed()
        for tag in sorted(int(tag) for tag, _ in self.dataset.items() if tag.element != 0):
            encoded = changes.get(tag)
            if encoded is None:
                yield from encoded_segments(tag, self._unchanged(tag), self._layout.implicit)
            else:
                yield from encoded_segments(tag, encoded, self._layout.implicit)

    def _unchanged(self, tag: int) -> bytes:
        element = self._raw[tag]
        if self._same_layout and element.is_raw:
            return self.changes.encode(element)
        return self.changes.pristine(tag)


def _read(preface: Preface, elements: list[Element]) -> "dict[int, DataElement | RawDataElement]":
    from pydicom.filereader import read_dataset  # noqa: PLC0415 - costs half a second

    end = elements[-1].end if elements else preface.start
    data = BytesIO(preface.data_set.whole(preface.start, end))
    try:
        dataset = read_dataset(data, *preface.layout)
    except Exception as error:  # noqa: BLE001 - whatever pydicom raises, its message may quote values
        raise Unparsable(f"the full parse failed ({type(error).__name__})") from None
    return {tag: _known(element) for tag, element in dataset.items() if tag.element != 0}


def _known(element: "DataElement | RawDataElement") -> "DataElement | RawDataElement":
    """An unknown VR becomes UN, since pydicom can neither convert nor replace an element that has one."""
    from pydicom.dataelem import RawDataElement  # noqa: PLC0415 - costs half a second

    if isinstance(element, RawDataElement) and element.VR and element.VR.encode() not in KNOWN_VRS:
        return element._replace(VR="UN")
    return element
