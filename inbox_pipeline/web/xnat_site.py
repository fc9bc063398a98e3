"""What XNAT tells of itself: how long it has been running, and its plugins.

Belongs here: those answers. Does not belong here: what clients ask when they connect (`xnat_session.py`).
"""

from __future__ import annotations

import time

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.web.answers import json_answer, text
from inbox_pipeline.web.description import PLAIN
from inbox_pipeline.web.identity import Known
from inbox_pipeline.web.xnat_session import OBJECT

_UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60))

router = APIRouter()


@router.get("/xapi/siteConfig/uptime", responses=OBJECT)
def uptime(request: Request, _account: Known) -> Response:
    """Say for how long this web process has been running: texts by unit, from the largest that is not zero on."""
    return json_answer(_uptime(request))


@router.get("/xapi/siteConfig/uptime/display", responses=PLAIN)
def displayed_uptime(request: Request, _account: Known) -> Response:
    """Say the same as a text."""
    return text(", ".join(f"{count} {unit}" for unit, count in _uptime(request).items()))


@router.get("/xapi/plugins", responses=OBJECT)
@router.get("/xapi/plugins/", responses=OBJECT)
def plugins(_account: Known) -> Response:
    """List the plugins by id: there are none."""
    return json_answer({})


def _uptime(request: Request) -> dict[str, str]:
    return in_units(time.monotonic() - request.app.state.started)


def in_units(seconds: float) -> dict[str, str]:
    """Return a duration in days, hours, minutes and seconds; leading units that are zero are left out."""
    units: dict[str, str] = {}
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count or units:
            units[unit] = str(int(count))
    return units | {"seconds": f"{seconds:.3f}"}
