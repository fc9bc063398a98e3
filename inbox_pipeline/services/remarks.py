"""Saying something of an archived session or of a scan: a note, a quality.

Belongs here: who may, changing it, the line in the audit trail. Does not belong here: which values there may be
(`intake/remarks.py`), HTTP.

The audit trail tells that a note was written, never what it says: people write about patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import RowMapping

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.intake.remarks import NOTE, QUALITY, checked
from inbox_pipeline.services.accounts import Account, may_edit
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import remarks
from inbox_pipeline.store.catalog import site as site_store

Values = Mapping[str, str | None]


def remark_on_session(site: Site, account: Account, session_id: int, given: Values) -> None:
    """Say something of a session that the account may see; None takes back what was said.

    Raises:
        Rejected: `forbidden`, `note_illegal`, `not_found` if it is no longer archived; nothing was changed.
    """
    _remark(site, account, session_id, None, given)


def remark_on_scan(site: Site, account: Account, session_id: int, scan_label: str, given: Values) -> None:
    """Say something of a scan of such a session.

    Raises:
        Rejected: as `remark_on_session`, `quality_unknown`.
    """
    _remark(site, account, session_id, scan_label, given)


def _remark(site: Site, account: Account, session_id: int, scan_label: str | None, given: Values) -> None:
    with site.catalog.write() as connection:
        session = remarks.archived_session(connection, session_id)
        if session is None:
            raise refusal("not_found")
        if not may_edit(site, account, session["project_id"]):
            raise refusal("forbidden")
        now: RowMapping | None = session
        if scan_label is not None:
            now = remarks.scan_of(connection, session_id, scan_label)
        if now is None:
            raise refusal("not_found")
        changes = {name: value for name, value in checked(given).items() if value != now[name]}
        if not changes:
            return
        if scan_label is None:
            remarks.remark_on_session(connection, session_id, changes)
        else:
            remarks.remark_on_scan(connection, now["id"], changes)
        where = {} if scan_label is None else {"scan": scan_label}
        detail = where | _told(now, changes)
        site_store.record(connection, account.login, "session.remark", session["accession"], **detail)


def _told(before: RowMapping, changes: Values) -> dict[str, Any]:
    """Return what the audit trail says of changes: a quality before and after, of a note only that there is one."""
    told: dict[str, Any] = {}
    if QUALITY in changes:
        told[QUALITY] = {"from": before[QUALITY], "to": changes[QUALITY]}
    if NOTE in changes:
        told[NOTE] = "removed" if changes[NOTE] is None else "changed" if before[NOTE] else "written"
    return told
