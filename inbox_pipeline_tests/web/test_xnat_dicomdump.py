"""XNAT's DICOM dump service: which file an address stands for, who may see it, what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence

from inbox_pipeline.dicom.dump import MOST_ROWS
from inbox_pipeline.services import projects
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.web.browsing import fill_archive, import_folder
from inbox_pipeline_tests.web.conftest import Client
from inbox_pipeline_tests.web.test_xnat_archive import E1, result

DUMP = "/data/services/dicomdump"


@pytest.fixture(scope="module", autouse=True)
def archive(site: Site) -> Iterator[None]:
    fill_archive(site)
    projects.set_project(site, "admin", "P1", prearchive_code=0)
    for series in (1, 2):
        save(instance(8, series, 1), site.settings.inbox_path / "P1" / "waits" / f"{series}.dcm")
    import_folder(site, site.settings.inbox_path / "P1" / "waits", "P1", "SUB8", "WAITS")
    yield


def waiting(client: Client) -> str:
    return result(client, "/data/prearchive/projects/P1")[0]["url"]


def value(client: Client, src: str, field: str = "SeriesNumber") -> str:
    (row,) = result(client, DUMP, params={"src": src, "field": field, "format": "json"})
    return row["value"]


@pytest.mark.parametrize(
    ("src", "series"),
    [
        (f"/archive/projects/P1/experiments/{E1}/scans/2", "2"),
        (f"/data/archive/projects/P1/experiments/{E1}/scans/2", "2"),
        ("/archive/projects/P1/subjects/SUB1/experiments/MR1/scans/2", "2"),
        ("/archive/projects/P1/experiments/MR1", "1"),
        (f"/data/experiments/{E1}/scans/2", "2"),
        ("/archive/projects/P1/experiments/CT1", "10"),
        ("PREARCHIVE", "1"),
        ("PREARCHIVE/scans/2", "2"),
        ("/dataPREARCHIVE/scans/2", "2"),
    ],
)
@pytest.mark.parametrize("prefix", ["/data", "/REST"])
def test_an_address_stands_for_the_first_of_its_files(ada: Client, prefix: str, src: str, series: str) -> None:
    address = src.replace("PREARCHIVE", waiting(ada))
    (row,) = result(ada, f"{prefix}/services/dicomdump", params={"src": address, "field": "SeriesNumber"})
    assert row == {"tag1": "(0020,0011)", "tag2": "", "vr": "IS", "value": series, "desc": "Series Number"}


def test_one_file_can_be_named(ada: Client) -> None:
    for scan in (f"/experiments/{E1}/scans/1", f"{waiting(ada).removeprefix('/data')}/scans/1"):
        for row in result(ada, f"/data{scan}/resources/DICOM/files"):
            bytes_of = ada("GET", f"/data{scan}/resources/DICOM/files/{row['Name']}").content
            source = f"{scan}/resources/DICOM/files/{row['Name']}"
            shown = value(ada, source if scan.startswith("/pre") else f"/archive{source}", "SOPInstanceUID")
            assert shown.encode() in bytes_of


def test_without_fields_the_whole_header_is_listed(site: Site, ada: Client) -> None:
    rows = result(ada, DUMP, params={"src": f"/archive/projects/P1/experiments/{E1}/scans/1"})
    path = next((site.settings.archive_path / "P1" / "arc001" / "MR1" / "SCANS" / "1" / "DICOM").glob("*.dcm"))
    file = dcmread(path)
    tags = [f"({each.tag.group:04X},{each.tag.element:04X})" for each in (*file.file_meta, *file)]
    assert [row["tag1"] for row in rows] == [tag for tag in tags if tag != "(7FE0,0010)"]
    assert {row["desc"]: row["value"] for row in rows}["Series Description"] == 't1 "sag", <3D>'


def test_fields_are_keywords_or_digits_and_repeat(ada: Client) -> None:
    source = {"src": f"/archive/projects/P1/experiments/{E1}/scans/1"}
    rows = result(ada, DUMP, params=source | {"field": ["PatientID", "0020000D", "Modality", "AccessionNumber"]})
    assert [row["desc"] for row in rows] == ["Modality", "Patient ID", "Study Instance UID"]
    text = ada("GET", DUMP, params=source | {"field": "Modality", "format": "csv"}).text
    assert text == '"tag1","tag2","vr","value","desc"\n"(0008,0060)","","CS","MR","Modality"\n'


@pytest.mark.parametrize(
    ("src", "status", "code"),
    [
        ("", 400, "parameter_invalid"),
        ("/archive/projects/P1", 400, "parameter_invalid"),
        ("/archive/projects/P1/experiments/../../etc/passwd", 400, "parameter_invalid"),
        ("/prearchive/projects/P1/20200101_000000000", 400, "parameter_invalid"),
        (f"/archive/projects/P1/experiments/{E1}/scans/7", 404, "not_found"),
        (f"/archive/projects/P1/experiments/{E1}/scans/1/resources/DICOM/files/x.dcm", 404, "not_found"),
        ("/archive/projects/P1/experiments/NONE", 404, "not_found"),
        ("/archive/projects/P2/experiments/MR1", 404, "not_found"),
        ("/archive/projects/P1/subjects/NOBODY/experiments/MR1", 404, "not_found"),
        ("/prearchive/projects/P2/20200101_000000000/WAITS", 403, "prearchive_denied"),
        ("/prearchive/projects/P1/20200101_000000000/WAITS", 404, "prearchive_session_not_found"),
        ("PREARCHIVE/scans/7", 404, "not_found"),
    ],
)
def test_what_is_not_there_or_may_not_be_known(ada: Client, src: str, status: int, code: str) -> None:
    answer = ada("GET", DUMP, params={"src": src.replace("PREARCHIVE", waiting(ada))})
    assert (answer.status_code, answer.headers["x-inbox-reason"]) == (status, code)


def test_a_field_that_names_nothing_is_refused(ada: Client) -> None:
    source = {"src": f"/archive/projects/P1/experiments/{E1}/scans/1"}
    for field in ("NoSuchKeyword", "00291020:GradientMode", "0010"):
        answer = ada("GET", DUMP, params=source | {"field": ["Modality", field]})
        assert (answer.status_code, answer.headers["x-inbox-reason"]) == (400, "field_unknown")


def test_a_header_too_long_to_be_listed_is_still_asked_for_by_fields(site: Site, ada: Client) -> None:
    projects.set_project(site, "admin", "P1", prearchive_code=4)
    dataset = instance(9, 1, 1)
    dataset.ProcedureCodeSequence = Sequence([Dataset() for _ in range(MOST_ROWS + 1)])
    save(dataset, site.settings.inbox_path / "P1" / "long" / "a.dcm")
    import_folder(site, site.settings.inbox_path / "P1" / "long", "P1", "SUB9", "LONG")
    answer = ada("GET", DUMP, params={"src": "/archive/projects/P1/experiments/LONG"})
    assert (answer.status_code, answer.headers["x-inbox-reason"]) == (400, "header_too_long")
    assert value(ada, "/archive/projects/P1/experiments/LONG", "Modality") == "MR"


def test_a_damaged_file_is_told(site: Site, ada: Client) -> None:
    path = next((site.settings.archive_path / "P1" / "arc001" / "CT1").rglob("*.dcm"))
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"no DICOM at all" * 30)
    answer = ada("GET", DUMP, params={"src": "/archive/projects/P1/experiments/CT1"})
    assert (answer.status_code, answer.headers["x-inbox-reason"]) == (409, "header_unreadable")
    path.unlink()
    answer = ada("GET", DUMP, params={"src": "/archive/projects/P1/experiments/CT1"})
    assert (answer.status_code, answer.headers["x-inbox-reason"]) == (409, "header_unreadable")
    path.write_bytes(content)
    assert value(ada, "/archive/projects/P1/experiments/CT1", "Modality") == "CT"
