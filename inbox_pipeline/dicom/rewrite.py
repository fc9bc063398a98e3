"""Rewriting one file: an editor changes elements, everything else keeps its bytes, all digests in the same pass.

Belongs here: the choice of road, the file's frame (preamble, prefix, group 0002), the result.
Does not belong here: what to edit, where files lie, what the roads do inside.
"""

import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from inbox_pipeline.dicom.changes import CHARSET, guarded
from inbox_pipeline.dicom.digests import NOTHING_HELD, Digests, Held, Segment, copy_segments
from inbox_pipeline.dicom.elements import PIXEL_TAGS, UNDEFINED, Layout, all_elements
from inbox_pipeline.dicom.errors import NotWritable
from inbox_pipeline.dicom.fast import FastRoad, is_ordinary, with_made
from inbox_pipeline.dicom.full import FullRoad, deflated
from inbox_pipeline.dicom.header import refuse_directory
from inbox_pipeline.dicom.headers import Headers, header_end
from inbox_pipeline.dicom.meta import others_of, uid_of, write_meta
from inbox_pipeline.dicom.patterns import LONGEST_VALUE
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
from inbox_pipeline.dicom.stretches import Stretch, find
from inbox_pipeline.dicom.text import ascii_text, decode
from inbox_pipeline.dicom.window import Window

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement

Look = Callable[[Sequence[Stretch], Layout], object]
"""Shown the root elements of a source in order, and their layout."""

Clean = Callable[[Sequence[Stretch], Layout], list[Stretch]]
"""Given the root elements in order and their layout: what is to be written instead."""

Inspect = Callable[[bytes, Sequence[Stretch], Layout], object]
"""Given what will be written: the frame, the root elements, and their layout."""

_REACHABLE = (IMPLICIT_LITTLE, EXPLICIT_LITTLE)
_PREAMBLE_BYTES, _SHORT = 128, 1 << 16
_SOP_CLASS, _SOP_INSTANCE, _SERIES_DESCRIPTION, _PATIENT_ID = 0x00080016, 0x00080018, 0x0008103E, 0x00100020
_META_UIDS = (0x00020002, 0x00020003)
_OF_FILE = (0x00020000, 0x00020003)
"""Elements of group 0002 that are of a single file: its length and the instance's UID."""
_FACTS = frozenset(
    (
        CHARSET,
        _SOP_CLASS,
        _SOP_INSTANCE,
        0x00080020,
        0x00080030,
        0x00080060,
        _SERIES_DESCRIPTION,
        _PATIENT_ID,
        0x0020000D,
        0x0020000E,
        0x00200011,
        0x00200013,
        0x00200052,
        0x00280008,
    )
)
"""The elements that `Rewritten` tells of."""
_HELD_PIXELS = 1 << 22
"""Pixel data up to here are given to an editor that recalls."""
_NEEDED = frozenset((CHARSET, 0x00280100, 0x00280103))
"""What a data set holds at any rate, since the encoding of others depends on it."""


class Edit(NamedTuple):
    """What an editor made of a file: elements, set or removed, and those of group 0002 that are not ours to set."""

    made: Mapping[int, Stretch | None]
    meta: Mapping[int, bytes]


class Editor(Protocol):
    """An editor that may know beforehand what it makes of a file, from those elements that it looks at.

    `seen` are equal for files that are the same to it: the elements with tags in `wanted`, whether there are pixel
    data and of which length, group 0002 but for the instance's UID. `remember` is called only where it looked at
    nothing else; one that looks at native pixel data must do so again in `recall`.
    """

    wanted: frozenset[int] | None
    gave_way: bool

    def __call__(self, dataset: "Dataset") -> None:
        """Edit a data set in place."""
        ...

    def recall(self, seen: Hashable, pixels: Callable[[], bytes | None]) -> Edit | None:
        """Return what was made of a file that looked the same, as if made again; None if that is unknown.

        `pixels` gives the value of the pixel data, None if there is none or it is longer than is held at once here.
        """
        ...

    def remember(self, seen: Hashable, edit: Edit) -> None:
        """Take note of what was made just now."""
        ...


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
    study_date: str | None
    study_time: str | None
    modality: str | None
    series_description: str | None
    series_number: int | None
    instance_number: int | None
    number_of_frames: int | None
    path_taken: str


