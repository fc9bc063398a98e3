"""The full road of a rewrite: the data set is read by pydicom as a whole, for files that are in any way unusual.

Belongs here: big endian, deflated, missing preamble or meta, disorderly tags, elements with unknown VRs.
Does not belong here: streaming; the file is held in memory.
"""

import hashlib
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from inbox_pipeline.dicom.changes import Changes, Encoded
from inbox_pipeline.dicom.datasets import new_dataset
from inbox_pipeline.dicom.digests import Segment
from inbox_pipeline.dicom.elements import KNOWN_VRS, Layout
from inbox_pipeline.dicom.errors import Unparsable
from inbox_pipeline.dicom.preface import Preface
from inbox_pipeline.dicom.stretches import Stretch, of_encoded

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement


class FullRoad:
    """One file on the full road: `stretches` are the source's, `dataset` is for the editor, `after` what it made.

    Bytes behind the last element are dropped, disorderly tags are put in order, of duplicates the last one stays, and
    the data set is laid out as the transfer syntax says.
    """

    def __init__(self, preface: Preface, end: int) -> None:
        self._layout, self._preface, self._end = preface.layout, preface, end
        self._raw = _read(preface, end)
        self.dataset: Dataset = new_dataset(self._raw, None, preface)
        self.changes = Changes(
            self.dataset, self._raw, preface.layout, lambda: new_dataset(_read(preface, end), None, preface)
        )

    @property
    def stretches(self) -> list[Stretch]:
        """The elements of the source, one by one."""
        return [of_encoded(self._unchanged(tag), self._layout) for tag in sorted(self._raw)]

    def of_all(self) -> "FullRoad":
        """The same file with a fresh data set of all its elements."""
        return FullRoad(self._preface, self._end)

    def after(self, layout: Layout) -> list[Stretch]:
        """The data set after the edit, one element after the other, not deflated. Raises NotWritable."""
        pieces = self._pieces() if layout == self._layout else self.changes.relaid(layout)
        return [of_encoded(encoded, layout) for encoded in pieces]

    def _pieces(self) -> Iterator[Encoded]:
        changes = self.changes.changed()
        for tag in sorted(int(tag) for tag, _ in self.dataset.items() if tag.element != 0):
            yield changes.get(tag) or self._unchanged(tag)

    def _unchanged(self, tag: int) -> Encoded:
        element = self._raw[tag]
        return self.changes.encode(element) if element.is_raw else self.changes.pristine(tag)


def deflated(segments: list[Segment]) -> tuple[list[Segment], str | None]:
    """The segments of a data set deflated (PS3.5 section A.5), and the SHA-256 of its pixel data, hidden thereby."""
    compress, pixel = zlib.compressobj(wbits=-zlib.MAX_WBITS), None
    parts = []
    for data, is_pixel in ((segment.data or b"", segment.pixel) for segment in segments):
        parts.append(compress.compress(data))
        if is_pixel:
            pixel = pixel or hashlib.sha256()
            pixel.update(data)
    body = b"".join(parts) + compress.flush()
    return [Segment(data=body + b"\0" * (len(body) & 1))], pixel.hexdigest() if pixel else None


def _read(preface: Preface, end: int) -> "dict[int, DataElement | RawDataElement]":
    from pydicom.filereader import read_dataset  # noqa: PLC0415 - costs half a second

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
