"""A catalog as many imports leave it, without files: what lists and their measurements need.

Belongs here: making its rows, by the statements that an import makes them with. Does not belong here: files, which no
list reads, and assertions.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inbox_pipeline.intake.sessions import ARCHIVE, PREARCHIVE
from inbox_pipeline.services import accounts, projects
from inbox_pipeline.services.commit_rows import write_rows
from inbox_pipeline.services.ending import end_request
from inbox_pipeline.services.intent import Intent
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import archive
from inbox_pipeline.store.catalog import leases, ledger, requests
from inbox_pipeline.store.fresh import FRESH
from inbox_pipeline_tests.data_for_tests import ROOT, SOP_CLASSES

PASSWORD = "correct horse"
MEMBERS = 5
BEGAN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DESCRIPTIONS = ("localizer", "t1_mprage_sag_p2_iso", "t2_space_dark-fluid", "ep2d_diff_64dir", "bold_rest_300")


@dataclass(frozen=True)
class Size:
    """How much is to be archived.

    A third of the sessions are in the first of the projects, the others spread over all; a twentieth of the instances
    in one session, the first. `waiting` sessions are in the prearchive besides, their first as large.
    """

    instances: int
    sessions: int
    projects: int
    waiting: int
    scans: int = 5

    def files(self, number: int) -> int:
        """Return how many files a session has, by its number from 0."""
        largest = self.instances // 20
        if number in (0, self.sessions):
            return largest
        each, more = divmod(self.instances - largest, self.sessions - 1)
        return each + (1 if number <= more else 0)

    def largest_waiting(self) -> str:
        """Return where the first of the waiting sessions is: project, timestamp and label."""
        project = project_id(0)
        return archive.prearchive_target(project, _timestamp(self.sessions), _labels(project, self.sessions)[1])


def project_id(number: int) -> str:
    """Return the ID of a project, by its number from 0."""
    return f"STUDY{number:02d}"


def fill(site: Site, size: Size) -> None:
    """Make users `admin` and `member`, projects, and all that imports of their sessions leave in the catalog.

    `member` is one of the first `MEMBERS` projects, and has filed the requests there.
    """
    accounts.create_user(site, "system", "admin", PASSWORD, admin=True)
    accounts.create_user(site, "admin", "member", PASSWORD)
    for number in range(size.projects):
        projects.create_project(site, "admin", project_id(number))
        if number < MEMBERS:
            projects.set_member(site, "admin", project_id(number), "member", "member")
    chance = random.Random(1)
    for number in range(size.sessions + size.waiting):
        first = number % 3 == 0 or number == size.sessions
        _import(site, size, 0 if first else chance.randrange(size.projects), number)


def _labels(project: str, number: int) -> tuple[str, str]:
    """Return the labels of a session's subject and of the session itself."""
    subject = f"{project}_{number // 2:04d}"
    return subject, f"{subject}_MR{1 + number % 2}"


def _timestamp(number: int) -> str:
    return archive.prearchive_timestamp(BEGAN + dt.timedelta(minutes=number))


def _import(site: Site, size: Size, project_number: int, number: int) -> None:
    """Make the rows of an import of one session."""
    project = project_id(project_number)
    subject, label = _labels(project, number)
    stamp = _timestamp(number) if number >= size.sessions else None
    target = archive.prearchive_target(project, stamp, label) if stamp else archive.archive_target(project, label)
    intent = Intent(PREARCHIVE if stamp else ARCHIVE, target, stamp, _digest("manifest", number))
    with site.catalog.write() as connection:
        request_id = requests.insert(connection, _request(project_number, number))
        row = requests.get(connection, request_id)
        assert row is not None
        lease = leases.take(connection, row, f"run-{request_id}", "filling", 60.0)
        plan = _plan(request_id, project, subject, label, number, intent)
        requests.replace_plan(connection, request_id, [plan])
        rows = list(_files(request_id, number, size.files(number), size.scans))
        for start in range(0, len(rows), ledger.BATCH):
            ledger.insert(connection, rows[start : start + ledger.BATCH])
        write_rows(connection, lease, 1, intent, ledger.staged(connection, request_id, 1))
        end_request(connection, request_id)


def _request(project_number: int, number: int) -> dict[str, Any]:
    project = project_id(project_number)
    path = f"/data/inbox/{project}/visit{number:04d}"
    return {
        "username": "member" if project_number < MEMBERS else "admin",
        "source_path": path.encode(),
        "parameters": {"path": path, "PROJECT_ID": project},
        "same_key": _digest("same", number),
        "project_id": project,
    }


def _plan(request_id: int, project: str, subject: str, label: str, number: int, intent: Intent) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "number": 1,
        "project_id": project,
        "subject_label": subject,
        "session_label": label,
        "study_key": _digest("study", number),
        "patient_key": _digest("patient", number // 2),
        "subject_rule": "patient_id",
        "session_rule": "patient_name",
        "destination": intent.destination,
        "state": "READY",
        "reason": "ready_for_review" if intent.timestamp else None,
        "findings": [],
        "intent_token": "filling",
        "intent_target": intent.target,
        "intent_timestamp": intent.timestamp,
        "manifest_digest": intent.manifest_digest,
    }


def _files(request_id: int, study: int, count: int, scans: int) -> Iterator[dict[str, Any]]:
    """Yield the ledger's rows of a session's files as `anonymize` leaves them, in scans of about equal size."""
    day = dt.date(2020, 1, 1) + dt.timedelta(days=study)
    for number in range(count):
        scan = 1 + number * scans // count
        name = f"{scan}-{number:05d}"
        path = f"series{scan}/{name}.dcm".encode()
        uid = f"{ROOT}.{study}.{scan}.{number}"
        yield {
            **FRESH,
            "request_id": request_id,
            "source_path": path,
            "path_digest": requests.path_digest(path),
            "bytes": 526_000 + number,
            "study_key": _digest("study", study),
            "series_key": _digest("series", study, scan),
            "sop_key": _digest("sop", study, number),
            "modality": "MR",
            "instance_number": number,
            "session_number": 1,
            "scan_label": str(scan),
            "source_sha256": _digest("source", study, number),
            "staged_name": f"{uid}.dcm",
            "archived_sha256": _digest("sha256", study, number),
            "archived_md5": _digest("md5", study, number)[:32],
            "archived_bytes": 526_100 + number,
            "sop_instance_uid": uid,
            "sop_class_uid": SOP_CLASSES["MR"],
            "series_uid": f"{ROOT}.{study}.{scan}",
            "study_uid": f"{ROOT}.{study}",
            "study_date": day,
            "study_time": dt.time(10, study % 60),
            "series_description": DESCRIPTIONS[(scan - 1) % len(DESCRIPTIONS)],
        }


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
