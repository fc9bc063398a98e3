"""The demo, whole: every server started, every sample imported over REST, every outcome compared."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inbox_pipeline.demo.outcomes import EXPECTED, differences
from inbox_pipeline.demo.play import demo_settings
from inbox_pipeline.demo.samples import CLEAN_MR
from inbox_pipeline_tests.server_for_tests import descendants

SECONDS = 120.0


def demo(*options: object) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "INBOX_PIPELINE_DAGSTER_PORT": "0"}
    command = [sys.executable, "-m", "inbox_pipeline.cli", "demo", "--port", "0", *map(str, options)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=SECONDS * 2)


@pytest.mark.services
def test_the_demo_ends_with_the_expected_verdicts_and_does_so_again(tmp_path: Path) -> None:
    started = time.monotonic()
    done = demo("--once", "--home", tmp_path / "home")
    assert time.monotonic() - started < SECONDS
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(EXPECTED)} of {len(EXPECTED)} sessions as expected" in done.stdout
    assert not list((tmp_path / "home" / "staging").iterdir())
    again = demo("--once", "--home", tmp_path / "home")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "0 sample files made, 170 kept" in again.stdout
    assert not [pid for pid in descendants(os.getpid()) if _command(pid).count(str(tmp_path))]


@pytest.mark.services
def test_the_demo_ends_with_four_when_a_file_is_not_as_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert demo("--make-only", "--home", home).returncode == 0
    assert not (home / "catalog.db").exists()
    path = sorted((home / "inbox" / CLEAN_MR).rglob("*.dcm"))[5]
    path.write_bytes(path.read_bytes()[:1500])
    done = demo("--once", "--home", home)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "NOT AS EXPECTED: outcome: expected complete, found partial" in done.stdout
    assert f"{len(EXPECTED) - 1} of {len(EXPECTED)} sessions as expected" in done.stdout
    assert len(path.read_bytes()) == 1500


def test_nothing_of_another_site_reaches_the_demo(tmp_path: Path) -> None:
    environ = {
        f"INBOX_PIPELINE_{name}": f"/elsewhere/{name}"
        for name in ("HOME", "DATABASE_URL", "INBOX_PATH", "ARCHIVE_PATH", "STAGING_PATH", "SECRET_FILE", "BROKER_URL")
    }
    settings = demo_settings({**environ, "INBOX_PIPELINE_WORKERS": "1"}, tmp_path, 0)
    assert "elsewhere" not in str(settings)
    assert (settings.home, settings.workers, settings.port) == (tmp_path, 1, 0)


def test_each_member_that_differs_is_named() -> None:
    expected = EXPECTED[0]
    session = expected.sessions[0]
    row = {name: getattr(session, name) for name in ("subject", "session", "state", "reason", "files")}
    request = {
        "status": expected.status,
        "outcome": expected.outcome,
        "files": {"by_disposition": {"archived": 34}, "by_reason": {"archived": 34}},
        "sessions": [{**row, "findings": []}],
    }
    assert differences(expected, request) == []
    gap = {"code": "missing_instances", "scan": "1", "count": 1}
    for change, name in (
        ({"status": "Failed"}, "status"),
        ({"outcome": "partial"}, "outcome"),
        ({"files": {"by_disposition": {"archived": 33}, "by_reason": {"archived": 34}}}, "files by disposition"),
        ({"sessions": [{**row, "findings": [gap]}]}, "sessions"),
        ({"sessions": []}, "sessions"),
    ):
        (found,) = differences(expected, {**request, **change})
        assert found.startswith(f"{name}: expected ")


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
