"""`inbox-pipeline anonymize` with policy basic, against copying, a bare pydicom loop and other tools.

Usage: benchmarks/run anonymize [--sets ct-like,...] [--tools ours,cp,...] [--rounds 7] [--data DIR] [--scale F]
                                [--peers VENV]

DIR holds a folder for each set; without it, sets of the same shape are made (`_sets.py`) at `--scale`. Sets that were
measured before of the same commit stay in the result. VENV is a virtual environment with the other tools (`pip install
dicognito==0.19.0 dicom-anonymizer==2.1.0 dcm-anonymizer==0.5.0 deid==0.4.13 dcmanon==0.3.1`), kept apart from this
project's; DCMTK's dcmodify is used where it is on the path. What is not there is not measured, and said so.

Every tool takes its turn in every round, with one process and with two. CPU is that of the whole tree of processes
(wait4), memory the largest process's; both from the kernel. A tool's start is a run on one small file just before,
subtracted from wall and CPU and shown by itself. Files are counted after every run, an output of every tool is looked
at, and one that leaves files out is never the best. This process stays small, since a child's memory counts from its
parent's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import _result

ROOT = Path(__file__).parent.parent
LIMIT_SECONDS = 900
SETS = ("ct-like", "mr-small", "tiny", "enhanced")
PYTHON_PEERS = ("dicognito", "dicom-anonymizer", "deid", "dcm-anonymizer")
TOOLS = ("ours", "cp", "pydicom", *PYTHON_PEERS, "dcmanon", "dcmodify")
JOBS = (1, 2)
CPU_TARGETS = {"ct-like": 4.0, "mr-small": 7.0, "tiny": 8.0, "enhanced": 12.0}
WALL_SETS = ("ct-like", "mr-small")
MOST_TIMES_CP, MOST_START_SECONDS, MOST_MEGABYTES = 4.0, 1.0, 120.0


class Run(NamedTuple):
    """One run of a tool: seconds, megabytes of the largest process, and files that came out."""

    wall: float
    cpu: float
    megabytes: float
    files: int


@dataclass(frozen=True)
class Place:
    """Where things are: the set's files, a folder for scratch, the secret, and the other tools' interpreter."""

    source: Path
    work: Path
    secret: Path
    peers: Path | None

    @property
    def out(self) -> Path:
        """Where a tool writes."""
        return self.work / "out"


def ours(place: Place, jobs: int) -> list[list[str]]:
    """The command with its defaults but for the policy; the report's rows are looked at later."""
    report = str(place.work / "report.jsonl")
    command = [sys.executable, "-m", "inbox_pipeline.cli", "anonymize", str(place.source), str(place.out)]
    return [
        [*command, "--policy", "basic", "--secret-file", str(place.secret), "--jobs", str(jobs), "--report", report]
    ]


def cp(place: Place, jobs: int) -> list[list[str]]:
    """`cp -r`, always one process."""
    return [["cp", "-r", str(place.source), str(place.out)]]


def peer(tool: str) -> Callable[[Place, int], list[list[str]]]:
    """Another tool, on equal shares of the files."""

    def commands(place: Place, jobs: int) -> list[list[str]]:
        python = sys.executable if tool in ("pydicom", "dcmodify") else str(place.peers and place.peers / "bin/python")
        lists = [place.work / f"{tool}.{job}.list" for job in range(jobs)]
        for job, listed in enumerate(lists):
            numbered = list(enumerate(files(place.source)))[job::jobs]
            listed.write_text("".join(f"{number:05d}\t{path}\n" for number, path in numbered))
        driver = str(ROOT / "benchmarks/_peer.py")
        return [[python, driver, tool, str(listed), str(place.out)] for listed in lists]

    return commands


COMMANDS: dict[str, Callable[[Place, int], list[list[str]]]] = {
    "ours": ours,
    "cp": cp,
    **{tool: peer(tool) for tool in TOOLS[2:]},
}


