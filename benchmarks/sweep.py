"""A sweep against a real `up`: a growing folder, a quiet one, late files, and a restart in between.

Usage: benchmarks/run sweep

Takes about five minutes, because the schedule ticks once a minute.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks import _result
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.server_for_tests import Server, wait_for

GROWING_SECONDS = 100.0
LIMIT_SECONDS = 240.0


def request_ids(client: httpx.Client) -> list[int]:
    """Return the numbers of all requests."""
    return [row["id"] for row in client.get("/xapi/dicom/list/all").json()]


def wait_until_filed(client: httpx.Client, count: int) -> float:
    """Wait until there are `count` requests; return the seconds that it took."""
    began = time.monotonic()
    while len(request_ids(client)) < count:
        assert time.monotonic() - began < LIMIT_SECONDS, "the sweep filed nothing"
        time.sleep(1)
    return round(time.monotonic() - began, 1)


def measure() -> dict[str, Any]:
    """Run the whole story once and return what happened."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        with Server(home, Path(name) / "up.log") as server, server.client() as client:
            server.command("project", "create", "P", "--if-missing")
            options = ("--sweep-user", "admin", "--sweep", "on", "--quiet-seconds", "30")
            server.command("project", "set", "P", *options)
            folder = Path(server.ready["inbox_path"]) / "P" / "visit"
            end, number = time.monotonic() + GROWING_SECONDS, 0
            while time.monotonic() < end:
                number += 1
                save(instance(number=number), folder / f"{number}.dcm")
                time.sleep(5)
            while_growing = len(request_ids(client))
            quiet_after = wait_until_filed(client, 1)
            first = wait_for(client, 1)
        with Server(home, Path(name) / "up.log") as server, server.client() as client:
            session_folder(folder / "late", files=2, study=2, PatientID="FAKE002")
            late_after = wait_until_filed(client, 2)
            second = wait_for(client, 2)
            time.sleep(65)
            total = len(request_ids(client))
    return {
        "requests_while_growing": while_growing,
        "filed_after_the_last_change_seconds": quiet_after,
        "files_of_the_first": first["files"],
        "written": number,
        "late_filed_after_seconds": late_after,
        "files_of_the_late_request": second["files"],
        "requests_in_the_end": total,
    }


if __name__ == "__main__":
    figures = measure()
    _result.write("sweep", figures)
    assert figures["requests_while_growing"] == 0
    assert figures["files_of_the_first"]["by_disposition"] == {"archived": figures["written"]}
    assert figures["files_of_the_late_request"]["by_disposition"] == {"archived": 2}
    assert figures["requests_in_the_end"] == 2
