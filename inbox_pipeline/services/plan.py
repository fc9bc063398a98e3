"""What an import would do, without doing it: a dry run for a project of the catalog, writing nothing.

Belongs here: what the catalog adds to a plan in memory (`folder_plan.py`): the project's policy and taken labels, the
site's rules; and how the plan is told. Does not belong here: the decisions, which are those of the import itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.intake.requests import read_parameters
from inbox_pipeline.intake.sessions import PlannedSession
from inbox_pipeline.services.accounts import Account, is_owner
from inbox_pipeline.services.examine import Asked, entries, examine, open_folder
from inbox_pipeline.services.folder_plan import Row, plan_examined
from inbox_pipeline.services.identification import Naming, identified, known_projects
from inbox_pipeline.services.policies import PolicyChoice, pseudonyms_of
from inbox_pipeline.services.profile import Profile
from inbox_pipeline.services.requests import accept
from inbox_pipeline.services.routing import routing_of, versions_in_force
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.validate import destination_of
from inbox_pipeline.store import inbox
from inbox_pipeline.store.catalog import projects
from inbox_pipeline.store.catalog import site as site_store


def plan(
    site: Site,
    account: Account,
    path: str,
    project: str,
    subject: str | None = None,
    session: str | None = None,
    *,
    values: bool = False,
) -> dict[str, Any]:
    """Return the sessions and files that an import would make, and which rules name the sessions.

    What the rules find is told under policy `none`, which stores it in the open, and under `basic` only with `values`,
    which is audited.

    Raises:
        Rejected: whatever would refuse the import itself; `forbidden`, if `values` under `basic` are asked for by one
            who does not own the project in whose inbox the files are.
    """
    pairs = [("path", path), ("PROJECT_ID", project), ("SUBJECT_ID", subject or ""), ("EXPT_LABEL", session or "")]
    asked = read_parameters(pairs)
    real_path, project_id = accept(site, account, asked)
    request = {"id": None, "project_id": project_id, "auto_archive": asked.auto_archive, "parameters": asked.recorded}
    with site.catalog.read() as connection:
        destination = destination_of(connection, request, 1)
        project_row = projects.get_project(connection, project_id)
        routing = routing_of(connection, versions_in_force(connection))
    choice = PolicyChoice() if project_row is None else PolicyChoice.of(project_row)
    if values and choice.basic:
        _note_values(site, account, real_path)
    profile = Profile(choice, pseudonyms_of(site.secret, project_id)) if choice.basic else None
    with open_folder(real_path) as folder:
        labels = Asked(asked.subject_label, asked.session_label, site.secret, profile, routing)
        found = (examine(folder, entry, labels) for entry in entries(folder, None))
        planned = plan_examined(folder, found, asked.session_label, destination)
        known = known_projects(site, account)
        naming = Naming(project_id, asked.subject_label, asked.session_label, routing, known)
        named = identified(folder, planned.rows, planned.sessions, naming, labels=values or not choice.basic)
    return _described(project_id, planned.rows, planned.sessions, named)


def _note_values(site: Site, account: Account, real_path: bytes) -> None:
    """Refuse to tell what identifies, or write down who was told. Raises Rejected: `forbidden`."""
    inbox_project = inbox.first_component(real_path, site.settings.inbox_path)
    if not is_owner(site, account, inbox_project):
        raise refusal("forbidden")
    with site.catalog.write() as connection:
        site_store.record(connection, account.login, "plan.values", inbox_project)


def _described(
    project_id: str, rows: list[Row], sessions: list[PlannedSession], named: Mapping[int, dict[str, Any]]
) -> dict[str, Any]:
    placed = {row_id: (session, scan) for session in sessions for row_id, scan in session.scans.items()}
    files = [_file(row, placed.get(row["id"])) for row in rows]
    return {
        "project": project_id,
        "files": {
            "found": len(files),
            "by_disposition": dict(sorted(Counter(file["disposition"] for file in files).items())),
            "by_reason": dict(sorted(Counter(file["reason"] for file in files).items())),
        },
        "sessions": [_session(project_id, session, named.get(session.number)) for session in sessions],
        "rows": files,
    }


def _file(row: Row, place: tuple[PlannedSession, str] | None) -> dict[str, Any]:
    disposition, reason = row["disposition"], row["reason"]
    session, scan = place or (None, None)
    if session is not None:
        reason = session.reason or "archived"
        disposition = "archived" if session.reason is None else "prearchived"
    return {
        "source_path": row["source_path"].decode("utf-8", "backslashreplace"),
        "disposition": disposition,
        "reason": reason,
        "bytes": row["bytes"],
        "session": session.session_label if session else None,
        "scan": scan,
    }


def _session(project_id: str, session: PlannedSession, named: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "project": project_id,
        "subject": session.subject_label,
        "session": session.session_label,
        "subject_rule": session.subject_rule,
        "session_rule": session.session_rule,
        "identified": named,
        "state": "ARCHIVED" if session.reason is None else session.state,
        "reason": session.reason,
        "files": len(session.scans),
        "scans": dict(sorted(Counter(session.scans.values()).items())),
        "findings": session.findings,
    }
