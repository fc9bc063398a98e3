"""Setting attributes of archived sessions and scans over XNAT's addresses: a scan's quality, notes.

Belongs here: reading them from parameters, the route of scans, and XNAT's ways of naming attributes: `note`, or a
path from the thing's type or one that it extends, as `xnat:mrSessionData/note` or `xnat:experimentData/note`. Does not
belong here: who may set what to which value (`services/remarks.py`).

`NULL` takes a value back, as in XNAT. An attribute that is not held here is refused: a client that sets it must not
believe that it was kept.
"""

from __future__ import annotations

from collections.abc import Collection

from fastapi import APIRouter
from sqlalchemy.engine import RowMapping
from starlette.responses import Response

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.intake.remarks import OF_SCANS, OF_SESSIONS, checked
from inbox_pipeline.services import remarks
from inbox_pipeline.web.answers import text
from inbox_pipeline.web.description import PLAIN, query, refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Given, Pairs, last
from inbox_pipeline.web.xnat_archive import EXPERIMENTS_AT, PREFIXES
from inbox_pipeline.web.xnat_columns import ANY_SCAN, EVERY_EXPERIMENT
from inbox_pipeline.web.xnat_places import Scan, Session

ABOUT_THE_REQUEST = frozenset(
    (
        "xsitype",
        "req_format",
        "format",
        "event_reason",
        "event_type",
        "event_action",
        "event_id",
        "xnat_csrf",
        "triggerpipelines",
    )
)
"""What clients send beside attributes, in lower case."""
_NULL = "NULL"

_routes = APIRouter()


def said_of_session(session: RowMapping, given: Pairs) -> dict[str, str | None]:
    """Return what parameters say of a session, as it is kept (`xnat_relabel.py` has the route).

    Raises:
        Rejected: `attribute_not_settable`, `note_illegal`.
    """
    types = {str(session["xsi_type"]).lower(), *EVERY_EXPERIMENT}
    return checked(attributes_of(given, types, OF_SESSIONS))


@_routes.put("/{experiment_id}/scans/{scan_id}", responses=PLAIN, openapi_extra=query("quality", "note", "xsiType"))
@refuses(400, 403, 404)
def put_scan(session: Session, scan: Scan, account: Known, site: Served, given: Given) -> Response:
    """Set attributes of a scan."""
    values = attributes_of(given, {str(scan["xsi_type"]).lower(), ANY_SCAN}, OF_SCANS)
    remarks.remark_on_scan(site, account, session["id"], scan["label"], values)
    return text("")


router = APIRouter()
for prefix in PREFIXES:
    for place in EXPERIMENTS_AT:
        router.include_router(_routes, prefix=prefix + place)


def attributes_of(given: Pairs, types: Collection[str], settable: Collection[str]) -> dict[str, str | None]:
    """Return the attributes that parameters set, the last of each; None for those that are taken back.

    Args:
        given: parameters.
        types: the types of the thing, in lower case.
        settable: the attributes that it can be given.

    Raises:
        Rejected: `attribute_not_settable`, also if the thing is of another type.
    """
    named = last(given, "xsiType").strip()
    if named and named.lower() not in types:
        raise _not_settable("xsiType", settable)
    values: dict[str, str | None] = {}
    for parameter, value in given:
        if parameter.lower() in ABOUT_THE_REQUEST:
            continue
        element, _, attribute = parameter.rpartition("/")
        if attribute not in settable or (element and element.lower() not in types):
            raise _not_settable(attribute, settable)
        values[attribute] = None if value == _NULL else value
    return values


def _not_settable(name: str, settable: Collection[str]) -> Exception:
    shown = name if name.isascii() and name.isidentifier() and len(name) < 64 else "that was named"
    return refusal("attribute_not_settable", name=shown, settable=", ".join(settable))
