"""Unmodified xnatpy and pyxnat review sessions on a running server: list, archive, rename, delete, rebuild."""

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("review")
    with Server(folder / "home", folder / "up.log") as running:
        for project in ("P", "Q"):
            running.command("project", "create", project)
            running.command("project", "set", project, "--prearchive-code", "0", "--policy", "none")
        yield running


def imported(server: Server, name: str, study: int, **parameters: str) -> dict[str, Any]:
    """Import a session into the prearchive."""
    folder = session_folder(Path(server.ready["inbox_path"]) / "P" / name, study=study, PatientID=name)
    with server.client() as client:
        number = file_request(client, folder, **parameters)
        return dict(wait_for(client, number))


def password(server: Server) -> str:
    return Path(server.ready["admin_password_file"]).read_text().strip()


def test_xnatpy_reviews_sessions(server: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import xnat
    first = imported(server, "one", 1, cleanupAfterImport="true")
    imported(server, "two", 2)
    imported(server, "three", 3)
    with xnat.connect(server.ready["url"], user="admin", password=password(server)) as session:
        found = {each.label: each for each in session.prearchive.sessions()}
        assert {name: each.status for name, each in found.items()} == {"one": "READY", "two": "READY", "three": "READY"}
        assert len(found["one"].scans["1"].files) == 3
        experiment = found["one"].archive()
        assert (experiment.label, experiment.project) == ("one", "P")
        renamed = found["two"].archive(subject="SUB", experiment="TWO")
        assert renamed.label == "TWO"
        with pytest.raises(xnat.exceptions.XNATResponseError, match="409"):
            found["three"].archive(experiment="TWO")
        found["three"].rebuild()
        (left,) = session.prearchive.sessions()
        assert (left.label, left.status) == ("three", "READY")
        left.delete()
        assert session.prearchive.sessions() == []
        assert {each.label for each in session.projects["P"].experiments.values()} == {"one", "TWO"}
    with server.client() as client:
        told = client.get(f"/xapi/dicom/{first['id']}").json()
        assert (told["cleanup"], told["sessions"][0]["state"]) == ("done", "ARCHIVED")
        runs = client.get("/xapi/dicom/list/all").json()
        assert len(runs) == 3


def test_xnatpy_moves_a_session_to_another_project(server: Server, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import xnat
    imported(server, "moved", 11)
    with xnat.connect(server.ready["url"], user="admin", password=password(server)) as session:
        (waiting,) = [each for each in session.prearchive.sessions("P") if each.label == "moved"]
        with zipfile.ZipFile(waiting.download(tmp_path / "session.zip")) as packed:
            assert len(packed.namelist()) == 3
        with zipfile.ZipFile(waiting.scans["1"].download(tmp_path / "scan.zip")) as packed:
            assert packed.testzip() is None
        assert waiting.move("Q", asynchronous=False).status_code == 200
        (there,) = session.prearchive.sessions("Q")
        assert (there.label, there.project, there.status) == ("moved", "Q", "READY")
        experiment = there.archive()
        assert (experiment.label, experiment.project) == ("moved", "Q")


def test_xnatpy_relabels_and_pyxnat_moves_what_is_archived(server: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyxnat
        import xnat
    imported(server, "six", 6, SUBJECT_ID="SIX")
    with xnat.connect(server.ready["url"], user="admin", password=password(server)) as session:
        (waiting,) = [each for each in session.prearchive.sessions("P") if each.label == "six"]
        experiment = waiting.archive()
        experiment.label = "seven"
        subject = session.projects["P"].subjects["SIX"]
        subject.label = "SEVEN"
        session.clearcache()
        experiment = session.projects["P"].subjects["SEVEN"].experiments["seven"]
        assert experiment.label == "seven"
        assert len(experiment.scans["1"].resources["DICOM"].files) == 3
        accession = experiment.id
    interface = pyxnat.Interface(server=server.ready["url"], user="admin", password=password(server))
    try:
        url = f"/data/projects/P/subjects/SEVEN/experiments/{accession}/projects/Q?primary=true&label=eight"
        interface._exec(url, "PUT")
        assert interface.select(f"/project/Q/subject/SEVEN/experiment/{accession}").exists()
    finally:
        interface.disconnect()
    assert server.command("verify").returncode == 0


def test_what_pyxnat_sends_to_move_sessions(server: Server) -> None:
    """Its `manage.prearchive.move` calls a function that Python 3 does not have; this is what it would send."""
    import pyxnat

    imported(server, "five", 5)
    interface = pyxnat.Interface(server=server.ready["url"], user="admin", password=password(server))
    try:
        (triple,) = [entry for entry in interface.manage.prearchive.get() if entry[-1] == "five"]
        uri = interface.manage.prearchive.get_uri(triple)
        body = f"src={uri}&newProject=Q&async=false"
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = interface._exec("/data/services/prearchive/move?format=csv", "POST", body, headers)
        assert '"five"' in answer.decode()
        there = ["Q", *triple[1:]]
        assert interface.manage.prearchive.status(there) == "READY"
        interface.manage.prearchive.delete(interface.manage.prearchive.get_uri(there))
        assert there not in interface.manage.prearchive.get()
    finally:
        interface.disconnect()


def test_pyxnat_lists_and_posts(server: Server) -> None:
    import pyxnat

    imported(server, "four", 4)
    interface = pyxnat.Interface(server=server.ready["url"], user="admin", password=password(server))
    try:
        assert "four" in {entry[-1] for entry in interface.manage.prearchive.get()}
        listed = interface.get("/data/prearchive/projects?format=csv").text
        assert '"four"' in listed
        url = interface.get("/data/prearchive/projects/P?format=json").json()["ResultSet"]["Result"][0]["url"]
        answer = interface.post("/data/services/archive", data={"src": url})
        assert (answer.status_code, answer.text.strip().rpartition("/")[2]) == (200, "four")
        assert interface.get("/data/prearchive/projects?format=json").json()["ResultSet"]["Result"] == []
    finally:
        interface.disconnect()
