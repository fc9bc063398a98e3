"""Which rule named each planned session, and which others would have, read from the session's first file.

Belongs here: asking the rules again for what is shown. Does not belong here: the rules (`intake/identify.py`), and who
may see what they find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.header import Header, read_header
from inbox_pipeline.intake.identify import (
    Candidate,
    project_candidates,
    session_candidates,
    subject_candidates,
    told,
)
from inbox_pipeline.intake.routing import Routing, RuleTooSlow
from inbox_pipeline.intake.sessions import PlannedSession
from inbox_pipeline.services.accounts import Account, may_edit
from inbox_pipeline.services.grouping import Row
from inbox_pipeline.services.setting_rules import is_project_id
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import projects
from inbox_pipeline.store.inbox import Requested


@dataclass(frozen=True)
class Naming:
    """What decides names besides headers: what the request says, the administrators' rules, and `known`, which returns
    the ID of a project that whoever asks may use, None for any other text."""

    project_id: str
    subject_label: str | None
    session_label: str | None
    routing: Routing
    known: Callable[[str], str | None]


def known_projects(site: Site, account: Account | None) -> Callable[[str], str | None]:
    """Return what finds the projects that an account may edit; of nobody, none."""

    def known(text: str) -> str | None:
        if not is_project_id(text):
            return None
        with site.catalog.read() as connection:
            project = projects.get_project(connection, text)
        if project is None or account is None or not may_edit(site, account, project["id"]):
            return None
        return str(project["id"])

    return known


def identified(
    folder: Requested, rows: Iterable[Row], sessions: Sequence[PlannedSession], naming: Naming, *, labels: bool
) -> dict[int, dict[str, Any]]:
    """Return how each session was named, by its number: per target the rule that fired, its element, and the others.

    A session whose first file can no longer be read is left out.

    Args:
        folder: the requested folder.
        rows: the ledger's rows of the sessions' files.
        sessions: as they were planned.
        naming: what decides besides headers.
        labels: whether what the rules give may be told, too.
    """
    firsts = {next(iter(session.scans)): session for session in sessions if session.scans}
    found = {}
    for row in folder.in_order([row for row in rows if row["id"] in firsts]):
        session = firsts[row["id"]]
        header = _header(folder, row["source_path"], naming.routing)
        if header is not None:
            found[session.number] = _named(header, session, naming, labels=labels)
    return found


def _header(folder: Requested, source_path: bytes, routing: Routing) -> Header | None:
    try:
        with folder.open(source_path) as stream:
            return read_header(stream, size=stream.seek(0, 2), also=routing.tags)
    except (OSError, NotReadable):
        return None


def _named(header: Header, session: PlannedSession, naming: Naming, *, labels: bool) -> dict[str, Any]:
    routing = naming.routing
    try:
        of_session = list(session_candidates(header, naming.session_label, routing))
        of_subject = list(subject_candidates(header, naming.subject_label, of_session[0], routing))
        of_project = list(project_candidates(header, naming.project_id, naming.known, routing))
    except RuleTooSlow:  # whatever it would have found, the file was named by a rule before it
        return {}
    return {
        "project": told(of_project, labels=labels),
        "subject": told(_fired(session.subject_label, session.subject_rule, of_subject), labels=labels),
        "session": told(_fired(session.session_label, session.session_rule, of_session), labels=labels),
    }


def _fired(label: str, rule: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates led by what was decided: the first of them, or what took the place of all of them."""
    first, *others = candidates
    if rule == first.rule:
        return [replace(first, label=label), *others]
    return [Candidate(label, rule), first, *others]
