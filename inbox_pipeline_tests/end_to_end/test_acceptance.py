"""The twelve acceptance tests of XNAT's contract (Appendix C), by number, on a running server over HTTP.

Belongs here: one test per number, as short as it can be. Details are tested where they are decided.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.data import get_testdata_file

from inbox_pipeline.services.site import open_site
from inbox_pipeline.services.verify import verify
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog import requests
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.server_for_tests import Server, file_request, wait_for

pytestmark = [pytest.mark.services, pytest.mark.filterwarnings("ignore")]

STUDIES = iter(range(100, 10_000))
Client = httpx.Client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("acceptance")
    with Server(folder / "home", folder / "up.log") as running:
        for project, code in (("AUTO", "4"), ("MANUAL", "0"), ("SCRIPTED", "4")):
            running.command("project", "create", project)
            running.command("project", "set", project, "--prearchive-code", code)
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.client() as opened:
        yield opened


def inbox(server: Server, name: str, project: str = "AUTO") -> Path:
    return Path(server.ready["inbox_path"]) / project / name


def imported(client: Client, folder: Path, project: str = "AUTO", **parameters: str) -> dict[str, Any]:
    return dict(wait_for(client, file_request(client, folder, project, **parameters)))


def ledger(client: Client, number: int) -> dict[str, str]:
    rows = client.get(f"/api/v1/requests/{number}/ledger", params={"format": "csv"}).text
    return {row["source_path"]: row["reason"] for row in csv.DictReader(io.StringIO(rows))}


def scans(client: Client, uri: str) -> dict[str, int]:
    """Return the number of files of each scan of an archived session."""
    rows = client.get(f"{uri}/scans/ALL/resources", params={"format": "json"}).json()["ResultSet"]["Result"]
    return {row["cat_id"]: int(row["file_count"]) for row in rows}


def password(server: Server) -> str:
    return Path(server.ready["admin_password_file"]).read_text().strip()


@pytest.mark.parametrize(("project", "state"), [("MANUAL", "READY"), ("AUTO", "ARCHIVED")])
def test_01_xnatpy_imports_and_polls_to_the_end(server: Server, client: Client, project: str, state: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import xnat
    folder = session_folder(inbox(server, "a01", project), study=next(STUDIES), PatientID=f"A01{project}")
    with xnat.connect(server.ready["url"], user="admin", password=password(server), no_parse_model=True) as session:
        filed = session.services.import_dicom_inbox(str(folder), project=project, subject="S01", experiment="E01")
        deadline = time.monotonic() + 120
        while filed.status not in ("Completed", "Failed") and time.monotonic() < deadline:
            time.sleep(0.2)
        assert filed.status == "Completed"
    answer = client.get(filed.uri).json()
    assert [(s["subject"], s["session"], s["state"]) for s in answer["sessions"]] == [("S01", "E01", state)]


def test_02_pyxnat_posts_and_reads_lists(server: Server) -> None:
    import pyxnat

    folder = session_folder(inbox(server, "a02"), study=next(STUDIES), PatientID="A02")
    interface = pyxnat.Interface(server=server.ready["url"], user="admin", password=password(server))
    query = f"import-handler=inbox&path={folder}&PROJECT_ID=AUTO"
    answer = interface.post(f"/data/services/import?{query}")
    assert (answer.status_code, answer.text[-2:]) == (200, "\r\n")
    assert interface.get(answer.text.strip()).json()["status"]
    for path in ("/data/projects", "/data/experiments", "/data/prearchive/projects"):
        header = next(csv.reader(io.StringIO(interface.get(f"{path}?format=csv").text)))
        assert {"ID", "project"} & set(header)
    assert "AUTO" in interface.select.projects().get()
    interface.disconnect()


def test_03_every_refusal_in_order_and_nothing_is_created(server: Server, client: Client) -> None:
    folder = session_folder(inbox(server, "a03"), study=next(STUDIES), PatientID="A03")
    uri = imported(client, folder, EXPT_LABEL="E03")["sessions"][0]["uri"]
    before = len(client.get("/xapi/dicom/list/all").json())
    empty = inbox(server, "a03-empty")
    empty.mkdir()
    other = Path(server.ready["inbox_path"]) / "NOPROJECT" / "x"
    other.mkdir(parents=True)
    good = {"path": str(folder), "PROJECT_ID": "AUTO"}
    for parameters, status in (
        ({"prearchive_code": "1"}, 400),
        ({}, 400),
        ({"path": "/etc"}, 400),
        ({"path": f"{folder}-none"}, 400),
        ({"path": str(other)}, 400),
        ({"path": str(folder)}, 400),
        ({"path": str(folder), "PROJECT_ID": "NONE"}, 400),
        (good | {"path": str(empty)}, 400),
        (good | {"EXPT_LABEL": "e03"}, 409),
        (good | {"session": uri.rpartition("/")[2]}, 409),
    ):
        answer = client.post("/data/services/import", params={"import-handler": "inbox"} | parameters)
        assert answer.status_code == status, (parameters, answer.text)
    assert len(client.get("/xapi/dicom/list/all").json()) == before


def test_04_what_is_archived_goes_and_the_rest_stays_and_is_listed(server: Server, client: Client) -> None:
    script = 'version "6.3"\n(0008,0103) = "DROP" ? reject[]\n(0010,0010) := subject\n'
    answer = client.put("/xapi/anonymize/projects/SCRIPTED", content=script, headers={"content-type": "text/plain"})
    assert answer.status_code == 200, answer.text
    study, folder = next(STUDIES), inbox(server, "a04", "SCRIPTED")
    good = save(instance(study, 1, 1), folder / "good.dcm")
    (folder / "cut.dcm").write_bytes(good.read_bytes()[:-40])
    cut = pydicom.dcmread(good)
    cut.SOPInstanceUID = cut.file_meta.MediaStorageSOPInstanceUID = f"{cut.SOPInstanceUID}9"
    cut.save_as(folder / "cut.dcm")
    (folder / "cut.dcm").write_bytes((folder / "cut.dcm").read_bytes()[:-40])
    (folder / "note.txt").write_text("not DICOM")
    shutil.copy(str(get_testdata_file("DICOMDIR")), folder / "DICOMDIR")
    save(instance(study, 1, 1, StudyDescription="OTHER"), folder / "zz" / "other.dcm")
    save(instance(study, 2, 1, CodingSchemeVersion="DROP"), folder / "filtered.dcm")
    answer = imported(client, folder, "SCRIPTED", cleanupAfterImport="true")
    assert ledger(client, answer["id"]) == {
        "good.dcm": "archived",
        "cut.dcm": "truncated",
        "note.txt": "not_dicom",
        "DICOMDIR": "dicomdir",
        "zz/other.dcm": "sop_uid_conflict",
        "filtered.dcm": "script_rejected",
    }
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {"cut.dcm", "note.txt", "DICOMDIR", "zz/other.dcm", "filtered.dcm"}


def test_05_two_studies_in_one_folder(server: Server, client: Client) -> None:
    folder = inbox(server, "a05")
    for number in range(2):
        session_folder(folder, study=next(STUDIES), PatientID=f"A05{number}")
    answer = imported(client, folder)
    assert sorted(s["session"] for s in answer["sessions"]) == ["A050", "A051"]
    for _ in range(2):
        again = imported(client, folder, EXPT_LABEL="E05")
        assert (again["status"], again["reason"], again["sessions"]) == ("Failed", "several_studies_one_label", [])


TAGS = ("PatientComments", "StudyComments", "AdditionalPatientHistory")
ROUTES: list[tuple[dict[str, str], dict[str, str], tuple[str, str]]] = [
    ({}, {}, ("FAKE_PATIENT", "{id}")),
    ({"PatientName": "A B^C.D"}, {}, ("A_B_C_D", "{id}")),
    ({"PatientID": "x.y z{id}"}, {}, ("FAKE_PATIENT", "x_y_z{id}")),
    ({"PatientID": "", "PatientName": "N{id}"}, {}, ("N{id}", "dicom_upload")),
    *[({tag: "Subject:S1 Session:T{id}"}, {}, ("S1", "T{id}")) for tag in TAGS],
    ({TAGS[0]: "Subject:A Session:B{id}", TAGS[1]: "Subject:C Session:D"}, {}, ("A", "B{id}")),
    ({TAGS[1]: "Session:B{id}", TAGS[2]: "Subject:C"}, {}, ("C", "B{id}")),
    ({TAGS[0]: "Session:FIRST Session:L{id}"}, {}, ("FAKE_PATIENT", "L{id}")),
    ({TAGS[0]: "session : h-y_p{id};subject:\tQ-1_2,"}, {}, ("Q-1_2", "h-y_p{id}")),
    ({TAGS[0]: "xSession:NO Session:no.dot"}, {}, ("FAKE_PATIENT", "{id}")),
    ({TAGS[0]: "Subject:A Session:B"}, {"SUBJECT_ID": "PS", "EXPT_LABEL": "PE{id}"}, ("PS", "PE{id}")),
    ({TAGS[0]: "Subject:A"}, {"session": "alias{id}"}, ("A", "alias{id}")),
    ({}, {"session": "no{id}", "EXPT_LABEL": "yes{id}"}, ("FAKE_PATIENT", "yes{id}")),
    ({}, {"subject": "low", "experiment": "er{id}"}, ("low", "er{id}")),
]


def test_06_routing(server: Server, client: Client) -> None:
    filed = [routed(server, client, *route[:2]) for route in ROUTES]
    wrong = {}
    for (name, number), (elements, parameters, expected) in zip(filed, ROUTES, strict=True):
        found = [(s["subject"], s["session"]) for s in wait_for(client, number)["sessions"]]
        if found != [tuple(each.replace("{id}", name) for each in expected)]:
            wrong[name] = (elements, parameters, expected, found)
    assert wrong == {}


def routed(server: Server, client: Client, elements: dict[str, str], parameters: dict[str, str]) -> tuple[str, int]:
    """Ask for the import of one file; return its PatientID, which stands for `{id}`, and the request."""
    study = next(STUDIES)
    name = f"R{study}"

    def filled(values: dict[str, str]) -> dict[str, str]:
        return {key: value.replace("{id}", name) for key, value in values.items()}

    folder = inbox(server, f"a06-{study}", "MANUAL")
    save(instance(study, 1, 1, **{"PatientID": name, **filled(elements)}), folder / "one.dcm")
    return name, file_request(client, folder, "MANUAL", **filled(parameters))


def scripted(client: Client, text: str) -> Callable[[], None]:
    """Put a script in force for the project SCRIPTED; return what takes it away."""
    headers = {"content-type": "text/plain"}
    assert client.put("/xapi/anonymize/projects/SCRIPTED", content=text, headers=headers).status_code == 200
    return lambda: client.put("/xapi/anonymize/projects/SCRIPTED", content="", headers=headers) and None


@pytest.mark.parametrize(
    ("script", "outcome", "reasons"),
    [
        ('(0008,0080) := substring["a", 5, 9]\n', "failed", {"script_error"}),
        ("reject[]\n", "failed", {"script_rejected"}),
        ('(0020,0013) = "2" ? reject[]\n', "complete", {"archived", "script_rejected"}),
        ('(0020,0013) = "2" ? (0008,0080) := substring["a", 5, 9]\n', "partial", {"archived", "script_error"}),
    ],
)
def test_07_scripts_that_fail_or_reject(
    server: Server, client: Client, script: str, outcome: str, reasons: set[str]
) -> None:
    undo = scripted(client, f'version "6.3"\n(0010,1000) := "SEEN"\n{script}')
    study = next(STUDIES)
    folder = session_folder(inbox(server, f"a07-{study}", "SCRIPTED"), study=study, PatientID=f"A07{study}")
    answer = imported(client, folder, "SCRIPTED")
    undo()
    assert set(ledger(client, answer["id"]).values()) == reasons
    assert answer["outcome"] == outcome
    for path in Path(server.ready["archive_path"]).rglob(f"*/A07{study}/**/*.dcm"):
        assert pydicom.dcmread(path).OtherPatientIDs == "SEEN"


def test_08_importing_again(server: Server, client: Client) -> None:
    study = next(STUDIES)
    folder = session_folder(inbox(server, "a08"), study=study, PatientID="A08")
    uri = imported(client, folder)["sessions"][0]["uri"]
    more = session_folder(inbox(server, "a08-more"), study=study, files=5, PatientID="A08", StudyID="2")
    refused = imported(client, more)
    assert (refused["status"], refused["sessions"][0]["reason"]) == ("Failed", "session_exists")
    assert scans(client, uri) == {"1": 3}
    appended = imported(client, more, overwrite="append")
    assert appended["files"]["by_reason"] == {"archived": 2, "sop_uid_conflict": 3}
    replaced = imported(client, more, overwrite="append", overwrite_files="true")
    assert replaced["files"]["by_reason"] == {"archived": 3, "duplicate_archived": 2}
    back = imported(client, folder, overwrite="delete")
    assert (back["outcome"], back["files"]["by_reason"]) == ("complete", {"archived": 3})
    assert scans(client, uri) == {"1": 5}


@pytest.mark.parametrize("phase", ["scan", "archive"])
def test_09_a_killed_worker(server: Server, client: Client, phase: str) -> None:
    study, home = next(STUDIES), Path(server.ready["home"])
    folder = session_folder(inbox(server, f"a09-{phase}"), study=study, files=300, PatientID=f"A09{phase}")
    number = file_request(client, folder, "AUTO")
    phases = {"scan": {"scan"}, "archive": {"archive", "committing", "cleanup"}}
    os.kill(worker_in(home, number, phases[phase]), signal.SIGKILL)
    answer = wait_for(client, number)
    assert (answer["status"], answer["outcome"]) == ("Completed", "complete")
    assert answer["attempt"] >= 2
    assert answer["files"]["by_reason"] == {"archived": 300}
    assert scans(client, answer["sessions"][0]["uri"]) == {"1": 300}


def worker_in(home: Path, number: int, phases: set[str]) -> int:
    """Return the process that works on a request as soon as it is in one of the phases."""
    site = open_site(read_settings({}, home=home))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with site.catalog.read() as connection:
            row = requests.get(connection, number)
        if row is not None and row["phase"] in phases and row["lease_owner"]:
            return int(row["lease_owner"].split(":")[2])
        time.sleep(0.002)
    raise AssertionError(f"the request was never seen in {phases}")


def test_10_twenty_at_once(server: Server, client: Client) -> None:
    folders = {
        number: session_folder(
            inbox(server, f"a10-{number}"), study=next(STUDIES), files=number, PatientID=f"A10{number}"
        )
        for number in range(1, 21)
    }
    with ThreadPoolExecutor(20) as pool:
        filed = pool.map(lambda each: file_request(client, each, "AUTO"), folders.values())
    for number, request_id in zip(folders, filed, strict=True):
        answer = wait_for(client, request_id, 300)
        assert (answer["outcome"], answer["files"]["by_disposition"]) == ("complete", {"archived": number})
        assert [s["session"] for s in answer["sessions"]] == [f"A10{number}"]


def test_11_one_number_for_two_series(server: Server, client: Client) -> None:
    study = next(STUDIES)

    def part(name: str, series: int, files: range) -> Path:
        folder = inbox(server, f"a11-{name}")
        for number in files:
            save(instance(study, series, number, SeriesNumber=1, PatientID="A11"), folder / f"{number}.dcm")
        return folder

    uri = imported(client, part("one", 1, range(1, 3)))["sessions"][0]["uri"]
    imported(client, part("two", 2, range(1, 4)), overwrite="append")
    assert scans(client, uri) == {"1": 2, "1-MR1": 3}
    imported(client, part("three", 2, range(4, 6)), overwrite="append")
    imported(client, part("four", 1, range(3, 4)), overwrite="append")
    assert scans(client, uri) == {"1": 3, "1-MR1": 5}


def test_12_requests_of_others_are_not_there(server: Server, client: Client) -> None:
    for login in ("twelve", "other"):
        done = server.command("user", "create", login, "--password-stdin", stdin="a long pass phrase 12\n")
        assert done.returncode == 0
    server.command("project", "member", "AUTO", "twelve", "--role", "member")
    study = next(STUDIES)
    folder = session_folder(inbox(server, "a12"), study=study, PatientID="A12")
    words = "a long pass phrase 12"
    with server.client("twelve", words) as twelve, server.client("other", words) as other:
        number = imported(twelve, folder)["id"]
        assert [each["id"] for each in twelve.get("/xapi/dicom/list/all").json()] == [number]
        assert other.get("/xapi/dicom/list/all").json() == []
        assert other.get(f"/xapi/dicom/{number}").status_code == 404
        assert other.get("/xapi/dicom/999999").status_code == 404
        assert client.get(f"/xapi/dicom/{number}").status_code == 200


def test_in_the_end_catalog_and_trees_agree(server: Server) -> None:
    site = open_site(read_settings({}, home=Path(server.ready["home"])))
    assert verify(site).differences == []
    assert list(site.settings.staging_path.iterdir()) == []
