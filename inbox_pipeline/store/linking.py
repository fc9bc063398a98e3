"""A project's linking table: which original PatientID and UID became which, in an SQLite file of its own.

Belongs here: the file, readable by its owner alone, and its rows. Does not belong here: who may read them, and when
they are written (`services/linking.py`). The catalog holds none of this.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

PATIENT, UID = "patient", "uid"
MEMBERS = ("request_id", "kind", "id_old", "id_new")
BUSY_SECONDS = 30.0
_TABLE = """CREATE TABLE IF NOT EXISTS links (
    request_id INTEGER NOT NULL, kind TEXT NOT NULL, id_old TEXT NOT NULL, id_new TEXT NOT NULL,
    PRIMARY KEY (request_id, kind, id_old, id_new)) WITHOUT ROWID"""
_INSERT = "INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?)"
_SELECT = "SELECT request_id, kind, id_old, id_new FROM links ORDER BY request_id, kind, id_old, id_new"


class LinkingTable:
    """The table in one file; made when it is first written to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, request_id: int, kind: str, pairs: Mapping[str, str]) -> None:
        """Add pairs of old and new; those that are there stay once.

        Raises:
            OSError: the file cannot be made.
            sqlite3.Error: it cannot be written.
        """
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        with self._opened() as connection:
            connection.execute(_TABLE)
            connection.executemany(_INSERT, [(request_id, kind, old, new) for old, new in sorted(pairs.items())])

    def rows(self) -> list[dict[str, str | int]]:
        """Return all rows, members as MEMBERS; none before the first was added.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        if not self._path.exists():
            return []
        with self._opened() as connection:
            return [dict(zip(MEMBERS, row, strict=True)) for row in connection.execute(_SELECT)]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection whose work is durable afterwards."""
        with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as connection, connection:
            connection.execute("PRAGMA synchronous=FULL")
            yield connection
