"""The catalog on SQLite: migrations, transactions, leases; and that many writers never meet a lock error."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from benchmarks.sqlite_writers import measure
from inbox_pipeline.errors import Rejected, Unavailable
from inbox_pipeline.services.site import Site, init_site, open_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog import holdings, leases, ledger, merges, prearchive, requests, withdrawals
from inbox_pipeline.store.catalog.engine import Catalog
from inbox_pipeline.store.catalog.schema import metadata
from inbox_pipeline.store.catalog.schema import site as site_table


def test_the_migrations_make_the_tables_that_the_code_expects(site: Site) -> None:
    with site.catalog.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize(
    "ask",
    [
        holdings.coming_targets,
        lambda connection: prearchive.plans(connection, 1),
        lambda connection: merges.origins(connection, 1),
        lambda connection: withdrawals.is_shared(connection, {"id": 1, "request_id": 1}),
        lambda connection: ledger.tallies(connection, [1, 2]),
        lambda connection: requests.plans_of(connection, [1, 2]),
    ],
)
def test_what_is_asked_of_every_session_reads_no_table_to_its_end(
    site: Site, ask: Callable[[sa.Connection], object]
) -> None:
    asked: list[tuple[str, Any]] = []
    with site.catalog.read() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
        ask(connection)
        ((statement, parameters),) = asked
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert any("SEARCH request_sessions" in row.detail or "SEARCH ledger" in row.detail for row in plan)
    assert [row.detail for row in plan if row.detail.startswith("SCAN")] == []


def test_an_error_in_a_writing_transaction_takes_everything_back(site: Site) -> None:
    with pytest.raises(RuntimeError), site.catalog.write() as connection:
        connection.execute(sa.insert(site_table).values(name="x", value="y"))
        raise RuntimeError
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(site_table).where(site_table.c.name == "x")).first() is None


def test_a_catalog_that_cannot_be_reached_is_unavailable_and_tells_no_password() -> None:
    catalog = Catalog("postgresql+psycopg2://someone:hunter2@127.0.0.1:1/none")
    with pytest.raises(Unavailable) as error, catalog.read():
        pass
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("url", ["mysql://x/y", "no address", "postgresql://u:hunter2@h:port/n"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(Rejected) as error:
        Catalog(url)
    assert error.value.code == "catalog_url"
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("driver", ["pg8000", "nonesuch"])
def test_a_missing_driver_is_named_with_what_to_install(driver: str) -> None:
    with pytest.raises(Rejected) as error, Catalog(f"postgresql+{driver}://u:hunter2@127.0.0.1:1/n").read():
        pass
    assert error.value.code == "catalog_driver"
    assert f"postgresql+{driver}" in error.value.sentence
    assert "[postgres]" in error.value.hint
    assert "hunter2" not in str(error.value)


def test_a_lease_is_one_runs_alone(site: Site) -> None:
    values = {"username": "u", "source_path": b"/x", "parameters": {}, "same_key": "k", "project_id": "P"}
    with site.catalog.write() as connection:
        request_id = requests.insert(connection, values)
        row = requests.get(connection, request_id)
        assert row is not None
        first = leases.take(connection, row, "run-1", "me", 60)
    with site.catalog.write() as connection:
        row = requests.get(connection, request_id)
        assert row is not None
        assert leases.held(connection, row)
        second = leases.take(connection, row, "run-2", "me", 60)
    assert (first.attempt, second.attempt) == (1, 2)
    with site.catalog.write() as connection:
        assert leases.renew(connection, first, 60) is None
        assert not leases.update_held(connection, first, status="Completed")
        assert leases.renew(connection, second, 60) is not None


@pytest.mark.services
def test_eight_processes_write_without_a_lock_error() -> None:
    figures = measure(3.0)
    assert (figures["errors"], figures["leases_lost"]) == (0, 0)
    assert figures["transactions"] > 8


def test_two_threads_count_without_losing_a_number(site: Site) -> None:
    from inbox_pipeline.store.catalog.site import next_number

    seen: list[int] = []

    def count() -> None:
        for _ in range(20):
            with site.catalog.write() as connection:
                seen.append(next_number(connection, "n"))

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 41))


def test_a_site_opens_only_with_its_own_secret(tmp_path: Path) -> None:
    settings = read_settings({}, home=tmp_path / "home")
    with pytest.raises(Rejected) as error:
        open_site(settings)
    assert error.value.code == "not_initialised"
    init_site(settings)
    secret = settings.secret_file.read_bytes()
    for damage, code in ((b"0" * 64, "secret_changed"), (b"xyz", "secret_malformed")):
        settings.secret_file.write_bytes(damage)
        with pytest.raises(Rejected) as error:
            open_site(settings)
        assert error.value.code == code
    settings.secret_file.write_bytes(secret)
    settings.secret_file.chmod(0o644)
    with pytest.raises(Rejected) as error:
        open_site(settings)
    assert error.value.code == "secret_exposed"
    settings.secret_file.unlink()
    with pytest.raises(Rejected) as error:
        init_site(settings)
    assert error.value.code == "secret_missing"


def test_a_staging_folder_on_another_file_system_is_refused(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")
    if elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.fail("this test needs /dev/shm on a file system of its own")
    staging = elsewhere / f"inbox-pipeline-{os.getpid()}-{tmp_path.name}"
    settings = read_settings({"INBOX_PIPELINE_STAGING_PATH": str(staging)}, home=tmp_path / "home")
    try:
        with pytest.raises(Rejected) as error:
            init_site(settings)
        assert error.value.code == "staging_elsewhere"
    finally:
        settings.staging_path.rmdir()
