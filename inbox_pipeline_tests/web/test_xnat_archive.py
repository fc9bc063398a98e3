"""The archive over XNAT's addresses: lists in four shapes, columns, filters, pages, documents, and who sees what."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from inbox_pipeline.services import undo
from inbox_pipeline.services.accounts import get_account
from inbox_pipeline.services.site import Site
from inbox_pipeline.web.xnat_schema import SESSION_KINDS, schema_document
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.web.browsing import fill_archive, import_folder
from inbox_pipeline_tests.web.conftest import Client

XNAT = "{http://nrg.wustl.edu/xnat}"
E1, E2, E3 = "INBOX_E00001", "INBOX_E00002", "INBOX_E00003"


@pytest.fixture(scope="module", autouse=True)
def archive(site: Site) -> Iterator[None]:
    fill_archive(site)
    yield


def result(client: Client, url: str, method: str = "GET", **options: Any) -> list[dict[str, str]]:
    answer = client(method, url, **options)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, str]] = answer.json()["ResultSet"]["Result"]
    return rows


def column(client: Client, url: str, name: str = "ID") -> list[str]:
    return [row[name] for row in result(client, url)]


@pytest.mark.parametrize("prefix", ["/data", "/data/archive", "/REST"])
@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("/projects", "ID", ["P1"]),
        ("/projects/p1/subjects", "label", ["SUB1"]),
        ("/subjects", "label", ["SUB1"]),
        ("/experiments", "ID", [E1, E2]),
        ("/projects/P1/experiments", "label", ["MR1", "CT1"]),
        ("/projects/P1/subjects/SUB1/experiments", "ID", [E1, E2]),
        ("/projects/P1/subjects/inbox_s00001/experiments", "ID", [E1, E2]),
        ("/subjects/INBOX_S00001/experiments", "ID", [E1, E2]),
        (f"/experiments/{E1}/scans", "ID", ["1", "2"]),
        ("/projects/P1/subjects/SUB1/experiments/mr1/scans", "type", ['t1 "sag", <3D>', "t2"]),
        ("/projects/P1/experiments/CT1/scans", "type", ["unknown"]),
        ("/experiments/CT1/scans", "ID", ["10"]),
        (f"/experiments/{E1}/scans/2/resources", "label", ["DICOM"]),
        (f"/experiments/{E1}/scans/ALL/resources", "file_count", ["3", "1"]),
        (f"/experiments/{E1}/resources?all=true", "cat_id", ["1", "2"]),
        (f"/experiments/{E1}/resources", "label", []),
        (f"/experiments/{E1}/files", "Name", []),
        (f"/experiments/{E1}/assessors", "ID", []),
        (f"/experiments/{E1}/reconstructions", "ID", []),
        ("/projects/P1/resources", "label", []),
        ("/projects/P1/files", "Name", []),
        ("/projects/P1/subjects/SUB1/resources", "label", []),
        ("/projects/P1/subjects/SUB1/files", "Name", []),
    ],
)
def test_lists(ada: Client, prefix: str, path: str, name: str, expected: list[str]) -> None:
    assert column(ada, prefix + path, name) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ID=inbox_e00001", [E1]),
        ("ID=*2", [E2]),
        ("label=mr*", [E1, E3]),
        ("label=MR1,CT1", [E1, E2, E3]),
        ("label=M_1", []),
        ("project=P1", [E1, E2]),
        ("xsiType=xnat:ctSessionData", [E2]),
        ("xsiType=xnat:ctSessionData,xnat:mrSessionData", [E1, E2, E3]),
        ("xsiType=xnat:subjectAssessorData", [E1, E2, E3]),
        ("xsiType=xnat:petSessionData", []),
        ("subject_label=SUB9", [E3]),
        ("xnat:subjectData/label=SUB9", [E3]),
        ("xnat:mrSessionData/subject_id=INBOX_S00001", [E1, E2]),
        ("modality=CT", [E2]),
        ("UID=*77.3", [E3]),
        ("date=03/04/2021", [E3]),
        ("date=2021-03-04", [E3]),
        ("date=01/01/2020-12/31/2020", [E1, E2]),
        ("sortBy=label", [E2, E1, E3]),
        ("sortBy=date&sortOrder=desc", [E3, E2, E1]),
        ("sortBy=nothing", [E1, E2, E3]),
        ("limit=1", [E1]),
        ("limit=1&offset=1", [E2]),
        ("limit=*", [E1, E2, E3]),
        ("size=2&page=2", [E3]),
        ("offset=9", []),
        ("label=%00%ff", []),
    ],
)
def test_filters_order_and_pages_of_sessions(admin: Client, query: str, expected: list[str]) -> None:
    assert column(admin, f"/data/experiments?{query}") == expected


@pytest.mark.parametrize("query", ["limit=x", "offset=-1", "limit=99999999999", "date=yesterday", "date=13/40/2020"])
def test_what_cannot_be_read_is_refused(admin: Client, query: str) -> None:
    assert admin("GET", f"/data/experiments?{query}").status_code == 400


def test_the_number_of_all_rows_stays_when_there_are_pages(admin: Client) -> None:
    for query, total in (("limit=1", "3"), ("limit=1&label=MR*", "2"), ("", "3"), ("offset=7", "3")):
        assert admin("GET", f"/data/experiments?{query}").json()["ResultSet"]["totalRecords"] == total


@pytest.mark.parametrize(
    ("url", "columns"),
    [
        ("/data/projects", ["ID", "secondary_ID", "name", "description", "pi_firstname", "pi_lastname", "URI"]),
        ("/data/subjects", ["ID", "project", "label", "insert_date", "insert_user", "URI"]),
        (
            "/data/experiments",
            ["ID", "project", "date", "xsiType", "label", "insert_date", "xnat:subjectassessordata/id", "URI"],
        ),
        (
            f"/data/experiments/{E1}/scans",
            ["xnat_imagescandata_id", "ID", "type", "quality", "xsiType", "note", "series_description", "URI"],
        ),
        (
            f"/data/experiments/{E1}/scans/1/resources?columns=ID",
            [
                "xnat_abstractresource_id",
                "label",
                "element_name",
                "category",
                "cat_id",
                "cat_desc",
                "file_count",
                "file_size",
                "tags",
                "content",
                "format",
            ],
        ),
        ("/data/projects?columns=ID,xsiType", ["ID", "xsiType", "URI"]),
        (
            "/data/experiments?columns=ID,project,xnat:subjectAssessorData/subject_id",
            ["ID", "project", "xnat:subjectassessordata/subject_id", "subject_ID", "xsiType", "URI"],
        ),
        ("/data/experiments?columns=label,nosuch", ["label", "nosuch", "ID", "xsiType", "URI"]),
        (
            "/data/subjects?columns=xnat:subjectData/demographics[@xsi:type=xnat:demographicData]/gender",
            ["xnat:subjectdata/demographics[@xsi:type=xnat:demographicdata]/gender", "ID", "URI"],
        ),
        (
            "/data/experiments?columns=DEFAULT,UID",
            ["ID", "project", "date", "xsiType", "label", "insert_date", "xnat:subjectassessordata/id", "URI", "UID"],
        ),
    ],
)
def test_columns(ada: Client, url: str, columns: list[str]) -> None:
    assert list(result(ada, url)[0]) == columns


def test_cells_of_a_session_by_names_and_paths(ada: Client) -> None:
    asked = "date,time,modality,UID,subject_ID,subject_label,insert_user,xnat:mrSessionData/date"
    asked += ",xnat:experimentData/meta/insert_user/login,xnat:subjectData/label,xnat:projectData/ID,nosuch"
    row = result(ada, f"/data/experiments?ID={E1}&columns={asked}")[0]
    assert row | {"UID": ""} == {
        "date": "2020-01-02",
        "time": "10:10:10",
        "modality": "MR",
        "UID": "",
        "subject_ID": "INBOX_S00001",
        "subject_label": "SUB1",
        "insert_user": "admin",
        "xnat:mrsessiondata/date": "2020-01-02",
        "xnat:experimentdata/meta/insert_user/login": "admin",
        "xnat:subjectdata/label": "SUB1",
        "xnat:projectdata/id": "P1",
        "nosuch": "",
        "ID": E1,
        "xsiType": "xnat:mrSessionData",
        "URI": f"/data/experiments/{E1}",
    }


def test_columns_of_scans_give_a_row_for_each_scan(ada: Client) -> None:
    rows = result(ada, "/data/experiments?columns=ID,xnat:mrScanData/ID,xnat:imageScanData/frames")
    cells = [(row["ID"], row["xnat:mrscandata/id"], row["xnat:imagescandata/frames"]) for row in rows]
    assert cells == [(E1, "1", "3"), (E1, "2", "1"), (E2, "", "1")]


@pytest.mark.parametrize("form", ["json", "csv", "xml", "html"])
def test_a_column_of_any_bytes_is_no_fault(ada: Client, form: str) -> None:
    assert ada("GET", f"/data/experiments?columns=%ff%00,%01&format={form}").status_code == 200


def test_the_four_shapes_of_a_list(ada: Client) -> None:
    url = f"/data/experiments/{E1}/scans?columns=ID,series_description"
    cells = ["1", 't1 "sag", <3D>', f"/data/experiments/{E1}/scans/1"]
    plain = ada("GET", f"{url}&format=csv")
    assert plain.headers["content-type"] == "text/csv; charset=utf-8"
    assert plain.text.splitlines()[0] == '"ID","series_description","URI"'
    assert list(csv.reader(io.StringIO(plain.text)))[1] == cells
    root = etree.fromstring(ada("GET", f"{url}&format=xml").content)
    assert [each.text for each in root.findall("results/columns/column")] == ["ID", "series_description", "URI"]
    assert [each.text for each in root.findall("results/rows/row")[0]] == cells
    assert "&lt;3D&gt;" in ada("GET", f"{url}&format=html").text
    assert ada("GET", url).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "application/json"),
        ("application/xml", "text/xml"),
        ("text/csv", "text/csv"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
    ],
)
def test_without_a_format_the_clients_preference_counts(ada: Client, accept: str, media: str) -> None:
    for url in ("/data/projects", "/data/projects?format=nosuch"):
        assert ada("GET", url, headers={"accept": accept}).headers["content-type"].startswith(media)


def test_a_sessions_document(ada: Client) -> None:
    item = ada("GET", "/data/projects/P1/experiments/MR1?format=json").json()["items"][0]
    assert item["meta"]["xsi:type"] == "xnat:mrSessionData"
    assert item["meta"]["isHistory"] is False
    assert item["meta"]["start_date"].split()[4] == "UTC"
    assert item["data_fields"]["ID"] == E1
    assert item["data_fields"]["subject_ID"] == "INBOX_S00001"
    assert item["data_fields"]["date"] == "2020-01-02"
    (scans,) = item["children"]
    assert scans["field"] == "scans/scan"
    assert [scan["data_fields"]["ID"] for scan in scans["items"]] == ["1", "2"]
    assert scans["items"][0]["data_fields"]["frames"] == 3
    assert scans["items"][0]["children"][0]["items"][0]["data_fields"]["file_count"] == 3


def test_documents_of_every_level(ada: Client) -> None:
    for url, xsi_type, names in [
        ("/data/projects/P1", "xnat:projectData", {"ID": "P1", "name": "P1"}),
        ("/data/projects/P1/subjects/SUB1", "xnat:subjectData", {"ID": "INBOX_S00001", "label": "SUB1"}),
        ("/data/subjects/INBOX_S00001", "xnat:subjectData", {"project": "P1"}),
        (f"/data/experiments/{E2}", "xnat:ctSessionData", {"label": "CT1", "modality": "CT"}),
        (f"/data/experiments/{E2}/scans/10", "xnat:ctScanData", {"ID": "10", "type": "unknown"}),
        (f"/data/experiments/{E2}/scans/10/resources/DICOM", "xnat:resourceCatalog", {"label": "DICOM"}),
    ]:
        item = ada("GET", url).json()["items"][0]
        assert item["meta"]["xsi:type"] == xsi_type
        assert names.items() <= item["data_fields"].items()


def test_documents_in_xml_follow_the_schema_that_is_served(ada: Client) -> None:
    served = ada("GET", "/xapi/schemas/xnat").text
    assert served == schema_document()
    schema = etree.XMLSchema(etree.fromstring(served.encode()))
    for path, root in [
        ("projects/P1", "Project"),
        ("projects/P1/subjects/SUB1", "Subject"),
        (f"experiments/{E1}", "MRSession"),
        (f"experiments/{E2}", "CTSession"),
        (f"experiments/{E1}/scans/1", "MRScan"),
    ]:
        document = ada("GET", f"/data/{path}?format=xml").content
        assert schema.validate(etree.fromstring(document)), schema.error_log
        assert etree.fromstring(document).tag == f"{XNAT}{root}"


def test_a_resource_in_xml_is_its_catalog(ada: Client) -> None:
    root = etree.fromstring(ada("GET", f"/data/experiments/{E1}/scans/1/resources/DICOM?format=xml").content)
    assert root.tag == "{http://nrg.wustl.edu/catalog}DCMCatalog"
    assert len(root[0]) == 3


@pytest.mark.parametrize(
    "path",
    [
        "projects/P2",
        "projects/P2/subjects",
        "projects/P2/experiments",
        "projects/P2/experiments/MR1/scans",
        "projects/P1/experiments/INBOX_E00003",
        "projects/P1/subjects/SUB9",
        "subjects/SUB9",
        "subjects/INBOX_S00002/experiments",
        "experiments/INBOX_E00003",
        "experiments/INBOX_E00003/scans/1/resources/DICOM",
    ],
)
def test_what_may_not_be_known_answers_as_what_does_not_exist(ada: Client, admin: Client, path: str) -> None:
    unknown = path.replace("P2", "P7").replace("SUB9", "SUB7").replace("E00003", "E00007").replace("S00002", "S00007")
    assert admin("GET", f"/data/{path}").status_code == (404 if path.startswith("projects/P1") else 200)
    hidden, missing = ada("GET", f"/data/{path}"), ada("GET", f"/data/{unknown}")
    assert (hidden.status_code, hidden.text) == (404, missing.text)


@pytest.mark.parametrize(
    "path", ["experiments/E1/scans/7", "experiments/MR1/scans/7/resources", "experiments/MR1/scans/1/resources/NIFTI"]
)
def test_what_does_not_exist(ada: Client, path: str) -> None:
    assert ada("GET", f"/data/{path}").status_code == 404


def test_nobody_sees_anything_without_a_login(stranger: Client) -> None:
    for path in ("projects", "subjects", "experiments", f"experiments/{E1}", f"experiments/{E1}/scans/1/resources"):
        assert stranger("GET", f"/data/{path}").status_code == 401


def test_a_label_of_several_projects_needs_the_project(admin: Client, ada: Client) -> None:
    assert admin("GET", "/data/experiments/MR1").status_code == 404
    assert ada("GET", "/data/experiments/MR1").status_code == 200
    assert admin("GET", "/data/projects/P2/experiments/MR1").json()["items"][0]["data_fields"]["ID"] == E3


def test_searchable_types_and_their_fields(ada: Client, admin: Client) -> None:
    rows = {row["ELEMENT_NAME"]: row["COUNT"] for row in result(ada, "/data/search/elements?format=json")}
    sessions = {"xnat:mrSessionData": "1", "xnat:ctSessionData": "1"}
    assert rows == {"xnat:projectData": "1", "xnat:subjectData": "1", **sessions}
    assert {row["COUNT"] for row in result(admin, "/data/search/elements")} == {"1", "2"}
    assert "SUBJECT_ID" in column(ada, "/data/search/elements/xnat:mrSessionData", "FIELD_ID")
    assert ada("GET", "/data/search/elements/xnat:nosuch").status_code == 404
    assert set(sessions) < set(SESSION_KINDS)


def test_prearchive_and_withdrawn_sessions_are_not_in_the_archive(site: Site, admin: Client) -> None:
    folder = session_folder(site.settings.inbox_path / "P2" / "later", study=5)
    waiting = import_folder(site, folder, "P2", "SUB5", "WAITS", AA="false")
    gone = import_folder(site, session_folder(site.settings.inbox_path / "P2" / "gone", study=6), "P2", "SUB6", "GONE")
    shown = admin("GET", f"/xapi/dicom/{waiting}").json()["sessions"][0]["state"]
    assert shown != "ARCHIVED"
    assert "GONE" in column(admin, "/data/projects/P2/experiments", "label")
    account: Any = get_account(site, "admin")
    undo.undo(site, account, gone)
    assert column(admin, "/data/projects/P2/experiments", "label") == ["MR1"]
    assert admin("GET", "/data/projects/P2/experiments/GONE").status_code == 404
    assert admin("GET", "/data/projects/P2/experiments/WAITS").status_code == 404
    undo.restore(site, account, gone)
    assert "GONE" in column(admin, "/data/projects/P2/experiments", "label")
    undo.undo(site, account, gone)
