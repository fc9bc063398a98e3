"""SIGKILL at named places: the request completes by itself, one session, nothing twice, staging empty."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from inbox_pipeline.services.site import open_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog.schema import attempts, instances, sessions
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.server_for_tests import FAULTS, Server, file_request, wait_for

pytestmark = pytest.mark.services
FILES = 12


def faulty(home: Path, tmp_path: Path, place: str, then: str = "die") -> tuple[Server, Path]:
    """Return a server whose workers strike at `place` once, and the mark that proves it."""
    mark = tmp_path / f"{place}.json"
    environment = {
        "PYTHONPATH": str(FAULTS),
        "INBOX_TEST_FAULT": place,
        "INBOX_TEST_FAULT_MARK": str(mark),
        "INBOX_TEST_FAULT_THEN": then,
    }
    return Server(home, tmp_path / "up.log", **environment), mark


def struck(mark: Path, seconds: float = 60.0) -> dict:
    """Wait for the fault to strike and return what it saw."""
    deadline = time.monotonic() + seconds
    while not (mark.exists() and mark.stat().st_size):
        assert time.monotonic() < deadline, "the fault never struck"
        time.sleep(0.1)
    return json.loads(mark.read_text())


def prepare(server: Server) -> Path:
    server.command("project", "create", "P", "--if-missing")
    return session_folder(Path(server.ready["inbox_path"]) / "P" / "visit", files=FILES)


def assert_whole(home: Path, answer: dict) -> None:
    """One session, every file once, nothing left in staging, catalog and tree alike."""
    assert (answer["status"], answer["outcome"]) == ("Completed", "complete")
    assert answer["files"]["by_disposition"] == {"archived": FILES}
    site = open_site(read_settings({}, home=home))
    with site.catalog.read() as connection:
        paths = connection.execute(sa.select(sessions.c.path)).scalars().all()
        files = connection.execute(sa.select(instances.c.path)).scalars().all()
        reasons = connection.execute(sa.select(attempts.c.end_reason).order_by(attempts.c.attempt)).scalars().all()
    assert len(paths) == 1
    assert len(files) == len(set(files)) == FILES
    found = list(site.settings.archive_path.rglob("*.dcm"))
    assert sorted(str(path.relative_to(site.settings.archive_path / paths[0])) for path in found) == sorted(files)
    assert list(site.settings.staging_path.iterdir()) == []
    assert len(reasons) >= 2
    assert reasons[-1] == "complete"


@pytest.mark.parametrize("place", ["anonymize", "before-rename", "after-rename"])
def test_a_worker_killed_at(place: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    server, mark = faulty(home, tmp_path, place)
    with server:
        folder = prepare(server)
        with server.client() as client:
            answer = wait_for(client, file_request(client, folder))
    seen = struck(mark)
    assert seen["place"] == place
    if place == "anonymize":
        assert 2 <= len(seen["staged"]) < FILES
    else:
        assert (seen["staged"], seen["shown"]) == (place == "before-rename", place == "after-rename")
    assert_whole(home, dict(answer))


def test_everything_killed_at_once_in_the_middle_of_a_commit(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server, mark = faulty(home, tmp_path, "before-rename", then="hang")
    server.start()
    try:
        folder = prepare(server)
        with server.client() as client:
            request_id = file_request(client, folder)
        assert struck(mark)["staged"]
    finally:
        pids = server.kill_everything()
    assert len(pids) > 4
    with Server(home, tmp_path / "up-again.log") as again, again.client() as client:
        answer = wait_for(client, request_id)
    assert_whole(home, dict(answer))
