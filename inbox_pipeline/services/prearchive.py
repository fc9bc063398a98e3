"""Prearchive sessions as people see and handle them: list, archive, move, delete, check again (contract section 4).

Belongs here: who may do what in which state, and what is asked for. Does not belong here: the states
(`intake/prearchive.py`), the work of archiving (`from_prearchive.py`), HTTP.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.labels import is_legal
from inbox_pipeline.intake.prearchive import ERROR, LOCKED, QUEUED_ARCHIVING, READY, is_open
from inbox_pipeline.intake.reasons import ending, in_prearchive, refusal
from inbox_pipeline.intake.sessions import ARCHIVE
from inbox_pipeline.services.accounts import DATA_ADMIN, Account, may_edit, may_read
from inbox_pipeline.services.destination import destination_of, is_whole
from inbox_pipeline.services.ending import end_request
from inbox_pipeline.services.entering import hindrance_of, require_entry
from inbox_pipeline.services.from_prearchive import require_relabelling
from inbox_pipeline.services.generation import join
from inbox_pipeline.services.new_labels import refuse_identifying
from inbox_pipeline.services.prearchive_moves import finish_moves, next_place
from inbox_pipeline.services.reading import away
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.undo import finish
from inbox_pipeline.services.verify import Verification, compare_session
from inbox_pipeline.store.catalog import merges, prearchive, projects, requests, withdrawals
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.reading import OpenFolder

DELETED_IN_REVIEW = "deleted_in_review"
READY_REASON = "ready_for_review"


@dataclass(frozen=True)
class Place:
    """Where a prearchive session is, as its address says: project, timestamp folder, session folder."""

    project_id: str
    timestamp: str
    label: str

    @classmethod
    def of(cls, session: RowMapping) -> Place:
        """Return the place of a session."""
        return cls(session["project_id"], session["prearchive_timestamp"], session["label"])

    @property
    def uri(self) -> str:
        """The session's address, without the prefix `/data`."""
        return f"/prearchive/projects/{self.project_id}/{self.timestamp}/{self.label}"

    @property
    def audited(self) -> str:
        """What the audit trail calls the session: without its label, which may tell of the patient."""
        return f"{self.project_id}/{self.timestamp}"


@dataclass(frozen=True)
class Wish:
    """How a session is to be archived: other labels than it has, and what may happen to a session that is there.

    `parameters` are those of the query that count (`overwrite`, `overwrite_files`).
    """

    project_id: str | None = None
    subject_label: str | None = None
    session_label: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


def sessions(site: Site, account: Account, project_ids: Sequence[str] | None = None) -> list[RowMapping]:
    """Return the prearchive sessions of the projects that are named, or of all that the account may edit.

    Raises:
        Rejected: `prearchive_denied`, when a named project is not one that the account may read.
    """
    if project_ids is not None and not all(may_read(site, account, each) for each in project_ids):
        raise refusal("prearchive_denied")
    with site.catalog.read() as connection:
        rows = prearchive.waiting(connection, None if project_ids is None else _known(connection, project_ids))
    if project_ids is not None:
        return list(rows)
    allowed = {each: may_edit(site, account, each) for each in {row["project_id"] for row in rows}}
    return [row for row in rows if allowed[row["project_id"]]]


def _known(connection: Connection, project_ids: Sequence[str]) -> list[str]:
    found = [projects.get_project(connection, each) for each in project_ids]
    return [str(project["id"]) for project in found if project is not None]


def session(site: Site, account: Account, place: Place) -> RowMapping:
    """Return a prearchive session.

    Raises:
        Rejected: `prearchive_denied` without the right to edit its project, `prearchive_session_not_found`.
    """
    with site.catalog.read() as connection:
        return _found(site, connection, account, place)


def _found(site: Site, connection: Connection, account: Account, place: Place) -> RowMapping:
    project_id = _prearchive_of(site, connection, account, place.project_id)
    found = prearchive.find(connection, project_id, place.timestamp, place.label)
    if found is None:
        raise refusal("prearchive_session_not_found")
    return found


