"""XNAT's older routes for anonymization scripts: the configuration service's tool `anon`, and `config/edit`.

Belongs here: their tables and parameters, under `/data` and `/REST`. Does not belong here: what is stored
(`services/scripts.py`), the tool `dicom` (`xnat_routing.py`).

A site's script has the path `script`, a project's `/projects/<ID>`, as XNAT stores them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import scripts
from inbox_pipeline.services.site import Site
from inbox_pipeline.web.answers import json_answer, text
from inbox_pipeline.web.description import PLAIN, ROWS, TEXT, query, refuses
from inbox_pipeline.web.exchange import body_limit
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Pairs, Query, last
from inbox_pipeline.web.rights import Administrator, Owned, Readable
from inbox_pipeline.web.script_body import MOST_BYTES, SCRIPT, ScriptText
from inbox_pipeline.web.xnat_anonymize import SWITCH_POSITIONS, put_project_script

STATUS_WORDS = {"enabled": True, "disabled": False, **SWITCH_POSITIONS}

CONFIGURED = {200: {"content": {**ROWS[200]["content"], "text/plain": {"schema": TEXT}}}}
WANTED = query("version", "contents", "meta")
CONFIGURE = {**SCRIPT, **query("status")}
EDIT = {**SCRIPT, **query("activate")}
ACTIVATE = query("activate", required=("activate",))

_routes = APIRouter()


@_routes.get("/config/anon/script", responses=CONFIGURED, openapi_extra=WANTED)
@refuses(404)
def site_config(_account: Known, site: Served, query: Query) -> Response:
    """Answer the site's script as a configuration."""
    return _configuration(site, None, query)


@_routes.put("/config/anon/script", responses=PLAIN, openapi_extra=CONFIGURE)
@body_limit(MOST_BYTES)
def set_site_config(sender: Administrator, site: Served, query: Query, given: ScriptText) -> Response:
    """Store the site's script, or switch it."""
    return _configure(site, sender.login, None, query, given)


@_routes.get("/projects/{project_id}/config/anon/{path:path}", responses=CONFIGURED, openapi_extra=WANTED)
@refuses(404)
def project_config(project: Readable, path: str, site: Served, query: Query) -> Response:
    """Answer a project's script as a configuration."""
    _require_path(project, path)
    return _configuration(site, project, query)


@_routes.put("/projects/{project_id}/config/anon/{path:path}", responses=PLAIN, openapi_extra=CONFIGURE)
@body_limit(MOST_BYTES)
def set_project_config(
    project: Owned, path: str, account: Known, site: Served, query: Query, given: ScriptText
) -> Response:
    """Store a project's script, or switch it."""
    _require_path(project, path)
    return _configure(site, account.login, project, query, given)


@_routes.get("/config/edit/image/dicom/script", responses=ROWS)
def site_edit(_account: Known, site: Served) -> Response:
    """Answer the site's script as a table of one row."""
    return _edited(site, None, "script")


@_routes.put("/config/edit/image/dicom/script", responses=PLAIN, openapi_extra=EDIT)
@body_limit(MOST_BYTES)
def set_site_edit(sender: Administrator, site: Served, query: Query, given: ScriptText) -> Response:
    """Store the site's script; `activate` switches it."""
    return _edit(site, sender.login, None, query, given)


@_routes.get("/config/edit/image/dicom/status", responses=ROWS)
def site_status(_account: Known, site: Served) -> Response:
    """Answer whether the site's script is switched on, as a table of one row."""
    return _edited(site, None, "edit")


@_routes.put("/config/edit/image/dicom/status", responses=PLAIN, openapi_extra=ACTIVATE)
def set_site_status(sender: Administrator, site: Served, query: Query) -> Response:
    """Switch the site's script by `activate`."""
    return _activate(site, sender.login, None, query)


@_routes.get("/config/edit/projects/{project_id}/image/dicom/script", responses=ROWS)
def project_edit(project: Readable, site: Served) -> Response:
    """Answer a project's script as a table of one row, or of none."""
    return _edited(site, project, "script")


@_routes.put("/config/edit/projects/{project_id}/image/dicom/script", responses=PLAIN, openapi_extra=EDIT)
@body_limit(MOST_BYTES)
def set_project_edit(project: Owned, account: Known, site: Served, query: Query, given: ScriptText) -> Response:
    """Store a project's script; `activate` switches it."""
    return _edit(site, account.login, project, query, given)


@_routes.get("/config/edit/projects/{project_id}/image/dicom/status", responses=ROWS)
def project_status(project: Readable, site: Served) -> Response:
    """Answer whether a project's script is switched on, as a table of one row, or of none."""
    return _edited(site, project, "edit")


@_routes.put("/config/edit/projects/{project_id}/image/dicom/status", responses=PLAIN, openapi_extra=ACTIVATE)
def set_project_status(project: Owned, account: Known, site: Served, query: Query) -> Response:
    """Switch a project's script by `activate`."""
    return _activate(site, account.login, project, query)


