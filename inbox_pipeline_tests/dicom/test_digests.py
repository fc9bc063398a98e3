"""Copying a source once: whatever of it is held in memory already, the same bytes and digests come out."""

import hashlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox_pipeline.dicom import digests
from inbox_pipeline.dicom.digests import Held, Segment, copy_segments
from inbox_pipeline.dicom.errors import Truncated


class Counted(BytesIO):
    """A source that keeps account of which of its bytes were read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.read_at: list[int] = []

    def readinto(self, buffer: memoryview) -> int:
        at = self.tell()
        count = super().readinto(buffer)
        self.read_at += range(at, at + count)
        return count


@given(data=st.data())
def test_what_is_held_is_written_and_hashed_and_not_read_again(data: st.DataObject) -> None:
    source = data.draw(st.binary(min_size=1, max_size=60))
    size = len(source)
    head = source[: data.draw(st.integers(0, size), "head")]
    begin = data.draw(st.integers(0, size), "held from")
    held = Held(begin, source[begin : data.draw(st.integers(begin, size), "held to")])
    cuts = sorted(data.draw(st.lists(st.integers(0, size), min_size=2, max_size=8), "cuts"))
    inserted = data.draw(st.binary(max_size=5), "inserted")
    segments = [Segment(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=False)]
    segments.insert(data.draw(st.integers(0, len(segments)), "at"), Segment(data=inserted))
    expected = b"".join(each.data if each.data is not None else source[each.start : each.end] for each in segments)
    stream, dest = Counted(source), BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "_buffer", lambda: memoryview(bytearray(7)))
        made = copy_segments(stream, size, head, segments, dest, held=held)
    assert dest.getvalue() == expected
    assert (made.source_sha256, made.output_sha256) == (
        hashlib.sha256(source).hexdigest(),
        hashlib.sha256(expected).hexdigest(),
    )
    kept = {*range(len(head)), *range(begin, begin + len(held.data))}
    assert stream.read_at == [at for at in range(size) if at not in kept]


def test_a_stream_that_ends_early_is_truncated_before_and_behind_what_is_held() -> None:
    source = bytes(range(40))
    for held in (Held(10, source[10:20]), Held(30, source[30:40])):
        with pytest.raises(Truncated, match="the stream ends at offset 25 of 40"):
            copy_segments(BytesIO(source[:25]), 40, source[:5], [Segment(0, 40)], BytesIO(), held=held)