def archive(site: Site, account: Account, place: Place, wish: Wish) -> int:
    """Ask for the archiving of a session, and return the number of the request that does it.

    Raises:
        Rejected: as `session`; `session_locked`, `session_state`, `project_denied`, `subject_label_illegal`,
            `session_label_illegal`, `label_identifies`, `label_unproven`, `label_key_changed`; as `require_entry`, for
            another project; nothing was changed.
    """
    refuse_labels(wish)
    with site.catalog.write() as connection:
        found = _found(site, connection, account, place)
        _require_open(connection, found, "archive")
        refuse_identifying(site, connection, found, wish.subject_label, wish.session_label)
        project_id = _destination(site, connection, account, wish.project_id or found["project_id"])
        require_entry(site, connection, account, found, project_id)
        values = _request(site, account, found, wish, project_id)
        if not prearchive.change(connection, found, state=QUEUED_ARCHIVING, state_before=found["state"]):
            raise refusal("session_locked")
        request_id = requests.insert(connection, values)
        detail = {"request": request_id, "project": project_id}
        site_store.record(connection, account.login, "prearchive.archive", place.audited, **detail)
    return request_id


def refuse_labels(wish: Wish) -> None:
    """Refuse labels that cannot be used. Raises Rejected: `subject_label_illegal`, `session_label_illegal`."""
    for label, code in ((wish.subject_label, "subject_label_illegal"), (wish.session_label, "session_label_illegal")):
        if label is not None and not is_legal(label):
            raise refusal(code)


def _require_open(connection: Connection, found: RowMapping, operation: str) -> None:
    """Refuse what may not be done to a session in its state, or while the request that made it is at work."""
    if found["state"] in LOCKED:
        raise refusal("session_locked")
    if not is_open(operation, found["state"]):
        raise refusal("session_state", state=found["state"])
    maker = requests.get(connection, found["request_id"])
    if maker is not None and maker["status"] not in requests.FINAL:
        raise refusal("session_locked")


def _destination(site: Site, connection: Connection, account: Account, project_id: str) -> str:
    project = projects.get_project(connection, project_id)
    if project is None or not may_edit(site, account, project["id"]):
        raise refusal("project_denied")
    return str(project["id"])


def _request(site: Site, account: Account, found: RowMapping, wish: Wish, project_id: str) -> dict[str, Any]:
    path = os.fsencode(site.settings.prearchive_path / found["path"])
    same = json.dumps([account.login, found["id"], sorted(wish.parameters.items())])
    return {
        "username": account.login,
        "source": prearchive.SOURCE,
        "source_path": path,
        "parameters": {"path": os.fsdecode(path), **wish.parameters},
        "same_key": hashlib.sha256(same.encode()).hexdigest(),
        "project_id": project_id,
        "subject_label": wish.subject_label,
        "session_label": wish.session_label,
        "prearchive_session_id": found["id"],
    }


@dataclass(frozen=True)
class Finding:
    """Something to know before a session is archived: a code, whether it keeps the session out, and a sentence."""

    code: str
    conflict: bool
    message: str


