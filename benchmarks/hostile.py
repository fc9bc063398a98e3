"""A hostile folder through a real `up`: each entry has one disposition, and it is one that was expected.

Usage: benchmarks/run hostile [--tools DIR] [--data DIR] [--seed N] [--churn]

`make_hostile.py`, which makes the folder out of real files, and those files are not part of the project: DIR is the
folder of the program and of the files, by default `tools` and `data/dicom` below the folder that INBOX_PIPELINE_SHARED
names. Then each archive file in it is imported by itself. With `--churn` instead, files change, vanish and turn into
links while they are read.

The project has policy `none`. Everything that the server could reach by mistake (inbox, canaries beside it, its working
folder for temporary files, its user's home) lies under one folder, which is listed before and after.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from benchmarks import _result
from inbox_pipeline.intake.requests import is_archive_file
from inbox_pipeline_tests.server_for_tests import Server, descendants, file_request, wait_for

MOST_MEGABYTES, MOST_SECONDS, SAMPLE_SECONDS = 500, 300.0, 0.5
MEANS = {
    "import": {"archived", "prearchived"},
    "skip": {"not_dicom", "excluded"},
    "duplicate": {"duplicate"},
    "quarantine": {"held", "rejected", "prearchived"},
    "reject": {"rejected", "held", "not_dicom"},
}
"""What an expectation of the generator is among our dispositions. A file whose session waits in the prearchive, because
another one has its label or it holds several patients, is imported for whom a wait is no failure, and set aside."""
CONTRADICTED = {"missing/empty_SOPClassUID.dcm", "meta/sop_class_dicomdir.dcm"}
"""Entries whose SOP Class UID the generator hands on to every file that it makes after them (it sets the element that
all copies share), and most of those it wants imported: no rule can tell them apart. They are counted on their own."""
CHURNED = "changing"
"""The category that `--churn` changes; there, a file may also be `failed`, to be retried, or not be there at all."""
WORKER = b"inbox_pipeline.pipeline.worker"
ESCAPES = ("/tmp", "/")  # noqa: S108 - where members of hostile archives want to go
Listing = dict[bytes, tuple[int, ...]]


def generator(tools: Path | None) -> Path:
    """Return the program that makes the folder, or end with a sentence."""
    if tools is None or not (tools / "make_hostile.py").is_file():
        sys.exit(
            "make_hostile.py is not there: name its folder with --tools DIR or its parent with INBOX_PIPELINE_SHARED"
        )
    return tools / "make_hostile.py"


def listing(root: Path, *left_out: Path) -> Listing:
    """Return mode and inode of everything below a folder, and size and mtime of what is no folder; follows no link."""
    found: Listing = {}
    skipped = {os.fsencode(path) for path in left_out}
    for folder, names, files, handle in os.fwalk(os.fsencode(root)):
        names[:] = [name for name in names if folder + b"/" + name not in skipped]
        for name in (*names, *files):
            info = os.stat(name, dir_fd=handle, follow_symlinks=False)
            times = () if stat.S_ISDIR(info.st_mode) else (info.st_size, info.st_mtime_ns)
            found[folder + b"/" + name] = (info.st_mode, info.st_ino, *times)
    return found


def escaped() -> set[Path]:
    """Return what lies where members of hostile archives would go if they were let."""
    return {path for place in ESCAPES for path in Path(place).glob("hostile_*_*")}


class Watched:
    """The peak memory of each worker below a process, sampled by a thread."""

    def __init__(self, pid: int) -> None:
        self.peaks: dict[int, int] = {}
        self._pid, self._ended = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            for pid in descendants(self._pid):
                with contextlib.suppress(OSError):
                    self._look(Path(f"/proc/{pid}"))

    def _look(self, process: Path) -> None:
        if WORKER not in (process / "cmdline").read_bytes():
            return
        for line in (process / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                self.peaks[int(process.name)] = int(line.split()[1]) // 1024


@contextlib.contextmanager
def churning(program: Path, folder: Path, *, wanted: bool) -> Iterator[None]:
    """Change files beside what goes on, if that is wanted."""
    if not wanted:
        yield
        return
    command = [sys.executable, str(program), "--churn", str(folder), "--seconds", str(MOST_SECONDS)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def compared(expected: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], *, churned: bool) -> dict[str, Any]:
    """Return how many entries ended as expected, and each that did not; an empty folder has no row."""
    counts, wrong = Counter[str](), []
    for entry in expected["entries"]:
        name = base64.b64decode(entry["path_b64"]).decode("utf-8", "backslashreplace")
        kind = "ambiguous" if entry["ambiguous"] else "unambiguous"
        if entry["kind"] == "dir" or name in CONTRADICTED:
            counts["folders" if entry["kind"] == "dir" else "contradicted"] += 1
            continue
        counts[kind] += 1
        row = rows.get(name, {"disposition": "no row", "reason": ""})
        allowed = set().union(*(MEANS[each] for each in (entry["expect"], *entry["also_ok"])))
        if churned and entry["category"] == CHURNED:
            allowed |= {"failed", "no row"}
        if row["disposition"] in allowed:
            counts[f"{kind} as expected"] += 1
        else:
            found = f"{row['disposition']}: {row['reason']}"
            wrong.append(
                {"path": name, "why": entry["reason"], "allowed": sorted(allowed), "found": found, "kind": kind}
            )
    names = {base64.b64decode(e["path_b64"]).decode("utf-8", "backslashreplace") for e in expected["entries"]}
    extra = sorted(name for name in set(rows) - names if not (churned and name.startswith(CHURNED)))
    return {**counts, "wrong": wrong, "rows that the generator does not name": extra}


def archives(client: httpx.Client, folder: Path) -> dict[str, Any]:
    """Import each archive file of the folder by itself, all filed at once; return how each ended, and when."""
    began, ended = time.monotonic(), {}
    paths = sorted(path for path in folder.iterdir() if is_archive_file(path.name))
    for path, request_id in [(path, file_request(client, path)) for path in paths]:
        answer = wait_for(client, request_id, MOST_SECONDS)
        ended[path.name] = {"outcome": answer["outcome"], "files": answer["files"]["by_reason"]}
    return {"seconds": round(time.monotonic() - began, 1), "ended": ended}


def canaries_whole(made: Path, expected: Mapping[str, Any]) -> bool:
    """Return whether the files beside the inbox are what they were."""
    digests = expected["outside_canaries"].items()
    return all(hashlib.sha256((made / name).read_bytes()).hexdigest() == digest for name, digest in digests)


def measure(program: Path, data: Path, seed: int, *, churn: bool) -> dict[str, Any]:
    """Make the folder, import it and look at what happened."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        home, made = root / "home", root / "inbox" / "P" / "made"
        for folder in (root / "tmp", root / "user", made.parent):
            folder.mkdir(parents=True)
        subprocess.run([sys.executable, str(program), str(data), str(made), "--seed", str(seed)], check=True)
        expected = json.loads((made / "expected.json").read_bytes())
        places = {
            "INBOX_PIPELINE_INBOX_PATH": str(root / "inbox"),
            "TMPDIR": str(root / "tmp"),
            "HOME": str(root / "user"),
        }
        left_out = (home, *([made / "inbox" / CHURNED] if churn else []))
        with Server(home, root / "home.log", **places) as server, server.client() as client:
            server.command("project", "create", "P", "--if-missing")
            server.command("project", "set", "P", "--policy", "none")
            assert server.process is not None
            before, outside = listing(root, *left_out), escaped()
            with Watched(server.process.pid) as watched, churning(program, made, wanted=churn):
                began = time.monotonic()
                request_id = file_request(client, made / "inbox")
                request = wait_for(client, request_id, 2 * MOST_SECONDS)
                seconds = time.monotonic() - began
                packed = {} if churn else archives(client, made / "inbox" / "archives")
            ledger = client.get(f"/api/v1/requests/{request_id}/ledger", params={"format": "jsonl"}).text
            after = listing(root, *left_out)
        rows = [json.loads(line) for line in ledger.splitlines()]
        changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        log = root / "home.log"
        changed = [os.fsdecode(path) for path in changed if path != os.fsencode(log)]
        return {
            "seed": seed,
            "churn": churn,
            "seconds": round(seconds, 1),
            "outcome": request["outcome"],
            "attempts": request["attempt"],
            "files": request["files"],
            "rows": len(rows),
            "rows_of_one_path": max(Counter(row["source_path"] for row in rows).values()),
            "compared": compared(expected, {row["source_path"]: row for row in rows}, churned=churn),
            "archive_files": packed,
            "changed_outside_home": changed + [str(path) for path in sorted(escaped() - outside)],
            "canaries_whole": canaries_whole(made, expected),
            "identifying_token_in_the_log": expected["phi_token"] in log.read_text(errors="replace"),
            "worker_peak_megabytes": sorted(watched.peaks.values()),
        }


