"""A PostgreSQL server of our own, for tests: on loopback and a free port, stopped by its pid.

Belongs here: making, starting, stopping it, and databases in it. Does not belong here: assertions on what is tested.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

START_SECONDS = 60.0


class Postgres:
    """A server whose data lie in a new folder.

    Args:
        folder: that folder, made here; its name must be short, as a socket lies in it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.port = folder, _free_port()
        self.run_as = _unprivileged(folder)
        self.process: subprocess.Popen[bytes] | None = None
        initdb = [*self.run_as, _program("initdb"), "-D", str(folder / "data"), "-U", "inbox", "-A", "trust"]
        subprocess.run([*initdb, "--no-sync"], check=True, capture_output=True)

    def start(self) -> Postgres:
        """Start it and wait until it answers."""
        options = ["-p", str(self.port), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        command = [*self.run_as, _program("postgres"), "-D", str(self.folder / "data"), *options]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self._wait()
        return self

    def stop(self) -> None:
        """Stop it as an administrator would who does not wait for clients (fast shutdown)."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def new_database(self, name: str) -> str:
        """Make a database and return its URL."""
        engine = sa.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg2://inbox@127.0.0.1:{self.port}/{name}"

    def _wait(self) -> None:
        engine, deadline = (
            sa.create_engine(self._url("postgres"), poolclass=sa.NullPool),
            time.monotonic() + START_SECONDS,
        )
        while True:
            try:
                engine.connect().close()
                return
            except sa.exc.OperationalError:
                assert time.monotonic() < deadline, "PostgreSQL did not start"
                time.sleep(0.1)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Yield a server of our own, running, in a folder that goes with it; the path of a socket must be short."""
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as name:
        server = Postgres(Path(name)).start()
        try:
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    program = str(found[-1]) if found else shutil.which(name)
    assert program, f"this needs PostgreSQL's {name}: apt-get install postgresql"
    return program


def _unprivileged(folder: Path) -> list[str]:
    """Return what runs a program as another user where we are root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "nobody")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
