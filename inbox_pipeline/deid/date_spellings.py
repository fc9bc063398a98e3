"""The ways in which people write one date, and finding dates in text.

Belongs here: spellings with years of four and two digits, month names of seven languages. Does not belong here: the
forms of DA and DT values (`dates.py`), what is done with a date that was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

_MONTHS = """
jan january januar janvier janv enero ene janeiro gennaio gen januari
feb february februar fevrier fevr fev febrero fevereiro febbraio februari
mar march marz mars marzo marco maart mrt
apr april avril avr abril abr aprile
may mai mayo maio maggio mag mei
jun june juni juin junio junho giugno giu
jul july juli juillet juil julio julho luglio lug
aug august aout agosto ago augustus
sep september sept septembre septiembre setembro set settembre
oct october oktober okt octobre octubre outubro out ottobre ott
nov november novembre noviembre novembro
dec december dezember dez decembre diciembre dic dezembro dicembre
"""
MONTHS = tuple(tuple(line.split()) for line in _MONTHS.strip().splitlines())
"""The names of each month, folded."""
_NUMBER_OF = {name: number for number, names in enumerate(MONTHS, 1) for name in names}
_NAMED = "|".join(sorted(_NUMBER_OF, key=len, reverse=True))
_TIME = r"(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d(?:\.\d{1,6})?)?"
_BEFORE, _AFTER = r"(?<!\d)(?<!\d\.)", r"(?!\d)(?!\.\d)"
_FORMS = re.compile(
    rf"{_BEFORE}(?:"
    rf"(?P<y1>(?:18|19|20)\d\d)(?P<m1>0[1-9]|1[0-2])(?P<d1>0[1-9]|[12]\d|3[01])(?=(?:{_TIME})?{_AFTER})"
    r"|(?P<y2>(?:18|19|20)\d\d)(?P<s2>[-/._ ]) ?(?P<m2>1[0-2]|0?[1-9])(?P=s2) ?(?P<d2>3[01]|[12]\d|0?[1-9])(?!\d)"
    r"|(?P<a3>3[01]|[12]\d|0?[1-9])(?P<s3>[-/._ ]) ?(?P<b3>3[01]|[12]\d|0?[1-9])(?P=s3) ?"
    r"(?P<y3>(?:18|19|20)\d\d|\d\d)(?!\d)(?!\.\d)"
    rf"|(?P<d4>3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?[-/._, ]*(?:(?:of|de|di) )?(?P<m4>{_NAMED})(?![a-z])"
    r"[-/._, ]*(?:(?:de|del) )?(?P<y4>(?:18|19|20)\d\d|\d\d)(?!\d)"
    r"|(?P<a5>\d\d)(?P<b5>\d\d)(?P<y5>(?:19|20)\d\d)(?!\d)(?!\.\d)"
    rf")|(?<![a-z])(?P<m6>{_NAMED})[-/._, ]*(?P<d6>3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?[-/._, ]+"
    r"(?P<y6>(?:18|19|20)\d\d|\d\d)(?!\d)"
)


def dates_in(folded: str) -> Iterator[tuple[int, int, frozenset[date]]]:
    """Yield each place where a date stands in folded text, with the days it can mean (`01/02/2020` means two)."""
    for match in _FORMS.finditer(folded):
        if days := frozenset(_days(match)):
            yield *match.span(), days


def _days(match: re.Match[str]) -> Iterator[date]:
    for year, month, day in _readings({key: value for key, value in match.groupdict().items() if value}):
        for full in _years(year):
            try:
                yield date(full, month, day)
            except ValueError:
                continue


def _readings(parts: dict[str, str]) -> Iterator[tuple[str, int, int]]:
    """Year, month and day of a match; two readings where either number may be the month."""
    form = next(key for key in parts if key[0] == "y")[1]
    year = parts[f"y{form}"]
    if form in "35":
        first, second = int(parts[f"a{form}"]), int(parts[f"b{form}"])
        yield year, first, second
        yield year, second, first
    else:
        month = parts[f"m{form}"]
        yield year, _NUMBER_OF.get(month) or int(month), int(parts[f"d{form}"])


def _years(text: str) -> tuple[int, ...]:
    return (int(text),) if len(text) == 4 else (1900 + int(text), 2000 + int(text))


class RunTogether(NamedTuple):
    """What is in the spellings of a date when all that separates its parts is deleted."""

    numbers: tuple[str, ...]
    """One of these is in a spelling of digits."""
    months: tuple[str, ...]
    """One of these is in a spelling with the month's name; so short that they are elsewhere, too."""
    named: str
    """An expression that is in a spelling with the month's name."""


@lru_cache(maxsize=4096)
def run_together(day: date, *, thorough: bool) -> RunTogether:
    """Return what to look for in bytes without separators.

    `thorough` adds months and days of one digit, years of two, and month names of other languages than English.
    """
    year, month, dd = f"{day.year:04}", f"{day.month:02}", f"{day.day:02}"
    numbers = {f"{year}{month}{dd}", f"{dd}{month}{year}", f"{month}{dd}{year}"}
    names = MONTHS[day.month - 1] if thorough else MONTHS[day.month - 1][:2]
    if thorough:
        numbers |= {f"{first}{second}{year[2:]}" for first, second in permutations((dd, month))}
        numbers |= {f"{first}{second}{year}" for first, second in permutations((str(day.day), str(day.month)))}
        numbers.add(f"{year}{day.month}{day.day}")
    beginnings = tuple(sorted({name[:3] for name in names}))
    named = f"{day.day}(?:st|nd|rd|th)?(?:of|de|di)?(?:{'|'.join(beginnings)})|(?:{'|'.join(names)})0?{day.day}"
    return RunTogether(_shortest(numbers), beginnings, named)


def _shortest(texts: set[str]) -> tuple[str, ...]:
    """Leave out what holds another of the texts."""
    return tuple(sorted(text for text in texts if not any(text != other and other in text for other in texts)))


@lru_cache(maxsize=4096)
def pattern_of(day: date, *, thorough: bool) -> re.Pattern[str]:
    """Return what finds the spellings of one date in folded text; `thorough` as for `run_together`."""
    dd, mm, yyyy = f"{day.day:02}", f"{day.month:02}", f"{day.year:04}"
    d, m = f"0?{day.day}", f"0?{day.month}"
    year = f"(?:{yyyy}|{yyyy[2:]})" if thorough else yyyy
    names = "|".join(sorted(MONTHS[day.month - 1], key=len, reverse=True))
    some, any_ = "[-/._, ]{1,2}", "[-/._, ]{0,3}"
    return re.compile(
        rf"{_BEFORE}(?:{yyyy}{mm}{dd}(?=(?:{_TIME})?{_AFTER})|(?:{dd}{mm}|{mm}{dd}){yyyy}{_AFTER}"
        rf"|{yyyy}{some}{m}{some}{d}(?!\d)|(?:{d}{some}{m}|{m}{some}{d}){some}{year}{_AFTER}"
        rf"|{d}(?:st|nd|rd|th)?{any_}(?:(?:of|de|di) )?(?:{names})(?![a-z]){any_}(?:(?:de|del) )?{year}(?!\d))"
        rf"|(?<![a-z])(?:{names}){any_}{d}(?:st|nd|rd|th)?{some}{year}(?!\d)"
    )
