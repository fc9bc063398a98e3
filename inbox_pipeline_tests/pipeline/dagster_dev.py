"""`dagster dev` in the repository's root as a developer starts it, with a HOME of its own, for tests.

Belongs here: starting and ending it. Does not belong here: assertions.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from inbox_pipeline_tests.server_for_tests import descendants

ROOT = Path(__file__).parent.parent.parent


class DagsterDev:
    """`dagster dev` with the repository's own `dagster.yaml` and `workspace.yaml`, in a copy of its root.

    Args:
        folder: the copy; `./inbox-home` lies in it.
        environment: variables of the processes, beyond this one's.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> DagsterDev:
        """Start it and wait until its UI has loaded the definitions."""
        self.folder.mkdir(exist_ok=True)
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(ROOT / name, self.folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        env = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
        with (self.folder / "dev.log").open("ab") as log:
            command = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={**env, **self.environment}, stdout=log, stderr=log
            )
        self._wait()
        return self

    def stop(self) -> None:
        """End it as Ctrl-C does, and whatever is left of it by pid."""
        assert self.process is not None
        children = descendants(self.process.pid)
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def log(self) -> str:
        """Return everything that it wrote."""
        return (self.folder / "dev.log").read_text(errors="replace")

    def _wait(self) -> None:
        query = '{"query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"}'
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                headers = {"Content-Type": "application/json"}
                answer = httpx.post(f"{self.url}/graphql", content=query, headers=headers, timeout=10)
                if answer.json()["data"]["repositoriesOrError"].get("nodes"):
                    return
            except httpx.TransportError:
                pass  # not listening yet
            time.sleep(0.3)
        raise AssertionError(f"dagster dev did not start:\n{self.log()[-3000:]}")
