"""Conditions on the rows of a list: comparisons, joined by AND and OR to any depth.

Belongs here: what a condition is, and what it is in SQL. Does not belong here: the fields of lists (`views.py`), the
documents in which clients state conditions (`web`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement

from inbox_pipeline.store.catalog.schema import UtcDateTime

_ESCAPE = "\\"
_COMPARED: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}
COMPARISONS = (*_COMPARED, "LIKE", "NOT LIKE", "IS NULL", "IS NOT NULL")


@dataclass(frozen=True)
class Comparison:
    """A field compared with a value by one of `COMPARISONS`.

    `LIKE` compares without case, with `*` and `%` for any text. Of a moment its day in UTC counts. What is not there
    compares with nothing but `IS NULL`.
    """

    field: str
    sign: str
    value: str | int | dt.date | None = None


@dataclass(frozen=True)
class Joined:
    """Conditions of which all must hold, or, with `every` False, one. All of none hold, and none of none does."""

    every: bool
    parts: Sequence[Condition]


Condition = Comparison | Joined


def holds(fields: Mapping[str, ColumnElement[Any]], condition: Condition) -> ColumnElement[bool]:
    """Return a condition in SQL; `fields` are the columns by the names that it uses."""
    if isinstance(condition, Joined):
        parts = [holds(fields, part) for part in condition.parts]
        return sa.and_(sa.true(), *parts) if condition.every else sa.or_(sa.false(), *parts)
    column, sign, value = fields[condition.field], condition.sign, condition.value
    if sign.endswith("NULL"):
        return column.is_(None) if sign == "IS NULL" else column.is_not(None)
    if sign.endswith("LIKE"):
        return like(column, str(value)) if sign == "LIKE" else sa.not_(like(column, str(value)))
    if isinstance(column.type, UtcDateTime) and isinstance(value, dt.date):
        return _on_day(column, sign, value)
    return _COMPARED[sign](column, value)


def like(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """Return in SQL whether a column has a pattern, without case; `*` and `%` stand for any text."""
    text = sa.func.lower(sa.cast(column, sa.Text))
    return text.like(sa.func.lower(_escaped(pattern)), escape=_ESCAPE)


def _escaped(pattern: str) -> str:
    for sign in (_ESCAPE, "_"):
        pattern = pattern.replace(sign, _ESCAPE + sign)
    return pattern.replace("*", "%").replace("\0", "\ufffd")


def _on_day(column: ColumnElement[Any], sign: str, day: dt.date) -> ColumnElement[bool]:
    """Compare a moment with a day: all moments of that day are equal to it."""
    begin = dt.datetime.combine(day, dt.time(), dt.UTC)
    after = begin + min(dt.timedelta(days=1), dt.datetime.max.replace(tzinfo=dt.UTC) - begin)
    within = sa.and_(column >= begin, column < after)
    return {
        "=": within,
        "!=": sa.not_(within),
        "<": column < begin,
        "<=": column < after,
        ">": column >= after,
        ">=": column >= begin,
    }[sign]
