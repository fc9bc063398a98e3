"""Deleting in the archive over XNAT's addresses, and what was deleted over our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inbox_pipeline.services import deletion, projects
from inbox_pipeline.services.accounts import get_account
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import verify
from inbox_pipeline_tests.web.browsing import fill_archive
from inbox_pipeline_tests.web.conftest import Client

PREFIXES = ("/data", "/data/archive", "/REST")
SESSIONS = (
    "/experiments/{accession}",
    "/projects/P1/experiments/MR1",
    "/subjects/SUB1/experiments/MR1",
    "/projects/P1/subjects/SUB1/experiments/{accession}",
)


@pytest.fixture(scope="module", autouse=True)
def _archive(site: Site) -> None:
    fill_archive(site)


@pytest.fixture(autouse=True)
def _restored(site: Site) -> Any:
    """Bring back what a test has deleted."""
    yield
    admin = get_account(site, "admin")
    assert admin is not None
    for project in projects.list_projects(site):
        for deleted in deletion.list_deleted(site, project["id"]):
            deletion.restore(site, admin, project["id"], deleted["id"])
    assert verify(site).differences == []


def labels(client: Client, url: str = "/data/projects/P1/experiments") -> list[str]:
    return sorted(row["label"] for row in client("GET", url).json()["ResultSet"]["Result"])


def deleted(client: Client) -> list[tuple[str, str | None]]:
    found = client("GET", "/api/v1/projects/P1/deleted").json()["deleted"]
    return [(row["session"], row["scan"]) for row in found]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("address", SESSIONS)
def test_a_session_is_deleted_at_each_of_its_addresses(ada: Client, prefix: str, address: str) -> None:
    accession = ada("GET", "/data/projects/P1/experiments/MR1").json()["items"][0]["data_fields"]["ID"]
    url = prefix + address.format(accession=accession)
    answer = ada("DELETE", f"{url}?removeFiles=true")
    assert (answer.status_code, answer.text) == (200, "")
    assert ada("GET", url).status_code == 404
    assert ada("DELETE", url).status_code == 404
    assert labels(ada) == ["CT1"]
    assert deleted(ada) == [("MR1", None)]


@pytest.mark.parametrize("query", ["", "?removeFiles=false", "?removeFiles=true"])
def test_files_go_with_their_session_whatever_remove_files_says(ada: Client, site: Site, query: str) -> None:
    folder = site.settings.archive_path / "P1" / "arc001"
    assert ada("DELETE", f"/data/projects/P1/experiments/MR1{query}").status_code == 200
    assert [path.name for path in folder.iterdir()] == ["CT1"]
    assert verify(site).differences == []


def test_a_scan_is_deleted_and_the_last_one_is_not(ada: Client) -> None:
    url = "/data/projects/P1/subjects/SUB1/experiments/MR1/scans"
    assert ada("DELETE", f"{url}/1").status_code == 200
    assert [row["ID"] for row in ada("GET", url).json()["ResultSet"]["Result"]] == ["2"]
    assert ada("GET", f"{url}/1").status_code == 404
    answer = ada("DELETE", f"{url}/2")
    assert (answer.status_code, answer.headers["X-Inbox-Reason"]) == (409, "last_scan")
    assert deleted(ada) == [("MR1", "1")]


def test_a_subject_goes_with_its_sessions(ada: Client) -> None:
    assert ada("DELETE", "/data/projects/P1/subjects/SUB1?removeFiles=true").status_code == 200
    assert ada("GET", "/data/projects/P1/subjects/SUB1").status_code == 404
    assert (labels(ada), labels(ada, "/data/projects/P1/subjects")) == ([], [])
    assert sorted(deleted(ada)) == [("CT1", None), ("MR1", None)]
    made = ada("PUT", "/data/projects/P1/subjects/SUB1")
    assert made.status_code == 201


def test_a_project_is_deleted_when_it_holds_nothing(admin: Client, ada: Client) -> None:
    answer = ada("DELETE", "/data/projects/P1")
    assert (answer.status_code, answer.headers["X-Inbox-Reason"]) == (409, "project_not_empty")
    assert admin("PUT", "/data/projects/NEW").status_code == 201
    assert admin("PUT", "/data/projects/NEW/subjects/S").status_code == 201
    assert ada("DELETE", "/data/projects/NEW").status_code == 404
    assert admin("DELETE", "/REST/projects/new").status_code == 200
    assert admin("GET", "/data/projects/NEW").status_code == 404
    assert "NEW" not in {row["ID"] for row in admin("GET", "/data/projects").json()["ResultSet"]["Result"]}
    assert admin("PUT", "/data/projects/NEW").status_code == 201
    assert labels(admin, "/data/projects/NEW/subjects") == []


@pytest.mark.parametrize("delete", ["/projects/P1/experiments/MR1", "/projects/P1/experiments/MR1/scans/1"])
def test_what_was_deleted_is_listed_and_restored_by_owners(ada: Client, bob: Client, site: Site, delete: str) -> None:
    files = sorted(path.name for path in site.settings.archive_path.rglob("*"))
    ada("DELETE", f"/data{delete}")
    (row,) = ada("GET", "/api/v1/projects/P1/deleted").json()["deleted"]
    url = f"/api/v1/projects/P1/deleted/{row['id']}/restore"
    projects.set_member(site, "admin", "P1", "bob", "member")
    assert (bob("GET", "/api/v1/projects/P1/deleted").status_code, bob("POST", url).status_code) == (403, 403)
    projects.set_member(site, "admin", "P1", "bob", "none")
    assert bob("POST", url).status_code == 404
    assert bob("POST", url.replace("P1", "P2")).json()["code"] == "deleted_not_found"
    assert ada("POST", url).json() == row
    assert sorted(path.name for path in site.settings.archive_path.rglob("*")) == files
    assert ada("POST", url).json()["code"] == "deleted_not_found"
    assert ada("POST", "/api/v1/projects/P1/deleted/x/restore").status_code == 400


def test_resources_and_files_are_not_deleted(ada: Client, site: Site) -> None:
    url = "/data/projects/P1/experiments/MR1/scans/1/resources/DICOM"
    name = next(Path(site.settings.archive_path).rglob("MR1/SCANS/1/DICOM/*.dcm")).name
    for address in (url, f"{url}/files/{name}"):
        assert ada("DELETE", address).status_code == 405


@pytest.mark.parametrize(
    "address", ["/data/projects/P1/experiments/NEW", "/REST/projects/P1/subjects/SUB1/experiments/NEW"]
)
def test_no_session_is_made_without_files(ada: Client, bob: Client, address: str) -> None:
    answer = ada("PUT", f"{address}?xsiType=xnat:mrSessionData&xnat:mrSessionData/label=NEW&req_format=qs")
    assert (answer.status_code, answer.headers["X-Inbox-Reason"]) == (409, "session_needs_files")
    assert "/data/services/import" in answer.text
    assert (bob("PUT", f"{address}?xsiType=xnat:mrSessionData").status_code, ada("PUT", address).status_code) == (
        404,
        404,
    )
    assert labels(ada) == ["CT1", "MR1"]
    there = ada("PUT", "/data/projects/P1/subjects/SUB1/experiments/MR1?xsiType=xnat:mrSessionData")
    assert (there.status_code, there.text) == (200, "INBOX_E00001")
