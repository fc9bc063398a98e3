"""Which settings projects and the site have, and which values each can take.

Belongs here: names, defaults and allowed values. Does not belong here: storing them (`projects.py`) and rules that need
the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.policies import options_from
from inbox_pipeline.store.texts import can_hold

POLICIES = ("none", "basic")
"""XNAT's scripts alone, or followed by the Basic Profile of PS3.15."""
PREARCHIVE_CODES = (0, 4, 5)
"""XNAT's arc spec codes: Manual, AutoArchive, AutoArchiveOverwrite."""
SITE_DEFAULTS = {  # where nothing is on record; what a new site begins with is said in `site.py`
    "script_enabled": "true",
    "policy": "none",
    "options": "",
    "strict_identifiers": "false",
    "strict_script": "false",
    "url_hosts": "",
    "login_failures": "10",
    "address_failures": "100",
    "lockout_seconds": "900",
    "lock_first_administrator": "false",
}
_PROJECT_SWITCHES = frozenset({"script_enabled", "strict_identifiers", "strict_script", "sweep", "linking_table"})
SWITCHES = _PROJECT_SWITCHES | {"lock_first_administrator"}
PROJECT_SETTINGS = frozenset(
    {"title", "prearchive_code", "policy", "options", "sweep_user", "quiet_seconds"} | _PROJECT_SWITCHES
)
NUMBERS = {"login_failures": (1, 100), "address_failures": (1, 100_000), "lockout_seconds": (1, 86400)}
"""Whole numbers among the site's settings, by their least and greatest value. For the 100: NIST SP 800-63B, 3.2.2."""
LONGEST_QUIET_SECONDS = 30 * 86400
_LONGEST_TEXT = {"title": 255, "options": 1024, "sweep_user": 64, "url_hosts": 4096}
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_HOSTS = re.compile(rf"(?:{_HOST}(?:,{_HOST})*)?")
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_RESERVED = frozenset({"unassigned"})


def check_project_id(project_id: str) -> None:
    """Refuse an ID that is not made of letters, digits, `_` and `-`, begins with `-`, or means something in XNAT.

    Raises:
        Rejected: `name_illegal`.
    """
    if not is_project_id(project_id):
        raise refusal("name_illegal", name=project_id)


def is_project_id(text: str) -> bool:
    """Return whether a project can have that ID."""
    return _ID.fullmatch(text) is not None and text.casefold() not in _RESERVED


def check_setting(name: str, value: Any, known: Container[str]) -> None:
    """Refuse a setting that is not among the `known` ones, or a value that it cannot have.

    Raises:
        Rejected: `parameter_invalid`.
    """
    if name not in known or not _allowed(name, value):
        raise refusal("parameter_invalid", name=name)


def _allowed(name: str, value: Any) -> bool:
    if name in SWITCHES:
        return isinstance(value, bool)
    if name in _CHOICES:
        return value in _CHOICES[name]
    if name in NUMBERS:
        return type(value) is int and NUMBERS[name][0] <= value <= NUMBERS[name][1]
    if name == "quiet_seconds":
        return isinstance(value, int | float) and 0 <= value <= LONGEST_QUIET_SECONDS
    known = isinstance(value, str) and len(value) <= _LONGEST_TEXT[name] and can_hold(value)
    return known and _FORMS.get(name, _any_text)(value)


def _any_text(_text: str) -> bool:
    return True


def _are_hosts(text: str) -> bool:
    return _HOSTS.fullmatch(text) is not None


def _are_options(text: str) -> bool:
    try:
        options_from(text)
    except Rejected:
        return False
    return True


_CHOICES: dict[str, tuple[object, ...]] = {"policy": POLICIES, "prearchive_code": PREARCHIVE_CODES}
_FORMS = {"options": _are_options, "url_hosts": _are_hosts}
