"""pydicom data sets made from walked elements, for an editor to work on.

Belongs here: raw elements, deferral of large values, what pydicom needs to convert an element later.
Does not belong here: writing, deciding what changed.
"""

from collections.abc import Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, BinaryIO

from inbox_pipeline.dicom.elements import KNOWN_VRS, PIXEL_TAGS, UNDEFINED, Element, Layout
from inbox_pipeline.dicom.errors import Unparsable
from inbox_pipeline.dicom.preface import Preface
from inbox_pipeline.dicom.stretches import RootElement, Stretch

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.dataset import FileMetaDataset

_VR_NAMES = {vr: vr.decode("ascii") for vr in KNOWN_VRS}
DEFER_BYTES = 1 << 18
"""Values longer than this stay in the file until they are looked at."""


def raw_elements(
    stretches: Iterable[Stretch], layout: Layout, wanted: frozenset[int] | None = None
) -> "dict[int, DataElement | RawDataElement]":
    """pydicom's raw elements by tag, the wanted ones without group lengths; None means all.

    Pixel data and values beyond DEFER_BYTES have the value None, which pydicom replaces when it is asked for them.
    Sequences of undefined length are loaded whole, since pydicom cannot defer them.
    """
    from pydicom.dataelem import RawDataElement, empty_value_for_VR  # noqa: PLC0415 - costs half a second
    from pydicom.tag import BaseTag  # noqa: PLC0415

    raw: dict[int, DataElement | RawDataElement] = {}
    implicit, little = layout
    for element, root in (
        (e, r) for stretch in stretches for e, r in zip(stretch.elements, stretch.roots, strict=True)
    ):
        number, _, _, at, length, _ = element
        if number & 0xFFFF and (wanted is None or number in wanted):
            tag, vr = BaseTag(number), _vr(element)
            value: Any = _value(element, root) if length else empty_value_for_VR(vr, raw=True)
            raw[tag] = RawDataElement(tag, vr, length, value, at, implicit, little)
    return raw


def _vr(element: Element) -> str | None:
    """The stated VR; an undefined length that is not pixel data means a sequence (PS3.5 section 6.2.2)."""
    if element.length == UNDEFINED and element.tag not in PIXEL_TAGS:
        return "SQ"
    return _VR_NAMES[element.vr] if element.vr else None


def _value(element: Element, root: RootElement) -> bytes | None:
    deferred = element.tag in PIXEL_TAGS or (element.length > DEFER_BYTES and element.length != UNDEFINED)
    return None if deferred else root.value()


def new_dataset(
    elements: "dict[int, DataElement | RawDataElement]", stream: BinaryIO | None, preface: Preface
) -> "Dataset":
    """A data set over a copy of `elements`, able to convert them and to load deferred ones from `stream`."""
    from pydicom import Dataset  # noqa: PLC0415 - costs half a second

    dataset = Dataset(dict(elements))  # type: ignore[arg-type]  # keys are BaseTag, an int
    try:
        character_set = dataset._character_set
    except Exception:  # noqa: BLE001 - pydicom raises anything, for instance on a number where text is expected
        raise Unparsable("the Specific Character Set cannot be looked up") from None
    dataset.set_original_encoding(*preface.layout, character_set)
    dataset.buffer = stream
    dataset.filename = dataset.timestamp = dataset.fileobj_type = None
    dataset.file_meta = _file_meta(preface)
    return dataset


def _file_meta(preface: Preface) -> "FileMetaDataset":
    from pydicom.dataelem import RawDataElement  # noqa: PLC0415 - costs half a second
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415
    from pydicom.tag import BaseTag  # noqa: PLC0415

    raw: MutableMapping[BaseTag, DataElement | RawDataElement] = {}
    for tag, element in preface.meta.items():
        value, vr = preface.meta_values[tag], element.vr.decode("ascii") if element.vr else None
        raw[BaseTag(tag)] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, vr is None, True)
    meta = FileMetaDataset(raw)
    meta.set_original_encoding(False, True)
    return meta
