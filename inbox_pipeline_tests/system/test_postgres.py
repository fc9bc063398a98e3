"""The catalog on PostgreSQL does what it does on SQLite."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import (
    browse,
    fixity,
    guards,
    prearchive,
    queue,
    reading,
    requests,
    routing,
    scripts,
    steps,
    sweeps,
    undo,
)
from inbox_pipeline.services.accounts import Account, create_user
from inbox_pipeline.services.projects import create_project, set_project, set_site
from inbox_pipeline.services.scripts import ensure_default_script
from inbox_pipeline.services.site import Site, init_site
from inbox_pipeline.services.verify import verify
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog.conditions import Comparison, Joined
from inbox_pipeline.store.catalog.schema import identifier_digests, metadata
from inbox_pipeline.store.catalog.views import Wanted
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.crowd import crowd
from inbox_pipeline_tests.services.importing import imported

pytestmark = pytest.mark.system


@pytest.fixture
def pg_site(postgres_url: str, tmp_path: Path) -> Site:
    site = init_site(read_settings({"INBOX_PIPELINE_DATABASE_URL": postgres_url}, home=tmp_path / "home"))
    ensure_default_script(site)
    set_site(site, "system", policy="none")
    create_project(site, "system", "P")
    return site


@pytest.fixture
def owner(pg_site: Site) -> Account:
    return create_user(pg_site, "system", "admin", "a good password", admin=True)


def test_the_migrations_make_the_tables_that_the_code_expects(pg_site: Site) -> None:
    with pg_site.catalog.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_an_import_with_cleanup_an_expired_attempt_and_a_sweep(pg_site: Site, owner: Account) -> None:
    site = pg_site
    folder = session_folder(site.settings.inbox_path / "P" / "visit")
    pairs = [("path", str(folder)), ("PROJECT_ID", "P"), ("cleanupAfterImport", "true")]
    request_id = requests.file_request(site, owner, pairs).request_id
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run-1")
    from inbox_pipeline.store.catalog import requests as rows_of

    with site.catalog.write() as connection:
        rows_of.update(connection, request_id, lease_until=1.0)
    (item,) = queue.expired(site)
    assert queue.requeue(site, item) == "queued"
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id="run-2")
    answer = requests.request_json(site, request_id, owner)
    assert (answer["outcome"], answer["cleanup"], answer["attempt"]) == ("complete", "done", 2)
    assert len(list(requests.ledger_rows(site, request_id, owner))) == 3
    set_project(site, "admin", "P", sweep_user="admin", sweep=True, quiet_seconds=1.0)
    session_folder(site.settings.inbox_path / "P" / "next", study=2)
    sweeps.sweep_all(site, 4e9)
    assert [id_ for report in sweeps.sweep_all(site, 4e9 + 2) for id_ in report.request_ids] == [2]


def test_the_archive_is_browsed(pg_site: Site, owner: Account) -> None:
    site, inbox = pg_site, pg_site.settings.inbox_path
    for study in (1, 2):
        folder = session_folder(inbox / "P" / f"s{study}", study=study, SeriesDescription="T1")
        imported(site, owner, folder, EXPT_LABEL=f"E{study}")
    for wanted, count in (
        (Wanted(), 2),
        (Wanted({"accession": ["inbox_e00001"]}), 1),
        (Wanted({"label": ["*"], "project_id": ["p"], "xsi_type": ["xnat:MR%"]}), 2),
        (Wanted({"study_uid": ["*.2"]}, order=["-date", "label"]), 1),
        (Wanted(days=(dt.date(2020, 1, 3), dt.date(2020, 1, 3))), 1),
        (Wanted(condition=Comparison("date", ">", dt.date(2020, 1, 2))), 1),
        (Wanted(condition=Comparison("time", "<=", dt.time(23))), 2),
        (Wanted(condition=Comparison("created_at", "<=", dt.date.max)), 2),
        (Wanted(condition=Joined(False, (Comparison("label", "LIKE", "e1"), Comparison("label", "IS NULL")))), 1),
        (Wanted(days=(dt.date(2019, 1, 3), dt.date(2019, 1, 4))), 0),
    ):
        assert browse.list_sessions(site, owner, wanted).total == count
    page = browse.list_sessions(site, owner, Wanted(limit=1, offset=1, order=["-date"]), by_scan=True)
    assert (page.total, [row["scan_frames"] for row in page.rows]) == (2, [3])
    session = browse.find_session(site, owner, "INBOX_E00001")
    scans = browse.choose_scans(site, session, "T1")
    files = browse.list_files(site, session, scans, Wanted(limit=2))
    assert (files.total, len(files.rows)) == (3, 2)
    with reading.open_files(site, session["id"], [scans[0]["id"]]).folder as folder:
        assert all(folder.holds(row["path"], row["sha256"]) for row in files.rows)
    assert browse.count_types(site, owner) == {("P", "xnat:mrSessionData"): 2}


def test_guards_an_undo_a_restoration_and_a_reading(pg_site: Site, owner: Account) -> None:
    site = pg_site
    before = imported(site, owner, session_folder(site.settings.inbox_path / "P" / "visit"))
    with site.catalog.read() as connection:
        surroundings = guards.look(site, connection)
    assert {place.code for place in surroundings.places} == {"space_for_staging", "space_for_dagster"}
    assert guards.reserves(site) == [site.settings.home]
    now = dt.datetime.now(dt.UTC)
    assert fixity.standing(site, now) == fixity.Standing(0, 0)
    next(site.settings.archive_path.rglob("*.dcm")).with_name("stray.dcm").write_bytes(b"")
    assert list(fixity.check_part(site, now).damaged) == ["INBOX_E00001"]
    assert fixity.standing(site, now).damaged == 1
    next(site.settings.archive_path.rglob("stray.dcm")).unlink()
    assert undo.undo(site, owner, before["id"])["sessions"][0]["state"] == "WITHDRAWN"
    assert fixity.check_part(site, now + dt.timedelta(days=1)).damaged == {}
    undo.restore(site, owner, before["id"])
    assert requests.request_json(site, before["id"], owner) == {
        **before,
        "timestamp": requests.request_json(site, before["id"], owner)["timestamp"],
    }
    assert verify(site).differences == []


@pytest.mark.parametrize("scope", [None, "P"])
def test_versions_of_scripts_with_writers_at_the_same_time(pg_site: Site, scope: str | None) -> None:
    start = len(scripts.script_versions(pg_site, scope))
    texts = [f'version "6.3"\n(0010,0010) := "{number}"\n' for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: scripts.store_script(pg_site, "root", text, scope), texts))
    found = scripts.script_versions(pg_site, scope)
    assert [row["version"] for row in found] == list(range(start + 8, 0, -1))
    assert not any(row["removed"] or row["has_lookup"] for row in found)
    scripts.store_script(pg_site, "root", None, scope, lookup="pid/1 = Müller\n")
    stored = scripts.active_script(pg_site, scope)
    assert stored is not None
    assert (stored.lookup, stored.enabled) == ("pid/1 = Müller\n", True)
    if scope:
        scripts.remove_script(pg_site, "root", scope)
        assert scripts.script_versions(pg_site, scope)[0]["removed"] is True


def test_twenty_requests_at_once_into_three_sessions_make_the_union(pg_site: Site, owner: Account) -> None:
    crowd(pg_site, owner, workers=10)


def test_rules_name_sessions_and_digests_judge_their_later_labels(pg_site: Site, owner: Account) -> None:
    site = pg_site
    set_project(site, "admin", "P", policy="basic", prearchive_code=0)
    for text in ("(0008,1030):x(.)", "(0010,4000):visit (\\w+)"):
        routing.set_rules(site, "admin", "session", text)
    assert [row["version"] for row in routing.rule_versions(site, "session")] == [2, 1]
    folder = session_folder(site.settings.inbox_path / "P" / "visit", PatientID="WOODS77", PatientComments="visit V1")
    (session,) = imported(site, owner, folder)["sessions"]
    assert (session["session"], session["identified"]["session"]["rule"]) == ("V1", "routing")
    place = prearchive.Place(*session["uri"].split("/")[4:7])
    with pytest.raises(Rejected) as error:
        prearchive.archive(site, owner, place, prearchive.Wish(session_label="woods77_mr"))
    assert error.value.code == "label_identifies"
    request_id = prearchive.archive(site, owner, place, prearchive.Wish(session_label="V2"))
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id="run-archive")
    assert requests.request_json(site, request_id, owner)["sessions"][0]["session"] == "V2"
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(identifier_digests)).scalar_one() > 5
