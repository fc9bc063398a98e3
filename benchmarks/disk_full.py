"""Disks that fill up while a real `up` imports: the request waits or fails cleanly, then completes; nothing is lost.

Usage: benchmarks/run disk-full [--points N] [--seed N]

Three file systems of their own (tmpfs, so root is needed): one for staging, archive and prearchive, one for the
catalog, one for HOME with Dagster's storage. At each point one of them is filled to its last byte by a ballast file at
a seeded moment of an import, kept full for a while, and emptied again.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks import _result
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.server_for_tests import Server, file_request, wait_for

PLACES = ("staging", "catalog", "dagster")
MEGABYTES = {"staging": 384, "catalog": 96, "dagster": 128}
FILES, SIDE = 400, 96
FULL_SECONDS, LIMIT_SECONDS = 8.0, 300.0
MOMENTS = ("filed", "scan", "staged", "staged", "staged", "commit")
PIECES = (1 << 20, 1 << 12, 1)
FINAL = ("Completed", "Failed")


@contextmanager
def disks(root: Path) -> Iterator[dict[str, Path]]:
    """Mount a file system of limited size for each place."""
    mounted: dict[str, Path] = {}
    try:
        for place in PLACES:
            folder = root / place
            folder.mkdir()
            size = f"size={MEGABYTES[place]}m"
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
            mounted[place] = folder
        yield mounted
    finally:
        for folder in mounted.values():
            subprocess.run(["umount", "-l", str(folder)], check=True)


class Ballast:
    """A file that takes whatever space is left on a file system, until it is thrown off."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"

    def fill(self) -> None:
        """Take every byte that is free now."""
        with self._path.open("ab", buffering=0) as file:
            for piece in PIECES:
                _write_until_full(file.fileno(), piece)

    def throw_off(self) -> None:
        """Give the space back."""
        self._path.unlink(missing_ok=True)


def _write_until_full(handle: int, piece: int) -> None:
    while True:
        try:
            os.write(handle, b"\xff" * piece)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return


def settings(places: dict[str, Path]) -> dict[str, str]:
    """Return the settings that spread a site over the file systems."""
    trees = {f"INBOX_PIPELINE_{name.upper()}_PATH": str(places["staging"] / name) for name in TREES}
    return {**trees, "INBOX_PIPELINE_DATABASE_URL": f"sqlite:///{places['catalog'] / 'catalog.db'}"}


TREES = ("staging", "archive", "prearchive", "trash")


def folder_of(inbox: Path, number: int) -> Path:
    """Make a folder of one session that takes a while to import."""
    folder = inbox / "P" / f"visit{number}"
    for each in range(1, FILES + 1):
        pixels = random.Random(each).randbytes(2 * SIDE * SIDE)
        dataset = instance(study=number, number=each, PatientID=f"FAKE{number}", Rows=SIDE, Columns=SIDE)
        dataset.PixelData = pixels
        save(dataset, folder / f"{each}.dcm")
    return folder


def seen(client: httpx.Client, request_id: int) -> str:
    """Return how a request stands, as far as the server can say while a disk is full."""
    answer = client.get(f"/api/v1/requests/{request_id}")
    if answer.is_server_error:
        return f"server answered {answer.status_code}"
    request = answer.json()
    return f"{request['status']}/{request['phase']}/{request['reason']}"


def moment(dice: random.Random) -> tuple[str, int]:
    """Choose when to fill the disk: at once, when the scan has begun, or when so many files are staged or archived."""
    kind = dice.choice(MOMENTS)
    return kind, dice.randrange(FILES // 2) if kind == "staged" else 0


def wait_until(kind: str, staged: int, places: dict[str, Path], client: httpx.Client, request_id: int) -> None:
    """Wait for a moment of an import, or its end if that comes first."""
    root = places["staging"] / "staging"
    while kind != "filed":
        phase = seen(client, request_id)
        begun = phase.split("/")[1] not in ("queued", "accepted")
        if phase.startswith(FINAL) or (kind == "scan" and begun):
            return
        if kind == "staged" and sum(1 for _ in root.glob(f"{request_id}.*/s1/SCANS/*/DICOM/*.dcm")) > staged:
            return
        if kind == "commit" and phase.split("/")[1] in ("archive", "committing", "cleanup"):
            return


def point(server: Server, client: httpx.Client, places: dict[str, Path], number: int, dice: random.Random) -> Any:
    """Fill one disk in the middle of an import, and return how that went."""
    place = PLACES[number % len(PLACES)]
    folder = folder_of(Path(server.ready["inbox_path"]), number + 1)
    kind, staged = moment(dice)
    ballast, states = Ballast(places[place]), Counter[str]()
    request_id = file_request(client, folder)
    wait_until(kind, staged, places, client, request_id)
    at = seen(client, request_id)
    until = time.monotonic() + FULL_SECONDS
    try:
        while time.monotonic() < until:
            ballast.fill()
            states[seen(client, request_id)] += 1
            time.sleep(0.25)
    finally:
        ballast.throw_off()
    began = time.monotonic()
    request = wait_for(client, request_id, LIMIT_SECONDS)
    seconds = time.monotonic() - began
    retried = request["outcome"] != "complete"
    if retried:
        client.post(f"/api/v1/requests/{request_id}/retry").raise_for_status()
        request = wait_for(client, request_id, LIMIT_SECONDS)
    return {
        "place": place,
        "moment": f"{kind} {staged}" if staged else kind,
        "filled_at": at,
        "states_while_full": dict(states),
        "seconds_until_it_ended": round(seconds, 1),
        "needed_a_retry": retried,
        "attempts": request["attempt"],
        "outcome": request["outcome"],
        "files": request["files"]["by_disposition"],
        "found": request["files"]["found"],
    }


def measure(points: int, seed: int) -> dict[str, Any]:
    """Import as often as there are points, each time with a disk that fills up."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, disks(Path(name)) as places:
        home = places["dagster"] / "home"
        environment = {**settings(places), "INBOX_PIPELINE_INBOX_PATH": str(Path(name) / "inbox")}
        with Server(home, Path(name) / "up.log", **environment) as server, server.client() as client:
            server.command("project", "create", "P", "--if-missing")
            rows = [point(server, client, places, number, dice) for number in range(points)]
            verified = server.command("verify", "--json", check=False)
            left = [path.name for path in (places["staging"] / "staging").iterdir()]
            log = (Path(name) / "up.log").read_text(errors="replace")
    return {"seed": seed, "points": rows, "verify": verified.stdout, "left_in_staging": left, "log_bytes": len(log)}


def judge(figures: dict[str, Any]) -> None:
    """Fail unless every import completed with every file once."""
    for row in figures["points"]:
        assert row["outcome"] == "complete", row
        assert row["files"] == {"archived": FILES} and row["found"] == FILES, row
    assert '"differences": []' in figures["verify"], figures["verify"]
    assert figures["left_in_staging"] == []


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks/run disk-full", description=__doc__)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    asked = options()
    found = measure(asked.points, asked.seed)
    _result.write("disk-full", found)
    judge(found)
