"""Moving dates by whole days, in the forms that PS3.5 section 6.2 gives them (DA, DT; TM is only checked), and ages.

Belongs here: parsing and writing of temporal values. Does not belong here: how many days (`pseudonyms.py`).

A value is read as strictly as the standard writes it, besides the old forms of ACR-NEMA (`1993.08.22`, `10:45:00`),
dates as ISO 8601 has them, and dates of less precision. What is no such value gives None, for there is no telling what
it says. Dates go back in time, so that none comes to lie in the future.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import TypeAlias

OLDEST_AGE = 89
"""The highest age in years that does not identify by itself (45 CFR 164.514(b)(2)(i)(C))."""
_CAPPED = "090Y"
_PADDING = " \0"
_DATE = re.compile(r"(?P<year>\d{4})(?:(?P<month>\d\d)(?P<day>\d\d)?)?", re.ASCII)
_SEPARATED_DATE = re.compile(r"(?P<year>\d{4})(?P<by>[.-])(?P<month>\d\d)(?P=by)(?P<day>\d\d)", re.ASCII)
_TIME_OF_DAY = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
_ZONE = r"[+-](?:0\d|1[0-4])[0-5]\d"
_DATE_TIME = re.compile(
    rf"(?P<year>\d{{4}})(?:(?P<month>\d\d)(?:(?P<day>\d\d)(?P<time>{_TIME_OF_DAY})?)?)?(?P<zone>{_ZONE})?", re.ASCII
)
_TIME = re.compile(rf"{_TIME_OF_DAY}|(?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d{{1,6}})?)?", re.ASCII)
_AGE = re.compile(r"(\d{1,3})([DWMY])", re.ASCII)
_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}


@lru_cache(maxsize=8192)
def shifted(text: str, vr: str, days: int) -> str | None:
    r"""Return a DA, DT or TM value with its dates `days` earlier; None if it is no such value.

    Several values (separated by ``\``) and ranges (`19930822-19930901`, `-1994`) are moved in each part. A date of less
    precision is taken as the first of its year or month and keeps its precision, so it always changes. Fractions and
    time zones stay. A date that would fall before the year 1 gives None. Padding is not kept.
    """
    one = {"DA": _day, "DT": _moment, "TM": _time_of_day}[vr]
    parts = [_value(part.strip(_PADDING), days, one) for part in text.split("\\")]
    return None if None in parts else "\\".join(part for part in parts if part is not None)


def capped_age(text: str) -> str | None:
    r"""Return an AS value (or several) in which ages over 89 years are `090Y`; None if it is no age."""
    parts = [_age(part.strip(_PADDING)) for part in text.split("\\")]
    return None if None in parts else "\\".join(part for part in parts if part is not None)


_One: TypeAlias = Callable[[str, int], str | None]


def _value(text: str, days: int, one: _One) -> str | None:
    """Move one value, blank or a range included."""
    if not text:
        return text
    moved = one(text, days)
    return _range(text, days, one) if moved is None else moved


def _range(text: str, days: int, one: _One) -> str | None:
    """Move both ends of a range, of which one may be missing (PS3.4 section C.2.2.2.5)."""
    for match in re.finditer("-", text):
        ends = text[: match.start()].strip(_PADDING), text[match.end() :].strip(_PADDING)
        moved = [one(end, days) if end else end for end in ends]
        if any(ends) and None not in moved:
            return "-".join(end for end in moved if end is not None)
    return None


def _day(text: str, days: int) -> str | None:
    if plain := _DATE.fullmatch(text):
        return _earlier(plain, days, "")
    separated = _SEPARATED_DATE.fullmatch(text)
    return separated and _earlier(separated, days, separated["by"])


def _moment(text: str, days: int) -> str | None:
    match = _DATE_TIME.fullmatch(text)
    moved = match and _earlier(match, days, "")
    return match and moved and f"{moved}{match['time'] or ''}{match['zone'] or ''}"


def _time_of_day(text: str, _days: int) -> str | None:
    return text if _TIME.fullmatch(text) else None


def _earlier(match: re.Match[str], days: int, separator: str) -> str | None:
    """Write the earlier date with as many components as the match has."""
    stated = [int(part) for part in match.group("year", "month", "day") if part]
    year, month, day = (*stated, 1, 1)[:3]
    try:
        moved = date(year, month, day) - timedelta(days)
    except (ValueError, OverflowError):
        return None
    return separator.join([f"{moved.year:04}", f"{moved.month:02}", f"{moved.day:02}"][: len(stated)])


def _age(text: str) -> str | None:
    match = _AGE.fullmatch(text.upper())
    if match is None:
        return None if text else text
    return _CAPPED if int(match[1]) / _PER_YEAR[match[2]] >= OLDEST_AGE + 1 else text
