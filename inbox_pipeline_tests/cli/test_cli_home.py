"""Commands on HOME's catalog, without a server."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from inbox_pipeline.errors import Rejected, Throttled
from inbox_pipeline.script import DEFAULT_SITE_SCRIPT
from inbox_pipeline.services import accounts, projects, scripts
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.cli.conftest import Run

SCRIPT = 'version "6.3"\n(0010,0010) := subject\n'


def test_init_makes_a_home_once_with_an_administrator_whose_password_is_in_a_file(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "fresh"
    first = json.loads(run("init", "--home", home, "--json").stdout)
    password_file = Path(first["admin_password_file"])
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "secret.key").stat().st_mode) == 0o600
    before = password_file.read_text(), (home / "secret.key").read_text()
    assert json.loads(run("init", "--home", home, "--json").stdout) == first
    assert (password_file.read_text(), (home / "secret.key").read_text()) == before
    changed = run("user", "passwd", "admin", "--password-stdin", "--home", home, stdin="another one\n")
    assert changed.exit_code == 0
    assert not password_file.exists()
    assert json.loads(run("init", "--home", home, "--json").stdout)["admin_password_file"] is None


def test_a_weak_first_password_leaves_nothing_that_stands_in_the_way_of_a_better_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INBOX_PIPELINE_ADMIN_PASSWORD", "password1")
    refused = run("init", "--home", tmp_path / "fresh")
    assert (refused.exit_code, "[password_weak]" in refused.stderr) == (7, True)
    monkeypatch.setenv("INBOX_PIPELINE_ADMIN_PASSWORD", "several words")
    assert run("init", "--home", tmp_path / "fresh").exit_code == 0
    assert (tmp_path / "fresh" / "admin-password").read_text() == "several words\n"


def test_home_comes_from_the_environment_too(run: Run, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INBOX_PIPELINE_HOME", str(site.settings.home))
    assert [row["login"] for row in json.loads(run("user", "list", "--json").stdout)] == ["admin"]


def test_a_user_is_created_changed_locked_out_and_let_in(on: Run, site: Site) -> None:
    assert on("user", "create", "ann", "--password-stdin", stdin="long enough\n").exit_code == 0
    assert accounts.authenticate(site, "ann", "long enough").admin is False
    again = on("user", "create", "ann", "--password-stdin", stdin="long enough\n")
    assert (again.exit_code, "[label_taken_by_user]" in again.stderr) == (7, True)
    assert on("user", "create", "ann", "--password-stdin", "--if-missing", stdin="long enough\n").exit_code == 0
    assert on("user", "passwd", "ann", "--password-stdin", stdin="different now\n").exit_code == 0
    assert accounts.authenticate(site, "ann", "different now").login == "ann"
    assert on("user", "disable", "ann").exit_code == 0
    with pytest.raises(Rejected):
        accounts.authenticate(site, "ann", "different now")
    assert on("user", "enable", "ann").exit_code == 0
    assert accounts.authenticate(site, "ann", "different now").login == "ann"
    assert on("user", "disable", "nobody").exit_code == 7
    assert on("user", "create", "bob", "--password-stdin", stdin="short\n").exit_code == 7
    assert on("user", "create", "boss", "--password-stdin", "--admin", stdin="long enough\n").exit_code == 0
    assert accounts.authenticate(site, "boss", "long enough").admin is True
    logins = [line.split()[0] for line in on("user", "list").stdout.splitlines()]
    assert logins == ["login", "admin", "ann", "boss"]


def test_a_user_gets_a_role_is_unlocked_and_the_audit_trail_tells(on: Run, site: Site) -> None:
    assert (
        on("user", "create", "ann", "--password-stdin", "--role", "data-access", stdin="long enough\n").exit_code == 0
    )
    assert on("user", "set", "ann", "--role", "data-admin").exit_code == 0
    assert on("user", "set", "ann").exit_code == 2
    assert [row["role"] for row in json.loads(on("user", "list", "--json").stdout)] == ["administrator", "data-admin"]
    assert on("site", "set", "--login-failures", "1", "--lock-first-administrator", "on").exit_code == 0
    with pytest.raises(Rejected):
        accounts.authenticate(site, "ann", "wrong")
    with pytest.raises(Throttled):
        accounts.authenticate(site, "ann", "long enough")
    assert on("user", "unlock", "ann").stdout == "user ann: unlocked\n"
    assert on("user", "unlock", "ann").stdout == "user ann: was not locked\n"
    assert accounts.authenticate(site, "ann", "long enough").login == "ann"
    assert json.loads(on("site", "show", "--json").stdout)["lock_first_administrator"] is True
    lines = json.loads(on("audit", "--object", "ann", "--json").stdout)
    actions = ["user.unlock", "user.unlock", "login.locked", "login.failed", "user.role", "user.create"]
    assert [line["action"] for line in lines] == actions
    assert lines[0]["actor"].startswith("cli:")
    assert "data-admin" in on("audit", "--action", "user.role", "--since", "2020-01-01", "--limit", "1").stdout
    assert on("audit", "--until", "2020-01-01", "--json").stdout == "[]\n"


def test_a_token_works_as_user_and_password(on: Run, site: Site) -> None:
    token = json.loads(on("user", "token", "admin", "--json").stdout)
    assert accounts.authenticate(site, token["alias"], token["secret"]).login == "admin"
    assert on("user", "token", "nobody").exit_code == 7


def test_projects_from_the_terminal(on: Run, site: Site, tmp_path: Path) -> None:
    accounts.create_user(site, "system", "ann", "long enough")
    assert on("project", "create", "Q", "--title", "Second", "--owner", "ann").exit_code == 0
    assert (site.settings.inbox_path / "Q").is_dir()
    assert on("project", "create", "q").exit_code == 7
    assert on("project", "create", "Q", "--if-missing").exit_code == 0
    assert on("project", "member", "Q", "admin", "--role", "member").exit_code == 0
    script = tmp_path / "p.das"
    script.write_text(SCRIPT)
    done = on(
        *("project", "set", "Q", "--prearchive-code", "0", "--sweep", "on", "--sweep-user", "ann"),
        *("--quiet-seconds", "5", "--script", script, "--script-enabled", "off", "--policy", "none"),
    )
    assert done.exit_code == 0
    shown = json.loads(on("project", "show", "Q", "--json").stdout)
    wanted = {"prearchive_code": 0, "sweep": True, "sweep_user": "ann", "quiet_seconds": 5.0, "script_enabled": False}
    assert wanted.items() <= shown.items()
    assert shown["members"] == {"admin": "member", "ann": "owner"}
    stored = scripts.active_script(site, "Q")
    assert stored is not None
    assert stored.text == SCRIPT
    assert [row["id"] for row in json.loads(on("project", "list", "--json").stdout)] == ["P", "Q"]
    assert "prearchive_code" in on("project", "show", "Q").stdout


def test_a_refused_change_leaves_everything_as_it_was(on: Run, site: Site, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.das", tmp_path / "bad.das"
    good.write_text(SCRIPT)
    bad.write_text('version "6.3"\n(0010,0010) := \n')
    blank, table, no_table = tmp_path / "blank.das", tmp_path / "table", tmp_path / "no_table"
    blank.write_text(" \n")
    table.write_text("pid/1 = one\n")
    no_table.write_text("pid = one\n")
    before = projects.show_project(site, "P"), projects.show_site(site)
    for arguments in (
        ("project", "set", "P", "--options", "retain-dates", "--script", good),
        ("project", "set", "P", "--sweep", "on", "--script", good),
        ("project", "set", "P", "--title", "new", "--script", bad),
        ("project", "set", "P", "--title", "new", "--script", tmp_path / "none.das"),
        ("project", "set", "P", "--policy", "basic", "--options", "retain-uids,retain-dates"),
        ("project", "set", "P", "--title", "new", "--script", blank),
        ("project", "set", "P", "--title", "new", "--lookup", table),
        ("project", "set", "P", "--title", "new", "--script", good, "--lookup", no_table),
        ("project", "set", "X", "--title", "new"),
        ("project", "set", "X", "--script", good),
        ("site", "set", "--script-enabled", "off", "--lookup", no_table),
        ("site", "set", "--script", good, "--url-hosts", "http://ids.example.org"),
        ("site", "set", "--script-enabled", "off", "--script", bad),
    ):
        assert on(*arguments).exit_code == 7, arguments
    assert (projects.show_project(site, "P"), projects.show_site(site)) == before


def test_lookup_tables_and_hosts_from_the_terminal(on: Run, site: Site, tmp_path: Path) -> None:
    script, table = tmp_path / "p.das", tmp_path / "table"
    script.write_text(SCRIPT)
    table.write_text("pid/1 = one\n")
    assert on("project", "set", "P", "--script", script, "--lookup", table).exit_code == 0
    assert [row["version"] for row in scripts.script_versions(site, "P")] == [1]
    assert on("project", "set", "P", "--script", script).exit_code == 0
    stored = scripts.active_script(site, "P")
    assert stored is not None
    assert (stored.text, stored.lookup) == (SCRIPT, "pid/1 = one\n")
    assert on("site", "set", "--lookup", table, "--url-hosts", "ids.example.org,10.0.0.7").exit_code == 0
    shown = json.loads(on("site", "show", "--json").stdout)
    assert (shown["url_hosts"], shown["script"]["has_lookup"]) == ("ids.example.org,10.0.0.7", True)
    assert on("site", "set", "--url-hosts", "").exit_code == 0
    assert json.loads(on("site", "show", "--json").stdout)["url_hosts"] == ""


def test_the_sites_script_and_switch(on: Run, site: Site, tmp_path: Path) -> None:
    script = tmp_path / "s.das"
    script.write_text(SCRIPT)
    assert on("site", "set", "--script", script, "--script-enabled", "off").exit_code == 0
    shown = json.loads(on("site", "show", "--json").stdout)
    assert (shown["script"]["version"], shown["script_enabled"]) == (2, False)
    assert on("site", "set", "--policy", "none").exit_code == 0


def test_a_script_is_checked_by_line_column_and_caret(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "x.das"
    script.write_text(DEFAULT_SITE_SCRIPT)
    assert run("script", "check", script).exit_code == 0
    script.write_text('version "6.3"\n(0010,0010) := ??\n')
    done = run("script", "check", script)
    assert done.exit_code == 7
    place, source, caret = done.stdout.splitlines()
    (error,) = done.stderr.splitlines()
    assert place.startswith(f"{script}:2:16: error: ")
    assert source.strip() == "(0010,0010) := ??"
    assert source[caret.index("^")] == "?"
    assert "line 2, column 16" in error
    assert error.endswith("[script_invalid]")
    script.write_bytes(b"\xff\xfe")
    assert "[script_unreadable]" in run("script", "check", script).stderr


def test_a_secret_is_made_once_for_its_owner_alone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert run("secret", "new", path).exit_code == 0
    assert (stat.S_IMODE(path.stat().st_mode), len(path.read_text().strip())) == (0o600, 64)
    assert run("secret", "new", path).exit_code == 7


def test_doctor_finds_a_home_in_order_and_one_that_is_not(on: Run, site: Site) -> None:
    done = on("doctor", "--json")
    assert done.exit_code == 0
    states = {check["check"]: check["state"] for check in json.loads(done.stdout)}
    assert states["site"] == states["inbox"] == states["script of the site"] == "good"
    assert states["server"] == states["daemon"] == states["worker"] == "not running"
    site.settings.archive_path.rmdir()
    site.settings.inbox_path.rename(site.settings.home / "moved")
    done = on("doctor")
    assert done.exit_code == 4
    assert "the inbox cannot be read" in done.stdout


def test_routing_expressions_are_stored_and_switched(on: Run, site: Site, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("(0010,4000):id (\\w+)\n")
    bad.write_text("(0010,4000):(\n")
    refused = on("site", "set", "--subject-rules", good, "--session-rules", bad)
    assert (refused.exit_code, "[routing_invalid]" in refused.stderr) == (7, True)
    assert json.loads(on("site", "show", "--json").stdout)["routing"] == {}
    assert on("site", "set", "--subject-rules", good, "--session-rules", good).exit_code == 0
    assert json.loads(on("site", "show", "--json").stdout)["routing"] == {"subject": 1, "session": 1}
    assert on("site", "set", "--routing", "off").exit_code == 0
    assert json.loads(on("site", "show", "--json").stdout)["routing"] == {}
    assert on("site", "set", "--routing", "on").exit_code == 0
    bad.write_text("")
    assert on("site", "set", "--session-rules", bad).exit_code == 0
    assert json.loads(on("site", "show", "--json").stdout)["routing"] == {"subject": 3}
    missing = on("site", "set", "--subject-rules", tmp_path / "missing")
    assert (missing.exit_code, "[routing_unreadable]" in missing.stderr) == (7, True)
