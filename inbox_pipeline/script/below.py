"""Which elements may lie below a sequence, found out without decoding it.

Belongs here: walking the bytes of an undecoded sequence (PS3.5 section 7.5) for tags alone.
Does not belong here: values, anything that a wrong answer could break: whatever is not plainly read is `None`, unknown.
"""

from struct import Struct

from pydicom.dataelem import RawDataElement
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from inbox_pipeline.script.values import standard_vr

Reach = frozenset[int] | None
"""The tags at any depth below a sequence, perhaps with some that are gone; None if any tag may be there."""

NOTHING: Reach = frozenset()
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_SHORT = frozenset(str(vr).encode() for vr in EXPLICIT_VR_LENGTH_16)
_LONG = frozenset(str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32)
_VRS = _SHORT | _LONG
_MAX_DEPTH = 50


class _Unclear(Exception):
    """The bytes are not what the walk understands."""


def reach_of(raw: RawDataElement) -> Reach:
    """The tags below an undecoded sequence; None if its bytes are elsewhere or leave a doubt."""
    if not isinstance(raw.value, bytes):
        return NOTHING if raw.length == 0 else None
    if raw.VR not in ("SQ", None):
        return None
    walk = _Walk(raw.value, little=raw.is_little_endian)
    try:
        walk.sequence(0, len(raw.value), len(raw.value), implicit=raw.is_implicit_VR, depth=0)
    except _Unclear:
        return None
    return frozenset(walk.tags)


class _Walk:
    """One walk over the bytes of a sequence; every method returns the offset behind what it read, or raises."""

    def __init__(self, data: bytes, *, little: bool) -> None:
        order = "<" if little else ">"
        self._data = data
        self._head = Struct(f"{order}HHL").unpack_from
        self._explicit = Struct(f"{order}HH2sH").unpack_from
        self._length = Struct(f"{order}L").unpack_from
        self.tags: set[int] = set()

    def sequence(self, at: int, length: int, limit: int, *, implicit: bool, depth: int) -> int:
        """The items of a sequence whose value begins at `at`, and its delimiter if its length is undefined."""
        end = _end(at, length, limit)
        if depth > _MAX_DEPTH:
            raise _Unclear
        while at < end:
            if at + 8 > end:
                raise _Unclear
            group, element, size = self._head(self._data, at)
            tag, at = group << 16 | element, at + 8
            if tag == _SEQUENCE_END and length == _UNDEFINED:
                return at
            if tag != _ITEM:
                raise _Unclear
            at = self._item(at, _end(at, size, end), size == _UNDEFINED, implicit=implicit, depth=depth)
        if length == _UNDEFINED:
            raise _Unclear
        return at

    def _item(self, at: int, end: int, undefined: bool, *, implicit: bool, depth: int) -> int:
        """The elements of an item, with its delimiter if its length is undefined."""
        step = self._implicit_element if implicit else self._explicit_element
        while at < end:
            if at + 8 > end:
                raise _Unclear
            group, element, length = self._head(self._data, at)
            if group == 0xFFFE:
                if group << 16 | element != _ITEM_END or not undefined:
                    raise _Unclear
                return at + 8
            tag = group << 16 | element
            self.tags.add(tag)
            at = step(tag, at, length, end, depth)
        if undefined:
            raise _Unclear
        return at

    def _implicit_element(self, tag: int, at: int, length: int, end: int, depth: int) -> int:
        """An element without VR; one that begins like a sequence is walked as one."""
        if self._data[at + 4 : at + 6] in _VRS:
            raise _Unclear
        if length == _UNDEFINED and standard_vr(tag) != "SQ":
            raise _Unclear
        at += 8
        if length == _UNDEFINED or self._begins_item(at, length):
            return self.sequence(at, length, end, implicit=True, depth=depth + 1)
        return _end(at, length, end)

    def _explicit_element(self, _tag: int, at: int, _length: int, end: int, depth: int) -> int:
        _, _, vr, length = self._explicit(self._data, at)
        if vr in _SHORT:
            return _end(at + 8, length, end)
        if vr not in _LONG or at + 12 > end:
            raise _Unclear
        (length,) = self._length(self._data, at + 8)
        at += 12
        if vr == b"SQ":
            return self.sequence(at, length, end, implicit=False, depth=depth + 1)
        if length == _UNDEFINED or (vr == b"UN" and self._begins_item(at, length)):
            raise _Unclear
        return _end(at, length, end)

    def _begins_item(self, at: int, length: int) -> bool:
        if length < 8 or at + 8 > len(self._data):
            return False
        group, element, _ = self._head(self._data, at)
        return bool(group << 16 | element == _ITEM)


def _end(at: int, length: int, limit: int) -> int:
    """Where a value ends that must end by `limit`; the limit itself if its length is undefined."""
    end = limit if length == _UNDEFINED else at + length
    if end > limit:
        raise _Unclear
    return end
