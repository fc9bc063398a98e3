"""Projects, their members and settings, and the site's settings.

Belongs here: what may be set to what, by one function per use case; every change leaves a line in the audit trail.
Does not belong here: scripts (`scripts.py`), users (`accounts.py`), who may call (`web`, `cli`), SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.errors import Unavailable
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.routing import versions_in_force
from inbox_pipeline.services.scopes import existing_project, site_settings
from inbox_pipeline.services.scripts import current_version
from inbox_pipeline.services.setting_rules import (
    PROJECT_SETTINGS,
    SITE_DEFAULTS,
    check_project_id,
    check_setting,
)
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import projects as store
from inbox_pipeline.store.catalog import site as site_store

ROLES = ("owner", "member", "collaborator")
NEW_PROJECT_CODE = 4


def create_project(
    site: Site,
    actor: str,
    project_id: str,
    title: str = "",
    owner: str | None = None,
    if_missing: bool = False,
    policy: str | None = None,
) -> dict[str, Any]:
    """Create a project and its folder `<inbox>/<ID>`, and return what `show_project` returns.

    Policy, unless it is given, and strictness start as the site's. With `if_missing`, a project of exactly this ID is
    left as it is. One that was deleted begins anew, but what of it is in the trash can be restored, and subjects keep
    their accession ids.

    Raises:
        Rejected: `name_illegal`, `label_taken_by_user` (IDs are unique without case), `user_not_found` or
            `parameter_invalid`.
        Unavailable: `inbox_not_writable`; the project exists, calling again with `if_missing` makes the folder.
    """
    check_project_id(project_id)
    chosen = {} if policy is None else {"policy": policy}
    for name, value in chosen.items():
        check_setting(name, value, PROJECT_SETTINGS)
    with site.catalog.write() as connection:
        found = store.get_project(connection, project_id)
        if found is None:
            if store.was_deleted(connection, project_id) not in (None, project_id):
                raise refusal("label_taken_by_user", name=project_id)
            _insert(connection, actor, project_id, title, owner, chosen)
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
            `script_enabled`, `linking_table`, `sweep`, `sweep_user` (login), `quiet_seconds`; those that are None stay
            as they are.

    Raises:
        Rejected: `project_not_found`, `parameter_invalid`, `user_not_found`.
    """
    values = {name: value for name, value in changes.items() if value is not None}
    for name, value in values.items():
        check_setting(name, value, PROJECT_SETTINGS)
    with site.catalog.write() as connection:
        row = existing_project(connection, project_id)
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
        row = existing_project(connection, project_id)
        store.set_role(connection, row["id"], _user(connection, login), None if role == "none" else role)
        site_store.record(connection, actor, "project.member", row["id"], user=login, role=role)


def remove_member(site: Site, actor: str, project_id: str, login: str, role: str) -> None:
    """Take a user out of a project who has this role in it.

    Raises:
        Rejected: `project_not_found`, or `user_not_found`, also for somebody with another role.
    """
    with site.catalog.write() as connection:
        row = existing_project(connection, project_id)
        if store.members(connection, row["id"]).get(login) != role:
            raise refusal("user_not_found")
        store.set_role(connection, row["id"], _user(connection, login), None)
        site_store.record(connection, actor, "project.member", row["id"], user=login, role="none")


def show_members(site: Site, project_id: str) -> dict[str, str]:
    """Return the roles of a project's members by login.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.read() as connection:
        return store.members(connection, existing_project(connection, project_id)["id"])


def roles_of(site: Site, account: Account) -> dict[str, str]:
    """Return a user's roles by project, in the order of their IDs."""
    with site.catalog.read() as connection:
        return store.roles_of(connection, account.id)


def show_project(site: Site, project_id: str) -> dict[str, Any]:
    """Return a project's settings, its members (role by login) and its script's version.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.read() as connection:
        return _described(site, connection, existing_project(connection, project_id))


def list_projects(site: Site) -> list[dict[str, Any]]:
    """Return every project as `show_project` does, in the order of their IDs."""
    with site.catalog.read() as connection:
        return [_described(site, connection, row) for row in store.all_projects(connection)]


def set_site(site: Site, actor: str, **changes: Any) -> dict[str, Any]:
    """Change the site's settings and return what `show_site` returns.

    Args:
        site: the site.
        actor: login of the person who asks.
        changes: `script_enabled`, `policy`, `options`, `strict_identifiers`, `strict_script`, `url_hosts` (names
            separated by commas, from which `getURL` may read), and of failed log-ins `login_failures`,
            `address_failures`, `lockout_seconds`, `lock_first_administrator`; those that are None stay.

    Raises:
        Rejected: `parameter_invalid`.
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
    """Return the site's settings, its script's version, and of the routing expressions those that count."""
    with site.catalog.read() as connection:
        script, routing = current_version(connection, None), versions_in_force(connection)
        return {**site_settings(connection), "script": script, "routing": routing}


def _insert(
    connection: Connection, actor: str, project_id: str, title: str, owner: str | None, chosen: Mapping[str, str]
) -> None:
    """Add the project's row, with the site's settings where none are chosen, and its owner."""
    defaults = site_settings(connection)
    values = {name: defaults[name] for name in ("policy", "options", "strict_identifiers", "strict_script")}
    store.add_project(connection, project_id, {"title": title, "prearchive_code": NEW_PROJECT_CODE, **values, **chosen})
    if owner is not None:
        store.set_role(connection, project_id, _user(connection, owner), "owner")
    site_store.record(connection, actor, "project.create", project_id, owner=owner, **chosen)


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


def _user(connection: Connection, login: str) -> int:
    user = store.user_id(connection, login)
    if user is None:
        raise refusal("user_not_found")
    return user


def _described(site: Site, connection: Connection, row: RowMapping) -> dict[str, Any]:
    """Return a project's row as people see it."""
    shown = {name: value for name, value in row.items() if name not in {"id_key", "created_at"}}
    shown["created_at"] = row["created_at"].isoformat()
    shown["script"] = current_version(connection, row["id"])
    shown["members"] = store.members(connection, row["id"])
    shown["inbox_path"] = str(site.settings.inbox_path / row["id"])
    return shown
