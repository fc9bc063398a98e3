"""The web process: address, signals, refusals to start, and a real client over a real socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from inbox_pipeline.services import throttle
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import schema
from inbox_pipeline_tests.server_for_tests import web_process

pytestmark = pytest.mark.services
PASSWORD = "correct horse"


def _environment(site: Site, **more: str) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("INBOX_PIPELINE_")}
    return own | {"INBOX_PIPELINE_HOME": str(site.settings.home), "INBOX_PIPELINE_PORT": "0"} | more


def _start(environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "inbox_pipeline.web", *options]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


@pytest.fixture
def server(site: Site, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = _start(_environment(site), "--port-file", str(tmp_path / "port"))
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    assert line["event"] == "listening"
    yield process, line["url"]
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_it_tells_its_port_answers_and_ends_cleanly_on_sigterm(
    server: tuple[subprocess.Popen[str], str], tmp_path: Path, folder: Path
) -> None:
    process, url = server
    assert url.endswith(":" + (tmp_path / "port").read_text().strip())
    query = {"import-handler": "inbox", "path": str(folder), "PROJECT_ID": "P1"}
    with httpx.Client(base_url=url, auth=("ada", PASSWORD)) as client:
        filed = client.post("/data/services/import", params=query)
        assert filed.content.endswith(b"\r\n")
        assert client.get(filed.text.strip()).json()["status"] == "Queued"
        assert "server" not in filed.headers
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    routes = [json.loads(line).get("route") for line in errors.splitlines()]
    assert [route for route in routes if route] == ["/data/services/import", "/xapi/dicom/{request_id}"]
    assert str(folder) not in errors


@pytest.mark.parametrize("trusted", [True, False])
def test_only_a_trusted_proxy_is_believed_about_tls_and_addresses(site: Site, trusted: bool) -> None:
    more = {"INBOX_PIPELINE_TRUSTED_PROXIES": "127.0.0.0/8, ::1"} if trusted else {}
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.99"}
    with web_process(site.settings.home, **more) as url:
        answer = httpx.get(f"{url}/data/JSESSION", auth=("ada", PASSWORD), headers=forwarded)
        httpx.get(f"{url}/data/auth", auth=("ada", "wrong"), headers=forwarded)
    assert [cookie.endswith("; Secure") for cookie in answer.headers.get_list("set-cookie")] == [trusted] * 2
    with site.catalog.read() as connection:
        failed = sa.select(schema.audit.c.detail).where(schema.audit.c.action == "login.failed")
        last = connection.execute(failed.order_by(schema.audit.c.id.desc())).scalars().first()
    assert last == {"address": "198.51.100.99" if trusted else "127.0.0.1"}
    throttle.unlock(site, "test", "ada")


def test_an_idle_connection_does_not_hold_up_the_end(server: tuple[subprocess.Popen[str], str]) -> None:
    process, url = server
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as idle:
        idle.sendall(b"POST /data/services/import HTTP/1.1\r\nHost: x\r\n")
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert (process.returncode, time.monotonic() - started < 10) == (0, True)


def test_garbage_on_the_socket_is_answered_and_not_logged(server: tuple[subprocess.Popen[str], str]) -> None:
    process, url = server
    host, port = url.removeprefix("http://").split(":")
    for raw in (b"Mueller^Anna\r\n\r\n", b"GET /?q=Mueller\xff^Anna HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(raw)
            assert connection.recv(100).startswith(b"HTTP/1.1 ")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert "Mueller" not in errors


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"INBOX_PIPELINE_HOME": "/nonexistent/home"}, "not_initialised"),
        ({"INBOX_PIPELINE_PORT": "x"}, "settings_invalid"),
    ],
)
def test_it_refuses_to_start_with_a_reason(site: Site, change: dict[str, str], code: str) -> None:
    process = _start(_environment(site, **change))
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    refused = json.loads(errors.splitlines()[-1])
    assert (refused["event"], refused["code"]) == ("refused", code)


def test_a_taken_port_is_a_refusal(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = _start(_environment(site, INBOX_PIPELINE_PORT=str(taken.getsockname()[1])))
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert json.loads(errors.splitlines()[-1])["code"] == "address_unusable"


def test_a_supervised_server_ends_with_its_parent(site: Site, tmp_path: Path) -> None:
    """A parent starts the server and dies without a word; the server must be gone soon after."""
    port_file = tmp_path / "port"
    program = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-m', 'inbox_pipeline.web', '--port-file', sys.argv[1]])\n"
        "while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.05)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = _environment(site, INBOX_PIPELINE_SUPERVISED="1")
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(port_file)], env=environment, text=True, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    lines = iter(parent.stdout.readline, "")
    child = int(next(line for line in lines if line.strip().isdigit()))
    parent.kill()
    parent.communicate()
    assert _gone(child)


def _gone(pid: int, seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status")
        try:
            if "State:\tZ" in status.read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


def test_requests_at_the_same_time_are_all_filed_once(
    server: tuple[subprocess.Popen[str], str], site: Site, folder: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    _, url = server

    def file(number: int) -> Any:
        path = folder / f"n{number % 10}"
        path.mkdir(exist_ok=True)
        (path / "a.txt").write_text("x")
        query = {"import-handler": "inbox", "path": str(path), "PROJECT_ID": "P1"}
        return httpx.post(f"{url}/data/services/import", params=query, auth=("ada", PASSWORD), timeout=60)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(file, range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 10