def rewrite(
    source: BinaryIO,
    dest: BinaryIO,
    edit: "Editor | Callable[[Dataset], object]",
    *,
    size: int | None = None,
    headers: Headers | None = None,
    look: Look | None = None,
    clean: Clean | None = None,
    inspect: Inspect | None = None,
    zero_preamble: bool = False,
    md5: bool = True,
    pixel: bool = True,
) -> Rewritten:
    """Copy `source` to `dest` with the changes that `edit` makes in place to its data set.

    The data set holds raw elements, without group lengths and with `file_meta`; pixel data and long values are loaded
    only when looked at. What `edit` returns is not used: what it changed is found out. Untouched elements keep their
    bytes, group lengths go (PS3.5 section 7.2), group 0002 is written anew (PS3.10 section 7.1). `source` is seekable,
    `size` its length in bytes (default: asked of it); `headers` remembers from file to file; `zero_preamble` blanks the
    preamble. Nothing is written to `dest` before the edit is planned.

    Before the edit, `look` is shown the root elements of the source. After it, `clean` may exchange root elements as
    bytes. Then `inspect` is given all that will be written; what it raises ends the rewrite before anything is. Without
    `md5` or `pixel` that digest is not taken.

    An edit may change the transfer syntax to Implicit or Explicit VR Little Endian: the data set is then laid out so.
    Pixel data that was compressed must have been replaced. In a big endian file the words of OW and the like that the
    edit left alone follow; those that it has set are taken to be little endian.

    An editor with an attribute `wanted`, a set of root tags, is shown these elements only (and a few that a rewrite
    needs itself), and must neither look at nor set others; this saves time. If it changes the character set or the
    transfer syntax nevertheless, which concern all elements, or says in an attribute `gave_way` that it needs them, it
    is called again with all of them. See `Editor` for one that remembers.

    Raises NotReadable (see `read_header`), NotWritable, and what `edit` raises.
    """
    opened = _open(source, size, headers or Headers(), getattr(edit, "wanted", None))
    preface = opened.preface
    if look is not None:
        look(opened.road.stretches, preface.layout)
    done = _recalled(opened, edit) or _done(opened, edit)
    layout, hidden_pixel = stated_layout(done.syntax), None
    stretches = done.stretches if clean is None else clean(done.stretches, layout)
    facts = _Facts(stretches)
    frame = _frame(facts, done, opened, zero_preamble)
    if inspect is not None:
        inspect(frame, stretches, layout)
    segments = list(_merged(frame, stretches))
    if done.syntax == DEFLATED:
        data_set, hidden_pixel = deflated([each for stretch in stretches for each in stretch.segments])
        segments = [Segment(data=frame), *data_set]
    held = opened.looked_at
    digests = copy_segments(source, opened.size, opened.head, segments, dest, held=held, md5=md5, pixel=pixel)
    digests = digests._replace(pixel_sha256=hidden_pixel or digests.pixel_sha256)
    return _result(digests, facts, done.syntax, opened.path_taken)


class _Done(NamedTuple):
    """A file after its edit: transfer syntax, root elements, and of group 0002 what is not ours to set and the UIDs."""

    syntax: str
    stretches: list[Stretch]
    meta: Mapping[int, bytes]
    meta_uids: Sequence[str]


def _recalled(opened: "_Opened", edit: "Editor | Callable[[Dataset], object]") -> _Done | None:
    """What an editor made of a file that looked the same to it; None if it does not know."""
    recall = getattr(edit, "recall", None)
    seen = None if recall is None else opened.seen()
    known = None if recall is None or seen is None else recall(seen, opened.pixels)
    if known is None:
        return None
    preface = opened.preface
    uids = [ascii_text(preface.meta_values.get(tag, b"")) for tag in _META_UIDS]
    return _Done(preface.transfer_syntax_uid, with_made(opened.road.stretches, known.made), known.meta, uids)


