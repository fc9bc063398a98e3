"""An archive to browse in tests: sessions imported into projects of the rooms' site.

Belongs here: importing them. Does not belong here: assertions.
"""

from __future__ import annotations

import time
from pathlib import Path

from inbox_pipeline.services import accounts, prearchive, projects, requests
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.steps import STEPS, run_step
from inbox_pipeline_tests.data_for_tests import instance, save


def import_folder(site: Site, folder: Path, project: str, subject: str, session: str, **parameters: str) -> int:
    """Import a folder as administrator, and return the request's number."""
    number = _filed(site, folder, project, subject, session, **parameters)
    for step in STEPS:
        run_step(site, number, step, run_id=f"run-{number}")
    return number


def let_import(site: Site, folder: Path, project: str, subject: str, session: str) -> None:
    """Let a worker that is there import a folder, and return when it has."""
    number = _filed(site, folder, project, subject, session)
    deadline = time.monotonic() + 60
    while prearchive.ended(site, number) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _filed(site: Site, folder: Path, project: str, subject: str, session: str, **parameters: str) -> int:
    admin = accounts.get_account(site, "admin")
    assert admin is not None
    asked = {"PROJECT_ID": project, "SUBJECT_ID": subject, "EXPT_LABEL": session, **parameters}
    return requests.file_request(site, admin, [("path", str(folder)), *asked.items()]).request_id


def fill_archive(site: Site) -> None:
    """Archive a subject with an MR session of two scans and a CT session in P1, and a session in P2."""
    for project in ("P1", "P2"):
        projects.set_project(site, "admin", project, policy="none", prearchive_code=4)
    projects.set_site(site, "admin", script_enabled=False)
    inbox = site.settings.inbox_path
    for number in (1, 2, 3):
        save(instance(1, 1, number, SeriesDescription='t1 "sag", <3D>'), inbox / "P1" / "one" / f"a{number}.dcm")
    save(instance(1, 2, 1, SeriesDescription="t2", NumberOfFrames=1), inbox / "P1" / "one" / "b.dcm")
    save(instance(2, 10, 1, modality="CT", StudyTime=None), inbox / "P1" / "two" / "c.dcm")
    save(instance(3, 1, 1, StudyDate="20210304"), inbox / "P2" / "three" / "d.dcm")
    import_folder(site, inbox / "P1" / "one", "P1", "SUB1", "MR1")
    import_folder(site, inbox / "P1" / "two", "P1", "SUB1", "CT1")
    import_folder(site, inbox / "P2" / "three", "P2", "SUB9", "MR1")
