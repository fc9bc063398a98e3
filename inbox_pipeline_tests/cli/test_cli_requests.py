"""Client commands against a real web process; the requests' work is done here, by the services that a run calls."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from inbox_pipeline.errors import InboxError
from inbox_pipeline.services import accounts, requests, steps
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.cli.conftest import Run
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.server_for_tests import web_process

pytestmark = pytest.mark.services
PASSWORD = "a good password"


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    """The address of the site's web process."""
    with web_process(site.settings.home) as address:
        yield address


@pytest.fixture
def as_admin(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("URL", url), ("USER", "admin"), ("PASSWORD", PASSWORD)):
        monkeypatch.setenv(f"INBOX_PIPELINE_{name}", value)


@pytest.fixture
def folder(site: Site) -> Path:
    return session_folder(site.settings.inbox_path / "P" / "visit")


def work(site: Site, request_id: int) -> None:
    """Do what a run does."""
    with suppress(InboxError):
        for step in steps.STEPS:
            steps.run_step(site, request_id, step, run_id=f"run-{request_id}")


@pytest.mark.usefixtures("as_admin")
def test_import_files_a_request_and_status_shows_it(run: Run, site: Site, folder: Path) -> None:
    done = run("import", folder, "--project", "P", "--json")
    assert done.exit_code == 0
    request = json.loads(done.stdout)
    assert (request["id"], request["status"], request["outcome"]) == (1, "Queued", None)
    again = json.loads(run("import", folder, "--project", "P", "--json").stdout)
    assert again["id"] == 1
    assert run("import", folder, "--project", "P").stdout.startswith("request 1: Queued, queued")
    work(site, 1)
    shown = json.loads(run("status", "1", "--json").stdout)
    assert (shown["status"], shown["outcome"]) == ("Completed", "complete")
    lines = run("status", "1").stdout.splitlines()
    assert lines[:2] == ["request 1: Completed, complete", shown["verdict"]]
    assert lines[-5:] == [
        "  P/FAKE_PATIENT/FAKE001: 3 files, ARCHIVED  /data/experiments/INBOX_E00001",
        "    project: parameter",
        "    subject: patient_name (0010,0010); else session_label",
        "    session: patient_id (0010,0020); else fallback",
        "    identifiers_left: 3",
    ]


