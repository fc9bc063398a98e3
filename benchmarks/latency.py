"""From POST to first op and to Completed, and sixty requests queued at once, against a real `up`.

Usage: benchmarks/run latency [REPEATS] [QUEUED]

Each request is a folder of its own with 20 small files. CPU seconds are those of the whole tree of processes while the
queue drains, less those that the same files cost when the steps run in one process (`file work`).
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks import _result
from inbox_pipeline.services import requests, steps
from inbox_pipeline.services.accounts import create_user
from inbox_pipeline.services.projects import create_project
from inbox_pipeline.services.scripts import ensure_default_script
from inbox_pipeline.services.site import init_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.server_for_tests import Server, descendants, file_request

FILES = 20
TICKS = os.sysconf("SC_CLK_TCK")


def make(folder: Path, study: int) -> Path:
    """Write a session of its own: study, patient and UIDs differ from every other one."""
    for number in range(1, FILES + 1):
        save(
            instance(study=study, number=number, PatientID=f"FAKE{study:05d}"),
            folder / f"{number}.dcm",
        )
    return folder


def once(client: httpx.Client, folder: Path) -> tuple[float, float]:
    """Return the seconds from POST to the first op and to the end."""
    began = time.monotonic()
    request_id, first = file_request(client, folder), 0.0
    while True:
        status = client.get(f"/xapi/dicom/{request_id}").json()["status"]
        if status != "Queued" and not first:
            first = time.monotonic() - began
        if status in ("Completed", "Failed"):
            assert status == "Completed"
            return first, time.monotonic() - began
        time.sleep(0.05)


def burst(server: Server, client: httpx.Client, folders: list[Path]) -> dict[str, float]:
    """File all at once and wait for the last one."""
    assert server.process is not None
    before, began = cpu_seconds(server.process.pid), time.monotonic()
    filed = {file_request(client, folder) for folder in folders}
    while client.get("/xapi/dicom/list/active").json():
        time.sleep(0.5)
    seconds = time.monotonic() - began
    ended = [client.get(f"/xapi/dicom/{request_id}").json()["status"] for request_id in filed]
    assert ended == ["Completed"] * len(folders), ended
    cpu = cpu_seconds(server.process.pid) - before
    return {"seconds": seconds, "per_minute": 60 * len(folders) / seconds, "cpu_per_request": cpu / len(folders)}


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process tree, ended children included (proc(5), fields 14 to 17)."""
    total = 0
    for each in [pid, *descendants(pid)]:
        try:
            fields = Path(f"/proc/{each}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        total += sum(int(value) for value in fields[11:15])
    return total / TICKS


def file_work(folder: Path) -> float:
    """Return the CPU seconds per request of the steps alone, in this process."""
    site = init_site(read_settings({}, home=folder / "alone"))
    ensure_default_script(site)
    admin = create_user(site, "bench", "admin", "a good password", admin=True)
    create_project(site, "bench", "P")
    for study in range(1, 11):
        path = make(site.settings.inbox_path / "P" / str(study), study)
        request_id = requests.file_request(site, admin, [("path", str(path)), ("PROJECT_ID", "P")]).request_id
        if study == 2:
            began = time.process_time()
        for step in steps.STEPS:
            steps.run_step(site, request_id, step, run_id=f"run-{study}")
    return (time.process_time() - began) / 9


def measure(repeats: int, queued: int) -> dict[str, Any]:
    """Start a server, time single requests, then a queue of them."""
    with tempfile.TemporaryDirectory() as name:
        folder, load = Path(name), os.getloadavg()[0]
        alone = file_work(folder)
        with Server(folder / "home", folder / "up.log") as server, server.client() as client:
            server.command("project", "create", "P", "--if-missing")
            inbox = Path(server.ready["inbox_path"]) / "P"
            singles = []
            for number in range(repeats + 1):
                singles.append(once(client, make(inbox / f"single{number}", number + 1)))
                time.sleep(1.0 + number % 5)
            drained = burst(server, client, [make(inbox / f"queued{n}", 1000 + n) for n in range(queued)])
    first, whole = zip(*singles[1:], strict=True)
    return {
        "files_per_request": FILES,
        "repeats": repeats,
        "load_before": round(load, 2),
        "post_to_first_op_seconds": spread(first),
        "post_to_completed_seconds": spread(whole),
        "queued": queued,
        "requests_per_minute": round(drained["per_minute"], 1),
        "cpu_seconds_per_request": round(drained["cpu_per_request"], 3),
        "file_work_cpu_seconds_per_request": round(alone, 3),
        "cpu_seconds_above_file_work": round(drained["cpu_per_request"] - alone, 3),
    }


def spread(values: tuple[float, ...]) -> dict[str, float]:
    """Return minimum, median and worst, in seconds."""
    return {
        "min": round(min(values), 2),
        "median": round(statistics.median(values), 2),
        "worst": round(max(values), 2),
    }


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    _result.write("latency", measure(*(numbers + [20, 60][len(numbers) :])))
