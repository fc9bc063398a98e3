"""Lists of a catalog with 100,000 instances in 500 sessions, over HTTP, on SQLite and on PostgreSQL.

Usage: benchmarks/run lists [ROUNDS] [INSTANCES] [SESSIONS]

The addresses are those that xnatpy, pyxnat and scripts send, with pages where the list has them. The clock stands when
the answer's last byte has arrived. Every list takes its turn in every round, as administrator and as member of five of
the twenty projects; `answer` is what an answer costs that lists nothing. A list is too slow if its median is above
LIMIT; lists without paging, and whole lists that have pages, are in `whole`: they are shown, and not judged.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from benchmarks import _result
from inbox_pipeline.services.site import init_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline_tests.postgres_for_tests import running_postgres
from inbox_pipeline_tests.server_for_tests import web_process
from inbox_pipeline_tests.services.filling import PASSWORD, Size, fill, project_id

LIMIT_MILLISECONDS = 300.0
WARM_UP = 2
PEOPLE = ("admin", "member")
ADMINISTRATORS = ("page: audit",)
LARGEST, USUAL = "INBOX_E00001", "INBOX_E00004"
"""Two sessions of the first project: the one with a twentieth of all instances, and one of the usual size."""

BY_SCAN = "project,subject_label,xnat:mrscandata/id,xnat:mrscandata/type,xnat:mrscandata/series_description"


def lists(size: Size) -> dict[str, str]:
    """Return the addresses of the lists by their names, which begin with `page: ` or `whole: `."""
    project = f"/data/projects/{project_id(0)}"
    scans, large = f"/data/experiments/{LARGEST}/scans", f"/data/experiments/{LARGEST}/scans/ALL/files"
    waiting = f"/data/prearchive/projects/{size.largest_waiting()}"
    last, last_file = max(0, size.sessions // 3 - 50), max(0, size.files(0) - 100)
    pages = {
        "projects": "/data/projects?limit=10&offset=2",
        "projects, columns": "/data/archive/projects?columns=ID,URI,name&format=json&limit=10",
        "subjects, first page": "/data/subjects?limit=50",
        "subjects of a project, columns": f"{project}/subjects?columns=ID,URI,label&format=json&limit=50&offset={last}",
        "subjects of a project, CSV": f"{project}/subjects?format=csv&limit=50&offset={last}",
        "sessions, first page": "/data/experiments?limit=50",
        "sessions, sorted, deep": f"/data/experiments?sortBy=date,label&sortOrder=desc&limit=50&offset={last}",
        "sessions of a project, columns": f"{project}/experiments?columns=ID,URI,label,xsiType&format=json&limit=50",
        "sessions of a project, deep": f"{project}/experiments?limit=50&offset={last}",
        "sessions of a project, CSV, deep": f"{project}/experiments?format=csv&limit=50&offset={last}",
        "sessions by type and day": "/data/experiments?xsiType=xnat:mrSessionData&date=2020-01-02-2020-12-31&limit=50",
        "sessions by label": f"{project}/experiments?label=*_MR1&limit=50",
        "sessions by scan": f"{project}/experiments?columns={BY_SCAN}&limit=50&offset={4 * last}",
        "scans": f"{scans}?limit=10&offset=2",
        "files, first page": f"{large}?limit=100",
        "files, deep": f"{large}?limit=100&offset={last_file}",
        "files, CSV, deep": f"{large}?format=csv&limit=100&offset={last_file}",
        "files, sorted, deep": f"{large}?sortBy=Size&sortOrder=desc&limit=100&offset={last_file}",
        "files of a scan": f"{scans}/3/resources/DICOM/files?limit=100",
        "audit": "/api/v1/audit?limit=100",
        "requests, first page": "/api/v1/requests?limit=50",
        "requests, deep": "/api/v1/requests?limit=50&before=100",
    }
    whole = {
        "projects": "/data/projects",
        "subjects of a project": f"{project}/subjects?columns=ID,URI,label&format=json",
        "subjects": "/data/subjects",
        "sessions of a project": f"{project}/experiments?columns=ID,URI,label,xsiType&format=json",
        "sessions": "/data/experiments",
        "sessions, CSV": "/data/experiments?format=csv",
        "sessions by scan": f"/data/experiments?columns={BY_SCAN}&format=csv",
        "session of an accession id": f"/data/experiments?xsiType=xnat:subjectAssessorData&ID={USUAL}&format=csv"
        "&columns=ID,project,xnat:subjectAssessorData/subject_id",
        "scans": f"{scans}?columns=ID,URI,type,xsiType&format=json",
        "resources of a scan": f"{scans}/3/resources",
        "files of a usual session": f"/data/experiments/{USUAL}/scans/ALL/files",
        "files of a usual session, CSV": f"/data/experiments/{USUAL}/scans/ALL/files?format=csv",
        "files of the largest session": large,
        "prearchive": "/data/prearchive/projects?format=csv",
        "prearchive of a project": f"/data/prearchive/projects/{project_id(0)}",
        "scans of the largest in the prearchive": f"{waiting}/scans",
        "files of one of its scans": f"{waiting}/scans/3/resources/DICOM/files",
        "ledger of the largest": "/api/v1/requests/1/ledger",
        "requests, XNAT's list": "/xapi/dicom/list/all",
        "requests": "/api/v1/requests",
        "active requests": "/xapi/dicom/list/active",
    }
    groups = {"page": pages, "whole": whole}
    return {f"{kind}: {name}": address for kind, group in groups.items() for name, address in group.items()}


@contextmanager
def sqlite() -> Iterator[Mapping[str, str]]:
    """Yield the settings of a catalog on SQLite."""
    yield {}


@contextmanager
def postgres() -> Iterator[Mapping[str, str]]:
    """Yield the settings of a catalog on a PostgreSQL server of our own."""
    with running_postgres() as server:
        yield {"INBOX_PIPELINE_DATABASE_URL": server.new_database("lists")}


BACK_ENDS = {"sqlite": sqlite, "postgres": postgres}


def measure(rounds: int, size: Size) -> dict[str, Any]:
    """Fill a catalog on each back end and ask for every list."""
    found = {name: on_back_end(start, rounds, size) for name, start in BACK_ENDS.items()}
    slow = [
        f"{back_end}, {person}: {name}"
        for back_end, figures in found.items()
        for person in PEOPLE
        for name, row in figures[person].items()
        if name.startswith("page: ") and row["median"] > LIMIT_MILLISECONDS
    ]
    return {"limit_milliseconds": LIMIT_MILLISECONDS, "rounds": rounds, "size": vars(size), "too_slow": slow} | found


def on_back_end(start: Callable[[], Any], rounds: int, size: Size) -> dict[str, Any]:
    """Fill one catalog and ask its server."""
    with tempfile.TemporaryDirectory() as folder, start() as environment:
        home, load = Path(folder) / "home", os.getloadavg()[0]
        site = init_site(read_settings(environment, home=home))
        began = time.monotonic()
        fill(site, size)
        filled = time.monotonic() - began
        if not site.catalog.is_sqlite:
            analyze(site.catalog.engine)
        site.catalog.dispose()
        with web_process(home, **environment) as url:
            answers = {person: ask(url, person, rounds, lists(size)) for person in PEOPLE}
    return {"load_before": round(load, 2), "filled_in_seconds": round(filled, 1), **answers}


def analyze(engine: sa.Engine) -> None:
    """Let PostgreSQL know its tables, as its autovacuum would after a minute."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def ask(url: str, person: str, rounds: int, wanted: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return what each list costs somebody who is logged in, in milliseconds."""
    wanted = {"answer": "/data/auth", **wanted}
    times: dict[str, list[float]] = {name: [] for name in wanted}
    answers: dict[str, httpx.Response] = {}
    with httpx.Client(base_url=url, timeout=60) as client:
        client.get("/data/JSESSION", auth=(person, PASSWORD)).raise_for_status()
        for _ in range(WARM_UP + rounds):
            for name, address in wanted.items():
                if name in ADMINISTRATORS and person != "admin":
                    continue
                began = time.perf_counter()
                answers[name] = client.get(address)
                times[name].append(1000 * (time.perf_counter() - began))
                assert answers[name].status_code == 200, f"{address}: {answers[name].text[:300]}"
    floor = statistics.median(times["answer"][WARM_UP:])
    return {name: shown(times[name][WARM_UP:], answers[name], floor) for name in answers}


def shown(milliseconds: list[float], answer: httpx.Response, floor: float) -> dict[str, float]:
    """Return least, median and most, the median over that of an answer that lists nothing, and what came."""
    middle = statistics.median(milliseconds)
    return {
        "least": round(min(milliseconds), 1),
        "median": round(middle, 1),
        "most": round(max(milliseconds), 1),
        "over_an_answer": round(middle / floor, 1),
        "rows": rows_of(answer),
        "bytes": len(answer.content),
    }


def rows_of(answer: httpx.Response) -> int:
    """Return how many rows an answer has, whatever its form."""
    kind = answer.headers["content-type"].partition(";")[0]
    if kind == "text/csv":
        return answer.text.count("\n") - 1
    if kind != "application/json":
        return 0
    found = answer.json()
    if isinstance(found, dict):
        found = found["ResultSet"]["Result"] if "ResultSet" in found else next(iter(found.values()))
    return len(found)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    rounds, instances, sessions = numbers + [15, 100_000, 500][len(numbers) :]
    figures = measure(rounds, Size(instances, sessions, projects=20, waiting=sessions // 10))
    _result.write("lists", figures)
    assert not figures["too_slow"], figures["too_slow"]
