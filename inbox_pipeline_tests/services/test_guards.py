"""Guards before the work: a request waits for space, an archive and a clock, says so, and goes on by itself."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from inbox_pipeline.cli.checkup import examine
from inbox_pipeline.errors import InboxError, Unavailable
from inbox_pipeline.services import guards, queue, requests, steps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.ending import SETBACK_LIMIT
from inbox_pipeline.services.guards import MARGIN, Need, Place, Surroundings
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import reserve
from inbox_pipeline.store.catalog import requests as rows_of
from inbox_pipeline.store.catalog import schema
from inbox_pipeline.store.catalog.engine import Catalog
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.importing import file

Usage = namedtuple("Usage", "total used free")
STAGING, CATALOG, DAGSTER = guards.SHORTAGES


class Disks:
    """Says how many bytes are free where; 1 TB where nothing was said."""

    def __init__(self) -> None:
        self.free: dict[Path, int] = {}

    def usage(self, path: Path) -> Usage:
        return Usage(1 << 40, 0, self.free.get(Path(path), 1 << 40))


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> Disks:
    made = Disks()
    monkeypatch.setattr(shutil, "disk_usage", made.usage)
    return made


@pytest.fixture
def request_id(site: Site, admin: Account) -> int:
    return file(site, admin, session_folder(site.settings.inbox_path / "P" / "visit", files=4))


def run(site: Site, request_id: int, run_id: str = "run") -> None:
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id=run_id)


def shown(site: Site, admin: Account, request_id: int) -> tuple[str, str, str | None]:
    answer = requests.request_json(site, request_id, admin)
    return answer["status"], answer["phase"], answer["reason"]


def due(site: Site, request_id: int) -> list[int]:
    """What may start, with every pause over."""
    with site.catalog.write() as connection:
        rows_of.update(connection, request_id, queued_at=0.0)
    return [launch.request_id for launch in queue.due_launches(site, 20)]


def place_of(site: Site, code: str) -> Path:
    folders = {STAGING: site.settings.staging_path, CATALOG: site.settings.home, DAGSTER: site.settings.dagster_home}
    return folders[code]


@pytest.mark.parametrize("code", guards.SHORTAGES)
def test_no_run_is_launched_while_a_disk_is_full_and_one_is_as_soon_as_it_is_not(
    site: Site, admin: Account, request_id: int, disks: Disks, code: str
) -> None:
    disks.free[place_of(site, code)] = MARGIN - 1
    assert due(site, request_id) == []
    assert shown(site, admin, request_id) == ("Queued", "waiting", code)
    disks.free.clear()
    assert due(site, request_id) == [request_id]
    run(site, request_id)
    assert shown(site, admin, request_id) == ("Completed", "done", "complete")


def test_a_request_that_needs_more_than_there_is_waits_after_its_scan(
    site: Site, admin: Account, request_id: int, disks: Disks
) -> None:
    disks.free[site.settings.staging_path] = MARGIN
    steps.run_step(site, request_id, "scan", run_id="first")
    with pytest.raises(Unavailable) as stop:
        steps.run_step(site, request_id, "validate", run_id="first")
    size = requests.request_json(site, request_id, admin)["bytes"]
    assert stop.value.code == STAGING
    files = size + size // guards.GROWTH + 4 * guards.ROWS_PER_FILE
    assert stop.value.data == {"free": MARGIN, "needed": MARGIN + files}
    assert shown(site, admin, request_id) == ("Queued", "waiting", STAGING)
    assert due(site, request_id) == []
    disks.free[site.settings.staging_path] = MARGIN + files
    assert due(site, request_id) == [request_id]
    run(site, request_id, "second")
    assert shown(site, admin, request_id)[0] == "Completed"


def test_waiting_is_no_setback_however_often(site: Site, admin: Account, request_id: int, disks: Disks) -> None:
    disks.free[site.settings.staging_path] = 0
    for number in range(SETBACK_LIMIT + 2):
        with pytest.raises(Unavailable):
            run(site, request_id, f"run-{number}")
    assert shown(site, admin, request_id) == ("Queued", "waiting", STAGING)
    disks.free.clear()
    run(site, request_id, "last")
    assert shown(site, admin, request_id)[0] == "Completed"


def test_a_request_that_waits_holds_nobody_else_up(site: Site, admin: Account, request_id: int, disks: Disks) -> None:
    steps.run_step(site, request_id, "scan", run_id="first")
    disks.free[site.settings.staging_path] = MARGIN
    with pytest.raises(Unavailable):
        steps.run_step(site, request_id, "validate", run_id="first")
    other = file(site, admin, session_folder(site.settings.inbox_path / "P" / "other", study=2))
    assert due(site, request_id) == [other]


def test_a_cancel_reaches_a_request_that_waits(site: Site, admin: Account, request_id: int, disks: Disks) -> None:
    disks.free[site.settings.staging_path] = 0
    assert due(site, request_id) == []
    requests.cancel(site, admin, request_id)
    assert requests.request_json(site, request_id, admin)["outcome"] == "cancelled"


def test_what_an_older_request_has_still_to_write_is_spoken_for(site: Site, admin: Account, request_id: int) -> None:
    steps.run_step(site, request_id, "scan", run_id="older")
    other = file(site, admin, session_folder(site.settings.inbox_path / "P" / "other", study=2, files=2))
    steps.run_step(site, other, "scan", run_id="younger")
    with site.catalog.read() as connection:
        rows = [rows_of.get(connection, number) for number in (request_id, other)]
        files = [guards.need_of(connection, row).files for row in rows if row is not None]
    assert files == [4, 6]


@pytest.mark.parametrize(
    ("devices", "free", "code"),
    [
        ((1, 2, 3), (MARGIN + 102, MARGIN + 2048, MARGIN), None),
        ((1, 2, 3), (MARGIN + 101, MARGIN + 2048, MARGIN), STAGING),
        ((1, 2, 3), (MARGIN + 102, MARGIN + 2047, MARGIN), CATALOG),
        ((1, 2, 3), (MARGIN + 102, MARGIN + 2048, MARGIN - 1), DAGSTER),
        ((1, 1, 1), (MARGIN + 2150,) * 3, None),
        ((1, 1, 1), (MARGIN + 2149,) * 3, STAGING),
    ],
)
def test_places_on_one_file_system_need_its_space_together(
    devices: tuple[int, ...], free: tuple[int, ...], code: str | None
) -> None:
    places = [Place(*each) for each in zip(guards.SHORTAGES, devices, free, strict=True)]
    found = Surroundings(places, True, dt.timedelta(0)).hindrance(Need(1, 100))
    assert (found.code if found else None) == code


def test_an_archive_that_cannot_be_written_is_waited_for(site: Site, admin: Account, request_id: int) -> None:
    away = site.settings.archive_path.with_name("away")
    site.settings.archive_path.rename(away)
    assert due(site, request_id) == []
    assert shown(site, admin, request_id) == ("Queued", "waiting", "archive_not_writable")
    away.rename(site.settings.archive_path)
    assert due(site, request_id) == [request_id]


def set_audit_time(site: Site, moment: dt.datetime) -> None:
    with site.catalog.write() as connection:
        last = sa.select(sa.func.max(schema.audit.c.id)).scalar_subquery()
        connection.execute(sa.update(schema.audit).where(schema.audit.c.id == last).values(at=moment))


def test_a_clock_that_is_behind_is_waited_for_until_it_is_right_or_said_to_be(
    site: Site, admin: Account, request_id: int
) -> None:
    now = dt.datetime.now(dt.UTC)
    set_audit_time(site, now + guards.CLOCK_TOLERANCE - dt.timedelta(minutes=1))
    assert due(site, request_id) == [request_id]
    set_audit_time(site, now + dt.timedelta(days=400))
    assert due(site, request_id) == []
    assert shown(site, admin, request_id) == ("Queued", "waiting", "clock_behind")
    guards.accept_clock(site, "admin")
    assert due(site, request_id) == [request_id]
    set_audit_time(site, now + dt.timedelta(days=400))
    assert due(site, request_id) == []


def test_the_reserve_is_made_once_there_is_space_and_given_up_to_record_a_stop(
    site: Site, disks: Disks, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = site.settings.home
    disks.free[home] = reserve.SIZE + MARGIN - 1
    guards.keep_reserves(site)
    assert not reserve.is_whole(home)
    disks.free.clear()
    guards.keep_reserves(site)
    assert reserve.is_whole(home)
    seen = []

    def write() -> str:
        seen.append(reserve.is_whole(home))
        if seen[-1]:
            raise Unavailable("catalog_unavailable", "full")
        return "written"

    assert guards.recorded(site, write) == "written"
    assert seen == [True, False]


def test_other_errors_and_a_reserve_that_is_gone_already_leave_the_error_as_it_is(site: Site) -> None:
    def fail(code: str) -> Any:
        def write() -> None:
            raise Unavailable(code, "no")

        return write

    with pytest.raises(InboxError, match="no"):
        guards.recorded(site, fail("catalog_unavailable"))
    guards.keep_reserves(site)
    with pytest.raises(InboxError, match="no"):
        guards.recorded(site, fail("storage_failed"))
    assert reserve.is_whole(site.settings.home)


def test_a_catalog_elsewhere_has_a_reserve_beside_it(site: Site, tmp_path: Path) -> None:
    elsewhere = tmp_path / "fast"
    catalog = Catalog(f"sqlite:///{elsewhere / 'catalog.db'}")
    assert guards.reserves(Site(site.settings, catalog, site.secret)) == [site.settings.home, elsewhere]


def test_doctor_names_what_keeps_requests_from_starting(site: Site, disks: Disks) -> None:
    def check() -> dict[str, str]:
        return next(row for row in examine(site.settings) if row["check"] == "guards")

    assert check()["state"] == "good"
    disks.free[site.settings.dagster_home] = 7
    assert check()["state"] == "wrong"
    assert "Dagster" in check()["detail"]
    assert "free 7" in check()["detail"]
