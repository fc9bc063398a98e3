"""What an operator does in Dagster's UI, on real processes, with both launchers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from inbox_pipeline.services import projects, requests
from inbox_pipeline.services.accounts import Account, get_account
from inbox_pipeline.services.bootstrap import prepare_site
from inbox_pipeline.services.site import Site, open_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.pipeline.dagster_dev import DagsterDev
from inbox_pipeline_tests.pipeline.graphql import Ui
from inbox_pipeline_tests.server_for_tests import Server

pytestmark = pytest.mark.services
SLOW = {
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent / "slowness"), os.environ.get("PYTHONPATH", "")]),
    "INBOX_TEST_SLOW": "0.1",
    "INBOX_PIPELINE_LEASE_SECONDS": "6",
}
MANY = 300


@dataclass
class Place:
    """A running engine: its UI and the site that it works on."""

    ui: Ui
    site: Site
    admin: Account
    folders: int = 0

    def file(self, folder: Path) -> int:
        """File a request, as the web process would."""
        pairs = [("path", str(folder)), ("PROJECT_ID", "P")]
        return requests.file_request(self.site, self.admin, pairs).request_id

    def new_folder(self) -> Path:
        """Return a folder below the inbox that does not exist yet."""
        self.folders += 1
        return self.site.settings.inbox_path / "P" / f"visit{self.folders}"

    def session(self, files: int) -> Path:
        """Return a new folder with a session of its own."""
        return self.fill(self.new_folder(), files)

    def fill(self, folder: Path, files: int) -> Path:
        """Write a session of its own into the newest folder."""
        return session_folder(folder, files=files, study=self.folders, PatientID=f"FAKE{self.folders:03d}")

    def answer(self, request_id: int) -> Mapping[str, Any]:
        """Return a request's JSON."""
        return requests.request_json(self.site, request_id, self.admin)

    def failed(self) -> tuple[int, str, Path]:
        """Return a request that ended Failed because its folder holds no DICOM, its run and that folder."""
        folder = self.new_folder()
        folder.mkdir(parents=True)
        (folder / "note.txt").write_text("no image")
        request_id = self.file(folder)
        run_id = self.ui.first_run(request_id)
        assert self.ui.wait(run_id) == "FAILURE"
        return request_id, run_id, folder


@contextmanager
def workers(folder: Path) -> Iterator[Place]:
    with Server(folder / "home", folder / "up.log", **SLOW) as server:
        yield place(folder / "home", server.ready["dagster_url"])


@contextmanager
def local(folder: Path) -> Iterator[Place]:
    home = folder / "root" / "inbox-home"
    prepare_site(read_settings({}, home=home)).catalog.dispose()
    dev = DagsterDev(folder / "root", **SLOW).start()
    try:
        yield place(home, dev.url)
    finally:
        dev.stop()


def place(home: Path, url: str) -> Place:
    site = open_site(read_settings({}, home=home))
    projects.create_project(site, "admin", "P", if_missing=True)
    admin = get_account(site, "admin")
    assert admin is not None
    return Place(Ui(url), site, admin)


