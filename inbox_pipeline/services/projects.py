"""Projects, their members and settings, the site's settings, and the anonymization scripts of both.

Belongs here: what may be set to what, by one function per use case; every change leaves a line in the audit trail.
Does not belong here: users (`accounts.py`), who may call (`web`, `cli`), SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.errors import Rejected, Unavailable
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.setting_rules import (
    PROJECT_SETTINGS,
    SITE_DEFAULTS,
    SWITCHES,
    check_project_id,
    check_setting,
)
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import projects as store
from inbox_pipeline.store.catalog import scripts as script_store
from inbox_pipeline.store.catalog import site as site_store

ROLES = ("owner", "member", "collaborator")
NEW_PROJECT_CODE = 4


@dataclass(frozen=True)
class StoredScript:
    """A version of an anonymization script, and whether its scope, `site` or `project`, has scripts switched on."""

    id: int
    scope: str
    text: str
    digest: str
    enabled: bool


def create_project(
    site: Site, actor: str, project_id: str, title: str = "", owner: str | None = None, if_missing: bool = False
) -> dict[str, Any]:
    """Create a project and its folder `<inbox>/<ID>`, and return what `show_project` returns.

    Policy and strictness start as the site's. With `if_missing`, a project of exactly this ID is left as it is.

    Raises:
        Rejected: `name_illegal`, `label_taken_by_user` (IDs are unique without case) or `user_not_found`.
        Unavailable: `inbox_not_writable`; the project exists, calling again with `if_missing` makes the folder.
    """
    check_project_id(project_id)
    with site.catalog.write() as connection:
        found = store.get_project(connection, project_id)
        if found is None:
            _insert(connection, actor, project_id, title, owner)
        elif not if_missing or found["id"] != project_id:
            raise refusal("label_taken_by_user", name=project_id)
    _make_inbox_folder(site, project_id)
    return show_project(site, project_id)


def set_project(site: Site, actor: str, project_id: str, **changes: Any) -> dict[str, Any]:
    """Change a project's settings and return what `show_project` returns.

    Args:
        site: the site.
        actor: login of the person who asks.
        project_id: the project, matched without case.
        changes: `title`, `prearchive_code` (0, 4, 5), `policy`, `options`, `strict_identifiers`, `strict_script`,
            `script_enabled`, `sweep`, `sweep_user` (login), `quiet_seconds`; those that are None stay as they are.

    Raises:
        Rejected: `project_not_found`, `policy_not_supported`, `parameter_invalid`, `not_supported`, `user_not_found`.
    """
    values = {name: value for name, value in changes.items() if value is not None}
    for name, value in values.items():
        check_setting(name, value, PROJECT_SETTINGS)
    with site.catalog.write() as connection:
        row = _found(connection, project_id)
        _check_sweep(connection, {**row, **values})
        if values:
            store.change_project(connection, row["id"], values)
            site_store.record(connection, actor, "project.set", row["id"], **values)
    return show_project(site, row["id"])


def set_member(site: Site, actor: str, project_id: str, login: str, role: str) -> None:
    """Give a user a role in a project; `none` takes the user out.

    Raises:
        Rejected: `project_not_found`, `user_not_found`, or `parameter_invalid` for an unknown role.
    """
    if role not in (*ROLES, "none"):
        raise refusal("parameter_invalid", name="role")
    with site.catalog.write() as connection:
        row = _found(connection, project_id)
        store.set_role(connection, row["id"], _user(connection, login), None if role == "none" else role)
        site_store.record(connection, actor, "project.member", row["id"], user=login, role=role)


def show_project(site: Site, project_id: str) -> dict[str, Any]:
    """Return a project's settings, its members (role by login) and its script's version.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.read() as connection:
        return _described(site, connection, _found(connection, project_id))


def list_projects(site: Site) -> list[dict[str, Any]]:
    """Return every project as `show_project` does, in the order of their IDs."""
    with site.catalog.read() as connection:
        return [_described(site, connection, row) for row in store.all_projects(connection)]


def set_site(site: Site, actor: str, **changes: Any) -> dict[str, Any]:
    """Change the site's settings and return what `show_site` returns.

    Args:
        site: the site.
        actor: login of the person who asks.
        changes: `script_enabled`, `policy`, `strict_identifiers`, `strict_script`; those that are None stay.

    Raises:
        Rejected: `policy_not_supported` or `parameter_invalid`.
    """
    values = {name: value for name, value in changes.items() if value is not None}
    for name, value in values.items():
        check_setting(name, value, SITE_DEFAULTS)
    with site.catalog.write() as connection:
        for name, value in values.items():
            site_store.set_value(connection, name, str(value).lower())
        if values:
            site_store.record(connection, actor, "site.set", "site", **values)
    return show_site(site)


def show_site(site: Site) -> dict[str, Any]:
    """Return the site's settings and its script's version."""
    with site.catalog.read() as connection:
        return {**_site_settings(connection), "script": _script_version(connection, None)}


