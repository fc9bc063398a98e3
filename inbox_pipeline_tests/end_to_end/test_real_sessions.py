"""Real scanners' sessions, imported by unmodified xnatpy through a running `up`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from inbox_pipeline_tests.server_for_tests import Server

pytestmark = pytest.mark.shared

SHARED = Path(os.environ.get("INBOX_PIPELINE_SHARED", Path(__file__).parents[2].parent / "shared"))
WHOLE = [
    "NEURO_SIEMENS/SKYRA_20180918",
    "NEURO_GE/SIGNA_IMPLICIT_LE",
    "NEURO_PHILIPS/ACHIEVA_DTI_2018",
    "ONCO_CT/CT3SLICE_SEG",
    "CARDIO_US/ECHO_PALETTE_JLS",
    "CODECS/TRANSCODED_GE",
    "NEURO_SIEMENS/TRIO_ORIENT",
]
SEVERAL_STUDIES = [("CARDIO_US/ECHO_CLASSIC", 5), ("NEURO_PHILIPS/ACHIEVA_ENHANCED", 2)]
EDITED = {0x00081030, 0x00100010, 0x00100020, 0x00120064}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("real")
    inbox = Path(f"/dev/shm/inbox-{os.getpid()}")
    with Server(folder / "home", folder / "up.log", INBOX_PIPELINE_INBOX_PATH=str(inbox)) as running:
        running.command("project", "create", "P", "--if-missing")
        yield running
    shutil.rmtree(inbox)


def place(server: Server, name: str) -> Path:
    """Copy a session of the reference data under the inbox, which lies on another file system than the archive."""
    folder = Path(server.ready["inbox_path"]) / "P" / name.replace("/", "_")
    if not folder.exists():
        shutil.copytree(SHARED / "data" / "dicom" / name, folder)
    assert folder.stat().st_dev != Path(server.ready["archive_path"]).stat().st_dev
    return folder


def import_by_xnatpy(server: Server, folder: Path, **labels: str) -> dict[str, Any]:
    import xnat

    password = Path(server.ready["admin_password_file"]).read_text().strip()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with xnat.connect(server.ready["url"], user="admin", password=password, loglevel="ERROR") as session:
            job = session.services.import_dicom_inbox(str(folder), project="P", **labels)
            deadline = time.monotonic() + 120
            while job.status not in ("Completed", "Failed"):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            return dict(session.get_json(job.uri))


def same_but_edited(source: Dataset, archived: Dataset) -> None:
    """Assert that nothing but the three tags and the bookkeeping differs."""
    for element in source:
        if element.tag.element != 0 and element.tag not in EDITED:
            assert archived[element.tag] == element
    assert {tag for tag in set(archived.keys()) if tag.element != 0} - set(source.keys()) <= EDITED


@pytest.mark.parametrize("name", WHOLE)
def test_a_session_arrives_whole_and_otherwise_unchanged(server: Server, name: str) -> None:
    folder = place(server, name)
    answer = import_by_xnatpy(server, folder)
    assert (answer["status"], answer["outcome"]) == ("Completed", "complete")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert answer["files"]["found"] == len(files) == answer["files"]["by_disposition"]["archived"]
    (session,) = answer["sessions"]
    with server.client() as client:
        rows = client.get(f"/api/v1/requests/{answer['id']}/ledger", params={"format": "jsonl"}).text.splitlines()
    assert len(rows) == len(files)
    import json

    for row in map(json.loads, rows):
        path = Path(server.ready["archive_path"]) / row["archived_path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["archived_sha256"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source, archived = pydicom.dcmread(folder / row["source_path"]), pydicom.dcmread(path)
            assert archived.get("PixelData") == source.get("PixelData")
            assert str(archived.PatientName) == session["subject"]
            assert archived.PatientID == session["session"]
            assert archived.StudyDescription == "P"
            same_but_edited(source, archived)


@pytest.mark.parametrize(("name", "studies"), SEVERAL_STUDIES)
def test_studies_are_never_merged(server: Server, name: str, studies: int) -> None:
    answer = import_by_xnatpy(server, place(server, name))
    assert len(answer["sessions"]) == studies
    for session in answer["sessions"]:
        assert session["state"] == "ARCHIVED" or (session["state"] == "CONFLICT" and session["reason"])
        assert session["uri"]
    labels = [s["session"].lower() for s in answer["sessions"] if s["state"] == "ARCHIVED"]
    assert len(labels) == len(set(labels))


def test_the_users_own_curl_line(server: Server) -> None:
    folder = place(server, "CODECS/MR_SMALL")
    password = Path(server.ready["admin_password_file"]).read_text().strip()
    url = (
        f"{server.ready['url']}/data/services/import?import-handler=inbox&cleanupAfterImport=false"
        f"&PROJECT_ID=P&SUBJECT_ID=S&EXPT_LABEL=E&path={folder}"
    )
    command = ["curl", "-s", "-u", f"admin:{password}", "-X", "POST", url, "-k"]
    answer = subprocess.run(command, capture_output=True, check=True).stdout
    assert answer.startswith(b"/xapi/dicom/")
    assert answer.endswith(b"\r\n")