def foresee(site: Site, account: Account, place: Place, wish: Wish) -> list[Finding]:
    """Return what would stand in the way of archiving a session now; nothing is changed.

    Raises:
        Rejected: as `archive`.
    """
    refuse_labels(wish)
    with site.catalog.read() as connection:
        found = _found(site, connection, account, place)
        refuse_identifying(site, connection, found, wish.subject_label, wish.session_label)
        project_id = _destination(site, connection, account, wish.project_id or found["project_id"])
        hindrance = hindrance_of(site, connection, found, project_id)
        if hindrance is not None:
            return [_conflict(hindrance)]
        rows = prearchive.files(connection, found["id"])
        plan = _planned(connection, found, wish, project_id)
        asked = {"parameters": dict(wish.parameters), "source": prearchive.SOURCE}
        request = {"id": 0, "project_id": project_id, **asked}
        there = merges.archived_session(connection, project_id, plan["session_label"])
        if there is None:
            destination = destination_of(site, connection, request, plan, rows)
            return [_conflict(destination.reason)] if destination.reason else []
        destination = destination_of(site, connection, request, plan, rows)
        members = merges.members(connection, there["id"])
    if destination.reason is not None:
        return [_conflict(destination.reason)]
    joining = join(members, rows, replaces=destination.replaces)
    exists = [Finding("session_exists", False, "Its files are added to the session of that label.")]
    if joining.verdicts and not destination.replaces:
        return [*exists, _conflict("files_exist")]
    return [*exists, *_renumbered(rows, joining.scans)]


def _planned(connection: Connection, found: RowMapping, wish: Wish, project_id: str) -> dict[str, Any]:
    first = prearchive.plans(connection, found["id"])[0]
    return {
        "project_id": project_id,
        "subject_label": wish.subject_label or found["subject_label"],
        "session_label": wish.session_label or found["label"],
        "study_key": first["study_key"],
        "patient_key": first["patient_key"],
        "destination": ARCHIVE,
        "reason": None,
    }


def _conflict(code: str) -> Finding:
    reason = ending(code)
    return Finding(code, True, f"{reason.sentence} {reason.hint}")


def _renumbered(rows: Sequence[RowMapping], placed: Mapping[int, str]) -> list[Finding]:
    moved = sorted({(row["scan_label"], placed[row["id"]]) for row in rows if row["id"] in placed})
    return [
        Finding("scan_renumbered", False, f"Scan {old} becomes {new}: that number is another series'.")
        for old, new in moved
        if old != new
    ]


def delete(site: Site, account: Account, place: Place) -> None:
    """Delete a session: its files go to the trash, and the import that made it says so.

    Raises:
        Rejected: as `session`; `session_locked`, `session_state`.
        Unavailable: `storage_failed`; the deletion goes on by itself.
    """
    with site.catalog.write() as connection:
        found = _found(site, connection, account, place)
        _require_open(connection, found, "delete")
        plans = prearchive.plans(connection, found["id"])
        if not withdrawals.begin_withdrawal(connection, found, dt.datetime.now(dt.UTC), DELETED_IN_REVIEW):
            raise refusal("session_locked")
        for plan in plans:
            ended = {"state": ERROR, "reason": DELETED_IN_REVIEW}
            requests.update_session(connection, plan["request_id"], plan["number"], **ended)
            _tell(connection, plan["request_id"])
        site_store.record(connection, account.login, "prearchive.delete", place.audited)
    finish(site)


def _tell(connection: Connection, request_id: int) -> None:
    row = requests.get(connection, request_id)
    if row is not None:
        end_request(connection, request_id, None, "partial" if row["cleanup"] else "off")


def move(site: Site, account: Account, place: Place, project_id: str) -> RowMapping:
    """Move a session to another project's prearchive, under its timestamp and label, and return it.

    Its files stay as they are. What its scripts wrote of the project is written anew when it is archived.

    Raises:
        Rejected: as `session`, for either project; `session_locked`, `session_state`, `prearchive_place_taken`,
            `labels_fixed`; as `require_entry`; nothing was changed.
        Unavailable: `storage_failed`; the move goes on by itself.
    """
    require_relabelling(site, session(site, account, place))
    with site.catalog.write() as connection:
        found = _found(site, connection, account, place)
        _require_open(connection, found, "move")
        target = _prearchive_of(site, connection, account, project_id)
        there = prearchive.find(connection, target, found["prearchive_timestamp"], found["label"])
        if there is not None:
            raise refusal("prearchive_place_taken")
        require_entry(site, connection, account, found, target)
        if not prearchive.begin_move(connection, found, target):
            raise refusal("session_locked")
        site_store.record(connection, account.login, "prearchive.move", place.audited, project=target)
        moving = prearchive.get(connection, found["id"])
    finish_moves(site)
    with site.catalog.read() as connection:
        moved = prearchive.get(connection, found["id"])
    if moved is None or moving is None or moved["path"] != next_place(moving):
        raise refusal("prearchive_place_taken")
    return moved