router = APIRouter()
for prefix in ("/data", "/REST"):
    router.include_router(_routes, prefix=prefix)


def _require_path(project: str, path: str) -> None:
    """Refuse a path at which XNAT would keep something else of the tool."""
    if path.strip("/").casefold() not in {"script", f"projects/{project}".casefold()}:
        raise refusal("script_not_found")


def _configuration(site: Site, scope: str | None, query: Pairs) -> Response:
    """Answer the version asked for."""
    enabled, row = scripts.is_enabled(site, scope), _asked_version(site, scope, last(query, "version"))
    place = {"tool": "anon", "path": "script" if scope is None else f"/projects/{scope}", "project": scope or ""}
    return configuration(place, {**row, "enabled": enabled}, query, "script_not_found")


def configuration(place: Mapping[str, str], row: Mapping[str, Any], query: Pairs, absent: str) -> Response:
    """Answer a version of a configuration: with `contents=true` its text alone, with `meta=true` all but the text.

    Args:
        place: `tool`, `path` and `project`.
        row: `text`, `author`, `created_at`, `version`, `enabled`.
        query: of the request.
        absent: the refusal for the text of one that is switched off.

    Raises:
        Rejected: `absent`.
    """
    contents, meta = (last(query, name).lower() == "true" for name in ("contents", "meta"))
    if contents and not meta:
        if not row["enabled"]:
            raise refusal(absent)
        return text(row["text"])
    members = {
        **place,
        "user": row["author"],
        "create_date": date(row),
        "reason": "",
        "contents": "" if meta and not contents else row["text"],
        "unversioned": False,
        "version": row["version"],
        "status": "enabled" if row["enabled"] else "disabled",
    }
    return table([members])


def _configure(site: Site, actor: str, scope: str | None, query: Pairs, given: str) -> Response:
    """Store, then switch by `status`; switching off, or without a body, is all that happens (as XNAT does)."""
    wanted = switch(query, "status", STATUS_WORDS)
    if wanted is None or (wanted and given):
        _store(site, actor, scope, given)
    if wanted is not None:
        scripts.set_enabled(site, actor, wanted, scope)
    return text("")


def _edited(site: Site, scope: str | None, column: str) -> Response:
    """Answer the row of `config/edit`, whose values are all text; the project of the site's script is -1."""
    stored = scripts.active_script(site, scope)
    if stored is None:
        return table([])
    row = scripts.script_versions(site, scope)[0]
    members = {"project": scope or "-1", "user": row["author"], "create_date": date(row), "id": str(row["id"])}
    return table([{**members, column: stored.text if column == "script" else str(stored.enabled).lower()}])


def _edit(site: Site, actor: str, scope: str | None, query: Pairs, given: str) -> Response:
    """Store and then switch by `activate`; without a body, `activate` alone counts."""
    wanted = switch(query, "activate", SWITCH_POSITIONS)
    if given or wanted is None:
        _store(site, actor, scope, given)
    if wanted is not None:
        scripts.set_enabled(site, actor, wanted, scope)
    return text("")


def _activate(site: Site, actor: str, scope: str | None, query: Pairs) -> Response:
    wanted = switch(query, "activate", SWITCH_POSITIONS)
    if wanted is None:
        raise refusal("parameter_invalid", name="activate")
    scripts.set_enabled(site, actor, wanted, scope)
    return text("")


def _store(site: Site, actor: str, scope: str | None, given: str) -> None:
    if scope is None:
        scripts.store_script(site, actor, given)
    else:
        put_project_script(site, actor, scope, given)


def switch(query: Pairs, name: str, words: dict[str, bool]) -> bool | None:
    """Return what a parameter of the query says, None when it is not there.

    Raises:
        Rejected: `parameter_invalid`.
    """
    given = last(query, name).lower()
    if given and given not in words:
        raise refusal("parameter_invalid", name=name)
    return words.get(given)


def _asked_version(site: Site, scope: str | None, version: str) -> dict[str, Any]:
    """Return the version named, or else the newest; a version that is no number counts as not named (as in XNAT).

    Raises:
        Rejected: `script_not_found`.
    """
    if named_version(version) is None:
        versions = scripts.script_versions(site, scope)
        if not versions or versions[0]["removed"]:
            raise refusal("script_not_found")
        version = str(versions[0]["version"])
    return scripts.script_version(site, int(version), scope)


def named_version(version: str) -> int | None:
    """Return the version that a query names; None for what is no number, which counts as not named (as in XNAT)."""
    return int(version) if version.isascii() and version.isdigit() and len(version) <= 9 else None


def date(row: Mapping[str, Any]) -> str:
    """Return a version's time as Java writes it, in UTC, to the millisecond."""
    return dt.datetime.fromisoformat(row["created_at"]).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def table(rows: list[dict[str, Any]]) -> Response:
    """Answer a table of the configuration service."""
    return json_answer({"ResultSet": {"Result": rows}})
