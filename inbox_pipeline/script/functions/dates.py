"""Functions that shift dates and scale ages (dicomedit specification 3.3).

Belongs here: arithmetic on texts of the VRs DA and DT, and ages. Does not belong here: which dates a profile shifts.
"""

import calendar
import re
from datetime import datetime, timedelta

from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.functions.registry import VOID, Argument, Context, Function, Void
from inbox_pipeline.script.functions.text import integer
from inbox_pipeline.script.places import Spot, find, one
from inbox_pipeline.script.tagpath import Digits, Levels, Tag, TagPath
from inbox_pipeline.script.texts import set_text

_DATE_TIME = re.compile(
    r"([0-9]{4})([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?(\.[0-9]{1,6})?([+-][0-9]{4})?"
)
_AGE = re.compile(r"([0-9]{3})([DWMY])")
_UNIT_SECONDS = {"years": 365 * 86400, "days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
_OLDEST_YEARS = 89
_OLDEST_DAYS = 32506
"""365.24 times 89, rounded, as in XNAT."""


class Unparsable(Failure):
    """A text that is no date and time."""


def shifted(text: str, increment: int, units: str) -> str:
    """A date or date-time moved by an increment, in the precision that it had. Raises Unparsable, Failure."""
    unit = _UNIT_SECONDS.get(units.lower())
    if unit is None:
        raise Failure(f"a unit of time is one of {', '.join(_UNIT_SECONDS)}")
    moment, parts = _moment(text)
    try:
        moved = moment + timedelta(seconds=increment * unit)
    except OverflowError:
        raise Failure("the shift leaves the years 1 to 9999") from None
    return _written(moved, parts)


def _moment(text: str) -> tuple[datetime, tuple[str | None, ...]]:
    """The instant assumed for a text, missing parts set to the middle of what is known; and the text's parts."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise Unparsable("the value is not a date or date-time")
    year, month, day, hour, minute, second, *_ = parts = match.groups()
    try:
        if not month:
            return datetime(int(year), 7, 1), parts
        assumed_day, assumed_hour = _middle_of_month(int(year), int(month)) if not day else (int(day), 12)
        assumed_minute = int(minute) if minute else 30 if hour else 0
        assumed_second = int(second) if second else 30 if minute else 0
        hours = int(hour) if hour else assumed_hour
        return datetime(int(year), int(month), assumed_day, hours, assumed_minute, assumed_second), parts
    except ValueError:
        raise Unparsable("the value is not a date or date-time of the calendar") from None


def _middle_of_month(year: int, month: int) -> tuple[int, int]:
    days = calendar.monthrange(year, month)[1]
    return days // 2 + 1, 0 if days % 2 == 0 else 12


def _written(moment: datetime, parts: tuple[str | None, ...]) -> str:
    """The instant in the precision of `parts`; fraction and time zone are carried over."""
    _, *given, fraction, zone = parts
    text = f"{moment.year:04d}"
    for part, number in zip(given, (moment.month, moment.day, moment.hour, moment.minute, moment.second), strict=True):
        text += f"{number:02d}" if part else ""
    return text + (fraction or "") + (zone or "")


def _shift_date(context: Context, arguments: list[Argument]) -> str:
    return _shift_one(context, arguments, ("DA",), "days")


def _shift_date_time(context: Context, arguments: list[Argument]) -> str:
    return _shift_one(context, arguments, ("DA", "DT"), "seconds")


def _shift_one(context: Context, arguments: list[Argument], vrs: tuple[str, ...], units: str) -> str:
    source = arguments[0]
    spot = one(context.root, source) if isinstance(source, TagPath) else None
    if spot is not None and (spot.item is not None or spot.level.vr(spot.tag) not in vrs):
        raise Failure(f"only elements of VR {' or '.join(vrs)} can be shifted here", spot.path)
    units = context.needed(arguments[2]) if len(arguments) > 2 else units
    try:
        return shifted(context.needed(source), integer(context, arguments[1]), units)
    except Unparsable as failure:
        raise Failure(failure.message, spot.path if spot else None) from None


def _shift_sequence(context: Context, arguments: list[Argument]) -> Void:
    seconds = integer(context, arguments[0])
    for spot in context.spots(arguments[1:]):
        try:
            _shift_spot(spot, seconds, "seconds")
        except Unparsable:
            context.edits.no_effect(f"{spot.path} holds no date-time and was left as it is")
    return VOID


def _shift_list(context: Context, arguments: list[Argument]) -> Void:
    increment, units = integer(context, arguments[1]), context.needed(arguments[2])
    for spot in context.spots(arguments[0]):
        if spot.level.text(spot.tag):
            try:
                _shift_spot(spot, increment, units)
            except Unparsable as failure:
                raise Failure(failure.message, spot.path) from None
    return VOID


def _shift_spot(spot: Spot, increment: int, units: str) -> None:
    set_text(spot.level, spot.tag, shifted(spot.level.text(spot.tag) or "", increment, units))


def _anywhere(tag: int) -> TagPath:
    return TagPath((Levels("*"), Tag(Digits.of(f"{tag >> 16:04X}"), Digits.of(f"{tag & 0xFFFF:04X}"))))


_BIRTH_DATE, _STUDY_DATE, _AGE_TAG = 0x00100030, 0x00080020, 0x00101010


def _scale_age(context: Context, arguments: list[Argument]) -> Void:
    """Hide ages beyond 89 years: move the birth date, cap the age (dicomedit specification 3.3, last function)."""
    birth, study = _date(context, _BIRTH_DATE), _date(context, _STUDY_DATE)
    if birth is not None and study is None:
        context.edits.no_effect(
            "no study date to compute an age from; the age in (0010,1010), if any, was left as it is"
        )
        return VOID
    if birth is not None and study is not None and (study - birth).days > _OLDEST_DAYS:
        excess = (study - birth).days - _OLDEST_DAYS
        for spot in find(context.root, _anywhere(_BIRTH_DATE)):
            _move_birth_date(context, spot, excess)
    _cap_age(context)
    return VOID


def _move_birth_date(context: Context, spot: Spot, days: int) -> None:
    try:
        _shift_spot(spot, days, "days")
    except Unparsable:
        context.edits.no_effect(f"{spot.path} holds no date and was left as it is")


def _cap_age(context: Context) -> None:
    text = context.root.text(_AGE_TAG)
    if not text:
        return
    match = _AGE.fullmatch(text)
    if match is None:
        raise Failure("the value is not an age", context.root.path(_AGE_TAG))
    if match[2] == "Y" and int(match[1]) > _OLDEST_YEARS:
        for spot in find(context.root, _anywhere(_AGE_TAG)):
            set_text(spot.level, spot.tag, f"{_OLDEST_YEARS:03d}Y")


def _date(context: Context, tag: int) -> datetime | None:
    """The assumed instant of a root date; None if it is missing, empty or no date."""
    try:
        return _moment(context.root.text(tag) or "")[0]
    except Unparsable:
        return None


FUNCTIONS = {
    "shiftDateByIncrement": Function(_shift_date, 2, 3, "6.2"),
    "shiftDateTimeByIncrement": Function(_shift_date_time, 2, 3, "6.3"),
    "shiftDateTimeSequenceByIncrement": Function(_shift_sequence, 1, None, "6.3"),
    "shiftDateTimeListByIncrement": Function(_shift_list, 3, 3, "6.6"),
    "scalePatientAgeAndDobFromStudyDate": Function(_scale_age, 0, 0, "6.6"),
}
