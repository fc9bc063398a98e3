"""Opening the catalog and its transactions.

Belongs here: engine options, SQLite's rules (DESIGN section 3), the database's clock, and the `Catalog` handle. Does
not belong here: any query on a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from inbox_pipeline.errors import Rejected, Unavailable
from inbox_pipeline.store.filesystem import network_file_system

BUSY_TIMEOUT_SECONDS = 30.0


class Catalog:
    """A handle on the catalog's database.

    Args:
        url: SQLAlchemy URL, `sqlite:///FILE` or `postgresql+psycopg2://...`.

    Raises:
        Rejected: `catalog_url`, when the URL cannot be read or names another kind of database.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError):
            raise _bad_url("The address of the catalog's database cannot be read.") from None
        if self.url.get_backend_name() not in {"sqlite", "postgresql"}:
            raise _bad_url("The catalog's database must be SQLite or PostgreSQL.")

    @property
    def is_sqlite(self) -> bool:
        """Whether the catalog is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @cached_property
    def engine(self) -> Engine:
        """The engine, opened at first use.

        Raises:
            Rejected: `catalog_driver`, `catalog_on_network`.
        """
        if not self.is_sqlite:
            return self._server_engine()
        refuse_network_file(Path(self.url.database or ""))
        engine = sa.create_engine(
            self.url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False}, hide_parameters=True
        )
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _server_engine(self) -> Engine:
        try:
            return sa.create_engine(self.url, pool_pre_ping=True, hide_parameters=True)
        except (ModuleNotFoundError, sa.exc.NoSuchModuleError):
            raise Rejected(
                "catalog_driver",
                f"The driver for {self.url.drivername} is not installed.",
                'Install the extra: pip install "inbox-pipeline[postgres]", for postgresql+psycopg2://...',
            ) from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for reading; nothing is committed.

        Raises:
            Unavailable: `catalog_unavailable`, when the database cannot be reached.
        """
        with _translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in a writing transaction, committed at the end and rolled back on any error.

        Raises:
            Unavailable: `catalog_unavailable`, when the database cannot be reached or stays locked.
        """
        with _translated(), self.engine.connect().execution_options(immediate=True) as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        """Close every pooled connection (before a fork, at the end of a test)."""
        self.engine.dispose()


def _bad_url(sentence: str) -> Rejected:
    return Rejected(
        "catalog_url",
        sentence,
        "Set INBOX_PIPELINE_DATABASE_URL to sqlite:///FILE or postgresql+psycopg2://USER:PASSWORD@HOST/NAME.",
    )


def now_seconds(connection: Connection) -> float:
    """Return the database's clock in epoch seconds; leases are measured by it alone."""
    if connection.dialect.name == "sqlite":
        statement = sa.text("SELECT (julianday('now') - 2440587.5) * 86400.0")
    else:
        statement = sa.text("SELECT extract(epoch FROM clock_timestamp())")
    return float(connection.execute(statement).scalar_one())


def insert_if_absent(connection: Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Add a row unless one with an equal key is there, also when another transaction adds one at the same moment."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(table).values(dict(row)).on_conflict_do_nothing())


def refuse_network_file(path: Path) -> None:
    """Refuse a SQLite file on a network file system, where its locks do not hold.

    Raises:
        Rejected: `catalog_on_network`.
    """
    kind = network_file_system(path)
    if kind:
        raise Rejected(
            "catalog_on_network",
            f"The catalog's SQLite file would lie on a network file system ({kind}), where its locks do not hold.",
            "Put INBOX_PIPELINE_HOME on a local disk, or use PostgreSQL by INBOX_PIPELINE_DATABASE_URL.",
        )


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's connection errors into `Unavailable`, without the driver's text."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise Unavailable(
            "catalog_unavailable",
            f"The catalog's database did not answer ({type(error.orig).__name__}).",
            "Check that it runs and that its disk has space; the work goes on by itself.",
        ) from None


def _configure_sqlite(connection: Any, _record: Any) -> None:
    """Set SQLite's pragmas on a new connection, and leave BEGIN to `_begin_sqlite`."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the start of a writing transaction, so that it never fails halfway."""
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
