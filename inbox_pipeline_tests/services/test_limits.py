"""What is tried again and for how long, files that kill workers, and locks that dead attempts have left."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inbox_pipeline.errors import Rejected, Unavailable
from inbox_pipeline.services import anonymize, care, commit, label_lock, queue, requests, scan, steps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.ending import SETBACK_LIMIT, pause_before
from inbox_pipeline.services.site import Site, open_site
from inbox_pipeline.store import staging
from inbox_pipeline.store.catalog import requests as rows_of
from inbox_pipeline.store.inbox import InboxFolder
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.services.crashing import Crash, bury
from inbox_pipeline_tests.services.importing import file, ledger


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(care, "RETRY_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(label_lock, "WAIT_SECONDS", 0.0)


@pytest.fixture
def folder(site: Site) -> Path:
    return session_folder(site.settings.inbox_path / "P" / "visit", files=4)


def run(site: Site, request_id: int, run_id: str) -> None:
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id=run_id)


def killed(site: Site, request_id: int, run_id: str) -> None:
    """Run a request in a process of its own, which must be killed on the way, and bury it."""
    site.catalog.dispose()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            run(open_site(site.settings), request_id, run_id)
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    bury(site, request_id)


Poison = Callable[..., None]


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    """Make files of some names kill whoever works on them in a step."""

    def poisoned(step: str, *names: str) -> None:
        def die(source_path: bytes) -> None:
            if os.fsdecode(source_path) in names:
                os.kill(os.getpid(), signal.SIGKILL)

        if step == "scan":
            real_examine = scan.examine

            def examine(folder: InboxFolder, entry: Any, asked: Any) -> dict[str, Any]:
                if entry.kind == "file":
                    die(entry.source_path)
                return real_examine(folder, entry, asked)

            monkeypatch.setattr(scan, "examine", examine)
        else:
            real_of = anonymize.Source.of

            def of(row: Any) -> Any:
                die(row["source_path"])
                return real_of(row)

            monkeypatch.setattr(anonymize.Source, "of", of)

    return poisoned


@pytest.mark.parametrize("step", ["scan", "anonymize"])
def test_files_at_which_two_workers_died_are_held_and_the_rest_goes_on(
    site: Site, admin: Account, folder: Path, poison: Poison, step: str
) -> None:
    request_id = file(site, admin, folder, cleanupAfterImport="true")
    poison(step, "s1-2.dcm", "s1-3.dcm")
    for number in range(4):
        killed(site, request_id, f"run{number}")
    run(site, request_id, "last")
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["outcome"], answer["attempt"]) == ("Completed", "partial", 5)
    assert answer["files"]["by_reason"] == {"archived": 2, "kills_worker": 2}
    found = ledger(site, admin, request_id)
    assert [found[f"s1-{n}.dcm"]["reason"] for n in (2, 3)] == ["kills_worker"] * 2
    assert sorted(path.name for path in folder.iterdir()) == ["s1-2.dcm", "s1-3.dcm"]


def test_a_retry_gives_a_deadly_file_another_chance(
    site: Site, admin: Account, folder: Path, poison: Poison, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = file(site, admin, folder)
    with monkeypatch.context():
        poison("anonymize", "s1-2.dcm")
        killed(site, request_id, "run1")
        killed(site, request_id, "run2")
    monkeypatch.undo()
    run(site, request_id, "run3")
    requests.retry(site, admin, request_id)
    run(site, request_id, "run4")
    answer = requests.request_json(site, request_id, admin)
    assert (answer["outcome"], answer["files"]["by_reason"]) == ("complete", {"archived": 4})


def test_a_worker_that_dies_between_files_says_nothing_against_any(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = file(site, admin, folder)

    def die(_self: staging.Staging) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(staging.Staging, "sync", die)
        killed(site, request_id, "run1")
        killed(site, request_id, "run2")
    run(site, request_id, "run3")
    assert requests.request_json(site, request_id, admin)["outcome"] == "complete"


class Failing:
    """Fails with a system error as often as told, then works."""

    def __init__(self, real: Callable[..., Any], code: int, times: int) -> None:
        self.real, self.code, self.times = real, code, times

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.times > 0:
            self.times -= 1
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*args, **kwargs)


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENOSPC])
def test_a_transient_error_of_the_storage_is_waited_for(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    request_id = file(site, admin, folder)
    monkeypatch.setattr(anonymize, "replace_part", Failing(anonymize.replace_part, code, 2))
    run(site, request_id, "run")
    answer = requests.request_json(site, request_id, admin)
    assert (answer["outcome"], answer["attempt"]) == ("complete", 1)


def test_one_that_stays_gives_the_worker_back_with_longer_pauses_and_ends_in_the_end(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = file(site, admin, folder)
    monkeypatch.setattr(anonymize, "replace_part", Failing(anonymize.replace_part, errno.ENOSPC, 10**6))
    pauses = []
    for number in range(SETBACK_LIMIT):
        with pytest.raises(Unavailable):
            run(site, request_id, f"run{number}")
        answer = requests.request_json(site, request_id, admin)
        pauses += [round(-waiting.seconds) for waiting in queue.queued_since(site)]
        if number < SETBACK_LIMIT - 1:
            assert (answer["status"], answer["reason"]) == ("Queued", "storage_failed")
    assert pauses[:4] == [5, 10, 20, 40]
    assert max(pauses) <= 300
    assert (answer["status"], answer["reason"]) == ("Failed", "storage_failed")
    assert "(ENOSPC)" in answer["verdict"]
    assert list(site.settings.staging_path.iterdir()) != []


def test_a_permanent_error_ends_the_request_at_once(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = file(site, admin, folder)
    monkeypatch.setattr(anonymize, "replace_part", Failing(anonymize.replace_part, errno.EROFS, 1))
    with pytest.raises(Rejected):
        run(site, request_id, "run")
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["reason"], answer["attempt"]) == ("Failed", "storage_failed", 1)
    assert list(site.settings.staging_path.iterdir()) == []


def test_a_database_that_is_away_is_waited_for(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = file(site, admin, folder)
    away = iter([True, True])

    def update(*args: Any) -> None:
        if next(away, False):
            raise Unavailable("catalog_unavailable", "", "")
        real(*args)

    real = anonymize.ledger.update_rows
    monkeypatch.setattr(anonymize.ledger, "update_rows", update)
    run(site, request_id, "run")
    assert requests.request_json(site, request_id, admin)["outcome"] == "complete"


@pytest.mark.parametrize(("code", "reason"), [(errno.ESTALE, "archived"), (errno.EACCES, "unreadable")])
@pytest.mark.parametrize("step", ["scan", "anonymize"])
def test_a_source_that_is_away_for_a_moment_is_read_again(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, reason: str
) -> None:
    request_id = file(site, admin, folder)
    if step == "anonymize":
        steps.run_step(site, request_id, "validate", run_id="run")
    real, failures = InboxFolder.open, iter(range(2))

    @contextlib.contextmanager
    def opened(self: InboxFolder, source_path: bytes) -> Iterator[Any]:
        if source_path == b"s1-2.dcm" and next(failures, None) is not None:
            raise OSError(code, os.strerror(code))
        with real(self, source_path) as stream:
            yield stream

    monkeypatch.setattr(InboxFolder, "open", opened)
    run(site, request_id, "run")
    assert ledger(site, admin, request_id)["s1-2.dcm"]["reason"] == reason


def crashed_in_commit(site: Site, request_id: int, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request die in the commit: with the lock alone, or with its intent durable."""
    name = {"locked": "_build", "intended": "_show"}[when]

    def crash(*_args: Any, **_kwargs: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(commit, name, crash)
        with pytest.raises(Crash):
            run(site, request_id, f"dead{request_id}")


def test_a_lock_without_an_intent_holds_nobody_up(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = file(site, admin, folder, overwrite="append")
    crashed_in_commit(site, first, "locked", monkeypatch)
    other = session_folder(site.settings.inbox_path / "P" / "other", files=6)
    second = file(site, admin, other, overwrite="append")
    with pytest.raises(Unavailable, match="Another request"):
        run(site, second, "early")
    bury(site, first)
    run(site, second, "run2")
    run(site, first, "run1")
    answers = [requests.request_json(site, request_id, admin) for request_id in (first, second)]
    assert [answer["files"]["by_reason"] for answer in answers] == [{"duplicate_archived": 4}, {"archived": 6}]


def test_an_intent_is_waited_for_outside_the_worker(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = file(site, admin, folder, overwrite="append")
    crashed_in_commit(site, first, "intended", monkeypatch)
    bury(site, first)
    other = session_folder(site.settings.inbox_path / "P" / "other", files=6)
    second = file(site, admin, other, overwrite="append")
    for number in range(SETBACK_LIMIT + 1):
        with pytest.raises(Unavailable, match="Another request"):
            run(site, second, f"early{number}")
    waiting = requests.request_json(site, second, admin)
    assert (waiting["status"], waiting["reason"]) == ("Queued", "lock_busy")
    run(site, first, "run1")
    run(site, second, "late")
    answer = requests.request_json(site, second, admin)
    assert answer["files"]["by_reason"] == {"archived": 2, "duplicate_archived": 4}
    assert answer["reason"] == "complete"


def test_pauses_grow_for_errors_and_not_for_deaths() -> None:
    assert [pause_before("storage_failed", alike) for alike in (0, 1, 2, 3, 99)] == [5, 5, 10, 20, 300]
    assert [pause_before("lock_busy", alike) for alike in (1, 9)] == [5, 5]
    assert pause_before("lease_expired", 2) == 0


def test_attempts_that_got_further_do_not_count(site: Site, admin: Account, folder: Path) -> None:
    """A worker that dies after every file it has made durable is tried again without end."""
    for number in range(5, 9):
        save(instance(number=number), folder / f"{number}.dcm")
    request_id = file(site, admin, folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(anonymize, "BATCH_FILES", 1)
        for number in range(6):
            with pytest.raises(Crash):
                _one_file(site, request_id, f"run{number}", patched)
            assert bury(site, request_id) == "queued"
    run(site, request_id, "last")
    with site.catalog.read() as connection:
        row = rows_of.get(connection, request_id)
    assert row is not None
    assert (row["outcome"], row["attempt"]) == ("complete", 7)


def _one_file(site: Site, request_id: int, run_id: str, patched: pytest.MonkeyPatch) -> None:
    """Crash at the second file."""
    real, left = anonymize._Worker.staged, iter([True])

    def staged(self: Any, row: Any) -> dict[str, Any]:
        if next(left, None) is None:
            raise Crash
        return real(self, row)

    with patched.context() as inner:
        inner.setattr(anonymize._Worker, "staged", staged)
        run(site, request_id, run_id)
