"""The element tokenizer: where each root element of a data set begins and ends (PS3.5 section 7).

Belongs here: tags, value representations and lengths as bytes; skipping nested and encapsulated values by their lengths
and delimiters. Does not belong here: the meaning of values, the file's preface, pydicom.
"""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from inbox_pipeline.dicom.errors import OverLimits, Truncated, Unparsable
from inbox_pipeline.dicom.window import Window

UNDEFINED = 0xFFFFFFFF
DEPTH_LIMIT = 256
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
KNOWN_VRS = LONG_VRS | SHORT_VRS
PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DELIMITERS = 0xFFFE
_IMPOSSIBLE = frozenset((0, 2, _DELIMITERS, 0xFFFF))

MOST_ELEMENTS = 1 << 17
"""Root elements of one data set; each is held in memory, and real files have hundreds."""

Ends = dict[int, int]
"""Where values of undefined length end, after their delimiter, by where they begin: nothing is walked twice."""
MOST_ENDS = 1 << 16
"""Ends that are remembered of one file, about 10 MB; what is beyond is walked again where it is needed."""
LONG_VALUE = 1 << 16
"""The ends of longer values are remembered beyond that: of them there are few."""


class Layout(NamedTuple):
    """How elements are laid out: implicit or explicit value representation, and the byte order."""

    implicit: bool
    little: bool


class Element(NamedTuple):
    """One root element as offsets: `start` of its tag, `value` of its value, `end` after value and delimiter.

    `vr` is None where the file states none; `length` is the declared one, UNDEFINED included.
    """

    tag: int
    vr: bytes | None
    start: int
    value: int
    length: int
    end: int

    @property
    def value_end(self) -> int:
        """Offset after the value, before a sequence delimiter."""
        return self.end - 8 if self.length == UNDEFINED else self.end


class _Order(NamedTuple):
    explicit: Struct
    implicit: Struct
    long: Struct


_LITTLE = _Order(Struct("<HH2sH"), Struct("<HHI"), Struct("<I"))
_BIG = _Order(Struct(">HH2sH"), Struct(">HHI"), Struct(">I"))


def head_at(window: Window, position: int, layout: Layout) -> tuple[int, bytes | None, int, int]:
    """Tag, stated VR, offset of the value and declared length of the element at `position`.

    A VR that cannot be one means an implicit element amid explicit ones, as some writers leave them; an unknown VR of
    two capitals has a short length. Both as pydicom takes them. Raises Truncated, Unparsable.
    """
    at = position - window.base
    if at < 0 or at + 12 > len(window.data):
        at = window.index(position, 8)
    order = _LITTLE if layout.little else _BIG
    group, element, vr, short = order.explicit.unpack_from(window.data, at)
    tag = group << 16 | element
    if vr in SHORT_VRS and not layout.implicit and group != _DELIMITERS:
        return tag, vr, position + 8, short
    if layout.implicit or group == _DELIMITERS or not _is_stated(vr, position):
        return tag, None, position + 8, order.implicit.unpack_from(window.data, at)[2]
    if vr in LONG_VRS:
        at = window.index(position, 12)
        return tag, vr, position + 12, order.long.unpack_from(window.data, at + 8)[0]
    return tag, vr, position + 8, short


def _is_stated(vr: bytes, position: int) -> bool:
    """Whether two bytes state a VR. Raises Unparsable for what is neither one nor the length of an implicit element."""
    if vr in KNOWN_VRS or (vr.isalpha() and vr.isupper()):
        return True
    if b"AA" <= vr <= b"ZZ":
        raise Unparsable(f"no value representation at offset {position + 4}")
    return False


def root_elements(
    window: Window,
    start: int,
    layout: Layout,
    *,
    depth_limit: int = DEPTH_LIMIT,
    ends: Ends | None = None,
    origin: int = 0,
    previous: int = -1,
) -> Iterator[Element]:
    """Walk the root elements from `start` to the window's size.

    Zero bytes after the last element are taken as padding and end the walk. `ends` is read and filled (`skip_items`),
    `previous` is the tag of an element before `start`.
    Raises Truncated if an element reaches beyond the size or there is none, Unparsable if what stands there cannot be
    an element, OverLimits if there are too many.
    """
    position, size, count = start, window.size, 0
    while position < size:
        element = element_at(window, position, layout, depth_limit, ends, origin, previous)
        if element is None:
            break
        yield element
        position, previous, count = element.end, element.tag, count + 1
        require_few(count)
    if previous < 0:
        raise Truncated(f"no element follows offset {start} of {size}")