@pytest.fixture(scope="module", params=[workers, local], ids=["workers", "local"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with request.param(tmp_path_factory.mktemp("engine")) as started:
        yield started
        started.ui.client.close()
        started.site.catalog.dispose()


def test_a_filed_request_becomes_a_run_by_itself(engine: Place) -> None:
    request_id = engine.file(engine.session(3))
    run_id = engine.ui.first_run(request_id)
    assert engine.ui.wait(run_id) == "SUCCESS", engine.ui.messages(run_id)
    assert engine.ui.tags(run_id) | {"inbox/project": "P", "inbox/attempt": "1", "inbox/outcome": "complete"} == (
        engine.ui.tags(run_id)
    )
    answer = engine.answer(request_id)
    assert (answer["outcome"], answer["dagster_run_id"]) == ("complete", run_id)
    assert engine.ui.steps(run_id) == dict.fromkeys(["scan", "validate", "anonymize", "archive"], "SUCCESS")


def test_a_failed_request_launched_from_the_launchpad_is_its_next_attempt(engine: Place) -> None:
    request_id, first, folder = engine.failed()
    engine.fill(folder, 2)
    run_id = engine.ui.launch(request_id)
    assert engine.ui.wait(run_id) == "SUCCESS", engine.ui.messages(run_id)
    answer = engine.answer(request_id)
    assert (answer["status"], answer["attempt"], answer["dagster_run_id"]) == ("Completed", 2, run_id)
    assert engine.ui.runs(request_id) == [run_id, first]


def test_a_completed_request_launched_again_ends_with_a_sentence_and_changes_nothing(engine: Place) -> None:
    request_id = engine.file(engine.session(2))
    first = engine.ui.first_run(request_id)
    assert engine.ui.wait(first) == "SUCCESS", engine.ui.messages(first)
    before = engine.answer(request_id)
    run_id = engine.ui.launch(request_id)
    assert engine.ui.wait(run_id) == "FAILURE"
    failure = engine.ui.failure(run_id)
    assert failure["failureMetadata"]["description"].startswith(f"Request {request_id} is completed already")
    assert failure["error"]["cause"] is None
    assert engine.answer(request_id) == before


@pytest.mark.parametrize("strategy", ["ALL_STEPS", "FROM_FAILURE"])
def test_a_failed_run_re_executed_is_the_next_attempt(engine: Place, strategy: str) -> None:
    request_id, first, folder = engine.failed()
    engine.fill(folder, 2)
    run_id = engine.ui.reexecute(first, strategy)
    assert engine.ui.wait(run_id) == "SUCCESS", engine.ui.messages(run_id)
    answer = engine.answer(request_id)
    assert (answer["status"], answer["attempt"], answer["dagster_run_id"]) == ("Completed", 2, run_id)
    assert answer["files"]["by_disposition"] == {"archived": 2, "not_dicom": 1}


def test_a_completed_run_re_executed_changes_nothing(engine: Place) -> None:
    request_id = engine.file(engine.session(2))
    first = engine.ui.first_run(request_id)
    assert engine.ui.wait(first) == "SUCCESS"
    before = engine.answer(request_id)
    assert engine.ui.wait(engine.ui.reexecute(first, "ALL_STEPS")) == "FAILURE"
    assert engine.answer(request_id) == before


@pytest.mark.parametrize("policy", ["SAFE_TERMINATE", "MARK_AS_CANCELED_IMMEDIATELY"])
def test_terminate_cancels_the_request(engine: Place, policy: str) -> None:
    request_id = engine.file(engine.session(MANY))
    run_id = engine.ui.first_run(request_id)
    engine.ui.wait(run_id, "STARTED")
    while engine.answer(request_id)["phase"] != "anonymize":
        assert engine.ui.status(run_id) == "STARTED"
    assert engine.ui.terminate(run_id, policy)["__typename"] == "TerminateRunSuccess"
    if policy == "SAFE_TERMINATE":
        assert engine.ui.status(run_id) in ("CANCELING", "CANCELED")
    assert engine.ui.wait(run_id, "CANCELED", "FAILURE", "SUCCESS", seconds=20) == "CANCELED"
    answer = _ended(engine, request_id)
    assert (answer["status"], answer["outcome"]) == ("Failed", "cancelled")
    until(lambda: not list(engine.site.settings.staging_path.iterdir()))
    assert engine.ui.status(run_id) == "CANCELED"


def test_terminate_of_a_waiting_run_cancels_its_request_alone(engine: Place) -> None:
    busy = [engine.file(engine.session(MANY)) for _ in range(2)]
    for request_id in busy:
        engine.ui.wait(engine.ui.first_run(request_id), "STARTED")
    waiting = engine.file(engine.session(2))
    run_id = engine.ui.first_run(waiting)
    assert engine.ui.wait(run_id, "QUEUED") == "QUEUED"
    assert engine.ui.terminate(run_id)["__typename"] == "TerminateRunSuccess"
    assert engine.ui.wait(run_id, seconds=5) == "CANCELED"
    assert engine.answer(waiting)["outcome"] == "cancelled"
    for request_id in busy:
        assert engine.answer(request_id)["outcome"] is None
        engine.ui.terminate(engine.ui.first_run(request_id))
    for request_id in busy:
        assert _ended(engine, request_id)["outcome"] == "cancelled"


def test_a_run_of_a_request_that_another_run_works_on_ends_and_may_be_terminated_without_harm(engine: Place) -> None:
    request_id = engine.file(engine.session(120))
    first = engine.ui.first_run(request_id)
    engine.ui.wait(first, "STARTED")
    second = engine.ui.launch(request_id)
    assert engine.ui.wait(second) == "FAILURE"
    assert "worked on by another run" in engine.ui.failure(second)["failureMetadata"]["description"]
    assert engine.ui.wait(first) == "SUCCESS"
    assert engine.answer(request_id)["outcome"] == "complete"


def _ended(engine: Place, request_id: int) -> Mapping[str, Any]:
    until(lambda: engine.answer(request_id)["outcome"] is not None)
    return engine.answer(request_id)


def until(reached: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)
