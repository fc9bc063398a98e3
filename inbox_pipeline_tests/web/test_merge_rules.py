"""What `services/archive` does with a session that is there already (contract section 4.5), as one table, over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from inbox_pipeline.services import projects
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import verify
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.web.browsing import let_import
from inbox_pipeline_tests.web.conftest import PASSWORD
from inbox_pipeline_tests.web.test_xnat_prearchive import worker

STUDIES = iter(range(1, 10_000))
APPEND, DELETE, FILES = {"overwrite": "append"}, {"overwrite": "delete"}, {"overwrite_files": "true"}


@dataclass(frozen=True)
class Files:
    """Files of one series: their numbers, its scan's number where that is another, and other values of elements."""

    numbers: range
    series: int = 1
    scan: int = 1
    values: dict[str, Any] = field(default_factory=dict)


FIRST = Files(range(1, 12))
NEW, OVERLAPPING = Files(range(12, 17)), Files(range(11, 17))
OTHER_BYTES = Files(range(11, 17), values={"StudyID": "OTHER"})
RULES: dict[str, tuple[Files, dict[str, str], str | None, dict[str, int]]] = {
    "nothing said": (NEW, {}, "session_exists", {"1": 11}),
    "none": (NEW, {"overwrite": "none"}, "session_exists", {"1": 11}),
    "files alone say nothing": (NEW, FILES, "session_exists", {"1": 11}),
    "append": (NEW, APPEND, None, {"1": 16}),
    "any other word is append": (NEW, {"overwrite": "override"}, None, {"1": 16}),
    "append what is there": (OVERLAPPING, APPEND, "files_exist", {"1": 11}),
    "append what is there, overwriting": (OVERLAPPING, APPEND | FILES, None, {"1": 16}),
    "delete is a union": (OVERLAPPING, DELETE, None, {"1": 16}),
    "all of it again": (FIRST, DELETE, None, {"1": 11}),
    "append other bytes": (OTHER_BYTES, APPEND, "files_exist", {"1": 11}),
    "append other bytes, overwriting": (OTHER_BYTES, APPEND | FILES, None, {"1": 16}),
    "delete takes other bytes": (OTHER_BYTES, DELETE, None, {"1": 16}),
    "another study": (Files(range(12, 14), values={"study": 7}), DELETE, "study_differs", {"1": 11}),
    "another patient": (Files(range(12, 14), values={"PatientID": "X"}), DELETE, "patient_conflict", {"1": 11}),
    "another subject": (NEW, DELETE | {"subject": "OTHER"}, "subject_differs", {"1": 11}),
    "another kind of session": (Files(range(1, 3), 2, 2, {"modality": "CT"}), DELETE, "modality_differs", {"1": 11}),
    "a report joins its images": (Files(range(1, 3), 2, 2, {"Modality": "SR"}), APPEND, None, {"1": 11, "2": 2}),
    "another scan": (Files(range(1, 3), 2, 2), APPEND, None, {"1": 11, "2": 2}),
    "another series of that number": (Files(range(1, 3), 2, 1), APPEND, None, {"1": 11, "1-MR1": 2}),
    "the series under another number": (Files(range(12, 14), 1, 9), APPEND, None, {"1": 13}),
}


@dataclass
class Archive:
    """A project of which a session is archived, talked to over HTTP."""

    site: Site
    http: httpx.Client

    def wait(self, study: int, files: Files, label: str) -> str:
        """Import files into the prearchive and return the session's address there."""
        folder: Path = self.site.settings.inbox_path / "P1" / f"in-{next(STUDIES)}"
        values = {"PatientID": f"PAT{study}", **files.values}
        own = values.pop("study", study)
        for number in files.numbers:
            made = instance(own, files.series, number, SeriesNumber=files.scan, **values)
            save(made, folder / f"{number}.dcm")
        let_import(self.site, folder, "P1", f"SUB{study}", label)
        rows = self.rows("/data/prearchive/projects/P1")
        return str(next(row for row in reversed(rows) if row["name"] == label)["url"])

    def rows(self, url: str, method: str = "GET", **parameters: str) -> list[dict[str, Any]]:
        answer = self.http.request(method, url, params={"format": "json", **parameters})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["ResultSet"]["Result"])

    def archive(self, source: str, **parameters: str) -> httpx.Response:
        return self.http.post("/data/services/archive", params={"src": source, **parameters})

    def scans(self, label: str) -> dict[str, int]:
        rows = self.rows(f"/data/projects/P1/experiments/{label}/scans/ALL/resources")
        return {row["cat_id"]: int(row["file_count"]) for row in rows}

    def contents(self, label: str) -> dict[str, str]:
        """Return the digest of each archived file, read over HTTP."""
        rows = self.rows(f"/data/projects/P1/experiments/{label}/scans/ALL/files")
        return {row["Name"]: hashlib.sha256(self.http.get(row["URI"]).content).hexdigest() for row in rows}


@pytest.fixture(scope="module")
def there(site: Site, url: str) -> Iterator[Archive]:
    projects.set_project(site, "admin", "P1", policy="none", prearchive_code=0)
    with httpx.Client(base_url=url, auth=("ada", PASSWORD), timeout=60) as http, worker(site):
        yield Archive(site, http)


@pytest.mark.parametrize("rule", RULES)
def test_what_joins_a_session_that_is_there(there: Archive, rule: str) -> None:
    files, parameters, code, scans = RULES[rule]
    study, label = next(STUDIES) + 100, f"S{next(STUDIES)}"
    assert there.archive(there.wait(study, FIRST, label)).status_code == 200
    before = there.contents(label)
    source = there.wait(study, files, f"{label}b")
    asked = {"subject": f"SUB{study}", "session": label} | parameters
    foreseen = there.rows("/data/services/validate-archive", "POST", src=source, **asked)
    answer = there.archive(source, **asked)
    assert (answer.status_code, answer.headers.get("X-Inbox-Reason")) == (409 if code else 200, code), answer.text
    assert [row["reason"] for row in foreseen if row["type"] == "CONFLICT"] == ([code] if code else [])
    assert there.scans(label) == scans
    after = there.contents(label)
    changed = {name for name, digest in before.items() if after[name] != digest}
    assert len(changed) == (1 if code is None and files is OTHER_BYTES else 0)
    states = [row["status"] for row in there.rows("/data/prearchive/projects/P1") if row["url"] == source]
    assert states == (["CONFLICT"] if code else [])
    assert verify(there.site).differences == []


def test_later_files_follow_their_series(there: Archive) -> None:
    study, label = next(STUDIES) + 100, f"S{next(STUDIES)}"
    steps = [
        (Files(range(1, 3), 1, 1), {"1": 2}),
        (Files(range(1, 4), 2, 1), {"1": 2, "1-MR1": 3}),
        (Files(range(1, 2), 3, 1), {"1": 2, "1-MR1": 3, "1-MR2": 1}),
        (Files(range(4, 6), 2, 1), {"1": 2, "1-MR1": 5, "1-MR2": 1}),
        (Files(range(3, 4), 1, 1), {"1": 3, "1-MR1": 5, "1-MR2": 1}),
    ]
    for number, (files, scans) in enumerate(steps):
        source = there.wait(study, files, f"{label}x{number}")
        assert there.archive(source, subject=f"SUB{study}", session=label, **APPEND).status_code == 200
        assert there.scans(label) == scans
    assert verify(there.site).differences == []
