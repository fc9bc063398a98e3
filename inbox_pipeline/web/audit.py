"""The audit trail under `/api/v1/audit`, for administrators.

Belongs here: its parameters and pages. Does not belong here: which lines there are (`services/audit.py`).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameter
from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from starlette.responses import Response

from inbox_pipeline.services.audit import MOST_LINES, Wanted, read_audit
from inbox_pipeline.web.answers import json_answer
from inbox_pipeline.web.api import Before
from inbox_pipeline.web.description import OWN
from inbox_pipeline.web.identity import Served
from inbox_pipeline.web.rights import Administrator
from inbox_pipeline.web.shapes import AuditLines

router = APIRouter(prefix=f"{OWN}audit")


def _in_utc(moment: dt.datetime) -> dt.datetime:
    """Return a time in UTC.

    Raises:
        ValueError: there it would lie outside the years 1 to 9999.
    """
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("out of range") from None


def _not_a_number(value: str) -> str:
    """Return the text of a time, which is none of the numbers that pydantic takes for seconds since 1970.

    Raises:
        ValueError: it is.
    """
    try:
        float(value)
    except ValueError:
        return value
    raise ValueError("not ISO 8601")


Word = Annotated[str | None, QueryParameter(max_length=255, pattern="^[^\\x00]*$")]
Moment = Annotated[AwareDatetime, BeforeValidator(_not_a_number), AfterValidator(_in_utc)]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_LINES)]


@router.get("", response_model=None, responses={200: {"model": AuditLines}})
def audit(
    _sender: Administrator,
    site: Served,
    actor: Word = None,
    action: Word = None,
    object: Word = None,
    since: Moment | None = None,
    until: Moment | None = None,
    before: Before = None,
    limit: Limit = 100,
) -> Response:
    """List who did what, newest first; `next` is the `before` of the next page, null after the last."""
    wanted = Wanted(actor, action, object, since, until, before, limit)
    lines = read_audit(site, wanted)
    return json_answer({"lines": lines, "next": lines[-1]["id"] if len(lines) == limit else None})
