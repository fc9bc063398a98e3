"""The linking table: written on demand, apart from the catalog, private, and never read unseen."""

from __future__ import annotations

import csv
import io
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from inbox_pipeline.cli import main
from inbox_pipeline.errors import Rejected, Unavailable
from inbox_pipeline.services import projects
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.linking import linked
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import audit
from inbox_pipeline_tests.services.identifying import WHO, basic, originals, uids, visit
from inbox_pipeline_tests.services.importing import archived, imported


def links(site: Site, kind: str) -> dict[str, str]:
    return {row["id_old"]: row["id_new"] for row in linked(site, "admin", "P") if row["kind"] == kind}


@pytest.fixture
def folder(site: Site) -> Path:
    basic(site)
    projects.set_project(site, "admin", "P", linking_table=True)
    return visit(site.settings.inbox_path / "P" / "visit")


def test_every_identifier_leads_to_its_pseudonym(site: Site, admin: Account, folder: Path) -> None:
    answer = imported(site, admin, folder)
    assert answer["outcome"] == "complete"
    assert links(site, "patient") == {WHO["PatientID"]: archived(site)[0].PatientID}
    assert uids(originals(folder)) <= links(site, "uid").keys()
    assert uids(archived(site)) <= set(links(site, "uid").values())
    assert {row["request_id"] for row in linked(site, "admin", "P")} == {answer["id"]}


def test_it_lies_apart_and_is_private(site: Site, admin: Account, folder: Path) -> None:
    imported(site, admin, folder)
    path = site.settings.home / "linking" / "P.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert WHO["PatientID"].encode() not in site.settings.home.joinpath("catalog.db").read_bytes()


def test_it_is_off_unless_asked_for(site: Site, admin: Account) -> None:
    basic(site)
    assert imported(site, admin, visit(site.settings.inbox_path / "P" / "visit"))["outcome"] == "complete"
    assert not (site.settings.home / "linking").exists()
    assert linked(site, "admin", "P") == []


def test_every_reading_is_audited(site: Site, admin: Account, folder: Path) -> None:
    imported(site, admin, folder)
    linked(site, "somebody", "P")
    with site.catalog.read() as connection:
        query = sa.select(audit.c.actor, audit.c.object, audit.c.detail).where(audit.c.action == "linking.read")
        assert connection.execute(query).all() == [("somebody", "P", {})]
    with pytest.raises(Rejected) as refused:
        linked(site, "somebody", "nothing")
    assert refused.value.code == "project_not_found"


def test_the_bytes_are_the_same_with_and_without_it(site: Site, admin: Account, folder: Path) -> None:
    imported(site, admin, folder, EXPT_LABEL="one", SUBJECT_ID="S")
    projects.set_project(site, "admin", "P", linking_table=False)
    imported(site, admin, folder, EXPT_LABEL="two", SUBJECT_ID="S")
    made: dict[str, set[bytes]] = {}
    for path in site.settings.archive_path.rglob("*.dcm"):
        made.setdefault(path.name, set()).add(path.read_bytes().replace(b"one", b"two"))
    assert {len(contents) for contents in made.values()} == {1}


def test_a_table_that_cannot_be_written_stops_the_import(site: Site, admin: Account, folder: Path) -> None:
    (site.settings.home / "linking").write_text("in the way")
    with pytest.raises(Unavailable) as failed:
        imported(site, admin, folder)
    assert failed.value.code == "storage_failed"
    assert not list(site.settings.archive_path.rglob("*.dcm"))


def test_the_command_switches_it_and_writes_csv(site: Site, admin: Account) -> None:
    basic(site)
    home = ("--home", str(site.settings.home))
    assert CliRunner().invoke(main, ["project", "set", "P", "--linking-table", "on", *home]).exit_code == 0
    imported(site, admin, visit(site.settings.inbox_path / "P" / "visit"))
    done = CliRunner().invoke(main, ["project", "linking", "P", "--csv", *home])
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["kind"] for row in rows} == {"patient", "uid"}
    assert next(row["id_old"] for row in rows if row["kind"] == "patient") == WHO["PatientID"]
    assert CliRunner().invoke(main, ["project", "linking", "Q", "--csv", *home]).exit_code == 7
