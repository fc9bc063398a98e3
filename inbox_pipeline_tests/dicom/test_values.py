"""Dates, times and texts that people browse by."""

from __future__ import annotations

from datetime import date, time

import pytest

from inbox_pipeline.dicom.values import day, short_text, time_of_day


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20200229", date(2020, 2, 29)),
        (" 1993.08.22 ", date(1993, 8, 22)),
        ("1993-08-22", date(1993, 8, 22)),
        ("20200101\\20200102", date(2020, 1, 1)),
        ("20190229", None),
        ("2020", None),
        ("00000000", None),
        ("", None),
        (None, None),
    ],
)
def test_days(text: str | None, expected: date | None) -> None:
    assert day(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("101112", time(10, 11, 12)),
        ("10:11:12.5", time(10, 11, 12)),
        ("235960", time(23, 59, 59)),
        ("1011", time(10, 11)),
        ("10", time(10)),
        ("246060", None),
        ("noon", None),
        (None, None),
    ],
)
def test_times_of_day(text: str | None, expected: time | None) -> None:
    assert time_of_day(text) == expected


def test_short_texts_have_one_line_that_can_be_shown() -> None:
    assert short_text(" t1\tmprage \0 sag\ud800 ") == "t1 mprage sag"
    assert short_text("x" * 300) == "x" * 255
    assert (short_text(" \0"), short_text(None)) == (None, None)
