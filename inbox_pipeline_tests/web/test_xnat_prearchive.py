"""The prearchive over XNAT's addresses: lists, files, and the services that archive, delete and rebuild."""

from __future__ import annotations

import csv
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from inbox_pipeline.errors import InboxError
from inbox_pipeline.services import projects
from inbox_pipeline.services.queue import due_launches
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.steps import STEPS, run_step
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.web.browsing import import_folder
from inbox_pipeline_tests.web.conftest import PASSWORD, Client
from inbox_pipeline_tests.web.test_xnat_archive import result

XNAT = "{http://nrg.wustl.edu/xnat}"
COUNT = iter(range(1, 1000))


@pytest.fixture(scope="module", autouse=True)
def manual(site: Site) -> None:
    for project in ("P1", "P2"):
        projects.set_project(site, "admin", project, policy="none", prearchive_code=0)


@contextmanager
def worker(site: Site) -> Iterator[None]:
    """Do in a thread what workers do, for as long as the test needs it."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            for launch in due_launches(site, 10):
                with suppress(InboxError):
                    for step in STEPS:
                        run_step(site, launch.request_id, step, run_id=f"w-{launch.request_id}-{launch.attempt}")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def waiting(site: Site, client: Client, label: str, *, project: str = "P1", study: int | None = None) -> dict[str, Any]:
    """Import a session of two scans into the prearchive and return its row."""
    number = study or next(COUNT)
    folder = site.settings.inbox_path / project / f"in-{label}-{next(COUNT)}"
    for series, files in ((1, 2), (2, 1)):
        for file in range(1, files + 1):
            save(instance(number, series, file, SeriesDescription=f"s{series}"), folder / f"{series}-{file}.dcm")
    import_folder(site, folder, project, f"SUB{number}", label)
    rows = result(client, f"/data/prearchive/projects/{project}")
    return next(row for row in reversed(rows) if row["name"] == label)


def test_lists_hold_what_the_sender_may_edit(site: Site, ada: Client, app: Any) -> None:
    mine, other = waiting(site, ada, "L1"), Client(app, ("bob", PASSWORD))
    waiting(site, other, "L2", project="P2")
    assert "L2" not in {row["name"] for row in result(ada, "/data/prearchive/projects")}
    assert {row["project"] for row in result(other, "/REST/prearchive")} == {"P2"}
    both = Client(app, ("admin", PASSWORD))
    assert {row["project"] for row in result(both, "/data/prearchive/projects/P1,P2")} == {"P1", "P2"}
    assert ada("GET", "/data/prearchive/projects/P2").status_code == 403
    assert ada("GET", "/data/prearchive/projects/NONE").status_code == 403
    assert result(ada, f"/data/prearchive?tag={mine['tag']}") == [mine]
    assert (mine["status"], mine["folderName"], mine["scan_date"][:4]) == ("READY", "L1", "2020")
    answer = ada("GET", "/data/prearchive/projects?format=csv")
    assert mine in list(csv.DictReader(io.StringIO(answer.text)))


def test_a_session_its_scans_and_files(site: Site, ada: Client, app: Any) -> None:
    row = waiting(site, ada, "F1")
    base = f"/data{row['url']}"
    assert result(ada, base) == [row]
    assert [(s["ID"], s["series_description"]) for s in result(ada, f"{base}/scans")] == [("1", "s1"), ("2", "s2")]
    assert [r["file_count"] for r in result(ada, f"{base}/resources")] == ["2", "1"]
    (resource,) = result(ada, f"{base}/scans/1/resources")
    files = result(ada, f"{resource['URI']}/files")
    assert len(files) == 2
    for each in files:
        answer = ada("GET", each["URI"])
        assert answer.status_code == 200
        assert hashlib.md5(answer.content, usedforsecurity=False).hexdigest() == each["digest"]
    assert "Review" in ada("GET", f"{base}/logs/last").text
    bob = Client(app, ("bob", PASSWORD))
    for url in (base, f"{base}/scans", f"{base}/scans/1/resources", files[0]["URI"], f"{base}/logs"):
        assert bob("GET", url).status_code == 403
        assert Client(app)("GET", url).status_code == 401
    for url in (f"{base}x", f"{base}/scans/9/resources", f"{base}/scans/1/resources/OTHER/files"):
        assert ada("GET", url).status_code == 404


def test_a_file_comes_in_parts_and_is_away_when_it_is_gone(site: Site, ada: Client) -> None:
    row = waiting(site, ada, "G1")
    (file, _) = result(ada, f"/data{row['url']}/scans/1/resources/DICOM/files")
    whole = ada("GET", file["URI"])
    part = ada("GET", file["URI"], headers={"Range": "bytes=128-131"})
    assert (part.status_code, part.content, part.content) == (206, b"DICM", whole.content[128:132])
    assert ada("GET", file["URI"], headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    (path,) = site.settings.prearchive_path.rglob(f"{row['timestamp']}/**/{file['Name']}")
    path.unlink()
    gone = ada("GET", file["URI"])
    assert (gone.status_code, gone.headers["X-Inbox-Reason"]) == (503, "session_away")


def test_archiving_one_waits_and_tells_where_it_is(site: Site, ada: Client) -> None:
    row = waiting(site, ada, "A1")
    with worker(site):
        answer = ada("POST", "/data/services/archive", params={"src": f"/data{row['url']}", "auto-archive": "false"})
    assert answer.status_code == 200, answer.text
    assert answer.text == f"/data/archive/projects/P1/subjects/{row['subject']}/experiments/A1\r\n"
    assert ada("GET", answer.text.strip()).status_code == 200
    assert ada("GET", f"/data{row['url']}").status_code == 404


def test_archiving_under_other_labels(site: Site, ada: Client) -> None:
    row = waiting(site, ada, "B1")
    asked = {"src": row["url"], "subject": "OTHER", "session": "B2"}
    with worker(site):
        answer = ada("POST", "/REST/services/archive", params=asked)
    assert answer.text == "/data/archive/projects/P1/subjects/OTHER/experiments/B2\r\n"


def test_conflicts_keep_their_own_codes(site: Site, ada: Client) -> None:
    study = next(COUNT)
    with worker(site):
        ada("POST", "/data/services/archive", params={"src": waiting(site, ada, "C1", study=study)["url"]})
        again = waiting(site, ada, "C2", study=study)
        for parameters, status, code in (
            ({}, 409, "session_exists"),
            ({"overwrite": "append"}, 409, "files_exist"),
            ({"overwrite": "append", "overwrite_files": "true"}, 200, None),
        ):
            asked = {"src": again["url"], "session": "C1"} | parameters
            foreseen = result(ada, "/data/services/validate-archive?format=json", method="POST", params=asked)
            answer = ada("POST", "/data/services/archive", params=asked)
            assert [each["reason"] for each in foreseen if each["type"] == "CONFLICT"] == ([code] if code else [])
            assert (answer.status_code, answer.headers.get("X-Inbox-Reason")) == (status, code), answer.text
            if code:
                assert result(ada, f"/data{again['url']}")[0]["status"] == "CONFLICT"


def test_several_are_listed_and_archived_by_and_by(site: Site, ada: Client) -> None:
    rows = [waiting(site, ada, f"D{number}") for number in range(2)]
    answer = ada("POST", "/data/services/archive?format=json", params=[("src", row["url"]) for row in rows])
    assert [row["status"] for row in answer.json()["ResultSet"]["Result"]] == ["QUEUED_ARCHIVING"] * 2
    for call in (("POST", "/data/services/archive"), ("POST", "/data/services/prearchive/delete")):
        locked = ada(*call, params={"src": rows[0]["url"]})
        assert (locked.status_code, locked.headers["X-Inbox-Reason"]) == (403, "session_locked")
    with worker(site):
        last = waiting(site, ada, "D9")
        ada("POST", "/data/services/archive", params={"src": last["url"]})
    assert not {"D0", "D1", "D9"} & {row["name"] for row in result(ada, "/data/prearchive/projects/P1")}


def test_delete_and_rebuild(site: Site, ada: Client) -> None:
    row = waiting(site, ada, "E1")
    answer = ada("POST", "/data/services/prearchive/rebuild?format=json", params={"src": row["url"]})
    assert [each["status"] for each in answer.json()["ResultSet"]["Result"]] == ["READY"]
    for action in ("action=build", "action=reset-status", "action=set-status&status=READY"):
        assert ada("POST", f"/data{row['url']}?{action}").text == f"{row['url']}\r\n"
    for action in ("action=set-status&status=_ARCHIVING", "action=none", ""):
        assert ada("POST", f"/data{row['url']}?{action}").status_code == 400
    assert ada("DELETE", f"/data{row['url']}").status_code == 200
    assert ada("GET", f"/data{row['url']}").status_code == 404
    row = waiting(site, ada, "E2")
    answer = ada("POST", "/data/services/prearchive/delete?format=csv", params={"src": f"/data{row['url']}"})
    assert "E2" in answer.text
    assert ada("DELETE", f"/data{row['url']}").status_code == 404


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({}, 400),
        ({"src": "/archive/projects/P1"}, 400),
        ({"src": "/prearchive/projects/P1/20260101_000000000/none"}, 404),
        ({"src": "/prearchive/projects/P2/20260101_000000000/none"}, 403),
        ({"project": "P1", "PREARC_TIMESTAMP": "20260101_000000000", "PREARC_SESSION_FOLDER": "none"}, 404),
        ({"src": "/prearchive/projects/P1/20260101_000000000/none", "session": "../x"}, 400),
    ],
)
def test_what_cannot_be_archived(ada: Client, parameters: dict[str, str], status: int) -> None:
    assert ada("POST", "/data/services/archive", params=parameters).status_code == status


def test_nothing_is_taken_from_another_site(site: Site, ada: Client, tmp_path: Path) -> None:
    row = waiting(site, ada, "G1")
    for url in ("/data/services/archive", "/data/services/prearchive/delete"):
        answer = ada("POST", url, params={"src": row["url"]}, headers={"Origin": "https://evil.test"})
        assert answer.status_code == 403
    assert result(ada, f"/data{row['url']}")[0]["status"] == "READY"


def test_moving_to_another_project(site: Site, admin: Client, ada: Client, bob: Client) -> None:
    rows = [waiting(site, ada, f"M{number}") for number in range(4)]
    there = [row["url"].replace("/P1/", "/P2/") for row in rows]
    moved = {"newProject": "P2", "async": "false"}
    for client in (ada, bob):  # each has a right in one of the two projects alone
        answer = client("POST", "/data/services/prearchive/move", params={"src": rows[0]["url"], **moved})
        assert (answer.status_code, answer.headers["X-Inbox-Reason"]) == (403, "prearchive_denied")
    answer = admin(
        "POST", "/data/services/prearchive/move?format=json", params={"src": f"/data{rows[0]['url']}", **moved}
    )
    assert [(row["project"], row["status"], row["url"]) for row in answer.json()["ResultSet"]["Result"]] == [
        ("P2", "READY", there[0])
    ]
    answer = admin("POST", f"/data{rows[1]['url']}", params={"action": "move", "newProject": "p2"})
    assert (answer.status_code, answer.headers["location"]) == (301, f"/data{there[1]}")
    answer = admin("PUT", f"/data{rows[2]['url']}", params=moved)
    assert (answer.status_code, answer.text) == (200, f"{there[2]}\r\n")
    for row, url in zip(rows[:3], there, strict=False):
        assert ada("GET", f"/data{row['url']}").status_code == 404
        (now,) = result(bob, f"/data{url}")
        assert now == row | {"project": "P2", "url": url}
        (resource, _) = result(bob, f"/data{url}/resources")
        (name, _) = [each["URI"] for each in result(bob, f"{resource['URI']}/files")]
        assert bob("GET", name).status_code == 200
    for parameters, status in (({}, 400), ({"newProject": "NONE"}, 403), ({"newProject": "Unassigned"}, 403)):
        answer = admin("POST", "/data/services/prearchive/move", params={"src": rows[3]["url"], **parameters})
        assert answer.status_code == status
    answer = admin("POST", f"/data{rows[3]['url']}", params={"action": "move", "newProject": "P1"})
    assert (answer.status_code, answer.headers["X-Inbox-Reason"]) == (409, "prearchive_place_taken")


def test_a_sessions_document_and_its_files_as_zip(site: Site, ada: Client) -> None:
    row = waiting(site, ada, "Z1")
    base = f"/data{row['url']}"
    root = ET.fromstring(ada("GET", f"{base}?format=xml").text)  # noqa: S314 - our own answer
    assert (root.tag, root.get("label"), root.get("project")) == (f"{XNAT}MRSession", "Z1", "P1")
    assert (root.get("UID"), root.findtext(f"{XNAT}subject_ID")) == (row["tag"], row["subject"])
    assert [scan.get("ID") for scan in root.iter(f"{XNAT}scan")] == ["1", "2"]
    for url, sizes in ((base, {"1-s1": 2, "2-s2": 1}), (f"{base}/scans/1", {"1-s1": 2})):
        answer = ada("GET", url, params={"format": "zip"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
            assert packed.testzip() is None
            names = [name.split("/") for name in packed.namelist()]
        assert {scan: sum(1 for name in names if name[2] == scan) for scan in {name[2] for name in names}} == sizes
        assert {name[0] for name in names} == {"Z1"}
    assert [scan["ID"] for scan in result(ada, f"{base}/scans/2")] == ["2"]
    for url in (f"{base}/scans/9", f"{base}x"):
        assert ada("GET", url, params={"format": "zip"}).status_code == 404


def test_a_rescan_finds_what_is_gone(site: Site, admin: Client, ada: Client) -> None:
    whole, cut = waiting(site, ada, "R1"), waiting(site, ada, "R2")
    next((site.settings.prearchive_path / "P1" / cut["timestamp"]).rglob("*.dcm")).unlink()
    assert ada("PUT", "/data/prearchive").status_code == 403
    found = {row["name"]: row["status"] for row in result(admin, "/data/prearchive", method="PUT")}
    assert (found["R1"], found["R2"]) == ("READY", "ERROR")
    assert "not what the catalog says" in ada("GET", f"/data{cut['url']}/logs/last").text
    assert ada("GET", f"/data{whole['url']}").status_code == 200
