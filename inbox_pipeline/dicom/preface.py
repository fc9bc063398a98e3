"""The beginning of a file: preamble, prefix, file meta information, and how the data set after it is laid out (PS3.10).

Belongs here: telling DICOM from other files, the transfer syntax and its layout.
Does not belong here: elements of the data set itself.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from inbox_pipeline.dicom.elements import KNOWN_VRS, Element, Layout, head_at
from inbox_pipeline.dicom.errors import Empty, NotDicom, Truncated
from inbox_pipeline.dicom.window import INFLATED_LIMIT, Inflated, Window

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
PREFIX_END = 132
_LAYOUTS = {IMPLICIT_LITTLE: Layout(True, True), EXPLICIT_BIG: Layout(False, False)}
_EXPLICIT = Layout(False, True)
_SYNTAXES = {layout: syntax for syntax, layout in _LAYOUTS.items()} | {_EXPLICIT: EXPLICIT_LITTLE}
_FIRST_GROUPS = {b"\x08\x00": True, b"\x00\x08": False}
_LARGEST_META_VALUE = 1 << 16


class Preface(NamedTuple):
    """What stands before the data set.

    `data_set` is the window the elements are walked in from `start` on: the file's own, or the inflated one.
    `regular` tells that the file has preamble, meta and transfer syntax, and that the data set is laid out as it says.
    """

    prefixed: bool
    meta: dict[int, Element]
    meta_values: dict[int, bytes]
    transfer_syntax_uid: str
    layout: Layout
    regular: bool
    data_set: Window
    start: int

    @property
    def names_directory(self) -> bool:
        """Whether the meta says that this is a Media Storage Directory."""
        return _uid(self.meta_values.get(0x00020002)) == MEDIA_STORAGE_DIRECTORY


def read_preface(stream: BinaryIO, window: Window, *, inflated_limit: int = INFLATED_LIMIT) -> Preface:
    """Read up to the first element of the data set.

    Raises Empty, NotDicom, Truncated, Unparsable.
    """
    if window.size == 0:
        raise Empty("0 bytes")
    prefixed = _has_prefix(window)
    first = PREFIX_END if prefixed else 0
    if first == window.size:
        raise Truncated("nothing follows the prefix")
    meta, values = _read_meta(window, first)
    start = max((element.end for element in meta.values()), default=first)
    stated = _uid(values.get(0x00020010))
    data_set = _inflate(stream, start, inflated_limit) if stated == DEFLATED else window
    start = start if data_set is window else 0
    layout = _layout(data_set, start, stated)
    regular = prefixed and stated is not None and layout == stated_layout(stated)
    return Preface(prefixed, meta, values, stated or _SYNTAXES[layout], layout, regular, data_set, start)


def _has_prefix(window: Window) -> bool:
    """Whether the data begin after preamble and prefix; "DICM" may also stand there without them."""
    prefix = window.size >= PREFIX_END and window.take(128, 4) == b"DICM"
    if prefix and (window.size == PREFIX_END or window.take(PREFIX_END, 2) == b"\x02\x00"):
        return True
    if _looks_like_dicom(window):
        return False
    if not prefix:
        raise NotDicom("no DICOM prefix and no plausible first element")
    return True


def _inflate(stream: BinaryIO, start: int, limit: int) -> Window:
    inflated = Inflated(stream, start)
    return Window(inflated, inflated.measure(limit))


def _read_meta(window: Window, first: int) -> tuple[dict[int, Element], dict[int, bytes]]:
    """Group 0002 is explicit little endian; some writers make it implicit."""
    vr = window.take(first + 4, 2)
    layout = _EXPLICIT if vr in KNOWN_VRS else Layout(True, True)
    meta = {element.tag: element for element in _meta_elements(window, first, layout)}
    return meta, _meta_values(window, meta)


def _meta_values(window: Window, meta: dict[int, Element]) -> dict[int, bytes]:
    """The values, or the beginnings of very long ones; all at once where the window holds them, as it mostly does."""
    end = max((each.end for each in meta.values()), default=0)
    if window.base == 0 and end <= min(len(window.data), _LARGEST_META_VALUE):
        return {tag: window.data[each.value : each.end] for tag, each in meta.items()}
    return {tag: window.take(e.value, min(e.end - e.value, _LARGEST_META_VALUE)) for tag, e in meta.items()}


def _meta_elements(window: Window, first: int, layout: Layout) -> Iterator[Element]:
    """Elements of group 0002. The stated length of the group counts only before deflated bytes."""
    position, stated_end, deflated = first, -1, False
    while _is_meta(window, position):
        if deflated and position == stated_end:
            return
        tag, vr, value, length = head_at(window, position, layout)
        if value + length > window.size:
            raise Truncated(f"the element at offset {position} reaches beyond the size of {window.size}")
        if tag == 0x00020000 and length == 4:
            stated_end = value + 4 + int.from_bytes(window.take(value, 4), "little")
        deflated |= tag == 0x00020010 and _uid(window.take(value, min(length, 64))) == DEFLATED
        yield Element(tag, vr, position, value, length, value + length)
        position = value + length


def _is_meta(window: Window, position: int) -> bool:
    """Whether an element of group 0002 begins at `position`."""
    if window.base == 0 and position + 2 <= len(window.data):
        return window.data.startswith(b"\x02\x00", position)
    return position + 2 <= window.size and window.take(position, 2) == b"\x02\x00"


def _looks_like_dicom(window: Window) -> bool:
    """Whether two elements in ascending order and within the file begin at offset 0: a data set without prefix."""
    if window.size < 8:
        return False
    start = window.take(0, 6)
    if start[:2] == b"\x02\x00":
        return start[4:6] in KNOWN_VRS
    little = _FIRST_GROUPS.get(start[:2])
    if little is None:
        return False
    layout = Layout(start[4:6] not in KNOWN_VRS, little)
    tag, _, value, length = head_at(window, 0, layout)
    following = value + length
    if following + 8 > window.size:
        return following == window.size
    return 0 < head_at(window, following, layout)[0] - tag < 1 << 20


def _layout(window: Window, start: int, stated: str | None) -> Layout:
    """The stated syntax's layout, corrected by the first element, which some writers lay out otherwise."""
    layout = stated_layout(stated) if stated else None
    if start + 8 > window.size:
        return layout or _EXPLICIT
    little = layout.little if layout else window.take(start, 2) != b"\x00\x08"
    explicit = window.take(start + 4, 2) in KNOWN_VRS
    return Layout(not explicit, little) if little or explicit else Layout(False, False)


def stated_layout(transfer_syntax_uid: str) -> Layout:
    """The layout a transfer syntax prescribes; others are explicit little endian (PS3.5 annex A)."""
    return _LAYOUTS.get(transfer_syntax_uid, _EXPLICIT)


def _uid(value: bytes | None) -> str | None:
    return value.decode("ascii", "replace").strip(" \0") or None if value is not None else None