@pytest.mark.usefixtures("as_admin")
def test_labels_cleanup_and_a_relative_path_are_passed_on(
    run: Run, site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    options = ("--subject", "S1", "--session", "E1", "--cleanup", "--overwrite", "none")
    request = json.loads(run("import", "visit", "--project", "P", *options, "--json").stdout)
    assert request["sessionPath"] == str(folder)
    assert request["cleanupAfterImport"] is True
    work(site, request["id"])
    request = json.loads(run("status", request["id"], "--json").stdout)
    assert (request["sessions"][0]["subject"], request["sessions"][0]["session"]) == ("S1", "E1")
    assert request["cleanup"] == "done"
    assert not list(folder.iterdir())


@pytest.mark.usefixtures("as_admin")
def test_overwrite_adds_to_the_session_that_is_there(run: Run, site: Site, folder: Path) -> None:
    for overwrite in ((), ("--overwrite", "append"), ("--overwrite", "none")):
        request = json.loads(run("import", folder, "--project", "P", *overwrite, "--json").stdout)
        work(site, request["id"])
        save(instance(number=9), folder / "late.dcm")
    told = [json.loads(run("status", str(number), "--json").stdout)["files"]["by_reason"] for number in (1, 2, 3)]
    assert told == [{"archived": 3}, {"archived": 1, "duplicate_archived": 3}, {"session_exists": 4}]


@pytest.mark.usefixtures("as_admin")
def test_a_folder_whose_name_is_not_utf8_is_planned_and_imported(run: Run, site: Site, folder: Path) -> None:
    odd = os.fsdecode(os.fsencode(folder) + b" \xe9 'x' & %2F")
    folder.rename(odd)
    assert json.loads(run("plan", odd, "--project", "P", "--json").stdout)["files"]["found"] == 3
    request = json.loads(run("import", odd, "--project", "P", "--json").stdout)
    work(site, request["id"])
    assert json.loads(run("status", request["id"], "--json").stdout)["outcome"] == "complete"


@pytest.mark.usefixtures("as_admin")
@pytest.mark.parametrize(
    ("fault", "outcome", "code"),
    [(None, "complete", 0), ("text", "partial", 3), ("only text", "failed", 4), ("cancelled", "cancelled", 4)],
)
def test_waiting_ends_with_the_outcome(
    run: Run, site: Site, admin: accounts.Account, folder: Path, fault: str | None, outcome: str, code: int
) -> None:
    if fault in ("text", "only text"):
        (folder / "note.txt").write_text("not DICOM at all, and long enough to be looked at")
    if fault == "only text":
        for path in folder.glob("*.dcm"):
            path.unlink()

    def once_filed() -> None:
        while not requests.list_requests(site, admin, active=True):
            time.sleep(0.1)
        time.sleep(1)
        if fault == "cancelled":
            requests.cancel(site, admin, 1)
        work(site, 1)

    later = threading.Thread(target=once_filed, daemon=True)
    later.start()
    done = run("import", folder, "--project", "P", "--wait", "--json")
    later.join()
    assert done.exit_code == code
    assert json.loads(done.stdout)["outcome"] == outcome
    assert "request 1: Queued, queued" in done.stderr


@pytest.mark.usefixtures("as_admin")
def test_the_ledger_in_each_format(run: Run, site: Site, folder: Path) -> None:
    save(instance(number=3), folder / "copy.dcm")
    run("import", folder, "--project", "P")
    work(site, 1)
    rows = list(csv.DictReader(io.StringIO(run("ledger", "1").stdout)))
    lines = [json.loads(line) for line in run("ledger", "1", "--format", "jsonl").stdout.splitlines()]
    assert len(rows) == len(lines) == 4
    assert [row["source_path"] for row in rows] == [line["source_path"] for line in lines]
    assert {row["disposition"] for row in rows} == {"archived", "duplicate"}
    done = run("ledger", "1", "--format", "parquet")
    if find_spec("pyarrow") is None:
        assert (done.exit_code, "[parquet_missing]" in done.stderr) == (7, True)
    else:
        import pandas as pd

        assert done.exit_code == 0, done.stderr
        frame = pd.read_parquet(io.BytesIO(done.stdout_bytes))
        assert list(frame["source_path"]) == [line["source_path"] for line in lines]
        assert list(frame["bytes"]) == [line["bytes"] for line in lines]


@pytest.mark.usefixtures("as_admin")
def test_a_plan_tells_sessions_and_what_is_left_out_and_changes_nothing(run: Run, site: Site, folder: Path) -> None:
    (folder / "note.txt").write_text("not DICOM at all, and long enough to be looked at")
    done = run("plan", folder, "--project", "P")
    assert done.exit_code == 0
    assert "P/FAKE_PATIENT/FAKE001: 3 files, ARCHIVED" in done.stdout
    assert '    session: patient_id (0010,0020) "FAKE001"; else fallback "dicom_upload"\n' in done.stdout
    assert done.stdout.splitlines()[-1].split() == ["note.txt", "not_dicom", "not_dicom"]
    planned = json.loads(run("plan", folder, "--project", "P", "--session", "E9", "--json").stdout)
    assert planned["sessions"][0]["session"] == "E9"
    assert run("status", "1").exit_code == 7


@pytest.mark.usefixtures("as_admin")
def test_cancel_and_retry_are_accepted_once(run: Run, site: Site, folder: Path) -> None:
    run("import", folder, "--project", "P")
    assert run("retry", "1").exit_code == 7
    assert run("cancel", "1").exit_code == 0
    assert json.loads(run("status", "1", "--json").stdout)["outcome"] == "cancelled"
    assert "[request_final]" in run("cancel", "1").stderr
    assert run("retry", "1").exit_code == 0
    work(site, 1)
    assert json.loads(run("status", "1", "--json").stdout)["outcome"] == "complete"
    assert "[nothing_to_retry]" in run("retry", "1").stderr


@pytest.mark.usefixtures("as_admin")
def test_refusals_are_seven_with_the_servers_own_sentence_and_code(run: Run, site: Site, folder: Path) -> None:
    for arguments, code in (
        (("import", folder / "gone", "--project", "P"), "path_not_found"),
        (("import", "/etc", "--project", "P"), "path_outside_inbox"),
        (("import", folder, "--project", "X"), "project_denied"),
        (("import", folder, "--project", "P", "--session", "a/b"), "session_label_illegal"),
        (("plan", folder / "gone", "--project", "P"), "path_not_found"),
        (("status", "99"), "request_not_found"),
        (("ledger", "99"), "request_not_found"),
        (("cancel", "99"), "request_not_found"),
        (("retry", "99"), "request_not_found"),
    ):
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (7, ""), arguments
        assert done.stderr.endswith(f"[{code}]\n")


def test_somebody_else_or_nobody_is_not_let_in(
    run: Run, site: Site, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.create_user(site, "system", "ann", PASSWORD)
    monkeypatch.setenv("INBOX_PIPELINE_URL", url)
    done = run("status", "1")
    assert (done.exit_code, "[unauthenticated]" in done.stderr) == (6, True)
    monkeypatch.setenv("INBOX_PIPELINE_USER", "admin")
    monkeypatch.setenv("INBOX_PIPELINE_PASSWORD", "not-this-one")
    done = run("import", folder, "--project", "P")
    assert (done.exit_code, "[login_failed]" in done.stderr, "not-this-one" in done.output) == (6, True, False)
    monkeypatch.setenv("INBOX_PIPELINE_PASSWORD", PASSWORD)
    assert run("import", folder, "--project", "P").exit_code == 0
    monkeypatch.setenv("INBOX_PIPELINE_USER", "ann")
    assert run("status", "1").exit_code == 7


def test_an_address_in_home_comes_with_the_password_in_home_and_one_from_outside_does_not(
    run: Run, site: Site, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = site.settings.home
    site.settings.address_file.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    assert run("import", folder, "--project", "P", "--home", home).exit_code == 6
    site.settings.admin_password_file.write_text(f"{PASSWORD}\n")
    assert run("import", folder, "--project", "P", "--home", home).exit_code == 0
    assert json.loads(run("status", "1", "--json", "--home", home).stdout)["username"] == "admin"
    monkeypatch.setenv("INBOX_PIPELINE_URL", url)
    assert "[unauthenticated]" in run("status", "1", "--home", home).stderr


def test_waiting_for_a_server_ends_with_six_when_it_is_not_ready(
    run: Run, site: Site, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INBOX_PIPELINE_URL", url)
    done = run("wait", "--timeout", "0.5")
    assert done.exit_code == 6
    assert "no heartbeat yet" in done.stderr
    assert done.stderr.endswith("[wait_timed_out]\n")


def test_no_server_at_all_is_six(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    monkeypatch.setenv("INBOX_PIPELINE_URL", f"http://127.0.0.1:{port}")
    for arguments in (["status", "1"], ["wait", "--timeout", "0"], ["ledger", "1"], ["import", ".", "--project", "P"]):
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (6, "")
    monkeypatch.setenv("INBOX_PIPELINE_URL", "not a url")
    assert run("status", "1").exit_code == 6


@pytest.mark.usefixtures("as_admin")
def test_status_says_why_a_request_waits(run: Run, site: Site, folder: Path) -> None:
    run("import", folder, "--project", "P")
    site.settings.archive_path.rename(site.settings.home / "away")
    request = json.loads(run("status", "1", "--json").stdout)
    assert (request["status"], request["phase"], request["reason"]) == ("Queued", "waiting", "archive_not_writable")
    shown = run("status", "1").stdout.splitlines()
    assert shown[0] == "request 1: Queued, waiting"
    assert shown[1].startswith("The archive or the prearchive is missing or cannot be written. ")
    (site.settings.home / "away").rename(site.settings.archive_path)
    assert run("status", "1").stdout.splitlines()[0] == "request 1: Queued, queued"


@pytest.mark.usefixtures("as_admin")
def test_undo_withdraws_and_restores(run: Run, site: Site, folder: Path) -> None:
    run("import", folder, "--project", "P")
    assert run("undo", "1").exit_code == 7
    work(site, 1)
    assert run("undo", "1").stdout.startswith("request 1: 1 session withdrawn to the trash, and kept there until ")
    assert "Withdrawn: Its sessions were withdrawn by an undo." in run("status", "1").stdout
    told = json.loads(run("undo", "1", "--restore", "--json").stdout)
    assert (told["sentence"], told["only_copies"]) == ("1 session restored.", 0)
    assert "Complete: 3 of 3 files archived" in run("status", "1").stdout


@pytest.mark.usefixtures("as_admin")
def test_trash_lists_and_restores_what_was_deleted(run: Run, site: Site, url: str, folder: Path) -> None:
    run("import", folder, "--project", "P")
    work(site, 1)
    assert json.loads(run("trash", "list", "P", "--json").stdout) == []
    answer = httpx.delete(f"{url}/data/experiments/INBOX_E00001", auth=("admin", PASSWORD))
    assert answer.status_code == 200
    assert "Deleted: Its sessions were deleted from the archive." in run("status", "1").stdout
    (row,) = json.loads(run("trash", "list", "P", "--json").stdout)
    header, line = run("trash", "list", "P").stdout.splitlines()
    assert header.split()[:5] == ["id", "accession", "session", "scan", "files"]
    assert line.split()[:3] == [str(row["id"]), "INBOX_E00001", "FAKE001"]
    assert run("trash", "restore", "P", "99").exit_code == 7
    assert run("trash", "restore", "P", row["id"]).stdout == "INBOX_E00001 restored: 3 files\n"
    assert "Complete: 3 of 3 files archived" in run("status", "1").stdout
    assert run("trash", "list", "NONE").exit_code == 7
