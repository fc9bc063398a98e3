"""Administrators' routing expressions as a site keeps them: stored in versions, switched on and off, in force.

Belongs here: one function per use case; every change leaves a line in the audit trail. Does not belong here: what a
rule is (`intake/routing.py`), in which order rules are asked (`intake/identify.py`), who may call (`web`, `cli`), SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.intake.routing import TARGETS, BadRule, Routing, read_rules
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import routing as store
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.texts import can_hold

NOTHING: dict[str, Any] = {"version": 0, "text": "", "enabled": False, "author": "", "created_at": None}
"""The rules of a target for which none were ever stored."""


def set_rules(site: Site, actor: str, target: str, text: str | None = None, enabled: bool | None = None) -> None:
    """Store rules as the newest version of a target, and switch them on or off.

    What is in force already is not stored twice.

    Args:
        site: the site.
        actor: login of the person who asks.
        target: `project`, `subject` or `session`, what the rules find.
        text: the rules, a line each; blank takes them away, None leaves them.
        enabled: whether they count; None switches them on with a text, and leaves the switch else.

    Raises:
        Rejected: `routing_not_found`; `routing_invalid`, with `line` and `message` in its data.
    """
    _require_target(target)
    if text is not None:
        check_rules(text)
    with site.catalog.write() as connection:
        before = store.newest(connection, target) or NOTHING
        now = before["text"] if text is None else text
        on = enabled if enabled is not None else bool(before["enabled"] or text is not None)
        if (now, on) != (before["text"], before["enabled"]):
            version = store.add_version(connection, target, now, on, actor)
            site_store.record(connection, actor, "routing.set", target, version=version, enabled=on)


def check_rules(text: str) -> None:
    """Refuse rules that cannot be read or that would take too long.

    Raises:
        Rejected: `routing_invalid`, with `line` and `message` in its data.
    """
    if not can_hold(text):
        raise refusal("routing_invalid", line=1, message="it holds characters that are no text")
    try:
        read_rules(text)
    except BadRule as bad:
        raise refusal("routing_invalid", line=bad.line, message=bad.message) from None


def show_routing(site: Site) -> dict[str, dict[str, Any]]:
    """Return the newest version of each target's rules."""
    with site.catalog.read() as connection:
        return {target: _shown(store.newest(connection, target)) for target in TARGETS}


def rule_versions(site: Site, target: str) -> list[dict[str, Any]]:
    """Return every version of a target's rules, newest first.

    Raises:
        Rejected: `routing_not_found`.
    """
    _require_target(target)
    with site.catalog.read() as connection:
        return [_shown(row) for row in store.versions(connection, target)]


def rule_version(site: Site, target: str, version: int | None = None) -> dict[str, Any]:
    """Return a version of a target's rules, the newest one if none is named.

    Raises:
        Rejected: `routing_not_found`.
    """
    _require_target(target)
    with site.catalog.read() as connection:
        row = store.newest(connection, target) if version is None else store.get_version(connection, target, version)
    if row is None:
        raise refusal("routing_not_found")
    return _shown(row)


def versions_in_force(connection: Connection) -> dict[str, int]:
    """Return the version of each target's rules that is switched on."""
    rows = {target: store.newest(connection, target) for target in TARGETS}
    return {target: int(row["version"]) for target, row in rows.items() if row and row["enabled"] and row["text"]}


def routing_of(connection: Connection, versions: Mapping[str, int] | None) -> Routing:
    """Return the rules of these versions, by target; those of a request, which keeps the ones that it began with."""
    rows = {target: store.get_version(connection, target, n) for target, n in (versions or {}).items()}
    return Routing({target: read_rules(row["text"]) for target, row in rows.items() if row is not None})


def _require_target(target: str) -> None:
    if target not in TARGETS:
        raise refusal("routing_not_found")


def _shown(row: RowMapping | None) -> dict[str, Any]:
    if row is None:
        return dict(NOTHING)
    return {name: row[name] for name in NOTHING} | {"created_at": row["created_at"].isoformat()}
