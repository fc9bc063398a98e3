"""Lists of an archive that many imports have filled: their pages, and the short form of `benchmarks/run lists`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.lists import ADMINISTRATORS, BY_SCAN, PEOPLE, lists, on_back_end, postgres, sqlite
from inbox_pipeline.services.site import init_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.web.app import create_app
from inbox_pipeline_tests.services.filling import PASSWORD, Size, fill
from inbox_pipeline_tests.web.conftest import Client

SIZE = Size(instances=600, sessions=12, projects=10, waiting=3, scans=4)
FILES = "/data/experiments/INBOX_E00001/scans/ALL/files"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The application of a site that is filled."""
    site = init_site(read_settings({}, home=tmp_path_factory.mktemp("filled") / "home"))
    fill(site, SIZE)
    yield create_app(site)
    site.catalog.dispose()


@pytest.mark.parametrize(("person", "sessions"), [("admin", 12), ("member", 8)])
@pytest.mark.parametrize("more", ["", "sortBy=label&sortOrder=desc", "columns=ID,URI"])
def test_pages_laid_together_are_the_list(filled: Any, person: str, sessions: int, more: str) -> None:
    client = Client(filled, (person, PASSWORD))
    counted = {}
    for address in (
        "/data/projects",
        "/data/subjects",
        "/data/experiments",
        "/data/experiments/INBOX_E00001/scans",
        FILES,
    ):
        whole = client("GET", f"{address}?{more}").json()["ResultSet"]
        pages: list[Any] = []
        while len(pages) < int(whole["totalRecords"]):
            page = client("GET", f"{address}?limit=3&offset={len(pages)}&{more}").json()["ResultSet"]
            assert page["totalRecords"] == whole["totalRecords"]
            assert page["Result"]
            pages += page["Result"]
        assert pages == whole["Result"]
        counted[address] = len(pages)
    assert counted["/data/experiments"] == sessions
    assert counted[FILES] == SIZE.files(0)


def test_a_row_for_each_scan_shows_the_scan_under_each_of_its_types(filled: Any) -> None:
    columns = f"{BY_SCAN},xnat:imageScanData/ID,xnat:ctScanData/ID"
    answer = Client(filled, ("admin", PASSWORD))("GET", f"/data/experiments?columns={columns}&limit=2&offset=1")
    rows = answer.json()["ResultSet"]["Result"]
    shown = ("xnat:mrscandata/id", "xnat:imagescandata/id", "xnat:ctscandata/id", "xnat:mrscandata/type")
    assert [[row[name] for name in shown] for row in rows] == [
        ["2", "2", "", "t1_mprage_sag_p2_iso"],
        ["3", "3", "", "t2_space_dark-fluid"],
    ]


@pytest.mark.parametrize(
    "start", [pytest.param(sqlite, marks=pytest.mark.services), pytest.param(postgres, marks=pytest.mark.system)]
)
def test_every_list_is_measured_for_everybody(start: Any) -> None:
    figures = on_back_end(start, 1, SIZE)
    for person in PEOPLE:
        measured = {name: row["rows"] for name, row in figures[person].items()}
        assert measured.keys() | {*ADMINISTRATORS} == {"answer", *lists(SIZE)}
        assert [name for name, rows in measured.items() if not rows] == ["answer", "whole: active requests"]