def element_at(
    window: Window, position: int, layout: Layout, depth_limit: int, ends: Ends | None, origin: int, previous: int
) -> Element | None:
    """The root element at `position`, None if only padding is left; arguments and errors as of `root_elements`."""
    size = window.size
    if size - position < 8 and _is_padding(window, position, layout):
        return None
    tag, vr, value, length = head_at(window, position, layout)
    if tag >> 16 in _IMPOSSIBLE:
        if _is_padding(window, position, layout):
            return None
        raise Unparsable(f"no element can begin at offset {position}")
    if length != UNDEFINED:
        end = value + length
    elif ends and (known := ends.get(origin + value)):
        end = known - origin
    else:
        end = skip_items(window, value, layout, depth_limit, ends, origin)
    if end > size:
        _refuse_length(tag, previous, position, size)
    return Element(tag, vr, position, value, length, end)


def require_few(elements: int) -> None:
    """Require that a data set has no more root elements than can be held in memory. Raises OverLimits."""
    if elements > MOST_ELEMENTS:
        raise OverLimits(f"more than {MOST_ELEMENTS} elements")


def all_elements(window: Window, start: int, layout: Layout, ends: Ends, origin: int = 0) -> list[Element]:
    """The root elements at once, as `root_elements` walks them; raises the same.

    One loop without calls as far as all is explicit, as it should be and within the window; `root_elements` does the
    rest.
    """
    data, base, size, found = window.data, window.base, window.size, list[Element]()
    order = _LITTLE if layout.little else _BIG
    unpack, long, at = order.explicit.unpack_from, order.long.unpack_from, start - base
    while not layout.implicit and 0 <= at <= len(data) - 12:
        group, element, vr, length = unpack(data, at)
        position = base + at
        value = position + 8
        if group in _IMPOSSIBLE or vr not in KNOWN_VRS:
            break
        if vr in LONG_VRS:
            value, length = value + 4, long(data, at + 8)[0]
        if length != UNDEFINED:
            end = value + length
        elif known := ends.get(origin + value):
            end = known - origin
        else:
            end = skip_items(window, value, layout, DEPTH_LIMIT, ends, origin)
            data, base = window.data, window.base
        if end > size:
            at = position - base
            break
        found.append(tuple.__new__(Element, (group << 16 | element, vr, position, value, length, end)))
        at = end - base
    if base + at < size or not found:
        previous = found[-1].tag if found else -1
        found += root_elements(window, base + at, layout, ends=ends, origin=origin, previous=previous)
    require_few(len(found))
    return found


def _is_padding(window: Window, position: int, layout: Layout) -> bool:
    """Whether only zero bytes are left; in big endian a single one is the beginning of a group number."""
    left = window.size - position
    if left == 1 and not layout.little:
        return False
    while left > 0:
        part = window.take(position, min(left, 4096))
        if any(part):
            return False
        position, left = position + len(part), left - len(part)
    return True


def _refuse_length(tag: int, previous: int, position: int, size: int) -> None:
    if tag < previous:
        raise Unparsable(f"tags run backwards at offset {position}")
    raise Truncated(f"the element at offset {position} reaches beyond the size of {size}")


def skip_items(
    window: Window, position: int, layout: Layout, depth_limit: int, ends: Ends | None = None, origin: int = 0
) -> int:
    """Offset after the sequence delimiter of the undefined-length value at `position`.

    Where it and all values of undefined length in it end is looked up and remembered in `ends`, as offsets to which
    `origin` is added; of more than `MOST_ENDS`, only those of long ones. Raises Truncated, Unparsable.
    """
    return _skip(window, position, [(True, layout, position)], depth_limit, ends, origin)


def skip_members(
    window: Window, position: int, layout: Layout, depth_limit: int, ends: Ends | None = None, origin: int = 0
) -> int:
    """Offset after the delimiter of the item of undefined length whose elements begin at `position`."""
    return _skip(window, position, [(False, layout, position)], depth_limit, ends, origin)


