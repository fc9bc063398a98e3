"""Archive files as a request's path: imported as the folder they would be, kept until all of it is archived."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner

from inbox_pipeline.cli import main
from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import cleanup, plan, requests, steps, sweeps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.projects import set_project
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import packed as limits
from inbox_pipeline.store.catalog.leases import Lease
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.packing import (
    KINDS,
    folder_packed,
    packed,
    tarred,
    zeros_tarred,
    zeros_zipped,
    zipped,
)
from inbox_pipeline_tests.services.importing import archived, file, imported, ledger


@pytest.fixture
def project(site: Site) -> Path:
    return site.settings.inbox_path / "P"


def session_packed(path: Path, tmp_path: Path, **values: Any) -> Path:
    return folder_packed(session_folder(tmp_path / "made", **values), path)


def outside(site: Site, tmp_path: Path) -> set[Path]:
    return {path for path in tmp_path.rglob("*") if not path.is_relative_to(site.settings.home)}


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_file_is_imported_and_stays(
    site: Site, admin: Account, project: Path, tmp_path: Path, kind: str
) -> None:
    path = session_packed(project / f"visit{kind}", tmp_path)
    before = path.read_bytes()
    answer = imported(site, admin, path)
    assert (answer["status"], answer["outcome"], answer["sessionPath"]) == ("Completed", "complete", str(path))
    rows = ledger(site, admin, answer["id"])
    assert {name: row["reason"] for name, row in rows.items()} == dict.fromkeys(
        ["s1-1.dcm", "s1-2.dcm", "s1-3.dcm"], "archived"
    )
    for row in rows.values():
        result = pydicom.dcmread(site.settings.archive_path / row["archived_path"])
        assert result.PatientName == "FAKE_PATIENT"
    assert path.read_bytes() == before
    assert sorted(project.iterdir()) == [path]


@pytest.mark.parametrize("kind", KINDS)
def test_cleanup_deletes_an_archive_file_of_which_everything_is_archived(
    site: Site, admin: Account, project: Path, tmp_path: Path, kind: str
) -> None:
    made = session_folder(tmp_path / "made")
    (made / "copy.dcm").write_bytes((made / "s1-1.dcm").read_bytes())
    path = folder_packed(made, project / f"visit{kind}")
    answer = imported(site, admin, path, cleanupAfterImport="true")
    assert (answer["outcome"], answer["cleanup"]) == ("complete", "done")
    assert not path.exists()
    assert all(row["deleted_at"] for row in ledger(site, admin, answer["id"]).values())


def test_an_archive_file_stays_while_one_member_is_not_archived(
    site: Site, admin: Account, project: Path, tmp_path: Path
) -> None:
    made = session_folder(tmp_path / "made")
    (made / "notes.txt").write_text("notes")
    path = folder_packed(made, project / "visit.zip")
    answer = imported(site, admin, path, cleanupAfterImport="true")
    assert (answer["outcome"], answer["cleanup"]) == ("partial", "partial")
    assert path.exists()
    assert not any(row["deleted_at"] for row in ledger(site, admin, answer["id"]).values())


def test_an_archive_file_that_waits_for_review_stays(site: Site, admin: Account, project: Path, tmp_path: Path) -> None:
    path = session_packed(project / "visit.tar", tmp_path)
    set_project(site, "admin", "P", prearchive_code=0)
    answer = imported(site, admin, path, cleanupAfterImport="true")
    assert (answer["cleanup"], path.exists()) == ("pending", True)


def test_an_archive_file_that_was_exchanged_since_the_scan_stays(
    site: Site, admin: Account, project: Path, tmp_path: Path
) -> None:
    path = session_packed(project / "visit.zip", tmp_path)
    request_id = file(site, admin, path, cleanupAfterImport="true")
    for step in steps.STEPS[:-1]:
        steps.run_step(site, request_id, step, run_id="run-1")
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    steps.run_step(site, request_id, "archive", run_id="run-1")
    assert requests.request_json(site, request_id, admin)["cleanup"] == "partial"
    assert path.read_bytes() == data


def test_an_archive_file_that_changes_before_its_members_are_read_again_is_told(
    site: Site, admin: Account, project: Path, tmp_path: Path
) -> None:
    path = session_packed(project / "visit.zip", tmp_path)
    request_id = file(site, admin, path)
    for step in steps.STEPS[:2]:
        steps.run_step(site, request_id, step, run_id="run-1")
    os.utime(path, (1, 1))
    for step in steps.STEPS[2:]:
        steps.run_step(site, request_id, step, run_id="run-1")
    assert {row["reason"] for row in ledger(site, admin, request_id).values()} == {"source_changed"}


def test_a_cleanup_that_died_after_deleting_the_archive_file_ends_as_it_would_have(
    site: Site, admin: Account, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = session_packed(project / "visit.tgz", tmp_path)
    request_id = file(site, admin, path, cleanupAfterImport="true")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cleanup.ledger, "mark_deleted", dies)
        with pytest.raises(KeyboardInterrupt):
            for step in steps.STEPS:
                steps.run_step(site, request_id, step, run_id="run-1")
    assert not path.exists()
    steps.run_step(site, request_id, "archive", run_id="run-1")
    answer = requests.request_json(site, request_id, admin)
    assert (answer["outcome"], answer["cleanup"]) == ("complete", "done")
    assert cleanup.clean_up(site, Lease(request_id, 1, "none", "run-1"), lambda: None) == "done"


def test_archives_within_are_reported_and_not_opened(site: Site, admin: Account, project: Path, tmp_path: Path) -> None:
    made = session_folder(tmp_path / "made")
    inner = zipped([("x.dcm", (made / "s1-1.dcm").read_bytes())])
    for _ in range(10):
        inner = zipped([("inner.zip", inner)])
    (made / "inner.zip").write_bytes(inner)
    answer = imported(site, admin, folder_packed(made, project / "visit.zip"))
    assert answer["files"]["by_reason"] == {"archived": 3, "archive_not_opened": 1}
    assert answer["outcome"] == "partial"
    (folder := project / "folder").mkdir()
    (folder / "inner.zip").write_bytes(inner)
    assert imported(site, admin, folder)["files"]["by_reason"] == {"archive_not_opened": 1}


HOSTILE = {
    "bomb.zip": zeros_zipped(512),
    "bomb.tar.gz": zeros_tarred(512),
    "nested.zip": zipped([("bomb.zip", zeros_zipped(70))]),
    "traversal.zip": zipped([("../../../out.dcm", b"1")]),
    "traversal.tar": tarred([("../../../out.dcm", b"1")]),
    "absolute.zip": zipped([("/tmp/archive_file_out.dcm", b"1")]),
    "absolute.tar": tarred([("/tmp/archive_file_out.dcm", b"1")]),
    "symlink.tar": tarred([("link", b"")], tarfile.SYMTYPE, "/tmp"),
    "hardlink.tar": tarred([("pw", b"")], tarfile.LNKTYPE, "/etc/passwd"),
    "device.tar": tarred([("zero", b"")], tarfile.CHRTYPE),
    "cut.zip": zipped([("a", b"1")])[:-30],
}
REFUSED = {limits.OVER_LIMITS, limits.NAME, limits.LINK, limits.BROKEN, "special_file", "archive_not_opened"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_by_reason_soon_and_write_nothing(
    site: Site, admin: Account, project: Path, tmp_path: Path, name: str
) -> None:
    path = project / name
    path.write_bytes(HOSTILE[name])
    before, began = outside(site, tmp_path), time.monotonic()
    answer = imported(site, admin, path, cleanupAfterImport="true")
    assert time.monotonic() - began < 10
    assert (answer["status"], answer["outcome"]) == ("Failed", "failed")
    assert {row["reason"] for row in ledger(site, admin, answer["id"]).values()} <= REFUSED
    assert answer["files"]["found"] >= 1
    assert outside(site, tmp_path) == before
    assert sorted(project.iterdir()) == [path]
    assert not Path("/tmp/archive_file_out.dcm").exists()
    assert archived(site) == []


def test_a_link_and_files_through_it_are_refused_and_the_rest_is_imported(
    site: Site, admin: Account, project: Path, tmp_path: Path
) -> None:
    data = save(instance(), tmp_path / "1.dcm").read_bytes()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
        archive.addfile(link)
        for name in ("link/evil.dcm", "good.dcm"):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    path = project / "x.tar"
    path.write_bytes(made.getvalue())
    rows = ledger(site, admin, imported(site, admin, path)["id"])
    assert {name: row["reason"] for name, row in rows.items()} == {
        "link": "member_link",
        "link/evil.dcm": "member_name_unsafe",
        "good.dcm": "archived",
    }


def test_no_step_leaves_bytes_that_are_not_anonymized(
    site: Site, admin: Account, project: Path, tmp_path: Path
) -> None:
    path = session_packed(project / "visit.tar.gz", tmp_path)
    request_id = file(site, admin, path)
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id="run-1")
        files = [each for each in site.settings.home.rglob("*") if each.is_file()]
        assert not [each for each in files if b"FAKE^PATIENT" in each.read_bytes()]


def test_the_plan_of_an_archive_file_is_that_of_its_folder(
    site: Site, admin: Account, project: Path, tmp_path: Path
) -> None:
    made = session_folder(project / "visit")
    path = folder_packed(made, project / "visit.tar.xz")
    assert plan.plan(site, admin, str(path), "P") == plan.plan(site, admin, str(made), "P")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("jobs", [1, 2])
def test_anonymize_makes_of_an_archive_file_what_it_makes_of_its_folder(tmp_path: Path, kind: str, jobs: int) -> None:
    made = session_folder(tmp_path / "made", files=5)
    path = folder_packed(made, tmp_path / f"visit{kind}")
    for source, target in ((made, "one"), (path, "two")):
        report = tmp_path / f"{target}.jsonl"
        arguments = ["anonymize", source, tmp_path / target, "--report", report, "--jobs", jobs]
        arguments += ["--policy", "none"]
        assert CliRunner().invoke(main, [str(each) for each in arguments]).exit_code == 0
    one, two = (
        [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()] for name in ("one", "two")
    )
    assert one == two
    assert {row["disposition"] for row in one} == {"archived"}


def test_a_preview_shows_what_is_in_an_archive_file(tmp_path: Path) -> None:
    script = tmp_path / "script.das"
    script.write_text('version "6.3"\n(0010,0010) := "NOBODY"\n')
    path = session_packed(tmp_path / "visit.zip", tmp_path)
    done = CliRunner().invoke(main, ["script", "preview", str(script), str(path)])
    assert done.exit_code == 0, done.output
    assert "NOBODY" in done.output


def test_a_quiet_archive_file_is_swept_once(site: Site, admin: Account, project: Path, tmp_path: Path) -> None:
    set_project(site, "admin", "P", sweep_user="admin", sweep=True, quiet_seconds=60.0)
    path = session_packed(project / "visit.zip", tmp_path)
    (project / "notes.txt").write_text("notes")

    def filed(now: float) -> list[int]:
        return [number for report in sweeps.sweep_all(site, now) for number in report.request_ids]

    assert filed(4e9) == []
    os.utime(path, (1, 1))
    assert filed(4e9 + 61) == []
    assert filed(4e9 + 122) == [1]
    assert filed(4e9 + 200) == []
    for step in steps.STEPS:
        steps.run_step(site, 1, step, run_id="run-1")
    answer = requests.request_json(site, 1, admin)
    assert (answer["sessionPath"], answer["outcome"]) == (str(path), "complete")


def test_what_is_refused_at_the_door(site: Site, admin: Account, project: Path, tmp_path: Path) -> None:
    (site.settings.inbox_path / "x.zip").write_bytes(zipped([]))
    link = project / "link.zip"
    link.symlink_to(packed(tmp_path / "away.zip", []))
    os.mkfifo(project / "pipe.zip")
    for path, code in (
        (site.settings.inbox_path / "x.zip", "inbox_project_denied"),
        (link, "path_outside_inbox"),
        (project / "pipe.zip", "folder_unreadable"),
    ):
        with pytest.raises(Rejected) as caught:
            file(site, admin, path)
        assert caught.value.code == code


def test_a_run_that_cannot_open_the_archive_file_ends_with_a_sentence(
    site: Site, admin: Account, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = file(site, admin, session_packed(project / "visit.tar.zst", tmp_path))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(Rejected) as caught:
        steps.run_step(site, request_id, "scan", run_id="run-1")
    assert caught.value.code == "archive_file_not_supported"
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["reason"]) == ("Failed", "archive_file_not_supported")


def test_a_folder_that_is_named_as_an_archive_file_is_a_folder(site: Site, admin: Account, project: Path) -> None:
    assert imported(site, admin, session_folder(project / "visit.zip"))["outcome"] == "complete"
