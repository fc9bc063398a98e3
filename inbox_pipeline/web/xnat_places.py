"""Where in the archive an address leads: its project, subject, session and scan, as far as the sender may see them.

Belongs here: from the names in a path to rows, as dependencies of routes; all that may not be known to exist answers
404. Does not belong here: answers, and who may see what (`services/browse.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends
from sqlalchemy.engine import RowMapping
from starlette.requests import Request

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import browse
from inbox_pipeline.web.description import refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.rights import readable_project
from inbox_pipeline.web.xnat_columns import RESOURCE


@refuses(404)
def project_of(request: Request, account: Known, site: Served) -> str | None:
    """Return the ID of the project in the path; None where it names none.

    Raises:
        Rejected: `project_not_found`.
    """
    named = request.path_params.get("project_id")
    return None if named is None else readable_project(named, account, site)


Project = Annotated[str | None, Depends(project_of)]


@refuses(404)
def subject_of(request: Request, account: Known, site: Served, project: Project) -> RowMapping | None:
    """Return the subject in the path; None where it names none.

    Raises:
        Rejected: `project_not_found`, `not_found`.
    """
    named = request.path_params.get("subject_id")
    return None if named is None else browse.find_subject(site, account, named, project)


Subject = Annotated[RowMapping | None, Depends(subject_of)]


@refuses(404)
def session_of(request: Request, account: Known, site: Served, project: Project, subject: Subject) -> RowMapping:
    """Return the session in the path.

    Raises:
        Rejected: `project_not_found`, `not_found`.
    """
    return browse.find_session(site, account, request.path_params["experiment_id"], project, subject)


Session = Annotated[RowMapping, Depends(session_of)]


@refuses(404)
def scan_of(request: Request, site: Served, session: Session) -> RowMapping:
    """Return the scan in the path.

    Raises:
        Rejected: `project_not_found`, `not_found`.
    """
    return browse.find_scan(site, session, request.path_params["scan_id"])


Scan = Annotated[RowMapping, Depends(scan_of)]


@refuses(404)
def scans_of(request: Request, site: Served, session: Session) -> Sequence[RowMapping]:
    """Return the scans that the path names: IDs or types, with commas, or `ALL`; of them those that have the resource.

    Raises:
        Rejected: `project_not_found`, `not_found`.
    """
    chosen = browse.choose_scans(site, session, request.path_params["scan_ids"])
    resource = request.path_params.get("resource_id")
    if resource is None or resource.casefold() == RESOURCE.casefold():
        return chosen
    named = [scan for scan in chosen if str(scan["id"]) == resource]
    if not named:
        raise refusal("not_found")
    return named


Scans = Annotated[Sequence[RowMapping], Depends(scans_of)]
