"""The header of one file: identification, grouping and plausibility facts, without reading pixel data.

Belongs here: the fixed list of elements a scan needs, and the proof that the file's elements reach its end.
Does not belong here: decisions (a missing UID is None, the caller decides), walking folders, editing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO

from inbox_pipeline.dicom.elements import DEPTH_LIMIT, PIXEL_TAGS, UNDEFINED, Element, root_elements
from inbox_pipeline.dicom.errors import DicomDir, NotReadable
from inbox_pipeline.dicom.headers import Headers, header_end
from inbox_pipeline.dicom.nested import IN_MEMORY
from inbox_pipeline.dicom.preface import MEDIA_STORAGE_DIRECTORY, Preface, read_preface
from inbox_pipeline.dicom.stretches import Stretch
from inbox_pipeline.dicom.text import ascii_text, decode
from inbox_pipeline.dicom.window import HEADER_LIMIT, INFLATED_LIMIT, Window

LARGEST_TEXT = 1 << 16
_CHARSET = 0x00080005
DIRECTORY_RECORDS = 0x00041220
_STUDY, _SERIES = 0x0020000D, 0x0020000E


@dataclass(frozen=True, slots=True)
class Header:
    """Facts of one instance. None means the element is absent, '' that it is present and empty; padding is stripped.

    Several values stay joined by backslashes. Integers are None if absent, empty or not a number.
    """

    transfer_syntax_uid: str
    media_storage_sop_class_uid: str | None
    media_storage_sop_instance_uid: str | None
    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    frame_of_reference_uid: str | None
    patient_id: str | None
    issuer_of_patient_id: str | None
    patient_name: str | None
    patient_comments: str | None
    study_comments: str | None
    additional_patient_history: str | None
    study_description: str | None
    series_description: str | None
    study_id: str | None
    series_number: str | None
    """As it is written: `007` and `+7` are labels of their own, although the number is the same."""
    accession_number: str | None
    modality: str | None
    manufacturer: str | None
    study_date: str | None
    study_time: str | None
    instance_number: int | None
    number_of_frames: int | None
    rows: int | None
    columns: int | None
    has_pixel_data: bool
    regular: bool
    """Whether the file is laid out as its preamble, meta and transfer syntax say, without padding behind it."""
    others: Mapping[int, str] = field(default_factory=dict)
    """The texts of elements that were asked for by tag, of those that are there."""


_ASCII = {
    0x00080016: "sop_class_uid",
    0x00080018: "sop_instance_uid",
    0x0020000D: "study_instance_uid",
    0x0020000E: "series_instance_uid",
    0x00200052: "frame_of_reference_uid",
    0x00080060: "modality",
    0x00080020: "study_date",
    0x00080030: "study_time",
    0x00200011: "series_number",
}
_TEXTS = {
    0x00100020: "patient_id",
    0x00100021: "issuer_of_patient_id",
    0x00104000: "patient_comments",
    0x00324000: "study_comments",
    0x001021B0: "additional_patient_history",
    0x00081030: "study_description",
    0x0008103E: "series_description",
    0x00200010: "study_id",
    0x00080050: "accession_number",
    0x00080070: "manufacturer",
}
_NAMES = {0x00100010: "patient_name"}
_INTEGERS = {0x00200013: "instance_number", 0x00280008: "number_of_frames"}
_SHORTS = {0x00280010: "rows", 0x00280011: "columns"}
_NOTABLE = PIXEL_TAGS | {DIRECTORY_RECORDS}
_WANTED = frozenset((_CHARSET, *_ASCII, *_TEXTS, *_NAMES, *_INTEGERS, *_SHORTS))


def read_header(
    stream: BinaryIO,
    *,
    size: int,
    depth_limit: int = DEPTH_LIMIT,
    header_limit: int = HEADER_LIMIT,
    inflated_limit: int = INFLATED_LIMIT,
    headers: Headers | None = None,
    also: frozenset[int] = frozenset(),
) -> Header:
    """Read one file's header and walk all its elements, seeking over values.

    `stream` is seekable, `size` is its length in bytes. `depth_limit` bounds nesting, `header_limit` the bytes read,
    `inflated_limit` the size of a deflated data set in bytes; `headers` remembers from file to file. `also` are tags of
    further text elements whose values are wanted.
    Source: PS3.10 section 7, PS3.5 section 7.
    Raises Empty, NotDicom, DicomDir, Truncated or Unparsable, all NotReadable.
    """
    head = b"" if headers is None else stream.read(min(headers.reach, size))
    window = Window(stream, size, head=head, limit=header_limit)
    preface = read_preface(stream, window, inflated_limit=inflated_limit)
    values: dict[int, bytes] = {}
    seen: set[int] = set()
    wanted = _with(also)
    try:
        if headers is not None and preface.layout.little and preface.data_set is window:
            end = _collect_known(stream, head, preface, headers, wanted, values, seen)
        else:
            end = _collect(preface, depth_limit, wanted, values, seen)
    except NotReadable:
        refuse_directory(preface.names_directory, values.keys() | seen)
        raise
    names_directory = preface.names_directory or ascii_text(values.get(0x00080016, b"")) == MEDIA_STORAGE_DIRECTORY
    refuse_directory(names_directory, values.keys() | seen)
    facts: dict[str, Any] = _meta_facts(preface)
    facts |= _ascii_facts(values) | _text_facts(values) | _integer_facts(values, preface.layout.little)
    regular = preface.regular and end == preface.data_set.size
    others = _other_texts(also, values)
    return Header(**facts, has_pixel_data=not seen.isdisjoint(PIXEL_TAGS), regular=regular, others=others)


@lru_cache(maxsize=8)
def _with(also: frozenset[int]) -> frozenset[int]:
    """The tags that are wanted, as one object from file to file."""
    return _WANTED | also


def refuse_directory(names_directory: bool, tags: Collection[int]) -> None:
    """Raise DicomDir for directory records, or for what is named a directory and is in no study and series.

    An instance of a series that merely bears the directory's SOP class is not an index: it must not pass for one.
    """
    if DIRECTORY_RECORDS in tags or (names_directory and not (_STUDY in tags and _SERIES in tags)):
        raise DicomDir("media storage directory")


def _collect(
    preface: Preface, depth_limit: int, wanted: frozenset[int], values: dict[int, bytes], seen: set[int]
) -> int:
    """Add wanted values by tag (the last one of duplicates, as pydicom) and notable tags; return where elements end."""
    window, end = preface.data_set, preface.start
    for element in root_elements(window, preface.start, preface.layout, depth_limit=depth_limit):
        end = element.end
        if element.tag in wanted:
            values[element.tag] = _value(window, element)
        elif element.tag in _NOTABLE:
            seen.add(element.tag)
    return end


def _collect_known(
    stream: BinaryIO,
    head: bytes,
    preface: Preface,
    headers: Headers,
    wanted: frozenset[int],
    values: dict[int, bytes],
    seen: set[int],
) -> int:
    """As `_collect`; what stands in a stretch that is known has been found out before."""
    window = preface.data_set
    try:
        stretches, end = headers.walk(stream, head, window, preface.start, preface.layout, {})
    except NotReadable:  # raised again, with what came before
        return _collect(preface, DEPTH_LIMIT, wanted, values, seen)
    headers.learn_reach(header_end(stretches, end), window.size)
    for stretch in stretches:
        values |= _wanted(window, stretch, wanted)
        seen |= _NOTABLE.intersection(stretch.tags)
    return end


def _wanted(window: Window, stretch: Stretch, wanted: frozenset[int]) -> dict[int, bytes]:
    """The wanted values of a stretch by tag, the last one of duplicates; found out once."""
    key = (_wanted, wanted)
    found: dict[int, bytes] | None = stretch.notes.get(key)
    if found is None:
        found = stretch.notes[key] = {}
        for part in stretch.parts:
            found |= _wanted(window, part, wanted)
        if not stretch.parts:
            data = stretch.data
            whole = window if data is None else Window(IN_MEMORY, len(data), head=data)
            found |= {element.tag: _value(whole, element) for element in stretch.elements if element.tag in wanted}
    return found


def _value(window: Window, element: Element) -> bytes:
    length = 0 if element.length == UNDEFINED else element.length
    return window.take(element.value, min(length, LARGEST_TEXT))


def _meta_facts(preface: Preface) -> dict[str, str | None]:
    values = preface.meta_values
    return {
        "transfer_syntax_uid": preface.transfer_syntax_uid,
        "media_storage_sop_class_uid": ascii_text(values[0x00020002]) if 0x00020002 in values else None,
        "media_storage_sop_instance_uid": ascii_text(values[0x00020003]) if 0x00020003 in values else None,
    }


def _ascii_facts(values: Mapping[int, bytes]) -> dict[str, str | None]:
    return {name: ascii_text(values[tag]) if tag in values else None for tag, name in _ASCII.items()}


def _text_facts(values: Mapping[int, bytes]) -> dict[str, str | None]:
    charset = values.get(_CHARSET, b"")
    facts: dict[str, str | None] = dict.fromkeys((*_TEXTS.values(), *_NAMES.values()))
    for tag, name in _TEXTS.items():
        if tag in values:
            facts[name] = decode(values[tag], charset)
    for tag, name in _NAMES.items():
        if tag in values:
            facts[name] = decode(values[tag], charset, name=True)
    return facts


def _other_texts(also: frozenset[int], values: Mapping[int, bytes]) -> dict[int, str]:
    charset = values.get(_CHARSET, b"")
    return {tag: decode(values[tag], charset, name=tag in _NAMES) for tag in also & values.keys()}


def _integer_facts(values: Mapping[int, bytes], little: bool) -> dict[str, int | None]:
    facts = {name: _integer(values.get(tag, b"")) for tag, name in _INTEGERS.items()}
    return facts | {name: _short(values.get(tag, b""), little) for tag, name in _SHORTS.items()}


def _integer(value: bytes) -> int | None:
    try:
        return int(ascii_text(value.split(b"\\")[0]))
    except ValueError:
        return None


def _short(value: bytes, little: bool) -> int | None:
    return int.from_bytes(value[:2], "little" if little else "big") if len(value) >= 2 else None