def _done(opened: "_Opened", edit: "Editor | Callable[[Dataset], object]") -> _Done:
    """Let an editor do its work."""
    preface, road = opened.preface, opened.road
    with quiet():
        edit(road.dataset)
        if opened.wanted is not None and (getattr(edit, "gave_way", False) or _concerns_all(road.dataset, preface)):
            road = road.of_all()
            edit(road.dataset)
        only_wanted = isinstance(road, FastRoad) and road is opened.road and road.looked_at_none(PIXEL_TAGS, _OF_FILE)
        syntax, meta = _new_syntax(road.dataset, preface), road.dataset.file_meta
        others, uids = others_of(meta), [uid_of(meta, tag) for tag in _META_UIDS]
        if isinstance(road, FullRoad) or stated_layout(syntax) != preface.layout:
            return _Done(syntax, road.after(stated_layout(syntax)), others, uids)
        made = road.made()
        if only_wanted and syntax == preface.transfer_syntax_uid:
            _tell(opened, edit, Edit(made, others))
        return _Done(syntax, with_made(road.stretches, made), others, uids)


def _tell(opened: "_Opened", edit: "Editor | Callable[[Dataset], object]", made: Edit) -> None:
    """Let an editor remember what it did if it can."""
    remember = getattr(edit, "remember", None)
    seen = None if remember is None else opened.seen()
    if remember is not None and seen is not None:
        remember(seen, made)


def edited(source: BinaryIO, edit: "Callable[[Dataset], object]", *, size: int | None = None) -> "Dataset":
    """The data set of `source` after `edit`, as `rewrite` would write it; written nowhere.

    Raises NotReadable (see `read_header`), and what `edit` raises.
    """
    with quiet():
        dataset = _open(source, size, Headers()).road.dataset
        edit(dataset)
        return dataset


@dataclass(slots=True)
class _Opened:
    """A source that has been walked: its first bytes, its frame, and the road that its data set takes.

    `looked_at` are the pixel data if an editor has asked for them.
    """

    size: int
    head: bytes
    preface: Preface
    road: FastRoad | FullRoad
    wanted: frozenset[int] | None
    looked_at: Held = NOTHING_HELD

    @property
    def path_taken(self) -> str:
        """The name of the road."""
        return "fast" if isinstance(self.road, FastRoad) else "full"

    def pixels(self) -> bytes | None:
        """The value of the pixel data, None if it is long or there is none."""
        found = [each for each in self.road.stretches if each.tags[0] in PIXEL_TAGS]
        if len(found) != 1 or found[0].elements[0].length > _HELD_PIXELS:
            return None
        self.looked_at = Held(found[0].elements[0].value, found[0].roots[0].value())
        return self.looked_at.data

    def seen(self) -> Hashable | None:
        """What an editor sees of the file that wants some elements only; None if that cannot be compared."""
        if self.wanted is None or isinstance(self.road, FullRoad):
            return None
        shown = [_shown(each, self.wanted) for each in self.road.stretches]
        if None in shown:
            return None
        pixels = [each.elements[0] for each in self.road.stretches if each.tags[0] in PIXEL_TAGS]
        meta = self.preface.meta
        return (
            self.preface.layout,
            tuple((tag, meta[tag].vr, value) for tag, value in self.preface.meta_values.items() if tag not in _OF_FILE),
            tuple((element.tag, element.vr, element.length) for element in pixels),
            b"".join(part for part in shown if part),
        )


def _shown(stretch: Stretch, wanted: frozenset[int]) -> bytes | None:
    """The elements of a stretch that an editor wants, but for pixel data; None if they are not held."""
    found: bytes | None = stretch.notes.get((_shown, wanted), b"")
    if found or wanted.isdisjoint(stretch.tags):
        return found
    data = stretch.data
    if stretch.tags[0] in PIXEL_TAGS:
        return b""
    if data is None or (len(data) > LONGEST_VALUE and not stretch.known):
        return None
    found = b"".join(data[each.start : each.end] for each in stretch.elements if each.tag in wanted)
    stretch.notes[_shown, wanted] = found
    return found


def _open(source: BinaryIO, size: int | None, headers: Headers, wanted: "frozenset[int] | None" = None) -> _Opened:
    """Walk a source's elements, of which a data set holds the wanted ones; None for all. Raises NotReadable."""
    size = source.seek(0, os.SEEK_END) if size is None else size
    if wanted is not None:
        wanted |= _NEEDED
    source.seek(0)
    head = source.read(min(headers.reach, size))
    window = Window(source, size, head=head)
    preface = read_preface(source, window)
    stretches, end = _walked(source, head, window, preface, headers)
    if headers.learn_reach(header_end(stretches, end), size):
        return _open(source, size, headers, wanted)
    if is_ordinary(preface, stretches, end, size):
        road: FastRoad | FullRoad = FastRoad(source, preface, stretches, wanted)
    else:
        with quiet():
            road = FullRoad(preface, end)
    _refuse_index(preface, road, stretches)
    return _Opened(size, head, preface, road, wanted)


