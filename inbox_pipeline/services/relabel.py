"""Giving archived sessions and subjects other labels, subjects or projects (contract section 5): asking for it.

Belongs here: who may, what is refused before anything is begun, the requests that do the work. Does not belong here:
the work (`from_prearchive.py`, `relabelling.py`), HTTP.

A subject's label is changed at once, and a request for each of its sessions follows: what scripts wrote of the label
into files is written anew, session by session. Asking again goes on with sessions that could not follow.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.accounts import Account, is_owner, may_edit, may_read
from inbox_pipeline.services.entering import require_entry
from inbox_pipeline.services.from_prearchive import require_relabelling
from inbox_pipeline.services.new_labels import refuse_identifying
from inbox_pipeline.services.prearchive import Wish, refuse_labels
from inbox_pipeline.services.relabelling import ARCHIVED, MANIFEST
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import commits, projects, relabelled, requests
from inbox_pipeline.store.catalog import site as site_store


def relabel_session(site: Site, account: Account, session_id: int, wish: Wish) -> int | None:
    """Ask for another label, subject or project of an archived session.

    Returns the number of the request that does it, None if the session is as it is wished already.

    Args:
        site: the site.
        account: who asks: an editor of the session's project; to move it, its owner, and an editor of the other one.
        session_id: a session that the account may see.
        wish: what it shall be; what is None stays. A subject that does not exist is made.

    Raises:
        Rejected: `not_found`, `forbidden`, `project_not_found`, `subject_label_illegal`, `session_label_illegal`,
            `labels_fixed`, `session_exists`, `session_busy`; as `refuse_identifying` and `require_entry`; nothing was
            changed.
    """
    refuse_labels(wish)
    with site.catalog.read() as connection:
        session = _archived(connection, session_id)
    if _is_as_wished(session, wish):
        _require_editor(site, account, session["project_id"])
        return None
    require_relabelling(site, session)
    with site.catalog.write() as connection:
        session = _archived(connection, session_id)
        project_id = _project(site, connection, account, session, wish)
        refuse_identifying(site, connection, session, wish.subject_label, wish.session_label)
        require_entry(site, connection, account, session, project_id)
        label = wish.session_label or session["label"]
        if commits.label_exists(connection, project_id, label, but=session["id"]):
            raise refusal("session_exists")
        return _file(site, connection, account, session, wish, project_id)


def relabel_subject(site: Site, account: Account, subject: RowMapping, label: str) -> list[int]:
    """Give a subject another label; return the numbers of the requests that let its sessions follow.

    Raises:
        Rejected: `forbidden`, `subject_label_illegal`, `subject_exists`, `labels_fixed`, `session_busy`; as
            `refuse_identifying`; nothing was changed.
    """
    wish = Wish(subject_label=label)
    refuse_labels(wish)
    _require_editor(site, account, subject["project_id"])
    with site.catalog.read() as connection:
        for session in _behind(connection, subject, label):
            require_relabelling(site, session)
    with site.catalog.write() as connection:
        other = commits.find_subject(connection, subject["project_id"], label)
        if other is not None and other["id"] != subject["id"]:
            raise refusal("subject_exists")
        behind = _behind(connection, subject, label)
        for session in behind:
            refuse_identifying(site, connection, session, wish.subject_label, None)
        if subject["label"] != label:
            relabelled.rename_subject(connection, subject["id"], label)
            site_store.record(connection, account.login, "subject.relabel", subject["accession"])
        return [_file(site, connection, account, session, wish, session["project_id"]) for session in behind]


def _behind(connection: Connection, subject: RowMapping, label: str) -> Sequence[RowMapping]:
    """Return the sessions of a subject that do not have its label yet."""
    return [each for each in relabelled.sessions_of(connection, subject["id"]) if each["subject_label"] != label]


def _archived(connection: Connection, session_id: int) -> RowMapping:
    session = commits.session(connection, session_id)
    if session["state"] != ARCHIVED:
        raise refusal("not_found")
    return session


def _is_as_wished(session: RowMapping, wish: Wish) -> bool:
    wished = (wish.project_id, wish.subject_label, wish.session_label)
    now = (session["project_id"], session["subject_label"], session["label"])
    return all(asked in (None, own) for asked, own in zip(wished, now, strict=True))


def _require_editor(site: Site, account: Account, project_id: str) -> None:
    if not may_edit(site, account, project_id):
        raise refusal("forbidden")


def _project(site: Site, connection: Connection, account: Account, session: RowMapping, wish: Wish) -> str:
    """Return the project that the session shall be in, if the account may do that."""
    _require_editor(site, account, session["project_id"])
    if wish.project_id is None:
        return str(session["project_id"])
    project = projects.get_project(connection, wish.project_id)
    if project is None or not may_read(site, account, project["id"]):
        raise refusal("project_not_found")
    _require_editor(site, account, project["id"])
    if project["id"] != session["project_id"] and not is_owner(site, account, session["project_id"]):
        raise refusal("forbidden")
    return str(project["id"])


def _file(
    site: Site, connection: Connection, account: Account, session: RowMapping, wish: Wish, project_id: str
) -> int:
    """File the request, with a line in the audit trail that names no label.

    Raises:
        Rejected: `session_busy`.
    """
    if relabelled.unfinished(connection, session["id"]):
        raise refusal("session_busy")
    subject = commits.find_subject(connection, project_id, wish.subject_label or session["subject_label"])
    labels = {
        "subject_label": subject["label"] if subject else wish.subject_label or session["subject_label"],
        "session_label": wish.session_label or session["label"],
    }
    request_id = requests.insert(connection, _request(site, account, session, project_id, labels))
    changed = [name for name, value in labels.items() if value != session[_COLUMNS[name]]]
    detail = {"request": request_id, "project": project_id, "changed": changed}
    site_store.record(connection, account.login, "session.relabel", session["accession"], **detail)
    return request_id


_COLUMNS = {"subject_label": "subject_label", "session_label": "label"}


def _request(
    site: Site, account: Account, session: RowMapping, project_id: str, labels: dict[str, str]
) -> dict[str, Any]:
    path = os.fsencode(site.settings.archive_path / session["path"])
    same = json.dumps([account.login, session["id"], project_id, sorted(labels.items())])
    return {
        "username": account.login,
        "source": relabelled.SOURCE,
        "source_path": path,
        "parameters": {"path": os.fsdecode(path), MANIFEST: session["manifest_digest"]},
        "same_key": hashlib.sha256(same.encode()).hexdigest(),
        "project_id": project_id,
        **labels,
        "prearchive_session_id": session["id"],
    }
