"""Cleanup deletes a source only when its archived bytes are proven and it is what was scanned, and no folder of use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Unavailable
from inbox_pipeline.services import cleanup, label_lock, requests, steps
from inbox_pipeline.services.accounts import Account, get_account
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import filesystem
from inbox_pipeline.store.catalog.schema import session_locks
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.services.crashing import Crash, attempt, bury
from inbox_pipeline_tests.services.importing import file, imported, ledger
from inbox_pipeline_tests.services.states import state_of


def until_cleanup(site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> int:
    """Import a folder with cleanup, and change something once all is archived."""
    request_id = file(site, _admin(site), folder, cleanupAfterImport="true")
    real = cleanup.clean_up

    def changed(*args: Any) -> str:
        change()
        return real(*args)

    monkeypatch.setattr(steps, "clean_up", changed)
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id="run")
    return request_id


def _admin(site: Site) -> Account:
    account = get_account(site, "admin")
    assert account is not None
    return account


@pytest.fixture
def folder(site: Site) -> Path:
    return session_folder(site.settings.inbox_path / "P" / "visit")


def rewritten(path: Path) -> None:
    """Other bytes under the same size and times."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    """The same bytes and times in another file."""
    before, data = path.stat(), path.read_bytes()
    path.with_suffix(".new").write_bytes(data)
    os.utime(path.with_suffix(".new"), ns=(before.st_atime_ns, before.st_mtime_ns))
    path.with_suffix(".new").rename(path)


@pytest.mark.parametrize("change", [rewritten, replaced, lambda path: os.utime(path, ns=(1, 1))])
def test_a_source_that_changed_since_the_scan_stays(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    request_id = until_cleanup(site, folder, monkeypatch, lambda: change(folder / "s1-2.dcm"))
    assert [path.name for path in folder.iterdir()] == ["s1-2.dcm"]
    answer = requests.request_json(site, request_id, admin)
    assert (answer["outcome"], answer["cleanup"]) == ("complete", "partial")
    assert ledger(site, admin, request_id)["s1-2.dcm"]["deleted_at"] is None


@pytest.mark.parametrize("damage", [rewritten, Path.unlink])
def test_a_source_stays_whose_archived_bytes_are_not_there(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    until_cleanup(site, folder, monkeypatch, lambda: damage(next(site.settings.archive_path.rglob("*.2.dcm"))))
    assert [path.name for path in folder.iterdir()] == ["s1-2.dcm"]


def test_folders_go_when_they_are_empty_and_the_requested_one_stays(site: Site, admin: Account) -> None:
    root = site.settings.inbox_path / "P"
    session_folder(root / "a" / "b" / "c", study=1)
    session_folder(root / "kept" / "d", study=2, PatientID="FAKE002")
    (root / "kept" / "note.txt").write_text("hello")
    (root / "empty").mkdir()
    answer = imported(site, admin, root, cleanupAfterImport="true")
    assert answer["files"]["by_reason"] == {"archived": 6, "not_dicom": 1}
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == ["empty", "kept", "kept/note.txt"]
    assert root.is_dir()


def test_nothing_is_deleted_through_a_link(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = session_folder(site.settings.inbox_path / "P" / "visit" / "inner").parent
    save(instance(number=9), folder / "9.dcm")

    def swap() -> None:
        (folder / "inner").rename(tmp_path / "elsewhere")
        (folder / "inner").symlink_to(tmp_path / "elsewhere")

    request_id = until_cleanup(site, folder, monkeypatch, swap)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 3
    assert [path.name for path in folder.iterdir()] == ["inner"]
    assert requests.request_json(site, request_id, _admin(site))["cleanup"] == "partial"


def test_archived_bytes_are_read_past_the_page_cache_once_durable(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []
    real_sync, real_advise = os.fsync, os.posix_fadvise

    def fsync(handle: int) -> None:
        asked.append(("fsync", os.fstat(handle).st_ino))
        real_sync(handle)

    def advise(handle: int, start: int, length: int, advice: int) -> None:
        assert (start, length, advice) == (0, 0, os.POSIX_FADV_DONTNEED)
        asked.append(("advise", os.fstat(handle).st_ino))
        real_advise(handle, start, length, advice)

    def watch() -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "posix_fadvise", advise)

    until_cleanup(site, folder, monkeypatch, watch)
    for path in site.settings.archive_path.rglob("*.dcm"):
        inode = path.stat().st_ino
        assert [name for name, where in asked if where == inode] == ["fsync", "advise"]


def test_cleanup_waits_for_a_session_that_is_between_two_renames(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = session_folder(site.settings.inbox_path / "P" / "late", files=5)
    later = file(site, admin, late, overwrite="append")
    real_rename = Path.rename

    def dies(path: Path, target: Path) -> Path:
        if path.name == "g1" and not target.exists():
            raise Crash
        return real_rename(path, target)

    def take_away() -> None:
        with monkeypatch.context() as patched, pytest.raises(Crash):
            patched.setattr(filesystem, "exchange", lambda _one, _other: False)
            patched.setattr(Path, "rename", dies)
            attempt(site, later, "later", None)
        assert state_of(site, later) == "away"
        assert not list(site.settings.archive_path.rglob("*.dcm"))

    with monkeypatch.context() as patched, pytest.raises(Unavailable) as busy:
        patched.setattr(label_lock, "WAIT_SECONDS", 0.0)
        until_cleanup(site, folder, patched, take_away)
    assert busy.value.code == "lock_busy"
    assert len(list(folder.iterdir())) == 3
    bury(site, later)
    attempt(site, later, "again", None)
    first = later + 1
    steps.run_step(site, first, "archive", run_id="run-2")
    answer = requests.request_json(site, first, admin)
    assert (answer["outcome"], answer["cleanup"]) == ("complete", "done")
    assert list(folder.iterdir()) == []
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(session_locks)).all() == []
