"""The audit trail under `/api/v1/audit`, for administrators.

Belongs here: its parameters and pages. Does not belong here: which lines there are (`services/audit.py`).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameter
from pydantic import AwareDatetime
from starlette.responses import Response

from inbox_pipeline.services.audit import MOST_LINES, Wanted, read_audit
from inbox_pipeline.web.answers import json_answer
from inbox_pipeline.web.api import PROBLEM_ANSWER
from inbox_pipeline.web.identity import Served
from inbox_pipeline.web.rights import Administrator

router = APIRouter(prefix="/api/v1/audit", responses=PROBLEM_ANSWER)

Word = Annotated[str | None, QueryParameter(max_length=255)]
Id = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_LINES)]


@router.get("", response_model=None)
def audit(
    _sender: Administrator,
    site: Served,
    actor: Word = None,
    action: Word = None,
    object: Word = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    before: Id = None,
    limit: Limit = 100,
) -> Response:
    """List who did what, newest first; `next` is the `before` of the next page, null after the last."""
    wanted = Wanted(actor, action, object, _utc(since), _utc(until), before, limit)
    lines = read_audit(site, wanted)
    return json_answer({"lines": lines, "next": lines[-1]["id"] if len(lines) == limit else None})


def _utc(moment: dt.datetime | None) -> dt.datetime | None:
    return None if moment is None else moment.astimezone(dt.UTC)