def files(folder: Path) -> list[Path]:
    """The files below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def run(commands: Sequence[Sequence[str]], out: Path, log: Path) -> Run:
    """Run processes at the same time and wait for all."""
    began = time.monotonic()
    with log.open("ab") as output:
        started = [subprocess.Popen(each, stdout=output, stderr=output, cwd=ROOT, process_group=0) for each in commands]
    signal.signal(signal.SIGALRM, lambda *_: [os.killpg(each.pid, signal.SIGKILL) for each in started])
    signal.alarm(LIMIT_SECONDS)
    usages = [os.wait4(process.pid, 0)[2] for process in started]
    wall = time.monotonic() - began
    signal.alarm(0)
    for process in started:
        process.returncode = 0  # it has been waited for above
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    written = sum(1 for path in out.rglob("*.dcm") if path.stat().st_size) if out.exists() else 0
    return Run(wall, cpu, max(usage.ru_maxrss for usage in usages) / 1024, written)


def turn(tool: str, place: Place, jobs: int) -> Run:
    """One run on an empty target; what it wrote stays until the next."""
    shutil.rmtree(place.out, ignore_errors=True)
    return run(COMMANDS[tool](place, jobs), place.out, place.work / f"{tool}.log")


def one_file(place: Place) -> Place:
    """The same with a single file, as small as any: what a run costs before it does anything."""
    work = place.work / "one"
    work.mkdir()
    run_module("_inspect", "small", str(work / "source"))
    return Place(work / "source", work, place.secret, place.peers)


def measure_set(place: Place, tools: Sequence[str], rounds: int) -> dict[str, Any]:
    """Measure one set, and look at what came out in the first round."""
    alone = one_file(place)
    starts: dict[tuple[str, int], list[Run]] = {key: [] for key in _keys(tools)}
    runs: dict[tuple[str, int], list[Run]] = {key: [] for key in _keys(tools)}
    looked: dict[str, Any] = {}
    for _ in range(rounds):
        for (tool, jobs), past in runs.items():
            starts[tool, jobs].append(turn(tool, alone, jobs))
            past.append(turn(tool, place, jobs))
            print(f"{place.source.name} {tool} x{jobs}: {past[-1]}", file=sys.stderr)
            if tool not in looked:
                looked[tool] = inspected(tool, place)
    shutil.rmtree(place.out, ignore_errors=True)
    sources = files(place.source)
    return {
        "files": len(sources),
        "megabytes": round(sum(path.stat().st_size for path in sources) / 1e6),
        "planted_name_left": planted_name_left(place) if "ours" in tools else None,
        "tools": {
            f"{tool} x{jobs}": figures(runs[tool, jobs], starts[tool, jobs], len(sources)) for tool, jobs in runs
        },
        "wall_times_cp": wall_ratios(runs, starts, "cp"),
        "wall_times_dcmanon": wall_ratios(runs, starts, "dcmanon"),
        "wall_times_dcmodify": wall_ratios(runs, starts, "dcmodify"),
        "outputs": looked,
    }


def _keys(tools: Sequence[str]) -> list[tuple[str, int]]:
    """Every tool with every number of processes; `cp` has but one."""
    return [(tool, jobs) for jobs in JOBS for tool in tools if tool != "cp" or jobs == 1]


def figures(runs: Sequence[Run], starts: Sequence[Run], count: int) -> dict[str, Any]:
    """What one tool took: medians over the rounds, the start apart."""
    start_wall, start_cpu = (statistics.median(getattr(each, name) for each in starts) for name in ("wall", "cpu"))
    walls, cpus = [each.wall - start_wall for each in runs], [each.cpu - start_cpu for each in runs]
    return {
        "wall_seconds": spread(walls),
        "cpu_ms_per_file": spread([1000 * cpu / count for cpu in cpus]),
        "start_wall_seconds": round(start_wall, 3),
        "start_cpu_seconds": round(start_cpu, 3),
        "megabytes": round(max(each.megabytes for each in runs), 1),
        "files_out": min(each.files for each in runs),
        "complete": all(each.files == count for each in runs),
    }


def wall_ratios(runs: dict[tuple[str, int], list[Run]], starts: Any, other: str) -> dict[str, dict[str, float]]:
    """Our wall seconds in those of another tool, round by round, starts subtracted; `cp` has no start to speak of."""
    ratios = {}
    for jobs in JOBS:
        theirs = (other, 1 if other == "cp" else jobs)
        if ("ours", jobs) in runs and theirs in runs:
            less = statistics.median(each.wall for each in starts["ours", jobs])
            start = 0.0 if other == "cp" else statistics.median(each.wall for each in starts[theirs])
            pairs = zip(runs["ours", jobs], runs[theirs], strict=True)
            ratios[f"x{jobs}"] = spread([(our.wall - less) / max(their.wall - start, 1e-9) for our, their in pairs])
    return ratios


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, median and most."""
    return {
        "least": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "most": round(max(values), 3),
    }


