"""A running `up` that imports many sessions while its processes are killed, and what must hold in the end.

Belongs here: the sessions, the kills, the outages of a database server, the checks, for the tests and for
`benchmarks/run kill`. Does not belong here: how many.

A third of the kills come at any moment, the others wait, once the random time of progress is over, until a run is in an
op or at a step of a commit that the seed names; what was interrupted is told by what the dead run left.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pydicom
import sqlalchemy as sa
from pydicom import Dataset
from sqlalchemy.engine import RowMapping

from inbox_pipeline.intake.reasons import FROM_ARCHIVE
from inbox_pipeline.services.site import open_site
from inbox_pipeline.services.verify import verify
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog import leases, prearchive, relabelled
from inbox_pipeline.store.catalog.schema import DELETED, WITHDRAWN, instances, ledger, requests, session_locks, sessions
from inbox_pipeline_tests.data_for_tests import ROOT, instance, save
from inbox_pipeline_tests.end_to_end.clerk import Clerk
from inbox_pipeline_tests.packing import KINDS, folder_packed
from inbox_pipeline_tests.postgres_for_tests import Postgres
from inbox_pipeline_tests.server_for_tests import FAULTS, Server, descendants, file_request
from inbox_pipeline_tests.services.states import phase_of

OPS = ("scan", "validate", "anonymize")
STEPS = ("locked", "building", "intended", "exchanged", "away", "shown", "recorded", "put away")
PROJECTS = {"AUTO": "4", "MANUAL": "0", "OTHER": "4"}
LARGEST_MODEL = 1 << 16
MODELS = 60
AIM_SECONDS = 20.0
LOOK_SECONDS = 0.002
SECONDS_PER_FILE = 0.04
LEAST_WAITING = 4
IDLE_SECONDS = 300.0
END_SECONDS = 900.0
PACKED_EVERY = 4
OUTAGE_SECONDS = (1.0, 10.0)
COMMENTS = ("PatientComments", "StudyComments", "AdditionalPatientHistory", "RequestedProcedureComments")


@dataclass
class Sessions:
    """Makes folders of sessions out of models: copies with other UIDs, patients and instance numbers."""

    models: list[Dataset]
    chance: random.Random
    fewest: int
    most: int
    made: int = 0
    files: int = 0

    def make(self, inbox: Path) -> list[tuple[Path, str]]:
        """Make one more session; return its folders with their project.

        A third of the sessions come in two parts, a quarter in archive files.
        """
        self.made += 1
        project = "MANUAL" if self.made % 3 == 0 else "AUTO"
        count = self.chance.randint(self.fewest, self.most)
        parts = 2 if self.made % 3 == 1 else 1
        first = self.chance.randrange(len(self.models))
        folders = [inbox / project / f"s{self.made}-{part}" for part in range(parts)]
        for number in range(1, count + 1):
            series = 1 + number * 3 // (count + 1)
            copy = self._copy(self.models[(first + series) % len(self.models)], series, number)
            save(copy, folders[number % parts] / f"{number:04d}.dcm")
            self.files += 1
        return [(self._packed(folder) if self.made % PACKED_EVERY == 0 else folder, project) for folder in folders]

    def _packed(self, folder: Path) -> Path:
        """Put a folder into an archive file instead, of one kind after the other."""
        kind = KINDS[self.made // PACKED_EVERY % len(KINDS)]
        packed = folder_packed(folder, folder.with_name(folder.name + kind))
        shutil.rmtree(folder)
        return packed

    def _copy(self, model: Any, series: int, number: int) -> Any:
        study = f"{ROOT}.9.{self.made}"
        model.StudyInstanceUID, model.SeriesInstanceUID = study, f"{study}.{series}"
        model.SOPInstanceUID = model.file_meta.MediaStorageSOPInstanceUID = f"{study}.{series}.{number}"
        model.PatientID, model.PatientName = f"FAKE{self.made:05d}", f"FAKE^PATIENT{self.made:05d}"
        model.SeriesNumber, model.InstanceNumber = series, number
        for keyword in COMMENTS:
            if keyword in model:
                del model[keyword]
        return model


def models_of(folder: Path | None) -> list[Dataset]:
    """Return small files of a folder that pydicom can write again, or made ones."""
    if folder is None:
        return [instance(series=series, modality=kind) for series, kind in enumerate(("MR", "CT", "MR"), 1)]
    found: list[Dataset] = []
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size < LARGEST_MODEL]
    for path in paths[:: max(1, len(paths) // (2 * MODELS))]:
        model = _model(path)
        if model is not None:
            found.append(model)
    return found[:MODELS]


def _model(path: Path) -> Dataset | None:
    try:
        model = pydicom.dcmread(path)
        model.save_as(io.BytesIO())
    except (pydicom.errors.InvalidDicomError, OSError, ValueError, AttributeError):
        return None
    return model if "PixelData" in model and "SOPInstanceUID" in model else None


@dataclass
class Siege:
    """One server under attack.

    Args:
        folder: where its HOME and log are.
        seed: of all that is left to chance.
        sessions: makes what is imported.
        progress: least and most seconds of progress before a kill.
        tree_every: every kill of that number takes everything at once.
        postgres: the server that has the catalog and Dagster's storage; None leaves them in SQLite.
        with_clerk: whether somebody deletes, restores, relabels, moves and archives sessions meanwhile.
    """

    folder: Path
    seed: int
    sessions: Sessions
    progress: tuple[float, float] = (2.0, 20.0)
    tree_every: int = 10
    postgres: Postgres | None = None
    with_clerk: bool = False
    interrupted: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    aims: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.armoury = self.folder / "armoury"
        self.armoury.mkdir()
        path = ":".join([str(FAULTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        faults = {"PYTHONPATH": path, "INBOX_TEST_FAULT": "armed", "INBOX_TEST_ARMOURY": str(self.armoury)}
        faults["INBOX_TEST_SLOWNESS"] = str(SECONDS_PER_FILE)
        database = {"INBOX_PIPELINE_DATABASE_URL": self.postgres.new_database("siege")} if self.postgres else {}
        self.server = Server(self.folder / "home", self.folder / "up.log", **faults, **database)
        self.server.start()
        self.site = open_site(read_settings(database, home=self.folder / "home"))
        for project, code in PROJECTS.items():
            self.server.command("project", "create", project, "--if-missing")
            self.server.command("project", "set", project, "--prearchive-code", code)
        self.clerk = Clerk(self.server, self.site, sorted(PROJECTS), random.Random(self.seed + 1))
        if self.with_clerk:
            self.clerk.start()

    def feed(self, sessions: int = 1) -> None:
        """Make sessions and ask for their import, cleanup on."""
        with self.server.client() as client:
            for _ in range(sessions):
                for folder, project in self.sessions.make(self.site.settings.inbox_path):
                    file_request(client, folder, project, overwrite="append", cleanupAfterImport="true")

    def unfinished(self) -> int:
        """Return how many requests have not ended."""
        with self.site.catalog.read() as connection:
            return len([row for row in connection.execute(sa.select(requests.c.status)).scalars() if row not in ENDED])

    def strike(self, number: int) -> None:
        """Let the work go on for a while, then kill a worker, or everything when it is its turn."""
        self._progress(self.chance.uniform(*self.progress))
        aim = self._aim()
        (self.armoury / "no exchange").unlink(missing_ok=True)
        if aim == "away" or (aim != "exchanged" and number % 2):
            (self.armoury / "no exchange").touch()
        if number % self.tree_every == self.tree_every - 1:
            running = self._running()
            self.server.kill_everything()
            self._count("everything", running)
            self.server.ready = {}
            self.server.start()
        elif self.with_clerk and number % self.tree_every == 1:
            self._kill_web()
        elif aim in STEPS:
            self._arm(aim)
        else:
            self._shoot(aim)

    def outage(self) -> None:
        """Let the work go on for a while, then stop the database server for some seconds."""
        assert self.postgres is not None
        self._progress(self.chance.uniform(*self.progress))
        self.postgres.stop()
        time.sleep(self.chance.uniform(*OUTAGE_SECONDS))
        self.postgres.start()
        self.killed["the database"] += 1

    def _aim(self) -> str:
        """Draw what to interrupt, "" for whatever it is: all of it once before any of it again."""
        if not self.aims:
            self.aims = [*OPS, *STEPS, *[""] * 6]
            self.chance.shuffle(self.aims)
        return self.aims.pop()

    def _progress(self, seconds: float) -> None:
        """Wait until runs have worked for so long; more is asked for when little is left."""
        worked = time.monotonic()
        while seconds > 0:
            self._keep_busy()
            time.sleep(0.1)
            if self._running():
                seconds, worked = seconds - 0.1, time.monotonic()
            assert time.monotonic() < worked + IDLE_SECONDS, "no run works"

    def _keep_busy(self) -> None:
        if self.unfinished() < LEAST_WAITING:
            self.feed()

    def _arm(self, step: str) -> None:
        """Let the next run that comes to a step of its commit die there."""
        weapon, running = self.armoury / step, self._running()
        weapon.touch()
        deadline = time.monotonic() + AIM_SECONDS
        while weapon.exists() and time.monotonic() < deadline:
            self._keep_busy()
            running = self._running() or running
            time.sleep(LOOK_SECONDS)
        if weapon.exists():
            weapon.unlink()
            self._shoot("")
            return
        time.sleep(0.05)
        self._count(step, [row for row in self._running() or running if not _lives(row)])

    def _kill_web(self) -> None:
        """Kill the web process, which deletes sessions and scans, and wait for the next one."""
        assert self.server.process is not None
        for pid in descendants(self.server.process.pid):
            if b"inbox_pipeline.web" in _command(pid):
                os.kill(pid, signal.SIGKILL)
        self.killed["the web process"] += 1
        deadline = time.monotonic() + IDLE_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, "the web process has not been started again"
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with self.server.client() as client:
                return client.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def _shoot(self, phase: str) -> None:
        """Kill the worker of a run, if one gets there one that is in that phase."""
        while not any(self._kill(row) for row in self._until(phase)):
            self._keep_busy()

    def _kill(self, row: RowMapping) -> bool:
        """Kill the worker of a run; False if it is gone already."""
        try:
            os.kill(int(str(row["lease_owner"]).split(":")[2]), signal.SIGKILL)
        except ProcessLookupError:
            return False
        while _lives(row):
            time.sleep(LOOK_SECONDS)
        self._count("a worker", [row])
        return True

    def _until(self, phase: str) -> list[RowMapping]:
        deadline = time.monotonic() + AIM_SECONDS
        while phase and time.monotonic() < deadline:
            self._keep_busy()
            found = [row for row in self._running() if row["phase"] == phase]
            if found:
                return found
            time.sleep(LOOK_SECONDS)
        return self._running()

    def _running(self) -> list[RowMapping]:
        with self.site.catalog.read() as connection:
            return [row for row in leases.leased(connection) if leases.held(connection, row)]

    def _count(self, what: str, rows: list[RowMapping]) -> None:
        self.killed["everything" if what == "everything" else "a worker"] += 1
        for row in rows:
            self.interrupted[phase_of(self.site, row["id"])] += 1

    def finish(self) -> None:
        """Let the work end in peace."""
        self.clerk.stop()
        deadline = time.monotonic() + END_SECONDS
        while self.unfinished():
            assert time.monotonic() < deadline, f"{self.unfinished()} requests have not ended"
            time.sleep(0.5)
        time.sleep(6.0)  # a tick of the reconcile sensor, which sweeps staging

    def figures(self) -> dict[str, Any]:
        """Return what was found: all of it must be as `judge` says."""
        with self.site.catalog.read() as connection:
            imports = requests.c.source.not_in((prearchive.SOURCE, relabelled.SOURCE))
            outcomes = sa.select(requests.c.outcome, requests.c.reason).where(imports)
            statuses, reasons = map(Counter, zip(*connection.execute(outcomes), strict=True))
            folder = requests.c.source_path.label("folder")
            rows = connection.execute(sa.select(ledger, folder).join(requests).where(imports)).mappings()
            files = list(rows)
            others = connection.execute(sa.select(requests.c.source, requests.c.reason).where(~imports)).all()
            of_session = sa.select(instances.c.session_id, instances.c.sop_key, sessions.c.state).join(sessions)
            every = connection.execute(of_session).all()
            held = [each[:2] for each in every if each.state != WITHDRAWN]
            states = Counter(connection.execute(sa.select(sessions.c.state)).scalars())
            locks = len(connection.execute(sa.select(session_locks)).all())
            attempts = connection.execute(sa.select(sa.func.max(requests.c.attempt))).scalar_one()
        arrived = [row for row in files if row["disposition"] in ("archived", "prearchived")]
        verification = verify(self.site)
        return {
            "requests": dict(statuses),
            "reasons": dict(reasons),
            "other_requests": {f"{source}: {reason}": n for (source, reason), n in sorted(Counter(others).items())},
            "session_states": dict(states),
            "most_attempts": attempts,
            "sources": self.sessions.files,
            "ledger_rows": len(files),
            "dispositions": {f"{d}: {r}": n for (d, r), n in sorted(_by_reason(files).items())},
            "instances": len(held),
            "deleted_without_an_instance": len([row for row in files if _is_deleted(row)]) - (len(every) - len(held)),
            "instances_twice": len(held) - len(set(held)),
            "arrived_without_an_instance": len(arrived) - len(held),
            "sources_left_or_gone_wrongly": _wrongly_there_or_gone(files),
            "differences": [f"{each.kind} {each.tree}" for each in verification.differences],
            "files_verified": verification.files,
            "left_in_staging": len(list(self.site.settings.staging_path.iterdir())),
            "locks_held": locks,
            "killed": dict(self.killed),
            "clerk": dict(sorted(self.clerk.answers.items())),
            "clerk_wrongly_answered": self.clerk.wrong,
            "interrupted": {name: self.interrupted[name] for name in (*OPS, *STEPS)},
            "interrupted_elsewhere": sum(n for name, n in self.interrupted.items() if name not in (*OPS, *STEPS)),
        }


ENDED = ("Completed", "Failed")
SETTLED = {"ARCHIVED", "READY", "CONFLICT", WITHDRAWN, DELETED}
"""The states in which sessions may be when all work has ended."""


def _lives(row: RowMapping) -> bool:
    """Return whether the process that holds a lease runs: neither gone nor waiting to be buried."""
    try:
        stat = Path(f"/proc/{str(row['lease_owner']).split(':')[2]}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def _by_reason(files: list[RowMapping]) -> Counter[tuple[str, str]]:
    return Counter((row["disposition"], row["reason"]) for row in files)


def _wrongly_there_or_gone(files: list[RowMapping]) -> int:
    """Return how many sources are there although they are archived, or gone although they are not.

    An archive file is there until all that it holds may go.
    """
    staying = {row["folder"] for row in files if not _may_go(row)}
    wrong = [_is_there(row) == (row["folder"] not in staying if _is_packed(row) else _may_go(row)) for row in files]
    return sum(wrong)


def _is_packed(row: RowMapping) -> bool:
    return os.fsdecode(row["folder"]).endswith(KINDS)


def _is_there(row: RowMapping) -> bool:
    inside = b"" if _is_packed(row) else b"/" + row["source_path"]
    return Path(os.fsdecode(row["folder"] + inside)).exists()


def _may_go(row: RowMapping) -> bool:
    """Return whether a source must be gone by now: archived, or a duplicate of what is, also if that is deleted."""
    return row["disposition"] in ("archived", "duplicate") or _is_deleted(row)


def _is_deleted(row: RowMapping) -> bool:
    return bool(row["reason"] == FROM_ARCHIVE)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def judge(figures: dict[str, Any]) -> None:
    """Fail unless nothing was lost, nothing came twice and nothing was left behind."""
    assert "failed" not in figures["requests"], json.dumps(figures, indent=2)
    wrong = (
        "instances_twice",
        "arrived_without_an_instance",
        "deleted_without_an_instance",
        "sources_left_or_gone_wrongly",
        "left_in_staging",
        "locks_held",
    )
    assert {name: figures[name] for name in wrong} == dict.fromkeys(wrong, 0), json.dumps(figures, indent=2)
    assert figures["differences"] == figures["clerk_wrongly_answered"] == [], json.dumps(figures, indent=2)
    assert set(figures["session_states"]) <= SETTLED, json.dumps(figures, indent=2)
    assert figures["ledger_rows"] == figures["sources"], json.dumps(figures, indent=2)


def besiege(siege: Siege, kills: int, sessions: int, outages: int = 0) -> dict[str, Any]:
    """Kill so many times while that many sessions, or more if need be, are imported; return the figures.

    Between the kills, at equal distances, the database server is stopped and started `outages` times.
    """
    with ExitStack() as stack:
        stack.callback(siege.server.stop)
        stack.callback(siege.clerk.stop)
        siege.feed(sessions)
        for number in range(kills):
            siege.strike(number)
            if number * outages // kills < (number + 1) * outages // kills:
                siege.outage()
        siege.finish()
    figures = siege.figures()
    judge(figures)
    return figures
