"""Servers that pip does not install, started for the tests and stopped by their pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    program = str(found[-1]) if found else shutil.which(name)
    assert program, f"these tests need PostgreSQL's {name}: apt-get install postgresql"
    return program


def unprivileged(folder: Path) -> list[str]:
    """Return what runs a program as another user where we are root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "nobody")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, on loopback and a free port."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as name:
        folder, port = Path(name), free_port()
        run_as = unprivileged(folder)
        data = str(folder / "data")
        initdb = [*run_as, postgres_program("initdb"), "-D", data, "-U", "inbox", "-A", "trust", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True)
        options = ["-p", str(port), "-k", name, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        server = subprocess.Popen(
            [*run_as, postgres_program("postgres"), "-D", data, *options], stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port)
            yield f"postgresql+psycopg2://inbox@127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: pooled connections do not hold it up
            server.wait(30)


def _wait_for(port: int) -> None:
    import psycopg2

    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg2.connect(host="127.0.0.1", port=port, user="inbox", dbname="postgres").close()
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.2)
        else:
            return


@pytest.fixture
def postgres_url(postgres: str, tmp_path: Path) -> str:
    """The URL of a new database."""
    import sqlalchemy as sa

    name = "".join(c for c in tmp_path.name.lower() if c.isalnum()) + str(os.getpid())
    engine = sa.create_engine(f"{postgres}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{postgres}/{name}"
