"""Rewriting one file: an editor changes elements, everything else keeps its bytes, all digests in the same pass.

Belongs here: the choice of road, the file's frame (preamble, prefix, group 0002), the result.
Does not belong here: what to edit, where files lie, what the roads do inside.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from inbox_pipeline.dicom.changes import Encoded, guarded
from inbox_pipeline.dicom.cleaning import Clean, Look, Treated, as_root
from inbox_pipeline.dicom.digests import BUFFER_BYTES, Digests, Segment, copy_segments
from inbox_pipeline.dicom.elements import UNDEFINED, Ends, Layout, all_elements
from inbox_pipeline.dicom.errors import NotWritable
from inbox_pipeline.dicom.fast import FastRoad, is_ordinary
from inbox_pipeline.dicom.full import FullRoad, deflated
from inbox_pipeline.dicom.header import PIXEL_TAGS, refuse_directory
from inbox_pipeline.dicom.meta import write_meta
from inbox_pipeline.dicom.preface import (
    DEFLATED,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    MEDIA_STORAGE_DIRECTORY,
    Preface,
    read_preface,
    stated_layout,
)
from inbox_pipeline.dicom.quiet import quiet
from inbox_pipeline.dicom.text import ascii_text
from inbox_pipeline.dicom.window import PART_LIMIT, Window, require_room

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement

_REACHABLE = (IMPLICIT_LITTLE, EXPLICIT_LITTLE)
_PREAMBLE_BYTES = 128
_NEEDED = frozenset(
    (
        0x00080005,
        0x00080016,
        0x00080018,
        0x00080060,
        0x00100020,
        0x0020000D,
        0x0020000E,
        0x00200011,
        0x00200013,
        0x00200052,
        0x00280008,
        0x00280100,
        0x00280103,
    )
)
"""What a data set holds at any rate: the facts of `Rewritten`, and what the encoding of others depends on."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Digests (hexadecimal) of one rewrite, and facts of the instance after the edit; None means absent.

    `pixel_sha256` is over the pixel data's value bytes as written: native, or all items of encapsulated ones without
    the sequence delimiter. `path_taken` is 'fast' or 'full'.
    """

    source_sha256: str
    output_sha256: str
    output_md5: str | None
    pixel_sha256: str | None
    output_bytes: int
    transfer_syntax_uid: str
    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    frame_of_reference_uid: str | None
    patient_id: str | None
    modality: str | None
    series_number: int | None
    instance_number: int | None
    number_of_frames: int | None
    path_taken: str


def rewrite(
    source: BinaryIO,
    dest: BinaryIO,
    edit: "Callable[[Dataset], object]",
    *,
    size: int | None = None,
    look: Look | None = None,
    clean: Clean | None = None,
    inspect: "Callable[[Iterable[bytes], Layout], object] | None" = None,
    zero_preamble: bool = False,
    md5: bool = True,
    pixel: bool = True,
) -> Rewritten:
    """Copy `source` to `dest` with the changes that `edit` makes in place to its data set.

    The data set holds raw elements, without group lengths and with `file_meta`; pixel data and long values are loaded
    only when looked at. What `edit` returns is not used: what it changed is found out. Untouched elements keep their
    bytes, group lengths go (PS3.5 section 7.2), group 0002 is written anew (PS3.10 section 7.1). `source` is seekable,
    `size` its length in bytes (default: asked of it); `zero_preamble` blanks the preamble. Nothing is written to `dest`
    before the edit is planned.

    Before the edit, `look` is shown the root elements of the source. After it, `clean` may exchange root elements as
    bytes. Then `inspect` is given every byte that will be written besides pixel data, the frame first and then pieces
    that begin with an element, and the layout; what it raises ends the rewrite before anything is written. Without
    `md5` or `pixel` that digest is not taken.

    An edit may change the transfer syntax to Implicit or Explicit VR Little Endian: the data set is then laid out so.
    Pixel data that was compressed must have been replaced. In a big endian file the words of OW and the like that the
    edit left alone follow; those that it has set are taken to be little endian.

    An editor with an attribute `wanted`, a set of root tags, is shown these elements only (and a few that a rewrite
    needs itself), and must neither look at nor set others; this saves time. If it changes the character set or the
    transfer syntax nevertheless, which concern all elements, or says in an attribute `gave_way` that it needs them, it
    is called again with all of them.

    Raises NotReadable (see `read_header`), NotWritable, and what `edit` raises.
    """
    with quiet():
        wanted = getattr(edit, "wanted", None)
        opened = _open(source, size, wanted)
        preface, road = opened.preface, opened.road
        if look is not None:
            look(road.roots(), preface.layout)
        edit(road.dataset)
        if wanted is not None and (getattr(edit, "gave_way", False) or _concerns_all(road.dataset, preface)):
            opened = _open(source, size)
            road = opened.road
            edit(road.dataset)
        syntax = _new_syntax(road.dataset, preface)
        layout, hidden_pixel = stated_layout(syntax), None
        segments, treated = road.segments(layout, clean)
        facts = _Facts(road.dataset, treated, layout)
        segments.insert(0, _frame(facts, preface, opened.head, zero_preamble, syntax))
        if inspect is not None:
            inspect(_runs(segments, opened.head, source), layout)
        if syntax == DEFLATED:
            data_set, hidden_pixel = deflated(segments[1:])
            segments = [segments[0], *data_set]
        digests = copy_segments(source, opened.size, opened.head, segments, dest, md5=md5, pixel=pixel)
        digests = digests._replace(pixel_sha256=hidden_pixel or digests.pixel_sha256)
        return _result(digests, facts, syntax, opened.path_taken)


def edited(source: BinaryIO, edit: "Callable[[Dataset], object]", *, size: int | None = None) -> "Dataset":
    """The data set of `source` after `edit`, as `rewrite` would write it; written nowhere.

    Raises NotReadable (see `read_header`), and what `edit` raises.
    """
    with quiet():
        dataset = _open(source, size).road.dataset
        edit(dataset)
        return dataset


@dataclass(frozen=True, slots=True)
class _Opened:
    """A source that has been walked: its first bytes, its frame, and the road that its data set takes."""

    size: int
    head: bytes
    preface: Preface
    road: FastRoad | FullRoad
    path_taken: str


def _open(source: BinaryIO, size: int | None, wanted: "Collection[int] | None" = None) -> _Opened:
    """Walk a source's elements, of which a data set holds the wanted ones; None for all. Raises NotReadable."""
    size = source.seek(0, os.SEEK_END) if size is None else size
    source.seek(0)
    head = source.read(min(BUFFER_BYTES, size))
    preface = read_preface(source, Window(source, size, head=head))
    ends: Ends = {}
    elements = all_elements(preface.data_set, preface.start, preface.layout, ends)
    fast = is_ordinary(preface, elements, size)
    shown = None if wanted is None else _NEEDED.union(wanted)
    road = FastRoad(source, head, preface, elements, ends, shown) if fast else FullRoad(preface, elements)
    names_directory = preface.names_directory or _text(road.dataset, 0x00080016) == MEDIA_STORAGE_DIRECTORY
    refuse_directory(names_directory, {element.tag for element in elements})
    return _Opened(size, head, preface, road, "fast" if fast else "full")


