"""How many log-ins may fail: a few at full speed, some more at a growing distance, then none for a while.

Belongs here: counting failures by login and by address, for how long nothing is checked, and what of it is audited.
Does not belong here: checking a password (`accounts.py`), HTTP, SQL.

Logins that do not exist are counted like others. What was typed is kept as a keyed digest only. Sessions and alias
tokens are no log-ins: they go on while their user's login is refused. Nobody waits in here: a log-in that comes too
early is refused with the seconds that are left, and not counted.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from inbox_pipeline.intake.reasons import refusal, throttled
from inbox_pipeline.services.scopes import site_settings
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import failures as store
from inbox_pipeline.store.catalog.projects import user_id
from inbox_pipeline.store.catalog.site import record

FIRST_ADMINISTRATOR = "admin"
SLOWED = 5
"""So many failures before the limit each is followed by a pause: 1, 2, 4, 8 and 16 s."""

LONGEST_PAUSE = 60.0
"""What the first administrator waits at most (seconds), unless the site says `lock_first_administrator`."""

NOBODY = "(unknown)"
_TURNS = tuple(threading.Lock() for _ in range(64))


@dataclass(frozen=True)
class Attempt:
    """A log-in that is about to be checked: the digests of its login and of its address, and the runs of both."""

    login: str
    address: str
    login_key: str
    address_key: str
    at: dt.datetime

    @property
    def keys(self) -> tuple[str, ...]:
        """The digests under which its failure counts; without an address, that of the login alone."""
        return (self.login_key, self.address_key) if self.address else (self.login_key,)


def attempt(site: Site, login: str, address: str | None, at: dt.datetime) -> Attempt:
    """Return a log-in from an IP address, None when that is not known."""
    network = counted_address(address) if address else ""
    login_key, address_key = _login_key(site, login), site.secret.digest("failed-address", network)
    return Attempt(login, network, login_key, address_key, at)


def counted_address(address: str) -> str:
    """Return what an address counts as: itself, or for IPv6 its /64, which one person has as a whole."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    inner = known.ipv4_mapped
    return str(inner or ipaddress.ip_network((int(known), 64), strict=False))


@contextmanager
def turn(trying: Attempt) -> Iterator[None]:
    """Let the log-ins of one login be checked one after the other, so that none starts before a failure is counted."""
    with _TURNS[int(trying.login_key[:4], 16) % len(_TURNS)]:
        yield


def refuse_blocked(site: Site, trying: Attempt) -> int:
    """Return how many failures the login's run has, or refuse to check another log-in now.

    Raises:
        Throttled: `login_throttled`, with the seconds that are left as `retry_after`.
    """
    with site.catalog.read() as connection:
        runs = store.of_keys(connection, trying.keys)
        until = max((run.blocked_until for run in runs.values()), default=trying.at)
        left = (until - trying.at).total_seconds()
        if 0 < left <= site_settings(connection)["lockout_seconds"]:
            raise throttled(math.ceil(left))
    run = runs.get(trying.login_key)
    return 0 if run is None else int(run.failures)


def note_failure(site: Site, trying: Attempt, known: bool) -> None:
    """Count a failed log-in, and audit it where it begins a run or ends in a lock-out; by login, if that is `known`."""
    with site.catalog.write() as connection:
        settings = site_settings(connection)
        window = dt.timedelta(seconds=settings["lockout_seconds"])
        store.forget_ended(connection, trying.at - window, trying.at)
        name = trying.login if known else f"unknown:{trying.login_key[:16]}"
        _count(connection, trying, trying.login_key, "login", name, settings)
        if trying.address:
            _count(connection, trying, trying.address_key, "address", trying.address, settings)


def note_success(site: Site, trying: Attempt, failures: int) -> None:
    """End a login's run of failures: they were its owner's, and do not count for the address either."""
    if not failures:
        return
    with site.catalog.write() as connection:
        store.forget(connection, trying.login_key)
        store.take_off(connection, trying.address_key, failures)
        _record(connection, trying, "login.recovered", trying.login, failures=failures)


def unlock(site: Site, actor: str, login: str) -> bool:
    """Forget the failures of a user's login; returns whether there were any.

    Raises:
        Rejected: `user_not_found`.
    """
    with site.catalog.write() as connection:
        if user_id(connection, login) is None:
            raise refusal("user_not_found")
        found = store.forget(connection, _login_key(site, login))
        record(connection, actor, "user.unlock", login)
    return found


def pause(failures: int, limit: int, longest: float) -> float:
    """Return for how many seconds nothing is checked after the latest of so many failures."""
    slowed = failures - max(limit - SLOWED, 1)
    if failures >= limit:
        return longest
    return min(2.0**slowed, longest) if slowed >= 0 else 0.0


def _count(connection: Connection, trying: Attempt, key: str, kind: str, name: str, settings: dict[str, Any]) -> None:
    """Add a failure to a run and set how long nothing is checked after it."""
    limit = settings[f"{kind}_failures"]
    failures = store.count_failure(connection, key, trying.at)
    seconds = pause(failures, limit, _longest(trying, kind, settings))
    store.block(connection, key, trying.at + dt.timedelta(seconds=seconds))
    if failures == 1 and kind == "login":
        _record(connection, trying, "login.failed", name)
    if failures == limit:
        _record(connection, trying, f"{kind}.locked", name, failures=failures, seconds=int(seconds))


def _longest(trying: Attempt, kind: str, settings: dict[str, Any]) -> float:
    spared = kind == "login" and trying.login == FIRST_ADMINISTRATOR and not settings["lock_first_administrator"]
    return min(LONGEST_PAUSE, settings["lockout_seconds"]) if spared else float(settings["lockout_seconds"])


def _record(connection: Connection, trying: Attempt, action: str, name: str, **detail: Any) -> None:
    record(connection, NOBODY, action, name, **({"address": trying.address} if trying.address else {}), **detail)


def _login_key(site: Site, login: str) -> str:
    return site.secret.digest("failed-login", login)