def options() -> argparse.Namespace:
    """Read the command line."""
    shared = os.environ.get("INBOX_PIPELINE_SHARED")
    parser = argparse.ArgumentParser(prog="benchmarks/run hostile", description=__doc__)
    parser.add_argument("--tools", type=Path, default=Path(shared, "tools") if shared else None)
    parser.add_argument("--data", type=Path, default=Path(shared, "data", "dicom") if shared else None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--churn", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    asked = options()
    source = asked.data or Path()
    figures = measure(generator(asked.tools), source, asked.seed, churn=asked.churn)
    _result.write("hostile-churn" if asked.churn else "hostile", figures)
    ended = figures["archive_files"].get("ended", {})
    assert figures["attempts"] == 1
    assert all(ended[name]["outcome"] == "complete" for name in ended if name.startswith("good."))
    assert all(ended[name]["outcome"] == "failed" for name in ended if name.startswith(("bomb", "nested", "absolute")))
    assert figures["files"]["found"] == figures["rows"] == sum(figures["files"]["by_disposition"].values())
    assert figures["rows_of_one_path"] == 1
    assert "pending" not in figures["files"]["by_disposition"]
    assert figures["compared"]["wrong"] == figures["compared"]["rows that the generator does not name"] == []
    assert figures["changed_outside_home"] == [] and figures["canaries_whole"]
    assert not figures["identifying_token_in_the_log"]
    assert max(figures["worker_peak_megabytes"]) < MOST_MEGABYTES
    assert figures["seconds"] < MOST_SECONDS
