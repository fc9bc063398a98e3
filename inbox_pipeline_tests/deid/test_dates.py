"""Moving dates: every form of DA, DT and TM, calendars, precision, and what is no date."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox_pipeline.deid.dates import capped_age, shifted

DAYS = st.integers(1, 365)


@pytest.mark.parametrize(
    ("text", "vr", "days", "moved"),
    [
        ("20240301", "DA", 1, "20240229"),
        ("20230301", "DA", 1, "20230228"),
        ("19000301", "DA", 1, "19000228"),
        ("20000301", "DA", 1, "20000229"),
        ("20240229", "DA", 365, "20230301"),
        ("20240101", "DA", 1, "20231231"),
        ("20250101", "DA", 365, "20240102"),
        ("00020101", "DA", 365, "00010101"),
        ("20240301 ", "DA", 1, "20240229"),
        ("20240301\0", "DA", 1, "20240229"),
        ("2024.03.01", "DA", 1, "2024.02.29"),
        ("2024-03-01", "DA", 1, "2024-02-29"),
        ("202403", "DA", 1, "202402"),
        ("1900", "DA", 1, "1899"),
        ("20240301\\20240302", "DA", 1, "20240229\\20240301"),
        ("20240301\\\\20240302", "DA", 1, "20240229\\\\20240301"),
        ("20240301-20240302", "DA", 1, "20240229-20240301"),
        ("20240301-", "DA", 1, "20240229-"),
        ("-20240301", "DA", 1, "-20240229"),
        ("20240301 - 20240302", "DA", 1, "20240229-20240301"),
        ("", "DA", 1, ""),
        ("  ", "DA", 1, ""),
        ("\\", "DA", 1, "\\"),
        ("2024", "DT", 30, "2023"),
        ("202401", "DT", 30, "202312"),
        ("20240101", "DT", 30, "20231202"),
        ("2024010112", "DT", 1, "2023123112"),
        ("202401011230", "DT", 1, "202312311230"),
        ("20240101123059", "DT", 1, "20231231123059"),
        ("20240101123060", "DT", 1, "20231231123060"),
        ("20240101123059.1", "DT", 1, "20231231123059.1"),
        ("20240101123059.123456+0100", "DT", 1, "20231231123059.123456+0100"),
        ("20240101123059.123456-1130", "DT", 1, "20231231123059.123456-1130"),
        ("20240101-0500", "DT", 1, "20231231-0500"),
        ("2024+1400", "DT", 1, "2023+1400"),
        ("2022-2024", "DT", 1, "2021-2023"),
        ("20240101-0500-20240201-0500", "DT", 1, "20231231-0500-20240131-0500"),
        ("20240101120000-", "DT", 1, "20231231120000-"),
        ("123059.123456", "TM", 200, "123059.123456"),
        ("12", "TM", 200, "12"),
        ("1230 ", "TM", 200, "1230"),
        ("12:30:59", "TM", 200, "12:30:59"),
        ("1200-1300", "TM", 200, "1200-1300"),
        ("1200\\1300", "TM", 200, "1200\\1300"),
        ("235960", "TM", 200, "235960"),
    ],
)
def test_what_is_a_date_moves_back_in_its_own_form(text: str, vr: str, days: int, moved: str) -> None:
    assert shifted(text, vr, days) == moved


@pytest.mark.parametrize(
    ("text", "vr"),
    [
        *(
            (text, "DA")
            for text in ("20230229", "20231301", "20230100", "00000000", "0001", "00010101", "20240101120000")
        ),
        *(
            (text, "DA")
            for text in (
                "2024-01.01",
                "2024-13-01",
                "01/02/2024",
                "SMITH",
                "-",
                "20240101\\SMITH",
                "2024.1.1",
                "٢٠٢٤٠١٠١",
            )
        ),
        *((text, "DA") for text in ("20240101-20240102-20240103", "20240101 SMITH", "202401011", "20240101\n")),
        *((text, "DT") for text in ("20240101250000", "202401012460", "20240101123059.1234567", "20240101.5", "0001")),
        *((text, "DT") for text in ("20240101120000+0160", "SMITH", "2024010112305", "20240101120000 SMITH", "-")),
        *((text, "TM") for text in ("24", "1260", "SMITH", "120000.", "1:30", "20240101", "1200 SMITH", "-")),
    ],
)
def test_what_is_no_date_is_left_to_the_caller(text: str, vr: str) -> None:
    assert shifted(text, vr, 300) is None


@given(st.dates(date(2, 1, 1)), st.dates(date(2, 1, 1)), DAYS)
def test_intervals_stay(one: date, other: date, days: int) -> None:
    moved = [
        datetime.strptime(shifted(f"{day:%Y%m%d}".zfill(8), "DA", days) or "", "%Y%m%d").date() for day in (one, other)
    ]
    assert moved == [day - timedelta(days) for day in (one, other)]


@given(st.dates(date(2, 1, 1)), st.sampled_from([4, 6, 8]), DAYS)
def test_no_date_stays_what_it_was_whatever_its_precision(day: date, length: int, days: int) -> None:
    text = f"{day:%Y%m%d}".zfill(8)[:length]
    for vr in ("DA", "DT"):
        moved = shifted(text, vr, days) or ""
        assert len(moved) == length
        assert moved < text


@given(st.datetimes(datetime(2, 1, 1)), DAYS)
def test_a_moment_moves_as_its_date_does(moment: datetime, days: int) -> None:
    day, rest = f"{moment:%Y%m%d}".zfill(8), f"{moment:%H%M%S.%f}"
    assert shifted(f"{day}{rest}-0330", "DT", days) == f"{shifted(day, 'DA', days)}{rest}-0330"


@given(st.text(max_size=30), st.sampled_from(["DA", "DT", "TM"]), DAYS)
def test_nothing_but_temporal_characters_ever_comes_back(text: str, vr: str, days: int) -> None:
    moved = shifted(text, vr, days)
    assert moved is None or set(moved) <= set("0123456789.:+-\\ ")


@pytest.mark.parametrize(
    ("text", "capped"),
    [
        ("089Y", "089Y"),
        ("090Y", "090Y"),
        ("093Y", "090Y"),
        ("093y ", "090Y"),
        ("120Y", "090Y"),
        ("93Y", "090Y"),
        ("045Y", "045Y"),
        ("999M", "999M"),
        ("999W", "999W"),
        ("999D", "999D"),
        ("003D\\101Y", "003D\\090Y"),
        ("", ""),
        ("93", None),
        ("0093Y", None),
        ("SMITH", None),
        ("093Y SMITH", None),
        ("045Y\\SMITH", None),
    ],
)
def test_ages_over_89_are_one_age(text: str, capped: str | None) -> None:
    assert capped_age(text) == capped
