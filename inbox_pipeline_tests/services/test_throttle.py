"""Failed log-ins: slowed, refused for a while, audited, forgotten by success; on a real catalog."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import InboxError, Rejected, Throttled
from inbox_pipeline.services import accounts, projects, throttle
from inbox_pipeline.services.site import Site, init_site, open_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog import schema

PASSWORD = "correct horse"
WRONG = "wrong"
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.at = NOW

    def wait(self, seconds: float) -> None:
        self.at += dt.timedelta(seconds=seconds)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = init_site(read_settings({}, home=tmp_path / "home"))
    accounts.create_user(made, "system", "admin", PASSWORD, admin=True)
    accounts.create_user(made, "admin", "ada", PASSWORD)
    yield made
    made.catalog.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _try(site: Site, clock: Clock, login: str, password: str = WRONG, address: str | None = "198.51.100.7") -> Any:
    """Return the account, or the error with which a log-in ends."""
    try:
        return accounts.authenticate(site, login, password, address, now=clock.at)
    except InboxError as error:
        return error


def _fail(site: Site, clock: Clock, login: str, times: int, address: str = "198.51.100.7") -> None:
    """Fail so many times, waiting as long as one is told to."""
    for _ in range(times):
        error = _try(site, clock, login, address=address)
        if isinstance(error, Throttled):
            clock.wait(error.data["retry_after"])
            error = _try(site, clock, login, address=address)
        assert error.code == "login_failed"


def _audited(site: Site, *actions: str) -> list[tuple[str, str, Any]]:
    query = sa.select(schema.audit).where(schema.audit.c.action.in_(actions)).order_by(schema.audit.c.id)
    with site.catalog.read() as connection:
        return [(row.action, row.object, row.detail) for row in connection.execute(query)]


@pytest.mark.parametrize(
    ("failures", "limit", "seconds"),
    [(1, 10, 0), (4, 10, 0), (5, 10, 1), (6, 10, 2), (9, 10, 16), (10, 10, 900), (11, 10, 900), (1, 1, 900), (2, 3, 2)],
)
def test_the_pause_grows_and_ends_in_a_lock_out(failures: int, limit: int, seconds: float) -> None:
    assert throttle.pause(failures, limit, 900.0) == seconds


@pytest.mark.parametrize("login", ["ada", "nobody", "pass word typed here"])
def test_a_login_is_slowed_then_refused_then_let_in_again_whether_it_exists_or_not(
    site: Site, clock: Clock, login: str
) -> None:
    _fail(site, clock, login, 5)
    assert _try(site, clock, login).data == {"status": 429, "retry_after": 1}
    _fail(site, clock, login, 5)
    for password in ("wrong", PASSWORD):
        refused = _try(site, clock, login, password)
        assert (refused.code, refused.data["retry_after"]) == ("login_throttled", 900)
    clock.wait(899.5)
    assert _try(site, clock, login, PASSWORD).data["retry_after"] == 1
    clock.wait(1)
    assert getattr(_try(site, clock, login, PASSWORD), "login", None) == ("ada" if login == "ada" else None)


def test_a_lock_out_outlives_the_process_and_holds_from_other_addresses(site: Site, clock: Clock) -> None:
    _fail(site, clock, "ada", 10)
    elsewhere = open_site(site.settings)
    assert isinstance(_try(elsewhere, clock, "ada", PASSWORD, "203.0.113.9"), Throttled)
    assert isinstance(_try(elsewhere, clock, "ada", PASSWORD, None), Throttled)
    elsewhere.catalog.dispose()


def test_sessions_and_tokens_of_a_locked_user_go_on(site: Site, clock: Clock) -> None:
    ada = accounts.authenticate(site, "ada", PASSWORD, now=clock.at)
    session_id, token = accounts.start_session(site, ada), accounts.issue_token(site, ada)
    _fail(site, clock, "ada", 10)
    assert accounts.session_account(site, session_id) == ada
    assert accounts.authenticate(site, token["alias"], token["secret"], "198.51.100.7") == ada


def test_success_ends_a_run(site: Site, clock: Clock) -> None:
    _fail(site, clock, "ada", 9)
    clock.wait(16)
    assert _try(site, clock, "ada", PASSWORD).login == "ada"
    assert _try(site, clock, "ada").code == "login_failed"
    assert _try(site, clock, "ada", PASSWORD).login == "ada"
    with site.catalog.read() as connection:
        left = connection.execute(sa.select(schema.login_failures.c.failures)).scalars().all()
    assert left == [0]


def test_a_run_is_over_when_its_time_is(site: Site, clock: Clock) -> None:
    _fail(site, clock, "ada", 9)
    clock.wait(900)
    _fail(site, clock, "ada", 4)
    assert _try(site, clock, "ada", PASSWORD).login == "ada"


def test_an_address_that_tries_many_logins_is_refused_and_others_are_not(site: Site, clock: Clock) -> None:
    projects.set_site(site, "admin", address_failures=8)
    for number in range(8):
        _fail(site, clock, f"guess{number}", 1)
    assert isinstance(_try(site, clock, "ada", PASSWORD), Throttled)
    assert _try(site, clock, "ada", PASSWORD, "203.0.113.9").login == "ada"
    assert _try(site, clock, "ada", PASSWORD, None).login == "ada"
    assert [(action, name) for action, name, _ in _audited(site, "address.locked")] == [
        ("address.locked", "198.51.100.7")
    ]


def test_one_account_of_ones_own_does_not_wash_an_address_clean(site: Site, clock: Clock) -> None:
    projects.set_site(site, "admin", address_failures=8)
    for number in range(4):
        _fail(site, clock, f"guess{number}", 1)
        _fail(site, clock, "ada", 1)
        clock.wait(16)
        assert _try(site, clock, "ada", PASSWORD).login == "ada"
    for number in range(4):
        _fail(site, clock, f"other{number}", 1)
    assert _try(site, clock, "ada", PASSWORD).data["retry_after"] == 900


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
    ],
)
def test_what_an_address_counts_as(address: str, counted: str) -> None:
    assert throttle.counted_address(address) == counted


def test_the_first_administrator_is_slowed_and_never_locked_unless_the_site_says_so(site: Site, clock: Clock) -> None:
    _fail(site, clock, "admin", 12)
    assert _try(site, clock, "admin", PASSWORD).data["retry_after"] == 60
    clock.wait(60)
    assert _try(site, clock, "admin", PASSWORD).login == "admin"
    projects.set_site(site, "admin", lock_first_administrator=True)
    _fail(site, clock, "admin", 10)
    assert _try(site, clock, "admin", PASSWORD).data["retry_after"] == 900


def test_an_administrator_unlocks(site: Site, clock: Clock) -> None:
    _fail(site, clock, "ada", 10)
    assert throttle.unlock(site, "cli:root", "ada")
    assert not throttle.unlock(site, "cli:root", "ada")
    assert _try(site, clock, "ada", PASSWORD).login == "ada"
    assert len(_audited(site, "user.unlock")) == 2
    with pytest.raises(Rejected, match="no such user"):
        throttle.unlock(site, "cli:root", "nobody")


def test_a_shorter_lock_out_lifts_longer_ones_and_a_clock_that_went_back_locks_nobody(site: Site, clock: Clock) -> None:
    _fail(site, clock, "ada", 10)
    projects.set_site(site, "admin", lockout_seconds=60)
    assert _try(site, clock, "ada", PASSWORD).login == "ada"
    _fail(site, clock, "ada", 10)
    clock.wait(-86400)
    assert _try(site, clock, "ada", PASSWORD).login == "ada"


def test_a_run_is_audited_once_a_lock_out_once_and_what_was_typed_never(site: Site, clock: Clock) -> None:
    _fail(site, clock, "ada", 10)
    for _ in range(5):
        _try(site, clock, "ada", "my secret")
    _fail(site, clock, "hunter2hunter2", 1)
    lines = _audited(site, "login.failed", "login.locked")
    where = {"address": "198.51.100.7"}
    assert lines[:2] == [
        ("login.failed", "ada", where),
        ("login.locked", "ada", where | {"failures": 10, "seconds": 900}),
    ]
    assert [(action, name[:8], detail) for action, name, detail in lines[2:]] == [("login.failed", "unknown:", where)]
    clock.wait(900)
    _try(site, clock, "ada", PASSWORD)
    assert _audited(site, "login.recovered") == [("login.recovered", "ada", where | {"failures": 10})]
    stored = b"".join(path.read_bytes() for path in site.settings.home.glob("catalog.db*"))
    assert not [typed for typed in (b"hunter2", b"my secret", b"wrong") if typed in stored]


def test_thirty_at_once_are_no_more_than_the_limit(site: Site, clock: Clock) -> None:
    with ThreadPoolExecutor(30) as pool:
        codes = list(pool.map(lambda number: _try(site, clock, "ada", f"guess {number}").code, range(30)))
    assert (codes.count("login_failed"), codes.count("login_throttled")) == (5, 25)


def test_thirty_right_ones_at_once_are_all_let_in(site: Site, clock: Clock) -> None:
    with ThreadPoolExecutor(30) as pool:
        logins = {account.login for account in pool.map(lambda _: _try(site, clock, "ada", PASSWORD), range(30))}
    assert logins == {"ada"}


def test_an_unknown_login_takes_as_long_as_a_wrong_password(site: Site, clock: Clock) -> None:
    projects.set_site(site, "admin", login_failures=100)

    def least(login: str) -> float:
        times = []
        for _ in range(8):
            started = time.perf_counter()
            _try(site, clock, login)
            times.append(time.perf_counter() - started)
        return min(times)

    least("warm")
    known, unknown = least("ada"), least("nobody")
    assert abs(known - unknown) < 0.4 * max(known, unknown)


@pytest.mark.parametrize(
    "change",
    [{"login_failures": 0}, {"login_failures": 101}, {"lockout_seconds": 90000}, {"address_failures": True}],
)
def test_limits_that_cannot_be(site: Site, change: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="cannot be used"):
        projects.set_site(site, "admin", **change)
