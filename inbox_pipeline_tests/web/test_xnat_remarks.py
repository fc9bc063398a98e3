"""What people say of sessions and scans over XNAT's addresses: set, seen, refused, kept, audited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inbox_pipeline.intake.remarks import LONGEST_NOTE
from inbox_pipeline.services import accounts, projects, undo
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.web.browsing import fill_archive, import_folder
from inbox_pipeline_tests.web.conftest import PASSWORD, Client
from inbox_pipeline_tests.web.test_xnat_archive import E1, E3, XNAT, etree, result
from inbox_pipeline_tests.web.test_xnat_prearchive import worker

SCAN = f"/data/experiments/{E1}/scans/1"


@pytest.fixture(scope="module", autouse=True)
def archive(site: Site) -> Iterator[None]:
    fill_archive(site)
    accounts.create_user(site, "admin", "cleo", PASSWORD)
    projects.set_member(site, "admin", "P1", "cleo", "collaborator")
    yield


@pytest.fixture(autouse=True)
def unsaid(ada: Client) -> None:
    """Nothing has been said of the session and its first scan."""
    assert ada("PUT", SCAN, params={"quality": "NULL", "note": "NULL"}).status_code == 200
    assert ada("PUT", f"/data/experiments/{E1}", params={"note": "NULL"}).status_code == 200


def remarks(site: Site, client: Client) -> list[Any]:
    lines = client("GET", "/api/v1/audit", params={"action": "session.remark", "object": E1}).json()["lines"]
    return [line["detail"] for line in lines]


@pytest.mark.parametrize("prefix", ["/data", "/data/archive", "/REST"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"quality": "unusable"},
        {"xsiType": "xnat:mrScanData", "xnat:mrScanData/quality": "Unusable"},
        {"xsiType": "xnat:mrScanData", "req_format": "qs", "xnat:imageScanData/quality": "unusable"},
        {"xsiType": "", "xnat:MRScanData/quality": " UNUSABLE ", "event_reason": "checked", "XNAT_CSRF": "x"},
    ],
)
@pytest.mark.parametrize("place", ["/experiments/MR1", "/projects/P1/subjects/SUB1/experiments/MR1"])
def test_quality_is_set_in_every_way_that_clients_have(
    ada: Client, prefix: str, parameters: dict[str, str], place: str
) -> None:
    address = f"{prefix}{place}/scans/1"
    assert ada("PUT", address, params=parameters).status_code == 200
    assert ada("GET", address).json()["items"][0]["data_fields"]["quality"] == "unusable"


def test_what_was_said_is_seen_in_lists_and_documents(ada: Client) -> None:
    said = {"quality": "questionable", "note": "moved, <twice> & more"}
    assert ada("PUT", SCAN, params=said).status_code == 200
    assert ada("PUT", f"/data/experiments/{E1}", data={"xnat:experimentData/note": "see\nmail"}).text == E1
    rows = result(ada, f"/data/experiments/{E1}/scans")
    assert [(row["quality"], row["note"]) for row in rows] == [tuple(said.values()), ("usable", "")]
    by_path = result(ada, f"/data/experiments/{E1}/scans?columns=ID,xnat:mrScanData/quality,note")
    assert by_path[0]["xnat:mrscandata/quality"], by_path[0]["note"] == tuple(said.values())
    assert [row["ID"] for row in result(ada, f"/data/experiments/{E1}/scans?quality=usable")] == ["2"]
    assert [row["ID"] for row in result(ada, f"/data/experiments/{E1}/scans?sortBy=quality&sortOrder=desc")] == [
        "2",
        "1",
    ]
    across = result(ada, "/data/projects/P1/experiments?columns=note,xnat:mrScanData/quality,xnat:mrScanData/note")
    assert {(row["note"], row["xnat:mrscandata/quality"]) for row in across if row["ID"] == E1} == {
        ("see\nmail", "questionable"),
        ("see\nmail", "usable"),
    }
    assert '"questionable"' in ada("GET", f"/data/experiments/{E1}/scans?format=csv").text
    document = etree.fromstring(ada("GET", f"/data/experiments/{E1}?format=xml").content)
    assert document.findtext(f"{XNAT}note") == "see\nmail"
    scan = document.find(f"{XNAT}scans/{XNAT}scan[@ID='1']")
    assert {name: scan.findtext(f"{XNAT}{name}") for name in said} == said


def test_null_takes_back_what_was_said(ada: Client) -> None:
    ada("PUT", SCAN, params={"quality": "unusable", "note": "moved"})
    ada("PUT", SCAN, params={"quality": "NULL", "note": ""})
    (row, _) = result(ada, f"/data/experiments/{E1}/scans")
    assert (row["quality"], row["note"]) == ("usable", "")


@pytest.mark.parametrize(
    ("place", "parameters", "code", "told"),
    [
        ("/scans/1", {"quality": "fine"}, "quality_unknown", "usable, questionable or unusable"),
        ("/scans/1", {"note": "x" * (LONGEST_NOTE + 1)}, "note_illegal", "4,000"),
        ("/scans/1", {"note": "a\0b"}, "note_illegal", "control characters"),
        ("", {"note": "x" * (LONGEST_NOTE + 1)}, "note_illegal", "4,000"),
        ("/scans/1", {"xnat:mrScanData/condition": "new"}, "attribute_not_settable", "condition"),
        ("/scans/1", {"xnat:ctScanData/quality": "usable"}, "attribute_not_settable", "note, quality"),
        ("/scans/1", {"xsiType": "xnat:ctScanData", "quality": "usable"}, "attribute_not_settable", "xsiType"),
        (
            "/scans/1",
            {"xnat:mrScanData/parameters/addParam[name=x]/addField": "1"},
            "attribute_not_settable",
            "addField",
        ),
        ("/scans/1", {"<script>": "1"}, "attribute_not_settable", "that was named"),
        ("", {"xnat:mrSessionData/acquisition_site": "x"}, "attribute_not_settable", "What can be set: note."),
        ("", {"xnat:mrSessionData/fields/field[name=x]/field": "1"}, "attribute_not_settable", "field"),
        ("", {"quality": "usable"}, "attribute_not_settable", "quality"),
    ],
)
def test_what_cannot_be_set_is_refused_and_says_what_can(
    ada: Client, place: str, parameters: dict[str, str], code: str, told: str
) -> None:
    answer = ada("PUT", f"/data/experiments/{E1}{place}", params={"note": "kept?"} | parameters)
    assert (answer.status_code, answer.headers["x-inbox-reason"]) == (400, code)
    assert told in answer.text
    assert "<script>" not in answer.text
    assert result(ada, f"/data/experiments/{E1}/scans")[0]["note"] == ""


def test_who_may_only_read_may_not_say_anything(app: Any, bob: Client, stranger: Client) -> None:
    reader = Client(app, ("cleo", PASSWORD))
    for path, parameters in ((SCAN, {"quality": "unusable"}), (f"/data/experiments/{E1}", {"note": "x"})):
        assert [client("PUT", path, params=parameters).status_code for client in (reader, bob, stranger)] == [
            403,
            404,
            401,
        ]
    assert reader("PUT", SCAN).status_code == 403
    assert reader("GET", SCAN).json()["items"][0]["data_fields"]["quality"] == "usable"


def test_the_audit_trail_tells_who_judged_but_not_what_a_note_says(site: Site, ada: Client, admin: Client) -> None:
    before = len(remarks(site, admin))
    for parameters in (
        {"quality": "unusable", "note": "Ms Secret moved"},
        {"quality": "unusable"},
        {"quality": "usable", "note": "Ms Secret sneezed"},
        {"note": "NULL"},
    ):
        assert ada("PUT", SCAN, params=parameters).status_code == 200
    lines = remarks(site, admin)
    assert lines[: len(lines) - before] == [
        {"scan": "1", "note": "removed"},
        {"scan": "1", "quality": {"from": "unusable", "to": "usable"}, "note": "changed"},
        {"scan": "1", "quality": {"from": None, "to": "unusable"}, "note": "written"},
    ]
    assert "Secret" not in admin("GET", "/api/v1/audit").text


def test_what_was_said_outlives_what_an_import_adds_and_an_undo(site: Site, bob: Client, admin: Client) -> None:
    inbox = site.settings.inbox_path / "P2"
    bob("PUT", f"/data/experiments/{E3}/scans/1", params={"quality": "unusable", "note": "moved"})
    bob("PUT", f"/data/experiments/{E3}", params={"note": "first"})
    for number, way in ((2, {"overwrite": "append"}), (1, {"overwrite": "delete"})):
        folder = inbox / f"later{number}"
        save(instance(3, 1, number, StudyDate="20210304", SeriesDescription="again"), folder / "a.dcm")
        save(instance(3, 2, number, StudyDate="20210304"), folder / "b.dcm")
        import_folder(site, folder, "P2", "SUB9", "MR1", **way)
    rows = result(bob, f"/data/experiments/{E3}/scans?columns=ID,quality,note")
    assert [(row["ID"], row["quality"], row["note"]) for row in rows] == [
        ("1", "unusable", "moved"),
        ("2", "usable", ""),
    ]
    assert result(bob, f"/data/experiments/{E3}/scans/1/resources")[0]["file_count"] == "2"
    account = accounts.get_account(site, "admin")
    assert account is not None
    folder = inbox / "alone"
    save(instance(4, 1, 1), folder / "a.dcm")
    number = import_folder(site, folder, "P2", "SUB9", "ALONE")
    bob("PUT", "/data/projects/P2/experiments/ALONE/scans/1", params={"quality": "questionable"})
    undo.undo(site, account, number)
    assert bob("PUT", "/data/projects/P2/experiments/ALONE", params={"note": "x"}).status_code == 404
    undo.restore(site, account, number)
    assert result(bob, "/data/projects/P2/experiments/ALONE/scans")[0]["quality"] == "questionable"


def test_what_was_said_goes_with_a_session_to_another_label(site: Site, ada: Client) -> None:
    place = "/data/projects/P1/experiments"
    assert ada("PUT", f"{SCAN}", params={"quality": "unusable", "note": "moved"}).status_code == 200
    with worker(site):
        answer = ada("PUT", f"{place}/MR1", params={"label": "MR2", "xnat:mrSessionData/note": "was MR1"})
        assert (answer.status_code, answer.text) == (200, E1)
        row = result(ada, f"{place}/MR2/scans")[0]
        assert (row["quality"], row["note"]) == ("unusable", "moved")
        assert ada("GET", f"{place}/MR2").json()["items"][0]["data_fields"]["note"] == "was MR1"
        taken = ada("PUT", f"{place}/MR2", params={"label": "CT1", "note": "not kept"})
        assert (taken.status_code, taken.headers["x-inbox-reason"]) == (409, "session_exists")
        assert ada("GET", f"{place}/MR2").json()["items"][0]["data_fields"]["note"] == "was MR1"
        refused = ada("PUT", f"{place}/MR2", params={"label": "MR1", "quality": "usable"})
        assert (refused.status_code, refused.headers["x-inbox-reason"]) == (400, "attribute_not_settable")
        assert ada("PUT", f"{place}/MR2", params={"label": "MR1"}).status_code == 200
    assert result(ada, f"{place}/MR1/scans")[0]["quality"] == "unusable"
