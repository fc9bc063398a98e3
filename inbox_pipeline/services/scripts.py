"""Anonymization scripts as a site keeps them: stored in versions, switched on and off, checked, compiled.

Belongs here: one function per use case; every change leaves a line in the audit trail. Does not belong here: the
language (`script`), applying scripts to files (`anonymize.py`), who may call (`web`, `cli`), SQL.

A scope is a project's ID, matched without case, or None for the site. A lookup table is stored with the script that
reads it: a change of either is a new version.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.compiling import PLACE, check_lookup, check_script
from inbox_pipeline.services.scopes import existing_project, site_settings
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import projects as project_store
from inbox_pipeline.store.catalog import scripts as store
from inbox_pipeline.store.catalog import site as site_store

if TYPE_CHECKING:
    from inbox_pipeline.script import Script


@dataclass(frozen=True)
class StoredScript:
    """A version of an anonymization script, and whether its scope, `site` or `project`, has scripts switched on."""

    id: int
    scope: str
    text: str
    digest: str
    enabled: bool
    lookup: str | None = None

    @property
    def name(self) -> str:
        """What people read in a ledger's detail."""
        return f"{self.scope} script {self.id}"


def store_script(
    site: Site, actor: str, text: str | None, project_id: str | None = None, *, lookup: str | None = None
) -> dict[str, Any]:
    """Store a script or its lookup table as the newest version of a scope, if they can be read.

    What is in force already is not stored twice. A project's first script is switched on with it; later versions leave
    the switch as it is.

    Args:
        site: the site.
        actor: login of the person who asks.
        text: the script; None leaves it as it is. A byte order mark in front is dropped.
        project_id: the scope.
        lookup: the lookup table; None leaves it as it is, an empty text takes it away.

    Returns:
        the version in force, as in `script_versions`.

    Raises:
        Rejected: `script_invalid` or `lookup_invalid` (line and column in the sentence), `script_not_text`,
            `script_missing` (nothing but blanks, or a table without a script), `project_not_found`.
    """
    text, lookup = _without_mark(text), _without_mark(lookup)
    check_storable(site, text, project_id, lookup=lookup)
    with site.catalog.write() as connection:
        scope = _scope(connection, project_id)
        before = store.newest(connection, scope)
        text = _kept(text, before, "text")
        if not text:
            raise refusal("script_missing")
        lookup = _kept(lookup, before, "lookup") or None
        if before is not None and before["digest"] == store.text_digest(text, lookup):
            return _version(before)
        if scope is not None and before is None:
            project_store.change_project(connection, scope, {"script_enabled": True})
        return _added(connection, actor, scope, text, lookup)


def check_storable(site: Site, text: str | None, project_id: str | None = None, *, lookup: str | None = None) -> None:
    """Refuse what `store_script` would refuse, storing nothing.

    Raises:
        Rejected: as `store_script`.
    """
    if text is not None:
        _refuse_blank(text)
        check_script(text)
    if lookup is not None:
        check_lookup(lookup)
    if text is None and active_script(site, project_id) is None:
        raise refusal("script_missing")


def remove_script(site: Site, actor: str, project_id: str) -> None:
    """Leave a project without a script, by a version without text; nothing happens where there is none.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.write() as connection:
        scope = _scope(connection, project_id)
        if _in_force(connection, scope) is not None:
            _added(connection, actor, scope, "", None)


def set_enabled(site: Site, actor: str, enabled: bool, project_id: str | None = None) -> None:
    """Switch a scope's script on or off.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.write() as connection:
        scope = _scope(connection, project_id)
        if _is_enabled(connection, scope) is enabled:
            return
        if scope is None:
            site_store.set_value(connection, "script_enabled", str(enabled).lower())
        else:
            project_store.change_project(connection, scope, {"script_enabled": enabled})
        site_store.record(connection, actor, "script.enable" if enabled else "script.disable", scope or "site")


def is_enabled(site: Site, project_id: str | None = None) -> bool:
    """Return whether a scope's script is switched on, whether or not there is one.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.read() as connection:
        return _is_enabled(connection, _scope(connection, project_id))


def active_script(site: Site, project_id: str | None) -> StoredScript | None:
    """Return the newest script of a scope, switched on or not; None when there is none.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.read() as connection:
        scope = _scope(connection, project_id)
        row, enabled = _in_force(connection, scope), _is_enabled(connection, scope)
    return None if row is None else _stored(row, enabled)


def stored_script(site: Site, script_id: int) -> StoredScript:
    """Return one version of a script, whatever is in force now.

    Raises:
        Rejected: `script_broken`, when the catalog has no such version.
    """
    with site.catalog.read() as connection:
        row = store.by_id(connection, script_id)
    if row is None:
        raise Rejected("script_broken", f"The script version {script_id} is gone.", "Retry the request.")
    return _stored(row, enabled=True)