def inspected(tool: str, place: Place) -> dict[str, Any]:
    """Look at one output of a tool; of ours, at the report, too."""
    sources = files(place.source)
    source = sources[len(sources) // 2]
    rows = {row["source_path"]: row for row in report(place)} if tool == "ours" else {}
    if tool == "ours":
        output = place.out / (rows[str(source.relative_to(place.source))]["archived_path"] or "none")
    elif tool == "cp":
        output = place.out / source.relative_to(place.source)
    else:
        output = place.out / f"{len(sources) // 2:05d}.dcm"
    if not output.is_file():
        return {"written": False}
    return {
        "written": True,
        **json.loads(run_module("_inspect", str(source), str(output))),
        **(reported(place, rows) if rows else {}),
    }


def report(place: Place) -> list[dict[str, Any]]:
    """The rows of our report."""
    return [json.loads(line) for line in (place.work / "report.jsonl").read_text().splitlines()]


def reported(place: Place, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the report says, and whether the digests of a sample are those of the files."""
    sample = [row for row in rows.values() if row["disposition"] == "archived"][:: max(1, len(rows) // 20)]
    right = all(
        row["source_sha256"] == digest(place.source / row["source_path"])
        and row["archived_sha256"] == digest(place.out / row["archived_path"])
        for row in sample
    )
    reasons = sorted({f"{row['disposition']}: {row['reason']}" for row in rows.values()})
    return {"rows": len(rows), "reasons": reasons, "digests_right": right and bool(sample)}


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def planted_name_left(place: Place) -> bool:
    """Whether a name that was planted into a file of the set comes out; it may be held, or clean."""
    planted = Place(place.work / "planted", place.work, place.secret, None)
    words = json.loads(run_module("_inspect", "plant", str(files(place.source)[0]), str(planted.source)))
    turn("ours", planted, 1)
    assert len(report(planted)) == 1
    return any(word.encode() in path.read_bytes() for path in files(planted.out) for word in words)


def run_module(module: str, *arguments: str) -> str:
    """What a module of this folder prints, run by itself: this process loads no pydicom."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout


def verdicts(sets: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What was to be reached, what was, and whether; without the other tool there is no verdict."""
    said: dict[str, dict[str, Any]] = {}
    for name, found in sets.items():
        tools = found["tools"]
        peers = [tools[key] for tool in PYTHON_PEERS if (key := f"{tool} x1") in tools and tools[key]["complete"]]
        if peers:
            best = min(each["cpu_ms_per_file"]["median"] for each in peers)
            times = best / tools["ours x1"]["cpu_ms_per_file"]["median"]
            said[f"{name}: CPU per file, times less than the best Python tool"] = at_least(times, CPU_TARGETS[name])
        if name in WALL_SETS:
            said |= wall_verdicts(name, found)
        said[f"{name}: megabytes"] = at_most(max(tools[f"ours x{jobs}"]["megabytes"] for jobs in JOBS), MOST_MEGABYTES)
        said[f"{name}: seconds to start"] = at_most(tools["ours x1"]["start_wall_seconds"], MOST_START_SECONDS)
    return said


def wall_verdicts(name: str, found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Those about wall time, by the median of the rounds' ratios."""
    said = {}
    if "x2" in found["wall_times_cp"]:
        said[f"{name}: wall of 2 jobs in that of cp -r"] = at_most(
            found["wall_times_cp"]["x2"]["median"], MOST_TIMES_CP
        )
    for other in ("dcmanon", "dcmodify"):
        for jobs, ratio in found[f"wall_times_{other}"].items():
            if found["tools"][f"{other} {jobs}"]["complete"]:
                said[f"{name}: wall {jobs} in that of {other}"] = at_most(ratio["median"], 1.0)
    return said


def at_least(value: float, target: float) -> dict[str, Any]:
    """A verdict."""
    return {"reached": round(value, 2), "at_least": target, "is": value >= target}


def at_most(value: float, target: float) -> dict[str, Any]:
    """A verdict; what is not above zero has not been measured, for the set was too small or the machine too busy."""
    return {"reached": round(value, 2), "at_most": target, "is": 0 < value <= target}


def table(sets: dict[str, Any]) -> str:
    """The figures as lines."""
    lines = [f"{'set':9} {'tool':20} {'wall s':>8} {'ms/file':>9} {'start s':>8} {'MB':>6} {'files':>7}"]
    for name, found in sets.items():
        for tool, each in found["tools"].items():
            cells = (each["wall_seconds"]["median"], each["cpu_ms_per_file"]["median"], each["start_cpu_seconds"])
            out = f"{each['files_out']}" if each["complete"] else f"{each['files_out']}!"
            wall, cpu, start = cells
            lines.append(f"{name:9} {tool:20} {wall:8.2f} {cpu:9.2f} {start:8.2f} {each['megabytes']:6.0f} {out:>7}")
    return "\n".join(lines)


def available(tools: Sequence[str], peers: Path | None) -> list[str]:
    """The tools that are here."""
    here = ["ours", "cp", "pydicom", *(("dcmodify",) if shutil.which("dcmodify") else ())]
    return [tool for tool in tools if tool in here or (peers is not None and tool not in ("dcmodify",))]


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Measure all sets; after each of them write the result, with sets that were measured before of this commit."""
    tools = available(given.tools, given.peers)
    missing = [tool for tool in TOOLS if tool not in tools]
    asked = {
        "rounds": given.rounds,
        "scale": None if given.data else given.scale,
        "scratch": given.scratch and filesystem_of(given.scratch),
        "not_measured": missing,
    }
    sets: dict[str, Any] = _result.of_this_commit("anonymize").get("sets", {})
    with tempfile.TemporaryDirectory(dir=given.scratch) as name:
        folder = Path(name)
        data = given.data or folder / "data"
        if given.data is None:
            run_module("_sets", str(data), *given.sets, "--scale", str(given.scale))
        new = [sys.executable, "-m", "inbox_pipeline.cli", "secret", "new", str(folder / "secret.key")]
        subprocess.run(new, check=True, cwd=ROOT, capture_output=True)
        for each in given.sets:
            work = folder / each
            work.mkdir()
            place = Place(data.resolve() / each, work, folder / "secret.key", given.peers)
            load = round(os.getloadavg()[0], 2)
            sets[each] = {**asked, "load_before": load, **measure_set(place, tools, given.rounds)}
            _result.write("anonymize", {"sets": sets, "verdicts": verdicts(sets)})
    return sets


def filesystem_of(folder: Path) -> str:
    """The kind of file system that a folder is on."""
    return subprocess.run(["stat", "-fc", "%T", folder], capture_output=True, text=True, check=True).stdout.strip()


def whole(sets: dict[str, Any]) -> bool:
    """Whether our own runs left no file out, hid the names, and told the truth in the report."""
    return all(
        found["tools"][f"ours x{jobs}"]["complete"]
        and found["planted_name_left"] is False
        and all(found["outputs"]["ours"][sign] for sign in ("written", "pixels_kept", "name_gone", "digests_right"))
        for found in sets.values()
        for jobs in JOBS
    )


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks/run anonymize")
    parser.add_argument("--sets", type=lambda text: text.split(","), default=list(SETS))
    parser.add_argument("--tools", type=lambda text: text.split(","), default=list(TOOLS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--scratch", type=Path, help="where copies are written; a folder on the disk to be measured")
    return parser.parse_args()


if __name__ == "__main__":
    measured = measure(options())
    print(table(measured))
    said = verdicts(measured)
    for sentence, verdict in said.items():
        print("reached" if verdict["is"] else "MISSED ", sentence, verdict)
    assert whole(measured)
    assert all(verdict["is"] for verdict in said.values())
