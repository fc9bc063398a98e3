"""Deleting in the archive over XNAT's addresses, and what was deleted, under `/api/v1/` (contract sections 5 and 6).

Belongs here: those routes. Does not belong here: who may, and what happens (`services/deletion.py`).

Clients send `removeFiles=true` or leave it out; both do the same here: files go to the trash with what they belong to,
as the archive holds none that the catalog does not know. Resources and single files are not deleted.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import deletion
from inbox_pipeline.web.answers import json_answer, text
from inbox_pipeline.web.description import OWN, PLAIN, query, refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.rights import Owned
from inbox_pipeline.web.shapes import Deleted, DeletedList
from inbox_pipeline.web.xnat_archive import EXPERIMENTS_AT, PREFIXES, SUBJECTS_AT
from inbox_pipeline.web.xnat_places import Scan, Session, Subject

_projects, _subjects, _experiments = APIRouter(), APIRouter(), APIRouter()
own = APIRouter(prefix=f"{OWN}projects/{{project_id}}/deleted")
REMOVE_FILES = query("removeFiles")

Key = Annotated[int, Path(ge=1, le=2**31 - 1)]


@_projects.delete("/projects/{project_id}", responses=PLAIN, openapi_extra=REMOVE_FILES)
@refuses(409)
def delete_project(project: Owned, account: Known, site: Served) -> Response:
    """Delete a project that holds nothing."""
    deletion.delete_project(site, account, project)
    return text("")


@_subjects.delete("/{subject_id}", responses=PLAIN, openapi_extra=REMOVE_FILES)
@refuses(403, 409)
def delete_subject(account: Known, site: Served, subject: Subject) -> Response:
    """Delete a subject with its sessions."""
    if subject is None:
        raise refusal("not_found")
    deletion.delete_subject(site, account, subject)
    return text("")


@_experiments.delete("/{experiment_id}", responses=PLAIN, openapi_extra=REMOVE_FILES)
@refuses(403, 409)
def delete_session(account: Known, site: Served, session: Session) -> Response:
    """Delete a session."""
    deletion.delete_session(site, account, session)
    return text("")


@_experiments.delete("/{experiment_id}/scans/{scan_id}", responses=PLAIN, openapi_extra=REMOVE_FILES)
@refuses(403, 409)
def delete_scan(account: Known, site: Served, session: Session, scan: Scan) -> Response:
    """Delete a scan of a session that has others."""
    deletion.delete_scan(site, account, session, scan)
    return text("")


@own.get("", response_model=None, responses={200: {"model": DeletedList}})
def list_deleted(project: Owned, site: Served) -> Response:
    """List what was deleted from a project's archive and can be restored, latest first; for its owners."""
    return json_answer({"deleted": deletion.list_deleted(site, project)})


@own.post("/{deleted_id}/restore", response_model=None, responses={200: {"model": Deleted}})
@refuses(409)
def restore(project: Owned, deleted_id: Key, account: Known, site: Served) -> Response:
    """Bring a deleted session or scan back as it was."""
    return json_answer(deletion.restore(site, account, project, deleted_id))


router = APIRouter()
for prefix in PREFIXES:
    router.include_router(_projects, prefix=prefix)
    for place in SUBJECTS_AT:
        router.include_router(_subjects, prefix=prefix + place)
    for place in EXPERIMENTS_AT:
        router.include_router(_experiments, prefix=prefix + place)
