"""What an operator sees on Dagster's run page, in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.server_for_tests import Server, file_request, wait_for

pytestmark = pytest.mark.system

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1500,1400",
    "--virtual-time-budget=20000",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    with Server(folder / "home", folder / "up.log") as running:
        running.command("project", "create", "P", "--if-missing")
        yield running


def page(address: str, tmp_path: Path, name: str) -> str:
    """Return the text of a page as headless Chromium shows it, and leave a picture of it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "this test needs Chromium: apt-get install chromium"
    common = [program, *FLAGS, f"--user-data-dir={tmp_path / name}"]
    picture = Path(os.environ.get("INBOX_TEST_PICTURES", tmp_path)) / f"{name}.png"
    subprocess.run([*common, f"--screenshot={picture}", address], check=True, capture_output=True, timeout=120)
    assert picture.stat().st_size > 20_000
    dom = subprocess.run([*common, "--dump-dom", address], check=True, capture_output=True, text=True, timeout=120)
    return re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", dom.stdout, flags=re.DOTALL))


def run_page(server: Server, run_id: str, tmp_path: Path, name: str) -> str:
    deadline = time.monotonic() + 90
    while True:
        text = page(f"{server.ready['dagster_url']}/runs/{run_id}", tmp_path, name)
        if "RUN_SUCCESS" in text or "RUN_FAILURE" in text or time.monotonic() > deadline:
            return text


def test_a_finished_run_shows_the_four_ops_and_the_verdict(server: Server, tmp_path: Path) -> None:
    folder = session_folder(Path(server.ready["inbox_path"]) / "P" / "visit", files=20)
    with server.client() as client:
        answer = wait_for(client, file_request(client, folder))
    text = run_page(server, answer["dagster_run_id"], tmp_path, "run-page")
    for word in ("scan", "validate", "anonymize", "archive", "RUN_SUCCESS", answer["verdict"]):
        assert word in text
    assert "FAKE" not in text


def test_a_failed_run_shows_the_sentence_for_people_first(server: Server, tmp_path: Path) -> None:
    folder = session_folder(Path(server.ready["inbox_path"]) / "P" / "two", study=1)
    session_folder(folder, study=2)
    with server.client() as client:
        answer = wait_for(client, file_request(client, folder, EXPT_LABEL="E1"))
    text = run_page(server, answer["dagster_run_id"], tmp_path, "failed-run")
    assert "An explicit session label was given for files of 2 studies." in text
    sentence = text.index("An explicit session label was given")
    assert "Traceback" not in text[:sentence]
    assert "FAKE" not in text
