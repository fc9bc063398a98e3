"""What anonymization scripts do within an import: versions kept, files held or dropped, references that follow."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pydicom
import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import projects, queue, scripts, steps
from inbox_pipeline.services.accounts import Account, create_user
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import audit, sessions
from inbox_pipeline_tests.data_for_tests import ROOT
from inbox_pipeline_tests.services.importing import (
    archived,
    file,
    imported,
    ledger,
    references,
    related_folder,
    unresolved,
)

IMAGES_ONLY = """version "6.4"
if ( (0008,0060) = "CT" ) {
    (0008,0018) := %s
    (0020,000E) := hashUID[(0020,000E)]
    (0020,000D) := hashUID[(0020,000D)]
    (0020,0052) := hashUID[(0020,0052)]
}
"""


@pytest.fixture
def folder(site: Site) -> Path:
    return related_folder(site.settings.inbox_path / "P" / "visit")


@pytest.mark.parametrize("new", ["hashUID[(0008,0018)]", "newUID[]", 'mapUID[(0008,0018), "1.2.3"]'])
def test_references_follow_a_uid_that_a_script_replaces(site: Site, admin: Account, folder: Path, new: str) -> None:
    sources = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    assert unresolved(sources) == set()
    scripts.store_script(site, "admin", IMAGES_ONLY % new)
    answer = imported(site, admin, folder)
    assert answer["files"]["by_disposition"] == {"archived": 6}
    after = archived(site)
    assert unresolved(after) == set()
    uids = {str(dataset.SOPInstanceUID) for dataset in after if dataset.Modality == "CT"}
    assert uids.isdisjoint(str(dataset.SOPInstanceUID) for dataset in sources)
    count = sum(1 for dataset in sources for _ in references(dataset))
    assert sum(1 for dataset in after for _ in references(dataset)) == count > 15


def test_what_a_script_sets_is_not_exchanged(site: Site, admin: Account, folder: Path) -> None:
    text = IMAGES_ONLY % "hashUID[(0008,0018)]" + f'*/(0008,1155) ?= "{ROOT}.1.1.1"\n'
    scripts.store_script(site, "admin", text)
    imported(site, admin, folder)
    found = {uid for dataset in archived(site) for tag, uid in references(dataset) if tag == 0x00081155}
    assert found == {f"{ROOT}.1.1.1"}


def test_new_uids_are_the_same_at_a_retry_and_differ_between_files(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.1"\n(0008,0018) := newUID[]\n(0018,1030) := newUID[]\n')
    first = imported(site, admin, folder)
    before = {row["source_sha256"]: row["archived_sha256"] for row in ledger(site, admin, first["id"]).values()}
    assert len({str(dataset.SOPInstanceUID) for dataset in archived(site)} | {"x"}) == 7
    assert all(dataset.ProtocolName != dataset.SOPInstanceUID for dataset in archived(site))
    second = imported(site, admin, session_again(site, folder), EXPT_LABEL="again")
    after = {row["source_sha256"]: row["archived_sha256"] for row in ledger(site, admin, second["id"]).values()}
    assert after == before


def session_again(site: Site, folder: Path) -> Path:
    other = site.settings.inbox_path / "P" / "again"
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    return other


def test_a_session_keeps_the_script_version_it_began_with(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.1"\n(0008,1030) := "FIRST"\n')
    request_id = file(site, admin, folder)
    for step in steps.STEPS[:3]:
        steps.run_step(site, request_id, step, run_id="run-1")
    scripts.store_script(site, "admin", 'version "6.1"\n(0008,1030) := "SECOND"\n')
    expire(site, request_id)
    (lost,) = queue.expired(site)
    assert queue.requeue(site, lost) == "queued"
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id="run-2")
    assert {dataset.StudyDescription for dataset in archived(site)} == {"FIRST"}
    with site.catalog.read() as connection:
        (kept,) = connection.execute(sa.select(sessions.c.scripts)).scalars()
    assert [(each["id"], each["scope"]) for each in kept] == [(2, "site")]


def expire(site: Site, request_id: int) -> None:
    from inbox_pipeline.store.catalog import requests as rows_of

    with site.catalog.write() as connection:
        rows_of.update(connection, request_id, lease_until=1.0)


def test_site_and_project_script_are_recorded_in_order(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", '(0008,0090) := "4.2"\n', "P")
    imported(site, admin, folder)
    for dataset in archived(site):
        codes = [(code.CodeValue, code.CodeMeaning) for code in dataset.DeidentificationMethodCodeSequence]
        assert codes == [("1", "XNAT DicomEdit 6 Script"), ("2", "XNAT DicomEdit 4 Script")]
        assert dataset.ReferringPhysicianName == "4.2"


def test_prevent_anon_runs_no_script_and_is_audited(site: Site, folder: Path) -> None:
    owner = create_user(site, "admin", "owner", "a good password")
    projects.set_member(site, "admin", "P", "owner", "owner")
    before = {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    answer = imported(site, owner, folder, prevent_anon="true")
    assert answer["outcome"] == "complete"
    after = archived(site)
    assert {str(dataset.PatientName) for dataset in after} == {"FAKE^PATIENT"}
    assert not any("DeidentificationMethodCodeSequence" in dataset for dataset in after)
    assert {row["source_sha256"] for row in ledger(site, owner, answer["id"]).values()} == before
    with site.catalog.read() as connection:
        query = sa.select(audit.c.actor, audit.c.detail).where(audit.c.action == "request.file")
        ((actor, detail),) = connection.execute(query).all()
    assert (actor, detail["prevent_anon"]) == ("owner", True)


def test_an_owner_who_lost_the_right_meanwhile_imports_nothing(site: Site, folder: Path) -> None:
    owner = create_user(site, "admin", "owner", "a good password")
    projects.set_member(site, "admin", "P", "owner", "owner")
    request_id = file(site, owner, folder, prevent_anon="true")
    projects.set_member(site, "admin", "P", "owner", "member")
    with pytest.raises(Rejected) as refused:
        steps.run_step(site, request_id, "scan", run_id="run-1")
    assert refused.value.code == "rights_gone"


SILENT = 'version "6.1"\n(0008,0090) := (0008,1048)\n'


def test_an_assignment_of_nothing_is_a_warning_in_the_ledger(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", SILENT)
    answer = imported(site, admin, folder)
    assert answer["outcome"] == "complete"
    for row in ledger(site, admin, answer["id"]).values():
        assert (row["disposition"], row["warnings"]) == ("archived", 1)
        sentence = "site script 2, line 2: there is no value to assign; (0008,0090) was left as it is"
        assert row["detail"] == sentence


def test_a_strict_project_holds_files_on_which_a_line_had_no_effect(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", SILENT)
    projects.set_project(site, "admin", "P", strict_script=True)
    answer = imported(site, admin, folder)
    assert (answer["outcome"], answer["files"]["by_reason"]) == ("failed", {"script_no_effect": 6})
    assert {row["disposition"] for row in ledger(site, admin, answer["id"]).values()} == {"held"}
    assert len(list(folder.iterdir())) == 6


def test_a_rejection_excludes_the_file_and_nothing_else(site: Site, admin: Account, folder: Path) -> None:
    scripts.store_script(site, "admin", 'version "6.6"\n(0008,0060) = "SR" ? reject[]\n')
    answer = imported(site, admin, folder, cleanupAfterImport="true")
    assert answer["files"]["by_disposition"] == {"archived": 5, "excluded": 1}
    assert answer["outcome"] == "complete"
    row = ledger(site, admin, answer["id"])["a.dcm"]
    assert (row["reason"], row["detail"], row["archived_path"]) == ("script_rejected", "site script 2", None)
    assert [path.name for path in folder.iterdir()] == ["a.dcm"]