_Levels = list[tuple[bool, Layout, int]]
"""Nesting: whether a level holds items or, within an item of undefined length, elements; its layout; its beginning."""


def _skip(window: Window, position: int, levels: _Levels, depth_limit: int, ends: Ends | None, origin: int) -> int:
    """Offset after the outermost of `levels`, of which one begins at `position`."""
    ends = {} if ends is None else ends
    known = ends.get(origin + position)
    if known is not None:
        return known - origin
    while levels:
        if len(levels) > 2 * depth_limit:
            raise Unparsable("sequences are nested deeper than the limit")
        in_items, layout, start = levels[-1]
        if not layout.implicit:
            position = _run(window, position, levels, ends, origin)
            in_items, layout, start = levels[-1]
        depth = len(levels)
        position = (_item if in_items else _member)(window, position, layout, levels)
        if len(levels) < depth and (len(ends) < MOST_ENDS or position - start > LONG_VALUE):
            ends[origin + start] = origin + position
    return position


def _run(window: Window, position: int, levels: _Levels, ends: Ends, origin: int) -> int:
    """Go on from `position` as far as all is explicit, within the window and as it should be: `_item` and `_member`.

    One loop without calls, since most of the time of a large header is spent here.
    """
    data, at, shift = window.data, position - window.base, origin + window.base
    in_items, layout, _ = levels[-1]
    order = _LITTLE if layout.little else _BIG
    unpack, long, last, room = order.explicit.unpack_from, order.long.unpack_from, len(data) - 14, len(levels) + 64
    while 0 <= at <= last:
        group, element, vr, length = unpack(data, at)
        if group != _DELIMITERS and not in_items:
            if vr in SHORT_VRS:
                at += 8 + length
                continue
            if vr not in LONG_VRS:
                break
            length = long(data, at + 8)[0]
            at += 12
            if length != UNDEFINED:
                at += length
                continue
            levels.append((True, layout, window.base + at))
            in_items = True
            continue
        at += 8
        if in_items and element == 0xE000 and group == _DELIMITERS:
            length = long(data, at - 4)[0]
            if length != UNDEFINED:
                at += length
                continue
            if b"AA" <= data[at + 4 : at + 6] <= b"ZZ" and len(levels) < room:
                levels.append((False, layout, window.base + at))
                in_items = False
                continue
        elif group == _DELIMITERS and element == (0xE0DD if in_items else 0xE00D) and len(levels) > 1:
            start = levels.pop()[2]
            if len(ends) < MOST_ENDS:
                ends[origin + start] = shift + at
            in_items, now, _ = levels[-1]
            if now == layout:
                continue
            return window.base + at
        at -= 8
        break
    return window.base + at


def _item(window: Window, position: int, layout: Layout, levels: _Levels) -> int:
    tag, _, value, length = head_at(window, position, layout)
    if tag == _SEQUENCE_END:
        levels.pop()
        return value
    if tag != _ITEM:
        raise Unparsable(f"an item was expected at offset {position}")
    if length == UNDEFINED:
        levels.append((False, item_layout(window, value, layout), value))
        return value
    return _within(value + length, window)


def _member(window: Window, position: int, layout: Layout, levels: _Levels) -> int:
    tag, _, value, length = head_at(window, position, layout)
    if tag == _ITEM_END:
        levels.pop()
        return value
    if tag >> 16 == _DELIMITERS:
        raise Unparsable(f"an element was expected at offset {position}")
    if length == UNDEFINED:
        levels.append((True, layout, value))
        return value
    return _within(value + length, window)


def _within(position: int, window: Window) -> int:
    if position > window.size:
        raise Truncated(f"a nested length reaches offset {position} beyond the size of {window.size}")
    return position


def item_layout(window: Window, position: int, layout: Layout) -> Layout:
    """Items of VR UN are implicit (PS3.5 section 6.2.2), and writers may switch in any sequence: the VR tells."""
    vr = window.take(position + 4, 2)
    return layout if layout.implicit or b"AA" <= vr <= b"ZZ" or not layout.little else Layout(True, True)
