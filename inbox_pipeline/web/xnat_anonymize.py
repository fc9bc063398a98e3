"""XNAT's routes for anonymization scripts, `xapi/anonymize` (`xnat-contract` section 3).

Belongs here: the site's and the projects' scripts and their switches. Does not belong here: the older routes for the
same (`xnat_config.py`), and what is stored (`services/scripts.py`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from inbox_pipeline import script
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import scripts
from inbox_pipeline.services.site import Site
from inbox_pipeline.web.answers import json_answer, text
from inbox_pipeline.web.description import JSON, PLAIN, answer, query, refuses
from inbox_pipeline.web.exchange import body_limit
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Query, last
from inbox_pipeline.web.rights import Administrator, Owned, Readable
from inbox_pipeline.web.script_body import MOST_BYTES, SCRIPT, ScriptText

SWITCH_POSITIONS = {"true": True, "false": False}

SWITCHED = {200: answer(JSON, schema={"type": "boolean"})}
PERHAPS = {**PLAIN, 204: answer(description="There is none.")}
SWITCH = query("enable")

router = APIRouter(prefix="/xapi/anonymize")


@refuses(400)
def enable_flag(query: Query) -> bool:
    """Return what the query's `enable` says, true without one.

    Raises:
        Rejected: `parameter_invalid`.
    """
    position = SWITCH_POSITIONS.get((last(query, "enable") or "true").lower())
    if position is None:
        raise refusal("parameter_invalid", name="enable")
    return position


Enable = Annotated[bool, Depends(enable_flag)]


@router.get("/default", responses=PLAIN)
def default_script(_account: Known) -> Response:
    """Answer the script that a new site starts with."""
    return text(script.DEFAULT_SITE_SCRIPT)


@router.get("/site", responses=PERHAPS)
def site_script(_account: Known, site: Served) -> Response:
    """Answer the site's script, switched on or not."""
    return _script(site, None)


@router.put("/site", responses=PLAIN, openapi_extra=SCRIPT)
@body_limit(MOST_BYTES)
def set_site_script(sender: Administrator, site: Served, given: ScriptText) -> Response:
    """Store the site's script; the next import uses it."""
    scripts.store_script(site, sender.login, given)
    return text("")


@router.get("/site/enabled", responses=SWITCHED)
def site_enabled(_account: Known, site: Served) -> Response:
    """Say whether the site's script is switched on."""
    return json_answer(scripts.is_enabled(site))


@router.put("/site/enabled", responses=SWITCHED, openapi_extra=SWITCH)
def enable_site(sender: Administrator, site: Served, enable: Enable) -> Response:
    """Switch the site's script on or off, and say which."""
    scripts.set_enabled(site, sender.login, enable)
    return json_answer(enable)


@router.get("/projects/{project_id}", responses=PERHAPS)
def project_script(project: Readable, site: Served) -> Response:
    """Answer a project's script, switched on or not; 204 when there is none."""
    return _script(site, project)


@router.put("/projects/{project_id}", responses=PLAIN, openapi_extra=SCRIPT)
@body_limit(MOST_BYTES)
def set_project_script(project: Owned, account: Known, site: Served, given: ScriptText) -> Response:
    """Store a project's script; a blank one takes it away."""
    put_project_script(site, account.login, project, given)
    return text("")


@router.get("/projects/{project_id}/enabled", responses=SWITCHED)
def project_enabled(project: Readable, site: Served) -> Response:
    """Say whether a project's script is switched on."""
    return json_answer(scripts.is_enabled(site, project))


@router.put("/projects/{project_id}/enabled", responses=SWITCHED, openapi_extra=SWITCH)
def enable_project(project: Owned, account: Known, site: Served, enable: Enable) -> Response:
    """Switch a project's script on or off, and say which."""
    scripts.set_enabled(site, account.login, enable, project)
    return json_answer(enable)


def put_project_script(site: Site, actor: str, project_id: str, given: str) -> None:
    """Store a project's script, or take it away when the text is blank.

    Raises:
        Rejected: as `scripts.store_script`.
    """
    if given.strip():
        scripts.store_script(site, actor, given, project_id)
    else:
        scripts.remove_script(site, actor, project_id)


def _script(site: Site, scope: str | None) -> Response:
    stored = scripts.active_script(site, scope)
    return Response(status_code=204) if stored is None else text(stored.text)