def _walked(
    source: BinaryIO, head: bytes, window: Window, preface: Preface, headers: Headers
) -> tuple[list[Stretch], int]:
    """The root elements of a source, and where they end."""
    layout = preface.layout
    if layout.little and preface.data_set is window:
        return headers.walk(source, head, window, preface.start, layout, {})
    elements = all_elements(preface.data_set, preface.start, layout, {})
    return [Stretch((element.tag,), (), layout, elements=[element]) for element in elements], elements[-1].end


def _refuse_index(preface: Preface, road: FastRoad | FullRoad, stretches: Sequence[Stretch]) -> None:
    """Raise DicomDir for what is no instance."""
    named = preface.names_directory
    if isinstance(road, FastRoad):
        root = find(stretches, _SOP_CLASS)
        named = named or (root is not None and ascii_text(root.value()) == MEDIA_STORAGE_DIRECTORY)
        if not named:
            return
    named = named or _text(road.dataset, _SOP_CLASS) == MEDIA_STORAGE_DIRECTORY
    refuse_directory(named, {tag for stretch in stretches for tag in stretch.tags})


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
    """Values of root elements as they will be written."""

    def __init__(self, stretches: Iterable[Stretch]) -> None:
        self._values: dict[int, bytes] = {}
        for stretch in stretches:
            values = stretch.notes.get(_Facts)
            if values is None:
                values = stretch.notes[_Facts] = _values(stretch)
            if values:
                self._values |= values

    def text(self, tag: int) -> str | None:
        """ASCII text of an element; None if absent, '' if empty."""
        value = self._values.get(tag)
        return None if value is None else ascii_text(value)

    def decoded(self, tag: int) -> str | None:
        """Text of an element under the character set."""
        value = self._values.get(tag)
        return None if value is None else decode(value, self._values.get(CHARSET, b""))

    def integer(self, tag: int) -> int | None:
        """The first number of an element; None if there is none."""
        try:
            return int((self.text(tag) or "").split("\\")[0])
        except ValueError:
            return None


def _values(stretch: Stretch) -> dict[int, bytes]:
    if _FACTS.isdisjoint(stretch.tags):
        return {}
    if stretch.data is None:
        return {root.tag: root.value() for root in stretch.roots if root.tag in _FACTS}
    return {e.tag: stretch.data[e.value : e.value_end] for e in stretch.elements if e.tag in _FACTS}


def _frame(facts: _Facts, done: _Done, opened: _Opened, zero_preamble: bool) -> bytes:
    kept = opened.preface.prefixed and not zero_preamble
    preamble = opened.head[:_PREAMBLE_BYTES] if kept else bytes(_PREAMBLE_BYTES)
    given = (facts.text(_SOP_CLASS), facts.text(_SOP_INSTANCE))
    sop_class, sop_instance = (uid or stated for uid, stated in zip(given, done.meta_uids, strict=True))
    return preamble + b"DICM" + write_meta(done.meta, sop_class, sop_instance, done.syntax)


def _merged(frame: bytes, stretches: Iterable[Stretch]) -> Iterator[Segment]:
    """What is written, in few pieces, of which none that is long has been copied."""
    held = [frame]
    for segment in (segment for stretch in stretches for segment in stretch.segments):
        if segment.data is not None and len(segment.data) <= _SHORT and not segment.pixel:
            held.append(segment.data)
            continue
        yield Segment(data=b"".join(held))
        held = []
        yield segment
    yield Segment(data=b"".join(held))


def _result(digests: Digests, facts: _Facts, syntax: str, path_taken: str) -> Rewritten:
    return Rewritten(
        **digests._asdict(),
        transfer_syntax_uid=syntax,
        sop_class_uid=facts.text(0x00080016),
        sop_instance_uid=facts.text(0x00080018),
        study_instance_uid=facts.text(0x0020000D),
        series_instance_uid=facts.text(0x0020000E),
        frame_of_reference_uid=facts.text(0x00200052),
        patient_id=facts.decoded(_PATIENT_ID),
        study_date=facts.text(0x00080020),
        study_time=facts.text(0x00080030),
        modality=facts.text(0x00080060),
        series_description=facts.decoded(_SERIES_DESCRIPTION),
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
