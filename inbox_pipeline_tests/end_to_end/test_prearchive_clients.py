"""Unmodified xnatpy and pyxnat review sessions on a running server: list, archive, rename, delete, rebuild.

The same under policy `none`, where labels are what the files say, and `basic`, where they are pseudonyms.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.server_for_tests import Server, file_request, wait_for

pytestmark = [pytest.mark.services, pytest.mark.filterwarnings("ignore")]

POLICIES = {"PLAIN": "none", "BASIC": "basic"}
ELSEWHERE = "Q"
"""A project of policy `none` to which sessions move."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("review")
    with Server(folder / "home", folder / "up.log") as running:
        for project, policy in {**POLICIES, ELSEWHERE: "none"}.items():
            running.command("project", "create", project)
            running.command("project", "set", project, "--prearchive-code", "0", "--policy", policy)
        yield running


def imported(server: Server, project: str, name: str, study: int, **parameters: str) -> dict[str, Any]:
    """Import a session of the patient `name` into the prearchive, and return the request."""
    folder = session_folder(Path(server.ready["inbox_path"]) / project / name, study=study, PatientID=name)
    with server.client() as client:
        return dict(wait_for(client, file_request(client, folder, project, **parameters)))


def label_of(answer: dict[str, Any], project: str, name: str) -> str:
    """The label of the one session of a request: the PatientID under policy `none`, a pseudonym under `basic`."""
    label = str(answer["sessions"][0]["session"])
    assert (label == name) is (POLICIES[project] == "none")
    return label


def password(server: Server) -> str:
    return Path(server.ready["admin_password_file"]).read_text().strip()


@pytest.mark.parametrize("project", POLICIES)
def test_xnatpy_reviews_sessions(server: Server, project: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import xnat
    first = imported(server, project, "PAT0001", 1, cleanupAfterImport="true")
    one = label_of(first, project, "PAT0001")
    two, three = (
        label_of(imported(server, project, name, study), project, name)
        for name, study in (("PAT0002", 2), ("PAT0003", 3))
    )
    with xnat.connect(server.ready["url"], user="admin", password=password(server)) as session:
        found = {each.label: each for each in session.prearchive.sessions(project)}
        assert {name: each.status for name, each in found.items()} == dict.fromkeys((one, two, three), "READY")
        assert len(found[one].scans["1"].files) == 3
        experiment = found[one].archive()
        assert (experiment.label, experiment.project) == (one, project)
        if POLICIES[project] == "basic":
            with pytest.raises(xnat.exceptions.XNATResponseError, match="409"):
                found[two].archive(subject="SUB", experiment="PAT0002_MR")
        renamed = found[two].archive(subject="SUB", experiment="SECOND")
        assert renamed.label == "SECOND"
        with pytest.raises(xnat.exceptions.XNATResponseError, match="409"):
            found[three].archive(experiment="SECOND")
        found[three].rebuild()
        (left,) = session.prearchive.sessions(project)
        assert (left.label, left.status) == (three, "READY")
        left.delete()
        assert session.prearchive.sessions(project) == []
        assert {each.label for each in session.projects[project].experiments.values()} == {one, "SECOND"}
    with server.client() as client:
        told = client.get(f"/xapi/dicom/{first['id']}").json()
        assert (told["cleanup"], told["sessions"][0]["state"]) == ("done", "ARCHIVED")
        runs = [each for each in client.get("/xapi/dicom/list/all").json() if f"/{project}/" in each["sessionPath"]]
        assert len(runs) == 3


def test_xnatpy_moves_a_session_to_another_project(server: Server, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import xnat
    imported(server, "PLAIN", "moved", 11)
    with xnat.connect(server.ready["url"], user="admin", password=password(server)) as session:
        (waiting,) = [each for each in session.prearchive.sessions("PLAIN") if each.label == "moved"]
        with zipfile.ZipFile(waiting.download(tmp_path / "session.zip")) as packed:
            assert len(packed.namelist()) == 3
        with zipfile.ZipFile(waiting.scans["1"].download(tmp_path / "scan.zip")) as packed:
            assert packed.testzip() is None
        assert waiting.move(ELSEWHERE, asynchronous=False).status_code == 200
        (there,) = session.prearchive.sessions(ELSEWHERE)
        assert (there.label, there.project, there.status) == ("moved", ELSEWHERE, "READY")
        experiment = there.archive()
        assert (experiment.label, experiment.project) == ("moved", ELSEWHERE)


def test_xnatpy_relabels_and_pyxnat_moves_what_is_archived(server: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyxnat
        import xnat
    imported(server, "PLAIN", "six", 6, SUBJECT_ID="SIX")
    with xnat.connect(server.ready["url"], user="admin", password=password(server)) as session:
        (waiting,) = [each for each in session.prearchive.sessions("PLAIN") if each.label == "six"]
        experiment = waiting.archive()
        experiment.label = "seven"
        subject = session.projects["PLAIN"].subjects["SIX"]
        subject.label = "SEVEN"
        session.clearcache()
        experiment = session.projects["PLAIN"].subjects["SEVEN"].experiments["seven"]
        assert experiment.label == "seven"
        assert len(experiment.scans["1"].resources["DICOM"].files) == 3
        accession = experiment.id
    interface = pyxnat.Interface(server=server.ready["url"], user="admin", password=password(server))
    try:
        url = (
            f"/data/projects/PLAIN/subjects/SEVEN/experiments/{accession}/projects/{ELSEWHERE}?primary=true&label=eight"
        )
        interface._exec(url, "PUT")
        assert interface.select(f"/project/{ELSEWHERE}/subject/SEVEN/experiment/{accession}").exists()
    finally:
        interface.disconnect()
    assert server.command("verify").returncode == 0


def test_what_pyxnat_sends_to_move_sessions(server: Server) -> None:
    """Its `manage.prearchive.move` calls a function that Python 3 does not have; this is what it would send."""
    import pyxnat

    imported(server, "PLAIN", "five", 5)
    interface = pyxnat.Interface(server=server.ready["url"], user="admin", password=password(server))
    try:
        (triple,) = [entry for entry in interface.manage.prearchive.get() if entry[-1] == "five"]
        uri = interface.manage.prearchive.get_uri(triple)
        body = f"src={uri}&newProject={ELSEWHERE}&async=false"
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = interface._exec("/data/services/prearchive/move?format=csv", "POST", body, headers)
        assert '"five"' in answer.decode()
        there = [ELSEWHERE, *triple[1:]]
        assert interface.manage.prearchive.status(there) == "READY"
        interface.manage.prearchive.delete(interface.manage.prearchive.get_uri(there))
        assert there not in interface.manage.prearchive.get()
    finally:
        interface.disconnect()


@pytest.mark.parametrize("project", POLICIES)
def test_pyxnat_lists_and_posts(server: Server, project: str) -> None:
    import pyxnat

    label = label_of(imported(server, project, "PAT0004", 4), project, "PAT0004")
    interface = pyxnat.Interface(server=server.ready["url"], user="admin", password=password(server))
    try:
        assert label in {entry[-1] for entry in interface.manage.prearchive.get()}
        listed = interface.get("/data/prearchive/projects?format=csv").text
        assert f'"{label}"' in listed
        rows = f"/data/prearchive/projects/{project}?format=json"
        url = interface.get(rows).json()["ResultSet"]["Result"][0]["url"]
        answer = interface.post("/data/services/archive", data={"src": url})
        assert (answer.status_code, answer.text.strip().rpartition("/")[2]) == (200, label)
        assert interface.get(rows).json()["ResultSet"]["Result"] == []
    finally:
        interface.disconnect()
