"""Shifting of dates, beyond the cases."""

from hypothesis import given
from hypothesis import strategies as st

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions.dates import shifted


@given(st.dates(), st.integers(-50_000, 50_000))
def test_a_shift_forth_and_back_is_no_shift(date: object, days: int) -> None:
    text = str(date).replace("-", "")
    try:
        moved = shifted(text, days, "days")
    except Failure as error:
        assert "years 1 to 9999" in str(error)
        return
    assert shifted(moved, -days, "days") == text


@given(st.datetimes(), st.integers(0, 10))
def test_the_precision_stays(moment: object, cut: int) -> None:
    text = f"{moment:%Y%m%d%H%M%S}".zfill(14)[: 14 - cut // 2 * 2] + "+0100"
    assert len(shifted(text, 0, "days")) == len(text)
    assert shifted(text, 0, "days") == text
