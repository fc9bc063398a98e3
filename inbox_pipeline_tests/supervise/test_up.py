"""`up` as real processes: ready, refused twice, healed, ended."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from inbox_pipeline.services.lease import process_start
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.server_for_tests import Server, descendants, file_request, wait_for

pytestmark = pytest.mark.services
NAMES = {"web", "code-server", "daemon", "dagster-webserver", "worker-1", "worker-2"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("up")
    with Server(folder / "home", folder / "up.log") as running:
        running.command("project", "create", "P")
        yield running


def until(reached: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def child(server: Server, word: str) -> int | None:
    """Return the pid of the child whose command line holds `word`."""
    assert server.process is not None
    for pid in descendants(server.process.pid):
        if word in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            return pid
    return None


def is_ready(server: Server) -> bool:
    try:
        return httpx.get(f"{server.ready['url']}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_the_ready_line_says_where_everything_is(server: Server) -> None:
    assert set(server.ready) == {
        "event",
        "url",
        "dagster_url",
        "home",
        "inbox_path",
        "archive_path",
        "pid",
        "admin_user",
        "admin_password_file",
    }
    assert server.ready["pid"] == server.process.pid if server.process else None
    assert is_ready(server)
    assert httpx.get(f"{server.ready['dagster_url']}/server_info").status_code == 200
    assert json.loads((server.home / "server.json").read_text()) == server.ready
    assert {path.stem for path in (server.home / "logs").iterdir()} - {"storage"} == NAMES


def test_a_second_up_on_the_same_home_is_refused(server: Server) -> None:
    refused = server.command("up", check=False)
    assert refused.returncode == 7
    assert str(server.ready["pid"]) in refused.stderr
    assert is_ready(server)


@pytest.mark.parametrize(
    "word", ["inbox_pipeline.web", "dagster._daemon", "grpc"], ids=["web", "daemon", "code server"]
)
def test_a_killed_process_is_replaced_and_requests_go_on(server: Server, word: str) -> None:
    pid = child(server, word)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: child(server, word) not in (None, pid) and is_ready(server))
    number = 10 + len(list((server.home / "inbox" / "P").iterdir()))
    folder = session_folder(server.home / "inbox" / "P" / f"after-{word}", study=number, PatientID=f"FAKE{number}")
    with server.client() as client:
        assert wait_for(client, file_request(client, folder))["outcome"] == "complete"


def test_children_end_with_up_and_the_next_up_is_ready(tmp_path: Path) -> None:
    first = Server(tmp_path / "home", tmp_path / "first.log").start()
    assert first.process is not None
    pids = {pid: process_start(pid) for pid in descendants(first.process.pid)}
    assert len(pids) >= len(NAMES)
    first.process.kill()
    first.stop()
    first.process.wait()
    until(lambda: all(process_start(pid) != start for pid, start in pids.items()), 10)
    with Server(tmp_path / "home", tmp_path / "second.log") as second:
        assert is_ready(second)
        assert second.process is not None
        pids = {pid: process_start(pid) for pid in descendants(second.process.pid)}
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(30) == 0
    assert all(process_start(pid) != start for pid, start in pids.items())
    assert not (tmp_path / "home" / "server.json").exists()
    assert not (tmp_path / "home" / "dagster" / "processes.json").exists()
