"""Locks, leftovers, child processes and what they are given."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services.accounts import authenticate, list_users
from inbox_pipeline.services.bootstrap import prepare_site
from inbox_pipeline.services.lease import process_start
from inbox_pipeline.settings import read_settings
from inbox_pipeline.supervise import plan
from inbox_pipeline.supervise.children import Family, Recipe, end_leftovers
from inbox_pipeline.supervise.home_lock import locked_home


def until(reached: object, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():  # type: ignore[operator] - a test's predicate
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_second_up_is_refused_with_the_firsts_pid(tmp_path: Path) -> None:
    settings = read_settings({}, home=tmp_path / "home")
    with locked_home(settings), pytest.raises(Rejected) as caught, locked_home(settings):
        pass
    assert caught.value.code == "home_in_use"
    assert caught.value.data["pid"] == os.getpid()
    with locked_home(settings):
        pass


def test_leftovers_are_ended_only_if_pid_and_start_time_agree(tmp_path: Path) -> None:
    record = tmp_path / "processes.json"
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeper) as leftover, subprocess.Popen(sleeper) as stranger:
        try:
            pids = {str(leftover.pid): process_start(leftover.pid), str(stranger.pid): "1", "999999999": "1"}
            record.write_text(json.dumps(pids))
            assert end_leftovers(record) == [leftover.pid]
            assert leftover.wait(10) != 0
            assert stranger.poll() is None
            assert not record.exists()
        finally:
            leftover.kill()
            stranger.kill()


@pytest.mark.parametrize("text", [None, "", "{"])
def test_a_missing_or_broken_record_means_no_leftovers(tmp_path: Path, text: str | None) -> None:
    record = tmp_path / "processes.json"
    if text is not None:
        record.write_text(text)
    assert end_leftovers(record) == []


def family(tmp_path: Path) -> Family:
    return Family(dict(os.environ), tmp_path, tmp_path / "processes.json")


def test_a_dead_child_is_started_again_and_recorded(tmp_path: Path) -> None:
    said: list[str] = []
    children = family(tmp_path)
    try:
        children.add([Recipe("server", ("http.server", "0", "--bind", "127.0.0.1"))])
        child = children.children[0]
        first = child.pid
        assert first is not None
        assert child.process is not None
        child.process.kill()
        child.process.wait()
        until(lambda: children.tend(said.append) or child.pid not in (None, first))
        assert said == ["server ended with -9; starting it again in 0.5 s", "server started again"]
        assert list(json.loads((tmp_path / "processes.json").read_text())) == [str(child.pid)]
    finally:
        children.stop()
    assert child.pid is None
    assert not (tmp_path / "processes.json").exists()


def test_a_child_that_keeps_failing_is_started_less_and_less_often(tmp_path: Path) -> None:
    said: list[str] = []
    children = family(tmp_path)
    try:
        children.add([Recipe("broken", ("no_such_module",))])
        until(lambda: children.tend(said.append) or len(said) >= 5)
    finally:
        children.stop()
    pauses = [line.split(" in ")[1] for line in said if "ended" in line]
    assert pauses == ["0.5 s", "1.0 s", "2.0 s"]
    assert "No module named no_such_module" in (tmp_path / "broken.log").read_text()


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    code = f"""
import os, sys, time
from pathlib import Path
from inbox_pipeline.supervise.children import Family, Recipe
children = Family(dict(os.environ), Path({str(tmp_path)!r}), Path({str(tmp_path / "processes.json")!r}))
children.add([Recipe("server", ("http.server", "0", "--bind", "127.0.0.1"))])
print(children.children[0].pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        start = process_start(pid)
        assert start
        parent.kill()
        parent.wait()
    until(lambda: process_start(pid) != start)


def test_children_get_every_setting_and_no_password(tmp_path: Path) -> None:
    given = {
        "INBOX_PIPELINE_ADMIN_PASSWORD": "SECRETWORD",
        "INBOX_PIPELINE_INBOX_PATH": "relative/inbox",
        "INBOX_PIPELINE_UNKNOWN": "x",
        "PATH": "/bin",
    }
    settings = read_settings(given, home=tmp_path / "home")
    variables = plan.environment(settings, given)
    assert "SECRETWORD" not in "".join(variables.values())
    assert variables["PATH"] == "/bin"
    again = read_settings(variables)
    assert again == settings.model_copy(update={"admin_password": None})
    assert "INBOX_PIPELINE_UNKNOWN" not in variables


def test_a_taken_port_is_refused_by_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = read_settings({"INBOX_PIPELINE_PORT": port, "INBOX_PIPELINE_DAGSTER_PORT": "0"}, home=tmp_path)
        with pytest.raises(Rejected, match=f"Port {port} on 127.0.0.1 is in use") as caught:
            plan.choose_places(settings)
    assert "INBOX_PIPELINE_PORT" in caught.value.hint


@pytest.mark.parametrize("name", ["x" * 120, "a b", "a#b", "é"])
def test_a_home_too_long_or_odd_for_a_socket_gets_it_elsewhere(name: str, tmp_path: Path) -> None:
    free = {"INBOX_PIPELINE_PORT": "0", "INBOX_PIPELINE_DAGSTER_PORT": "0"}
    settings = read_settings(free, home=tmp_path / name)
    places = plan.choose_places(settings)
    assert len(str(places.code_socket)) < 100
    assert tmp_path not in places.code_socket.parents
    assert stat.S_IMODE(places.code_socket.parent.stat().st_mode) == 0o700
    plan.leave_places(settings, places)
    assert not places.code_socket.parent.exists()


def test_the_first_administrator_gets_a_password_that_only_the_owner_reads(tmp_path: Path) -> None:
    settings = read_settings({}, home=tmp_path / "home")
    site = prepare_site(settings)
    password = settings.admin_password_file.read_text().strip()
    assert stat.S_IMODE(settings.admin_password_file.stat().st_mode) == 0o600
    assert authenticate(site, "admin", password).admin
    prepare_site(settings).catalog.dispose()
    assert settings.admin_password_file.read_text().strip() == password
    assert [user["login"] for user in list_users(site)] == ["admin"]


def test_a_given_password_is_used(tmp_path: Path) -> None:
    settings = read_settings({"INBOX_PIPELINE_ADMIN_PASSWORD": "a given word"}, home=tmp_path / "home")
    site = prepare_site(settings)
    assert authenticate(site, "admin", "a given word").admin
    assert settings.admin_password_file.read_text() == "a given word\n"
