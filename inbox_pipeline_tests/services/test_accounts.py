"""Accounts: credentials, sessions, tokens and roles on a real catalog."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import accounts, health
from inbox_pipeline.services.site import Site, init_site, open_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog import schema

PASSWORD = "correct horse"
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = init_site(read_settings({}, home=tmp_path / "home"))
    yield made
    made.catalog.dispose()


@pytest.fixture
def ada(site: Site) -> accounts.Account:
    return accounts.create_user(site, "admin", "ada", PASSWORD)


def _refused(code: str) -> pytest.RaisesExc[Rejected]:
    return pytest.RaisesExc(Rejected, check=lambda error: error.code == code)


def _project(site: Site, project_id: str) -> None:
    row = {"id": project_id, "id_key": project_id.lower(), "created_at": NOW}
    with site.catalog.write() as connection:
        connection.execute(sa.insert(schema.projects).values(row))


def _role(site: Site, project_id: str, account: accounts.Account, role: str) -> None:
    row = {"project_id": project_id, "user_id": account.id, "role": role}
    with site.catalog.write() as connection:
        connection.execute(sa.insert(schema.memberships).values(row))


def test_a_login_and_password_give_the_account(site: Site, ada: accounts.Account) -> None:
    assert accounts.authenticate(site, "ada", PASSWORD) == ada == accounts.get_account(site, "ada")


@pytest.mark.parametrize(
    ("login", "password"), [("ada", "wrong horse"), ("nobody", PASSWORD), ("", ""), ("a\x00", "bbbb"), ("ada", "")]
)
@pytest.mark.usefixtures("ada")
def test_every_failed_login_looks_the_same(site: Site, login: str, password: str) -> None:
    with _refused("login_failed") as caught:
        accounts.authenticate(site, login, password)
    assert password == "" or password not in str(caught.value)


@pytest.mark.usefixtures("ada")
def test_a_verified_pair_is_not_hashed_again(site: Site) -> None:
    accounts.authenticate(site, "ada", PASSWORD)
    started = time.perf_counter()
    for _ in range(10):
        accounts.authenticate(site, "ada", PASSWORD)
    assert (time.perf_counter() - started) / 10 < 0.02


@pytest.mark.usefixtures("ada")
def test_a_changed_password_ends_the_old_one_at_once_in_every_process(site: Site) -> None:
    accounts.authenticate(site, "ada", PASSWORD)
    elsewhere = open_site(site.settings)
    accounts.set_password(elsewhere, "admin", "ada", "battery staple")
    elsewhere.catalog.dispose()
    with _refused("login_failed"):
        accounts.authenticate(site, "ada", PASSWORD)
    assert accounts.authenticate(site, "ada", "battery staple").login == "ada"


def test_a_disabled_account_loses_password_session_and_token_at_once(site: Site, ada: accounts.Account) -> None:
    accounts.authenticate(site, "ada", PASSWORD)
    session_id = accounts.start_session(site, ada)
    token = accounts.issue_token(site, ada)
    accounts.set_enabled(site, "admin", "ada", False)
    for login, password in (("ada", PASSWORD), (token["alias"], token["secret"])):
        with _refused("login_failed"):
            accounts.authenticate(site, login, password)
    assert accounts.session_account(site, session_id) is None
    assert accounts.get_account(site, "ada") is None
    with _refused("login_failed"):
        accounts.start_session(site, ada)
    accounts.set_enabled(site, "admin", "ada", True)
    assert accounts.authenticate(site, "ada", PASSWORD) == ada


def test_a_session_ends_after_fifteen_minutes_without_use(site: Site, ada: accounts.Account) -> None:
    session_id = accounts.start_session(site, ada, now=NOW)
    at = NOW
    for _ in range(3):
        at += dt.timedelta(minutes=14)
        assert accounts.session_account(site, session_id, now=at) == ada
    assert accounts.session_account(site, session_id, now=at + dt.timedelta(minutes=16)) is None


def test_a_session_ends_after_a_day_however_much_it_is_used(site: Site, ada: accounts.Account) -> None:
    session_id, at = accounts.start_session(site, ada, now=NOW), NOW
    while at < NOW + dt.timedelta(hours=23, minutes=48):
        at += dt.timedelta(minutes=14)
        assert accounts.session_account(site, session_id, now=at) == ada
    assert accounts.session_account(site, session_id, now=NOW + dt.timedelta(days=1)) is None
    accounts.start_session(site, ada, now=NOW + dt.timedelta(days=1))
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.web_sessions)).scalar_one() == 1


@pytest.mark.parametrize("password", ["eight ch", "ÄÖÜäöüßß", "        x", "1" * 500, "password 1 of ours"])
def test_nothing_is_asked_of_a_password_but_that_it_is_long_and_not_common(site: Site, password: str) -> None:
    accounts.create_user(site, "admin", "ada", password)
    assert accounts.authenticate(site, "ada", password).login == "ada"


def test_an_ended_session_is_gone_and_its_id_is_nowhere_in_the_catalog(site: Site, ada: accounts.Account) -> None:
    session_id = accounts.start_session(site, ada)
    assert session_id.encode() not in (site.settings.home / "catalog.db-wal").read_bytes()
    accounts.end_session(site, session_id)
    assert accounts.session_account(site, session_id) is None


def test_an_alias_token_is_a_pair_that_expires_after_two_days(site: Site, ada: accounts.Account) -> None:
    token = accounts.issue_token(site, ada, now=NOW)
    later = NOW + dt.timedelta(days=2, seconds=1)
    assert accounts.validate_token(site, token["alias"], token["secret"], now=NOW) == "ada"
    assert accounts.validate_token(site, token["alias"], "0" * 64, now=NOW) is None
    assert accounts.validate_token(site, token["alias"], token["secret"], now=later) is None
    assert token["estimatedExpirationTime"] - token["created"] == 2 * 86400 * 1000


def test_an_invalidated_token_is_gone(site: Site, ada: accounts.Account) -> None:
    token = accounts.issue_token(site, ada)
    assert accounts.authenticate(site, token["alias"].upper(), token["secret"]) == ada
    assert [shown["alias"] for shown in accounts.list_tokens(site, ada)] == [token["alias"]]
    assert "secret" not in accounts.list_tokens(site, ada)[0]
    assert not accounts.invalidate_token(site, token["alias"], "not the secret")
    assert accounts.invalidate_token(site, token["alias"], token["secret"])
    assert accounts.list_tokens(site, ada) == []


@pytest.mark.parametrize(
    ("login", "password", "code"),
    [
        ("a b", PASSWORD, "name_illegal"),
        ("../ada", PASSWORD, "name_illegal"),
        ("a" * 65, PASSWORD, "name_illegal"),
        ("12345678-1234-1234-1234-123456789abc", PASSWORD, "name_illegal"),
        ("bob", "short", "password_weak"),
        ("robert.tables", "Robert.Tables", "password_weak"),
        ("bob", "PassWord1234", "password_weak"),
        ("ada", PASSWORD, "label_taken_by_user"),
    ],
)
@pytest.mark.usefixtures("ada")
def test_users_that_cannot_be_made(site: Site, login: str, password: str, code: str) -> None:
    with _refused(code):
        accounts.create_user(site, "admin", login, password)


def test_if_missing_leaves_an_existing_user_as_it_is(site: Site, ada: accounts.Account) -> None:
    assert accounts.create_user(site, "admin", "ada", "other password", admin=True, if_missing=True) == ada
    assert accounts.authenticate(site, "ada", PASSWORD) == ada
    assert [(user["login"], user["admin"], user["enabled"]) for user in accounts.list_users(site)] == [
        ("ada", False, True)
    ]


def test_the_first_administrators_password_file_goes_with_the_password(site: Site) -> None:
    accounts.create_user(site, "system", "admin", PASSWORD, admin=True)
    site.settings.admin_password_file.write_text(PASSWORD)
    accounts.set_password(site, "admin", "admin", "battery staple")
    assert not site.settings.admin_password_file.exists()


def test_an_unknown_user_cannot_be_changed(site: Site) -> None:
    with _refused("user_not_found"):
        accounts.set_password(site, "admin", "nobody", PASSWORD)
    with _refused("user_not_found"):
        accounts.set_enabled(site, "admin", "nobody", False)


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        ("owner", (True, True, True)),
        ("member", (True, True, False)),
        ("collaborator", (True, False, False)),
        (None, (False, False, False)),
    ],
)
def test_roles(site: Site, ada: accounts.Account, role: str | None, rights: tuple[bool, bool, bool]) -> None:
    _project(site, "P1")
    if role:
        _role(site, "P1", ada, role)
    questions = (accounts.may_read, accounts.may_edit, accounts.is_owner)
    assert tuple(ask(site, ada, "P1") for ask in questions) == rights


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        ("administrator", (True, True, True)),
        ("data-admin", (True, True, False)),
        ("data-access", (True, False, False)),
        ("none", (False, False, False)),
    ],
)
def test_site_roles_count_in_every_project_that_exists_and_from_the_next_look_on(
    site: Site, ada: accounts.Account, role: str, rights: tuple[bool, bool, bool]
) -> None:
    _project(site, "P1")
    session_id = accounts.start_session(site, ada)
    accounts.set_role(site, "admin", "ada", role)
    now = accounts.session_account(site, session_id)
    assert now is not None
    questions = (accounts.may_read, accounts.may_edit, accounts.is_owner)
    assert tuple(ask(site, now, "P1") for ask in questions) == rights
    assert not any(ask(site, now, "P2") for ask in questions)
    assert accounts.list_users(site)[0]["role"] == role
    assert now == accounts.create_user(site, "admin", "ada", PASSWORD, if_missing=True)


def test_a_user_is_made_with_a_role(site: Site, ada: accounts.Account) -> None:
    made = accounts.create_user(site, "admin", "dora", PASSWORD, role="data-access")
    assert made == accounts.authenticate(site, "dora", PASSWORD)
    assert (made.admin, made.data_role) == (False, "data-access")
    for refused in (accounts.create_user, accounts.set_role):
        with _refused("parameter_invalid"):
            refused(site, "admin", "eva", *([PASSWORD] if refused is accounts.create_user else []), role="boss")
    with _refused("user_not_found"):
        accounts.set_role(site, "admin", "nobody", "none")


def test_an_administrator_may_do_everything_in_projects_that_exist(site: Site) -> None:
    _project(site, "P1")
    admin = accounts.create_user(site, "system", "admin", PASSWORD, admin=True)
    assert accounts.is_owner(site, admin, "P1")
    assert accounts.may_edit(site, admin, "P1")
    assert not accounts.may_read(site, admin, "P2")


def test_readiness_names_what_is_missing(site: Site) -> None:
    assert health.readiness(site) == {
        "catalog": None,
        "archive": None,
        "daemon": "no heartbeat yet",
        "worker": "no heartbeat yet",
    }
    health.beat(site, "daemon")
    health.beat(site, "worker:1")
    assert set(health.readiness(site).values()) == {None}


def test_an_old_heartbeat_counts_as_none(site: Site) -> None:
    health.beat(site, "daemon")
    with site.catalog.write() as connection:
        old = {"value": f"{time.time() - 31:.3f}"}
        connection.execute(sa.update(schema.site).where(schema.site.c.name == "heartbeat:daemon").values(old))
    assert health.readiness(site)["daemon"] == "last heartbeat 31 s ago"
