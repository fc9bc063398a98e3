"""Archived sessions and subjects relabelled and moved over XNAT's addresses, as its clients ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inbox_pipeline.services import projects
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import verify
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.web.browsing import let_import
from inbox_pipeline_tests.web.conftest import Client
from inbox_pipeline_tests.web.test_xnat_archive import result
from inbox_pipeline_tests.web.test_xnat_prearchive import worker

COUNT = iter(range(1, 1000))


@pytest.fixture(scope="module", autouse=True)
def working(site: Site) -> Iterator[None]:
    for project in ("P1", "P2"):
        projects.set_project(site, "admin", project, policy="none", prearchive_code=4)
    projects.set_member(site, "admin", "P2", "ada", "member")
    with worker(site):
        yield


def archived(site: Site, client: Client, label: str, subject: str = "SUB") -> dict[str, Any]:
    """Archive a session in P1 and return its row."""
    number = next(COUNT)
    folder = site.settings.inbox_path / "P1" / f"in-{label}"
    for file in (1, 2):
        save(instance(number, 1, file, SeriesDescription="s1"), folder / f"{file}.dcm")
    let_import(site, folder, "P1", subject, label)
    return found(client, "P1", label)


def found(client: Client, project: str, label: str) -> dict[str, Any]:
    rows = result(client, f"/data/projects/{project}/experiments?columns=ID,label,project,subject_label,subject_ID")
    return next(row for row in rows if row["label"] == label)


@pytest.mark.parametrize(
    ("address", "asked", "now"),
    [
        ("/data/projects/P1/subjects/{subject}/experiments/{label}", {"label": "{new}"}, ("P1", "SUB", "{new}")),
        ("/data/experiments/{id}", {"label": "{new}"}, ("P1", "SUB", "{new}")),
        ("/REST/experiments/{id}", {"xnat:mrSessionData/label": "{new}"}, ("P1", "SUB", "{new}")),
        ("/data/archive/projects/P1/experiments/{id}", {"subject_ID": "NEWSUB"}, ("P1", "NEWSUB", "{label}")),
        ("/data/projects/P1/subjects/NEWSUB/experiments/{label}", {}, ("P1", "NEWSUB", "{label}")),
        ("/data/projects/P2/subjects/SUB/experiments/{id}", {"primary": "true"}, ("P2", "SUB", "{label}")),
        (
            "/data/projects/P2/subjects/{subject}/experiments/{id}",
            {"changePrimaryProject": "true", "label": "{new}"},
            ("P2", "SUB", "{new}"),
        ),
        (
            "/data/projects/P1/subjects/{subject}/experiments/{id}/projects/P2",
            {"primary": "true", "label": "{new}"},
            ("P2", "SUB", "{new}"),
        ),
    ],
)
def test_what_clients_put(
    site: Site, ada: Client, address: str, asked: dict[str, str], now: tuple[str, str, str]
) -> None:
    label = f"S{next(COUNT)}"
    row = archived(site, ada, label)
    names = {"id": row["ID"], "subject": row["subject_ID"], "label": label, "new": f"{label}-new"}
    answer = ada("PUT", address.format(**names), params={key: value.format(**names) for key, value in asked.items()})
    assert (answer.status_code, answer.text) == (200, row["ID"]), answer.text
    project, subject, new = (each.format(**names) for each in now)
    after = found(ada, project, new)
    assert (after["ID"], after["project"], after["subject_label"]) == (row["ID"], project, subject)
    assert len(result(ada, f"/data/experiments/{row['ID']}/scans/1/resources/DICOM/files")) == 2
    assert ada("PUT", f"/data/experiments/{row['ID']}", params={"label": new}).text == row["ID"]
    assert verify(site).differences == []


def test_a_subject_gets_another_label(site: Site, ada: Client) -> None:
    first, second = (archived(site, ada, f"T{number}", "OLD") for number in range(2))
    subject = first["subject_ID"]
    answer = ada("PUT", f"/data/projects/P1/subjects/{subject}", params={"label": "NEW"})
    assert (answer.status_code, answer.text) == (200, subject)
    for row in (first, second):
        after = found(ada, "P1", row["label"])
        assert (after["subject_ID"], after["subject_label"]) == (subject, "NEW")
    answer = ada("PUT", f"/data/subjects/{subject}", params={"label": "NEWER"})
    assert (answer.status_code, answer.text) == (200, subject)
    archived(site, ada, "T9", "OTHER")
    answer = ada("PUT", f"/data/subjects/{subject}", params={"label": "other"})
    assert (answer.status_code, answer.headers["X-Inbox-Reason"]) == (409, "subject_exists")
    assert verify(site).differences == []


def test_what_cannot_be_put(site: Site, ada: Client, bob: Client, stranger: Client) -> None:
    row, other = archived(site, ada, "U1"), archived(site, ada, "U2")
    url = f"/data/experiments/{row['ID']}"
    for client, status in ((stranger, 401), (bob, 404)):
        assert client("PUT", url, params={"label": "U3"}).status_code == status
    for label, status, code in (
        ("U2", 409, "session_exists"),
        ("u2", 409, "session_exists"),
        (other["ID"], 409, "session_exists"),
        ("a b", 400, "session_label_illegal"),
        ("../x", 400, "session_label_illegal"),
        ("\0", 400, "session_label_illegal"),
    ):
        answer = ada("PUT", url, params={"label": label})
        assert (answer.status_code, answer.headers["X-Inbox-Reason"]) == (status, code)
    for address, parameters, status in (
        ("/data/projects/P2/subjects/SUB/experiments/U1", {"primary": "true"}, 404),
        (f"/data/projects/P2/subjects/SUB/experiments/{row['ID']}", {}, 404),
        (f"{url}/projects/P2", {}, 400),
        (f"{url}/projects/NONE", {"primary": "true"}, 404),
        ("/data/projects/P1/subjects/SUB/experiments/NONE", {"label": "U3"}, 404),
        (f"/data/projects/P1/subjects/a%20b/experiments/{row['ID']}", {}, 400),
    ):
        assert ada("PUT", address, params=parameters).status_code == status, address
    evil = {"Origin": "https://evil.test"}
    assert ada("PUT", url, params={"label": "U3"}, headers=evil).status_code == 403
    assert found(ada, "P1", "U1") == row