def _concerns_all(dataset: "Dataset", preface: Preface) -> bool:
    """Whether an edit changed what all elements depend on: the character set or the transfer syntax."""
    recoded = dataset._character_set != dataset.original_character_set
    return recoded or _stated_syntax(dataset, preface) != preface.transfer_syntax_uid


def _stated_syntax(dataset: "Dataset", preface: Preface) -> str:
    """The transfer syntax that group 0002 names after an edit. Raises NotWritable if it cannot be told."""
    given = guarded(0x00020010, lambda: dataset.file_meta.get("TransferSyntaxUID"))
    return str(given or preface.transfer_syntax_uid)


def _new_syntax(dataset: "Dataset", preface: Preface) -> str:
    """The transfer syntax to write. Raises NotWritable if the edit changed it to one that the bytes cannot follow."""
    stated = _stated_syntax(dataset, preface)
    if stated == preface.transfer_syntax_uid:
        return stated
    if stated not in _REACHABLE:
        raise NotWritable("the edit changes the transfer syntax to one that is not little endian without compression")
    if any(_is_encapsulated(element) for tag, element in dataset.items() if tag in PIXEL_TAGS):
        raise NotWritable("the edit changes the transfer syntax but leaves the pixel data compressed")
    return stated


def _is_encapsulated(element: "DataElement | RawDataElement") -> bool:
    """Whether the value consists of items (PS3.5 section A.4)."""
    return getattr(element, "length", 0) == UNDEFINED or getattr(element, "is_undefined_length", False)


class _Facts:
    """Text of root elements as they will be written: a cleaner's work before the edited data set."""

    def __init__(self, dataset: "Dataset", treated: Treated, layout: Layout) -> None:
        self.dataset, self._treated, self._layout = dataset, treated, layout

    def text(self, tag: int) -> str | None:
        """ASCII text of an element; None if absent, '' if empty."""
        if tag not in self._treated:
            return _text(self.dataset, tag)
        encoded = self._treated[tag]
        return None if encoded is None else ascii_text(as_root(Encoded(encoded), self._layout).value())

    def integer(self, tag: int) -> int | None:
        """The first number of an element; None if there is none."""
        try:
            return int((self.text(tag) or "").split("\\")[0])
        except ValueError:
            return None


def _frame(facts: _Facts, preface: Preface, head: bytes, zero_preamble: bool, syntax: str) -> Segment:
    preamble = head[:_PREAMBLE_BYTES] if preface.prefixed and not zero_preamble else bytes(_PREAMBLE_BYTES)
    meta = write_meta(facts.dataset.file_meta, facts.text(0x00080016), facts.text(0x00080018), syntax)
    return Segment(data=preamble + b"DICM" + meta)


def _runs(segments: Iterable[Segment], head: bytes, source: BinaryIO) -> Iterator[bytes]:
    """The bytes of an output besides pixel data. Raises OverLimits."""
    for data, start, end in ((s.data, s.start, s.end) for s in segments if not s.pixel):
        if data is not None:
            yield data
        elif end <= len(head):
            yield head[start:end]
        else:
            require_room(end - start, PART_LIMIT)
            source.seek(start)
            yield source.read(end - start)


def _result(digests: Digests, facts: _Facts, syntax: str, path_taken: str) -> Rewritten:
    return Rewritten(
        **digests._asdict(),
        transfer_syntax_uid=syntax,
        sop_class_uid=facts.text(0x00080016),
        sop_instance_uid=facts.text(0x00080018),
        study_instance_uid=facts.text(0x0020000D),
        series_instance_uid=facts.text(0x0020000E),
        frame_of_reference_uid=facts.text(0x00200052),
        patient_id=facts.text(0x00100020),
        modality=facts.text(0x00080060),
        series_number=facts.integer(0x00200011),
        instance_number=facts.integer(0x00200013),
        number_of_frames=facts.integer(0x00280008),
        path_taken=path_taken,
    )


def _text(dataset: "Dataset", tag: int) -> str | None:
    """ASCII text of an element, converted or not; None if absent, '' if empty."""
    element = dataset.get_item(tag)
    if element is None:
        return None
    value = element.value
    return ascii_text(value) if isinstance(value, bytes) else "" if value is None else str(value)
