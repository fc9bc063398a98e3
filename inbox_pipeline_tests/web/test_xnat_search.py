"""Searches by document: what they find, what their columns are called, and documents that are none."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest

from inbox_pipeline.services import projects
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.web.browsing import fill_archive
from inbox_pipeline_tests.web.conftest import Client

XDAT = "http://nrg.wustl.edu/security"
E1, E2, E3 = "INBOX_E00001", "INBOX_E00002", "INBOX_E00003"
Criterion = tuple[str, str, str]


@pytest.fixture(scope="module", autouse=True)
def archive(site: Site) -> Iterator[None]:
    fill_archive(site)
    yield


def criterion(field: str, sign: str, value: str) -> str:
    sign = sign.replace("<", "&lt;").replace(">", "&gt;")
    return (
        f"<xdat:criteria><xdat:schema_field>{field}</xdat:schema_field>"
        f"<xdat:comparison_type>{sign}</xdat:comparison_type><xdat:value>{value}</xdat:value></xdat:criteria>"
    )


def document(root: str, *fields: str, where: str = "", method: str = "AND") -> str:
    shown = "".join(
        f"<xdat:search_field><xdat:element_name>{root}</xdat:element_name><xdat:field_ID>{name}</xdat:field_ID>"
        "</xdat:search_field>"
        for name in fields
    )
    return (
        f'<xdat:bundle xmlns:xdat="{XDAT}"><xdat:root_element_name>{root}</xdat:root_element_name>{shown}'
        f'<xdat:search_where method="{method}">{where}</xdat:search_where></xdat:bundle>'
    )


def rows(client: Client, body: str, query: str = "") -> list[dict[str, str]]:
    answer = client("POST", f"/data/search?format=csv{query}", content=body)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def ids(client: Client, body: str, query: str = "") -> list[str]:
    return [row["session_id"] for row in rows(client, body, query)]


MR, CT, ANY = "xnat:mrSessionData", "xnat:ctSessionData", "xnat:imagesessiondata"


@pytest.mark.parametrize(
    ("root", "conditions", "method", "expected"),
    [
        (MR, [("ID", "LIKE", "%")], "AND", [E1, E3]),
        (CT, [("ID", "LIKE", "%")], "AND", [E2]),
        (ANY, [], "AND", [E1, E2, E3]),
        (ANY, [], "OR", [E1, E2, E3]),
        (MR, [("PROJECT", "=", "P2")], "AND", [E3]),
        (MR, [("project", "!=", "P2")], "AND", [E1]),
        (ANY, [("label", " like ", "c*")], "AND", [E2]),
        (ANY, [("LABEL", "NOT LIKE", "%R1")], "AND", [E2]),
        (ANY, [("DATE", ">", "2021-01-01")], "AND", [E3]),
        (ANY, [("DATE", "<=", "01/02/2020")], "AND", [E1]),
        (ANY, [("DATE", ">=", "01/03/2020"), ("PROJECT", "=", "P1")], "AND", [E2]),
        (ANY, [("DATE", ">=", "01/03/2020"), ("PROJECT", "=", "P1")], "OR", [E1, E2, E3]),
        (ANY, [("time", "IS NULL", "")], "AND", [E2]),
        (ANY, [("time", "IS NOT NULL", "")], "AND", [E1, E3]),
        (ANY, [("INSERT_DATE", "<", "2020-01-01")], "AND", []),
        (ANY, [("INSERT_DATE", "<=", "9999-12-31"), ("INSERT_DATE", ">=", "0001-01-01")], "AND", [E1, E2, E3]),
        (ANY, [("INSERT_DATE", ">", "2020-01-01"), ("SUBJECT_LABEL", "=", "SUB9")], "AND", [E3]),
        (ANY, [("xnat:subjectData/label", "=", "SUB1")], "AND", [E1, E2]),
        (ANY, [("label", "LIKE", "M_1")], "AND", []),
    ],
)
def test_conditions(admin: Client, root: str, conditions: list[Criterion], method: str, expected: list[str]) -> None:
    named = [(name if "/" in name else f"{root}/{name}", sign, value) for name, sign, value in conditions]
    where = "".join(criterion(*each) for each in named)
    assert ids(admin, document(root, where=where, method=method)) == expected


def test_sets_within_sets_are_joined_by_their_own_methods(admin: Client) -> None:
    inner = criterion(f"{MR}/label", "=", "MR1") + criterion(f"{MR}/label", "=", "CT1")
    where = f'{criterion("PROJECT", "=", "P1")}<xdat:child_set method="OR">{inner}</xdat:child_set>'
    assert ids(admin, document(ANY, where=where)) == [E1, E2]


def test_nobody_finds_what_nobody_may_read(ada: Client, admin: Client) -> None:
    assert ids(ada, document(ANY)) == [E1, E2]
    assert [row["subject_label"] for row in rows(ada, document("xnat:subjectData"))] == ["SUB1"]
    assert [row["id"] for row in rows(ada, document("xnat:projectData"))] == ["P1"]
    assert [row["subject_label"] for row in rows(admin, document("xnat:subjectData"))] == ["SUB1", "SUB9"]


def test_columns_are_called_as_clients_look_for_them(admin: Client) -> None:
    asked = ("SUBJECT_LABEL", "SUBJECT_ID", "GENDER_TEXT", "xnat:subjectData/label")
    (row, _) = rows(admin, document("xnat:subjectData", *asked))
    assert row == {
        "subject_label": "SUB1",
        "subject_id": "INBOX_S00001",
        "gender_text": "",
        "label": "SUB1",
        "project": "P1",
        "subjectid": "INBOX_S00001",
    }
    first = rows(
        admin, document(MR, f"{MR}/ID", f"{MR}/subject_ID", "xnat:subjectData/SUBJECT_LABEL", "MR_SCAN_COUNT")
    )[0]
    assert list(first.items()) == [
        ("id", E1),
        ("subject_id", "INBOX_S00001"),
        ("xnat_subjectdata_subject_label", "SUB1"),
        ("mr_scan_count", ""),
        ("session_id", E1),
        ("project", "P1"),
    ]


def test_projects_tell_how_many_sessions_they_have(admin: Client, site: Site) -> None:
    projects.create_project(site, "admin", "EMPTY", "Nothing")
    found = {row["id"]: row for row in rows(admin, document("xnat:projectData"))}
    assert (found["P1"]["proj_mr_count"], found["P1"]["proj_ct_count"], found["P1"]["proj_pet_count"]) == ("1", "1", "")
    assert (found["EMPTY"]["name"], found["EMPTY"]["proj_mr_count"]) == ("Nothing", "")


def test_pages_and_order(admin: Client) -> None:
    assert ids(admin, document(ANY), "&limit=1&offset=1") == [E2]
    assert ids(admin, document(ANY), "&sortBy=date&sortOrder=desc") == [E3, E2, E1]
    answer = admin("POST", "/REST/search?format=json&limit=1", content=document(ANY))
    assert answer.json()["ResultSet"]["totalRecords"] == "3"


DOCTYPE = '<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY c "&a;&a;">]>'


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "no XML"),
        (b"<a", "no XML"),
        (b"\xff\xfe\x00", "no XML"),
        (document(ANY).replace("<xdat", DOCTYPE + "<xdat", 1).encode(), "document type"),
        (f'<?xml version="1.0"?>{DOCTYPE}<b>&c;</b>'.encode("utf-16"), "document type"),
        (b"<bundle/>", "root_element_name"),
        (document("xnat:mrScanData").encode(), "root_element_name"),
        (document(MR, method="XOR").encode(), "method"),
        (document(MR, where=criterion(f"{MR}/nothing", "=", "1")).encode(), "xnat:mrSessionData/nothing"),
        (document(MR, where=criterion("label", "~", "1")).encode(), "compares by none"),
        (document(MR, where=criterion("DATE", "=", "yesterday")).encode(), "no date"),
        (document(MR, where=criterion("time", "<", "noon")).encode(), "no date or time"),
        (document(MR, where="<xdat:child_set>" * 20 + "</xdat:child_set>" * 20).encode(), "deeper than 16"),
        (document(MR, where=criterion("label", "=", "") * 257).encode(), "more than 256"),
    ],
)
def test_a_document_that_cannot_be_searched_by_is_told_why(admin: Client, body: bytes, fault: str) -> None:
    answer = admin("POST", "/data/search", content=body, headers={"accept": "application/json"})
    assert answer.status_code == 400
    assert fault in answer.text, answer.text


@pytest.mark.parametrize("name", ["accessibility", "quarantine_code", "current_arc"])
def test_what_holds_for_every_project_is_told_and_cannot_be_changed(ada: Client, name: str) -> None:
    value = ada("GET", f"/data/projects/P1/{name}").text
    assert value == {"accessibility": "private", "quarantine_code": "0", "current_arc": "arc001"}[name]
    assert ada("PUT", f"/data/projects/P1/{name}/{value}").status_code == 200
    assert ada("PUT", f"/data/projects/P1/{name}/other").status_code == 400
    assert ada("GET", f"/data/projects/P1/{name}").text == value
