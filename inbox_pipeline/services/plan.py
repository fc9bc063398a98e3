"""What an import would do, without doing it: scan and validate in memory, writing nothing.

Belongs here: the dry run. Does not belong here: the decisions, which are those of the import itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from inbox_pipeline.intake.reasons import disposition_of
from inbox_pipeline.intake.requests import read_parameters
from inbox_pipeline.intake.sessions import PlannedSession, studies_under_one_label
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.chosen_labels import GIVEN_AWAY, concerned
from inbox_pipeline.services.examine import Asked, entries, examine, open_folder
from inbox_pipeline.services.grouping import facts, judge, plan_rows
from inbox_pipeline.services.policies import PolicyChoice, pseudonyms_of
from inbox_pipeline.services.profile import Profile
from inbox_pipeline.services.requests import accept
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.validate import destination_of
from inbox_pipeline.store.catalog import projects


def plan(
    site: Site, account: Account, path: str, project: str, subject: str | None = None, session: str | None = None
) -> dict[str, Any]:
    """Return the sessions and files that an import would make.

    Raises:
        Rejected: whatever would refuse the import itself, and `several_studies_one_label`.
    """
    pairs = [("path", path), ("PROJECT_ID", project), ("SUBJECT_ID", subject or ""), ("EXPT_LABEL", session or "")]
    asked = read_parameters(pairs)
    real_path, project_id = accept(site, account, asked)
    request = {
        "id": None,
        "project_id": project_id,
        "auto_archive": asked.auto_archive,
        "parameters": asked.recorded,
    }
    with site.catalog.read() as connection:
        destination = destination_of(connection, request, 1)
        project_row = projects.get_project(connection, project_id)
    choice = PolicyChoice() if project_row is None else PolicyChoice.of(project_row)
    profile = Profile(choice, pseudonyms_of(site.secret, project_id)) if choice.basic else None
    with open_folder(real_path) as folder:
        labels = Asked(asked.subject_label, asked.session_label, site.secret, profile)
        found = [{"id": n, **examine(folder, entry, labels)} for n, entry in enumerate(entries(folder, None))]
        rows = [row for row in found if row["disposition"] == "pending"]
        studies = studies_under_one_label((facts(row) for row in rows), asked.session_label)
        verdicts, _ = judge(folder, rows, {}, lambda: None)
        verdicts |= concerned((row for row in found if row["reason"] == GIVEN_AWAY), rows)
        if studies:
            verdicts = {row["id"]: "several_studies_one_label" for row in rows}
        sessions = plan_rows(folder, [row for row in rows if row["id"] not in verdicts], destination)
    placed = {row_id: (s, scan) for s in sessions for row_id, scan in s.scans.items()}
    return _described(project_id, found, verdicts, sessions, placed)


def _described(
    project_id: str,
    found: list[dict[str, Any]],
    verdicts: dict[int, str],
    sessions: list[PlannedSession],
    placed: dict[int, tuple[PlannedSession, str]],
) -> dict[str, Any]:
    files = [_file(row, verdicts.get(row["id"]), placed.get(row["id"])) for row in found]
    return {
        "project": project_id,
        "files": {
            "found": len(files),
            "by_disposition": dict(sorted(Counter(file["disposition"] for file in files).items())),
            "by_reason": dict(sorted(Counter(file["reason"] for file in files).items())),
        },
        "sessions": [_session(project_id, session) for session in sessions],
        "rows": files,
    }


def _file(row: dict[str, Any], verdict: str | None, place: tuple[PlannedSession, str] | None) -> dict[str, Any]:
    if place is not None:
        session, scan = place
        reason = session.reason or "archived"
        disposition = "archived" if session.reason is None else "prearchived"
    else:
        session, scan, reason = None, None, verdict or row["reason"]
        disposition = disposition_of(reason)
    return {
        "source_path": row["source_path"].decode("utf-8", "backslashreplace"),
        "disposition": disposition,
        "reason": reason,
        "bytes": row["bytes"],
        "session": session.session_label if session else None,
        "scan": scan,
    }


def _session(project_id: str, session: PlannedSession) -> dict[str, Any]:
    return {
        "project": project_id,
        "subject": session.subject_label,
        "session": session.session_label,
        "subject_rule": session.subject_rule,
        "session_rule": session.session_rule,
        "state": "ARCHIVED" if session.reason is None else session.state,
        "reason": session.reason,
        "files": len(session.scans),
        "scans": dict(sorted(Counter(session.scans.values()).items())),
        "findings": session.findings,
    }
