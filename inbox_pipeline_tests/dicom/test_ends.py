"""Which ends of nested values are remembered: so many, and those of long ones beyond."""

from __future__ import annotations

from struct import pack

from inbox_pipeline.dicom.elements import DEPTH_LIMIT, LONG_VALUE, MOST_ENDS, Ends, Layout, skip_items
from inbox_pipeline.dicom.nested import IN_MEMORY
from inbox_pipeline.dicom.window import Window

EXPLICIT = Layout(False, True)
ITEM, ITEM_END, SEQUENCE_END = (pack("<HHI", 0xFFFE, element, 0) for element in (0xE000, 0xE00D, 0xE0DD))
OPEN_ITEM = pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
INNER = OPEN_ITEM + pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + ITEM + SEQUENCE_END + ITEM_END


def skipped(value: bytes, ends: Ends) -> int:
    return skip_items(Window(IN_MEMORY, len(value), head=value), 0, EXPLICIT, DEPTH_LIMIT, ends)


def test_ends_of_short_values_are_remembered_up_to_a_number_and_that_of_the_whole_in_any_case() -> None:
    value = INNER * MOST_ENDS + SEQUENCE_END
    assert len(value) > LONG_VALUE
    ends: Ends = {}
    assert skipped(value, ends) == len(value) == ends[0]
    assert len(ends) == MOST_ENDS + 1


def test_short_values_add_nothing_to_what_is_full() -> None:
    ends: Ends = dict.fromkeys(range(-MOST_ENDS, 0), 1)
    value = INNER + SEQUENCE_END
    assert skipped(value, ends) == len(value)
    assert len(ends) == MOST_ENDS
