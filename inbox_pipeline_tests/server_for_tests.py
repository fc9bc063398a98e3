"""A running `inbox-pipeline up`, or its web process alone, for tests: on free ports, stopped or killed by its pid.

Belongs here: starting, stopping, killing, and asking it over HTTP. Does not belong here: assertions.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

FAULTS = Path(__file__).parent / "faults"
READY_SECONDS = 120.0


class Server:
    """`inbox-pipeline up` on a HOME of its own.

    Args:
        home: its HOME.
        policy: what its projects begin with; XNAT's, unless a test is about another.
        log_path: where its standard error goes.
        environment: settings beyond the defaults.
    """

    def __init__(self, home: Path, log_path: Path, policy: str = "none", **environment: str) -> None:
        self.home = home
        self.policy = policy
        self.log_path = log_path
        self.environment = environment
        self.ready: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """Start it and wait for its ready line."""
        port = {"INBOX_PIPELINE_PORT": "0", "INBOX_PIPELINE_DAGSTER_PORT": "0", "INBOX_PIPELINE_LEASE_SECONDS": "6"}
        env = {**os.environ, **port, **self.environment}
        with self.log_path.open("ab") as log:
            command = [sys.executable, "-m", "inbox_pipeline.cli", "up", "--home", str(self.home), "--json"]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=env)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"up ended with {self.process.wait()}:\n{self.log_path.read_text(errors='replace')[-3000:]}"
        self.ready = json.loads(line)
        self.command("site", "set", "--policy", self.policy)
        return self

    def client(self, login: str = "admin", password: str | None = None) -> httpx.Client:
        """Return an HTTP client with Basic credentials, by default the administrator's."""
        secret = password or Path(self.ready["admin_password_file"]).read_text().strip()
        return httpx.Client(base_url=self.ready["url"], auth=(login, secret), timeout=60)

    def command(
        self, *arguments: str, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run an `inbox-pipeline` command on this HOME."""
        env = {**os.environ, **self.environment, "INBOX_PIPELINE_HOME": str(self.home)}
        command = [sys.executable, "-m", "inbox_pipeline.cli", *arguments]
        return subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, check=check, timeout=300)

    def stop(self) -> None:
        """End it as a service manager would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self._close()

    def kill_everything(self) -> list[int]:
        """SIGKILL the whole tree at once, and return the pids."""
        assert self.process is not None
        pids = [self.process.pid, *descendants(self.process.pid)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(30)
        self._close()
        return pids

    def _close(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Server:
        return self if self.ready else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def web_process(home: Path, **environment: str) -> Iterator[str]:
    """Run the web process alone on a HOME, on a free port, with these settings more, and give its address."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("INBOX_PIPELINE_")}
    env = own | {"INBOX_PIPELINE_HOME": str(home), "INBOX_PIPELINE_PORT": "0"} | environment
    command = [sys.executable, "-m", "inbox_pipeline.web"]
    process = subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def descendants(pid: int) -> list[int]:
    """Return the pids of a process's children, theirs, and so on (proc(5))."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = [pid]
    for parent in found:
        found += [child for child, above in parents.items() if above == parent]
    return found[1:]


def file_request(client: httpx.Client, path: Path, project: str = "P", **parameters: str) -> int:
    """POST an import as a script would, and return the request's number."""
    query = {"import-handler": "inbox", "path": str(path), "PROJECT_ID": project, **parameters}
    answer = client.post("/data/services/import", params=query)
    assert answer.status_code == 200, answer.text
    return int(answer.text.strip().rpartition("/")[2])


def wait_for(client: httpx.Client, request_id: int, seconds: float = 120.0) -> Mapping[str, Any]:
    """Poll a request until it has ended."""
    deadline = time.monotonic() + seconds
    while True:
        answer: dict[str, Any] = client.get(f"/xapi/dicom/{request_id}").json()
        if answer["status"] in ("Completed", "Failed"):
            return answer
        assert time.monotonic() < deadline, f"request {request_id} still {answer['status']} ({answer['phase']})"
        time.sleep(0.2)
