"""Servers that pip does not install, started for the tests and stopped by their pid."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from inbox_pipeline_tests.postgres_for_tests import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of our own."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres, tmp_path: Path) -> str:
    """The URL of a new database."""
    return postgres.new_database("".join(c for c in tmp_path.name.lower() if c.isalnum()) + str(os.getpid()))