def _prearchive_of(site: Site, connection: Connection, account: Account, project_id: str) -> str:
    """Return the ID of a project in whose prearchive the account may work, as it is written in the catalog."""
    project = None if "\0" in project_id else projects.get_project(connection, project_id)
    if project is None or not may_edit(site, account, project["id"]):
        raise refusal("prearchive_denied")
    return str(project["id"])


def rebuild(site: Site, account: Account, place: Place) -> RowMapping:
    """Read a session's files again and return the session, READY if all are what the catalog says.

    Raises:
        Rejected: as `session`; `session_locked`, `session_state`.
    """
    with site.catalog.read() as connection:
        found = _found(site, connection, account, place)
        _require_open(connection, found, "rebuild")
    damaged = bool(compare_session(site, found, Verification()))
    values = {"state": ERROR, "reason": "prearchive_changed"} if damaged else {"state": READY, "reason": READY_REASON}
    with site.catalog.write() as connection:
        if not prearchive.change(connection, found, **values):
            raise refusal("session_locked")
        site_store.record(connection, account.login, "prearchive.rebuild", place.audited, damaged=damaged)
    with site.catalog.read() as connection:
        return _found(site, connection, account, place)


def rescan(site: Site, account: Account) -> list[RowMapping]:
    """Hold every session's folder against the catalog, by names and sizes, and return the sessions.

    One that is not what the catalog says becomes ERROR until it is rebuilt, which reads every byte. What the catalog
    does not know is not taken up: `verify` names it.

    Raises:
        Rejected: `forbidden`, but for administrators and data administrators.
    """
    if not (account.admin or account.data_role == DATA_ADMIN):
        raise refusal("forbidden")
    with site.catalog.read() as connection:
        waiting = [each for each in prearchive.waiting(connection) if each["state"] not in LOCKED]
        lost = [each for each in waiting if not is_whole(connection, site.settings.prearchive_path, each)]
    with site.catalog.write() as connection:
        for each in lost:
            prearchive.change(connection, each, state=ERROR, reason="prearchive_changed")
        site_store.record(connection, account.login, "prearchive.rescan", "site", damaged=len(lost))
    return sessions(site, account)


def ended(site: Site, request_id: int) -> RowMapping | None:
    """Return a request that archives a session once it has ended, else None."""
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
    return row if row is not None and row["status"] in requests.FINAL else None


def archived_uri(site: Site, request_id: int) -> str:
    """Return XNAT's address of the session that a request has archived."""
    with site.catalog.read() as connection:
        plan = requests.planned_sessions(connection, request_id)[0]
    subject = plan["session_subject"] or plan["subject_label"]
    place = f"/data/archive/projects/{plan['project_id']}/subjects/{subject}"
    return f"{place}/experiments/{plan['session_label']}"


def told(found: RowMapping) -> str:
    """Return a sentence about why a session waits or could not be archived, "" if there is nothing to say."""
    if not found["reason"]:
        return ""
    reason = in_prearchive(found["reason"])
    return f"{reason.sentence} {reason.hint}"


def open_folder(site: Site, found: RowMapping, path: str) -> OpenFolder:
    """Open the folder of a prearchive session to read one of its files.

    Raises:
        Unavailable: `session_away`, when the file is not at its place.
    """
    try:
        folder = OpenFolder(site.settings.prearchive_path / found["path"])
    except OSError:
        raise away() from None
    if not folder.has(path):
        folder.close()
        raise away()
    return folder
