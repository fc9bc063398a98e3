"""Making projects and subjects, and a project's auto-archive code and other settings, over XNAT's addresses.

Belongs here: those routes, with what XNAT's clients send beside the name. Does not belong here: the rules
(`services/projects.py`, `services/subjects.py`).

Values of XNAT's schema that are not held here are not kept, and bodies are not read.
"""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import projects
from inbox_pipeline.services.scopes import project_exists
from inbox_pipeline.services.subjects import create_subject, find_subject
from inbox_pipeline.web.answers import text
from inbox_pipeline.web.description import PLAIN, query, refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Pairs, Query, last
from inbox_pipeline.web.rights import Administrator, Editable, Owned, Readable
from inbox_pipeline.web.xnat_archive import PREFIXES
from inbox_pipeline.web.xnat_relabel import relabelled_subject

SETTINGS = {"accessibility": "private", "quarantine_code": "0", "current_arc": "arc001"}
"""Settings of XNAT's projects that have one value here: who sees a project, no quarantine, where new sessions lie."""
MADE = {**PLAIN, 201: PLAIN[200]}

_routes = APIRouter()


@_routes.put("/projects/{project_id}", responses=MADE, openapi_extra=query("name"))
@refuses(400)
def put_project(project_id: str, sender: Administrator, site: Served, query: Query) -> Response:
    """Make a project, or give one another name; answers its ID, with 201 if it was made."""
    made, title = not project_exists(site, project_id), _given(query, "xnat:projectData", "name")
    if made:
        shown = projects.create_project(site, sender.login, project_id, title)
    else:
        shown = projects.set_project(site, sender.login, project_id, title=title or None)
    return text(shown["id"], status=HTTPStatus.CREATED if made else HTTPStatus.OK)


@_routes.put("/projects/{project_id}/subjects/{subject_id}", responses=MADE, openapi_extra=query("label"))
@refuses(400, 403, 409)
async def put_subject(project: Editable, subject_id: str, account: Known, site: Served, query: Query) -> Response:
    """Make a subject unless it is there, or give it another label; its accession id, with 201 if it was made."""
    label = _given(query, "xnat:subjectData", "label")
    if label and label != subject_id:
        subject = await run_in_threadpool(find_subject, site, project, subject_id)
        if subject is None:
            raise refusal("not_supported", name="label")
        return await relabelled_subject(site, account, subject, label)
    accession, made = await run_in_threadpool(create_subject, site, account.login, project, subject_id)
    return text(accession, status=HTTPStatus.CREATED if made else HTTPStatus.OK)


@_routes.get("/projects/{project_id}/prearchive_code", responses=PLAIN)
def prearchive_code(project: Readable, site: Served) -> Response:
    """Answer a project's auto-archive code as text."""
    return text(str(projects.show_project(site, project)["prearchive_code"]))


@_routes.put("/projects/{project_id}/prearchive_code/{code}", responses=PLAIN)
@refuses(400)
def put_prearchive_code(project: Owned, code: str, account: Known, site: Served) -> Response:
    """Set a project's auto-archive code: 0, 4 or 5."""
    if not (code.isascii() and code.isdecimal() and len(code) < 4):
        raise refusal("parameter_invalid", name="prearchive_code")
    projects.set_project(site, account.login, project, prearchive_code=int(code))
    return text("")


def _add_setting(name: str, fixed: str) -> None:
    """Add the routes of a setting that is the same for every project."""

    @_routes.get(f"/projects/{{project_id}}/{name}", responses=PLAIN)
    def setting(_project: Readable) -> Response:
        """Answer the setting as text."""
        return text(fixed)

    @_routes.put(f"/projects/{{project_id}}/{name}/{{value}}", responses=PLAIN)
    @refuses(400)
    def put_setting(_project: Owned, value: str) -> Response:
        """Take the only value that there is; every other is refused."""
        if value != fixed:
            raise refusal("not_supported", name=name)
        return text("")


for each in SETTINGS.items():
    _add_setting(*each)
router = APIRouter()
for prefix in PREFIXES:
    router.include_router(_routes, prefix=prefix)


def _given(query: Pairs, xsi_type: str, name: str) -> str:
    """Return a value that the query gives by its short name or as a path into XNAT's schema."""
    return last(query, f"{xsi_type}/{name}") or last(query, name)