def script_versions(site: Site, project_id: str | None = None) -> list[dict[str, Any]]:
    """Return every version of a scope's script, newest first.

    Each has `id`, `version`, `digest` (SHA-256 of the text, see `store`), `author`, `created_at`, `removed` (the
    project has had no script since then) and `has_lookup`.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.read() as connection:
        return [_version(row) for row in store.versions(connection, _scope(connection, project_id))]


def script_version(site: Site, version: int, project_id: str | None = None) -> dict[str, Any]:
    """Return one version of a scope's script with its `text` and `lookup`.

    Raises:
        Rejected: `script_not_found` or `project_not_found`.
    """
    with site.catalog.read() as connection:
        row = store.get_version(connection, _scope(connection, project_id), version)
    if row is None:
        raise refusal("script_not_found")
    return {**_version(row), "text": row["text"], "lookup": row["lookup"]}


def current_version(connection: Connection, scope: str | None) -> dict[str, Any] | None:
    """Return the version in force, as in `script_versions`; None when there is no script."""
    row = _in_force(connection, scope)
    return None if row is None else _version(row)


def ensure_default_script(site: Site) -> None:
    """Store XNAT's default site script as version 1 when the site has no script yet."""
    from inbox_pipeline.script import DEFAULT_SITE_SCRIPT  # noqa: PLC0415 - it loads pydicom, half a second

    if active_script(site, None) is None:
        store_script(site, "system", DEFAULT_SITE_SCRIPT)


def under_basic(script: StoredScript) -> StoredScript:
    """Return a script as policy `basic` applies it: the default site script, if unchanged, by its stand-in."""
    from inbox_pipeline.script import BASIC_SITE_SCRIPT, DEFAULT_SITE_SCRIPT  # noqa: PLC0415 - as above

    if script.scope != "site" or script.digest != store.text_digest(DEFAULT_SITE_SCRIPT):
        return script
    return replace(script, text=BASIC_SITE_SCRIPT, digest=store.text_digest(BASIC_SITE_SCRIPT))


def examine(text: str, lookup: str | None = None) -> dict[str, Any]:
    """Return what there is to say about a script before it is stored.

    `compiles`; `error`: None, or `code`, `sentence` and, for a fault at a place, `line`, `column`, `message` and
    `source`; `language` and `version` of a script that compiles; `advice`, each with the members of `script.Advice`.
    """
    try:
        _refuse_blank(text)
        script = check_script(text, lookup)
    except Rejected as error:
        place = {name: error.data[name] for name in PLACE if name in error.data}
        told = {"code": error.code, "sentence": error.sentence, **place}
        return {"compiles": False, "error": told, "language": None, "version": None, "advice": []}
    advice = [asdict(item) for item in script.advice]
    known = {"language": script.language, "version": script.version}
    return {"compiles": True, "error": None, **known, "advice": advice}


def compiled(site: Site, stored: StoredScript) -> Script:
    """Return a stored script ready to be applied: with its lookup table, and with the hosts that the site allows.

    Raises:
        Rejected: `script_broken`, for one that an older version accepted.
    """
    from inbox_pipeline.script import ScriptError, compile_script  # noqa: PLC0415 - as above
    from inbox_pipeline.services.url_fetch import fetcher  # noqa: PLC0415 - loads httpx

    with site.catalog.read() as connection:
        hosts = site_settings(connection)["url_hosts"]
    try:
        return compile_script(stored.text, lookup=stored.lookup, fetch=fetcher(hosts))
    except ScriptError as error:
        raise Rejected(
            "script_broken",
            f"The stored anonymization script {stored.id} does not compile (line {error.line}).",
            "Store a correct script and retry.",
        ) from None


def _stored(row: RowMapping, enabled: bool) -> StoredScript:
    scope = "site" if row["project_id"] is None else "project"
    return StoredScript(int(row["id"]), scope, str(row["text"]), str(row["digest"]), enabled, row["lookup"])


def _refuse_blank(text: str) -> None:
    if not text.removeprefix("\ufeff").strip():
        raise refusal("script_missing")


def _without_mark(text: str | None) -> str | None:
    return None if text is None else text.removeprefix("\ufeff")


def _kept(given: str | None, before: RowMapping | None, name: str) -> str | None:
    """Return what was given, or what is in force."""
    return given if given is not None or before is None else before[name]


def _scope(connection: Connection, project_id: str | None) -> str | None:
    """Return a scope with its project's ID as it is written in the catalog."""
    return None if project_id is None else str(existing_project(connection, project_id)["id"])


def _is_enabled(connection: Connection, scope: str | None) -> bool:
    row = site_settings(connection) if scope is None else existing_project(connection, scope)
    return bool(row["script_enabled"])


def _in_force(connection: Connection, scope: str | None) -> RowMapping | None:
    """Return the newest version, None when a scope has no script or no longer has one."""
    row = store.newest(connection, scope)
    return row if row is not None and row["text"] else None


def _added(connection: Connection, actor: str, scope: str | None, text: str, lookup: str | None) -> dict[str, Any]:
    row = store.add_version(connection, scope, text, actor, lookup)
    detail = {"version": row["version"], "digest": row["digest"]}
    site_store.record(connection, actor, "script.store" if text else "script.remove", scope or "site", **detail)
    return _version(row)


def _version(row: RowMapping) -> dict[str, Any]:
    names = ("id", "version", "digest", "author", "created_at", "removed", "has_lookup")
    return {name: row[name].isoformat() if name == "created_at" else row[name] for name in names}