def store_script(site: Site, actor: str, text: str, project_id: str | None = None) -> dict[str, Any]:
    """Store a script as the newest version, for a project or the site (None), if it compiles.

    The text in force already is not stored twice. A project's first script is switched on with it; later versions
    leave the switch as it is.

    Returns:
        `id`, `version`, `digest` (SHA-256 of the text), `author`, `created_at`.

    Raises:
        Rejected: `script_invalid` (line and column in the sentence) or `project_not_found`.
    """
    check_script(text)
    with site.catalog.write() as connection:
        project_id = None if project_id is None else str(_found(connection, project_id)["id"])
        before = script_store.newest(connection, project_id)
        if before is not None and before["digest"] == script_store.text_digest(text):
            return _version(before)
        row = script_store.add_version(connection, project_id, text, actor)
        if project_id is not None and before is None:
            store.change_project(connection, project_id, {"script_enabled": True})
        detail = {"version": row["version"], "digest": row["digest"]}
        site_store.record(connection, actor, "script.store", project_id or "site", **detail)
        return _version(row)


def active_script(site: Site, project_id: str | None) -> StoredScript | None:
    """Return the newest script of a project or the site (None), switched on or not; None when there is none.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.read() as connection:
        if project_id is None:
            enabled = bool(_site_settings(connection)["script_enabled"])
        else:
            project = _found(connection, project_id)
            project_id, enabled = project["id"], bool(project["script_enabled"])
        row = script_store.newest(connection, project_id)
    return None if row is None else _stored(row, enabled)


def stored_script(site: Site, script_id: int) -> StoredScript:
    """Return one version of a script, whatever is in force now.

    Raises:
        Rejected: `script_broken`, when the catalog has no such version.
    """
    with site.catalog.read() as connection:
        row = script_store.by_id(connection, script_id)
    if row is None:
        raise Rejected("script_broken", f"The script version {script_id} is gone.", "Retry the request.")
    return _stored(row, enabled=True)


def _stored(row: RowMapping, enabled: bool) -> StoredScript:
    scope = "site" if row["project_id"] is None else "project"
    return StoredScript(int(row["id"]), scope, str(row["text"]), str(row["digest"]), enabled)


def ensure_default_script(site: Site) -> None:
    """Store XNAT's default site script as version 1 when the site has no script yet."""
    from inbox_pipeline.script import DEFAULT_SITE_SCRIPT  # noqa: PLC0415 - it loads pydicom, half a second

    if active_script(site, None) is None:
        store_script(site, "system", DEFAULT_SITE_SCRIPT)


def check_script(text: str) -> None:
    """Compile a script.

    Raises:
        Rejected: `script_invalid`, with `line`, `column`, `message` and `source` (that line) in its data.
    """
    from inbox_pipeline.script import ScriptError, compile_script  # noqa: PLC0415 - as above

    try:
        compile_script(text)
    except ScriptError as error:
        place = {"line": error.line, "column": error.column, "message": error.message, "source": error.source_line}
        rejected = refusal("script_invalid", error=f"line {error.line}, column {error.column}: {error.message}.")
        rejected.data.update(place)
        raise rejected from None


def _insert(connection: Connection, actor: str, project_id: str, title: str, owner: str | None) -> None:
    """Add the project's row and its owner."""
    defaults = _site_settings(connection)
    values = {name: defaults[name] for name in ("policy", "strict_identifiers", "strict_script")}
    store.add_project(connection, project_id, {"title": title, "prearchive_code": NEW_PROJECT_CODE, **values})
    if owner is not None:
        store.set_role(connection, project_id, _user(connection, owner), "owner")
    site_store.record(connection, actor, "project.create", project_id, owner=owner)


def _make_inbox_folder(site: Site, project_id: str) -> None:
    try:
        (site.settings.inbox_path / project_id).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            "inbox_not_writable",
            f"The project's folder in the inbox could not be made ({type(error).__name__}).",
            "Make it by hand, or let this user write to the inbox and run this again with --if-missing.",
        ) from None


def _check_sweep(connection: Connection, row: Mapping[str, Any]) -> None:
    """Refuse a sweep user who does not exist, and a sweep in nobody's name."""
    if row["sweep_user"]:
        _user(connection, row["sweep_user"])
    elif row["sweep"]:
        raise refusal("parameter_invalid", name="sweep_user")


def _found(connection: Connection, project_id: str) -> RowMapping:
    row = store.get_project(connection, project_id)
    if row is None:
        raise refusal("project_not_found")
    return row


def _user(connection: Connection, login: str) -> int:
    user = store.user_id(connection, login)
    if user is None:
        raise refusal("user_not_found")
    return user


def _described(site: Site, connection: Connection, row: RowMapping) -> dict[str, Any]:
    """Return a project's row as people see it."""
    shown = {name: value for name, value in row.items() if name not in {"id_key", "created_at"}}
    shown["created_at"] = row["created_at"].isoformat()
    shown["script"] = _script_version(connection, row["id"])
    shown["members"] = store.members(connection, row["id"])
    shown["inbox_path"] = str(site.settings.inbox_path / row["id"])
    return shown


def _site_settings(connection: Connection) -> dict[str, Any]:
    """Return the site's settings, switches as booleans."""
    texts = {name: site_store.get_value(connection, name, default) for name, default in SITE_DEFAULTS.items()}
    return {name: text == "true" if name in SWITCHES else text for name, text in texts.items()}


def _script_version(connection: Connection, project_id: str | None) -> dict[str, Any] | None:
    row = script_store.newest(connection, project_id)
    return None if row is None else _version(row)


def _version(row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["id"],
        "version": row["version"],
        "digest": row["digest"],
        "author": row["author"],
        "created_at": row["created_at"].isoformat(),
    }
