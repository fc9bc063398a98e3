"""Values that people browse by, read leniently: dates, times of day, short texts (PS3.5 section 6.2).

Belongs here: from a value's text to Python's types, None for what is no such value. Does not belong here: moving dates
(`deid/dates.py`), and where the text stands in a file.
"""

import re
from datetime import date, time

LONGEST = 255
_DAY = re.compile(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.\d*)?)?)?", re.ASCII)
_NOT_SHOWN = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")


def day(text: str | None) -> date | None:
    """The first day of a DA value."""
    match = _DAY.fullmatch(_first(text))
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def time_of_day(text: str | None) -> time | None:
    """The first time of a TM value, in whole seconds."""
    match = _TIME.fullmatch(_first(text))
    hour, minute, second = (int(part or 0) for part in match.groups()) if match else (24, 0, 0)
    try:
        return time(hour, minute, min(second, 59))
    except ValueError:
        return None


def short_text(text: str | None) -> str | None:
    """A text in one line, without what cannot be shown, cut after 255 characters; None for a blank one."""
    return " ".join(_NOT_SHOWN.sub(" ", text or "").split())[:LONGEST] or None


def _first(text: str | None) -> str:
    return (text or "").split("\\")[0].strip(" \0")
