"""Files of the archive over HTTP: lists, one file, ranges, zip files, and sessions that change meanwhile."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from inbox_pipeline.services import reading
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import request_sessions
from inbox_pipeline.web.exchange import ResponseBroken
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.server_for_tests import web_process
from inbox_pipeline_tests.web.browsing import fill_archive, import_folder
from inbox_pipeline_tests.web.conftest import PASSWORD, Client

E1 = "/data/experiments/INBOX_E00001"


@pytest.fixture(scope="module", autouse=True)
def archive(site: Site) -> Iterator[None]:
    fill_archive(site)
    yield


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setitem(reading.open_files.__kwdefaults__, "patience_seconds", 0.2)


def listed(client: Client, url: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = client("GET", url).json()["ResultSet"]["Result"]
    return rows


def folder_of(site: Site, label: str = "MR1") -> Path:
    return site.settings.archive_path / "P1" / "arc001" / label / "SCANS"


def unzipped(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_list_of_files_tells_what_is_on_the_disk(ada: Client, site: Site) -> None:
    rows = listed(ada, f"{E1}/scans/1/resources/DICOM/files")
    assert len(rows) == 3
    assert list(rows[0]) == [
        *("Name", "Size", "URI", "collection", "file_tags", "file_format", "file_content", "cat_ID", "digest")
    ]
    for row in rows:
        content = (folder_of(site) / "1" / "DICOM" / row["Name"]).read_bytes()
        assert (row["Size"], row["digest"]) == (str(len(content)), hashlib.md5(content).hexdigest())  # noqa: S324
        answer = ada("GET", row["URI"])
        assert (answer.content, answer.headers["content-type"]) == (content, "application/dicom")
        assert answer.headers["content-length"] == row["Size"]
        assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("scans/ALL/files", 4),
        ("scans/1,2/files", 4),
        ("scans/2/files", 1),
        ("scans/t2/files", 1),
        ('scans/t1 "sag", <3D>/files', 3),
        ("scans/2,7/files", 1),
        ("scans/*/resources/DICOM/files", 4),
        ("scans/1/files?limit=2", 2),
    ],
)
def test_files_of_several_scans(ada: Client, path: str, count: int) -> None:
    assert len(listed(ada, f"{E1}/{path}")) == count


@pytest.mark.parametrize("path", ["scans/7/files", "scans/1/resources/X/files", "scans/2/resources/1/files"])
def test_files_of_what_does_not_exist(ada: Client, path: str) -> None:
    assert ada("GET", f"{E1}/{path}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=5-999999", 206, slice(5, None)),
        ("bytes=999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=9-5", 200, slice(None)),
        ("bytes=0-1,4-5", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
    ],
)
def test_ranges(ada: Client, asked: str, status: int, expected: slice | None) -> None:
    uri = listed(ada, f"{E1}/scans/2/files")[0]["URI"]
    whole = ada("GET", uri).content
    answer = ada("GET", uri, headers={"range": asked})
    assert answer.status_code == status
    assert answer.content == (b"" if expected is None else whole[expected])
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"


def test_conditions_and_head(ada: Client) -> None:
    uri = listed(ada, f"{E1}/scans/2/files")[0]["URI"]
    whole = ada("GET", uri)
    tag = whole.headers["etag"]
    assert ada("GET", uri, headers={"if-none-match": tag}).status_code == 304
    assert ada("GET", uri, headers={"range": "bytes=0-1", "if-range": '"other"'}).content == whole.content
    assert ada("GET", uri, headers={"range": "bytes=0-1", "if-range": tag}).status_code == 206
    head = ada("HEAD", uri)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(whole.content)))
    assert ada("HEAD", f"{E1}/scans/ALL/files?format=zip").content == b""


def test_zip_files_hold_what_is_on_the_disk_under_xnats_names(ada: Client, site: Site) -> None:
    held = unzipped(ada("GET", f"{E1}/scans/ALL/files?format=zip"))
    expected = {
        f"MR1/scans/{scan}/resources/DICOM/files/{path.name}": path.read_bytes()
        for scan, folder in (("1-t1__sag____3D_", "1"), ("2-t2", "2"))
        for path in sorted((folder_of(site) / folder / "DICOM").glob("*.dcm"))
    }
    assert held == expected
    for path, count in (("scans/1/resources/DICOM/files", 3), ("scans/2/files", 1), ("scans/1,2/files", 4)):
        assert len(unzipped(ada("GET", f"{E1}/{path}?format=zip"))) == count
    (name,) = unzipped(ada("GET", "/data/experiments/CT1/scans/10/files?format=zip"))
    assert name.startswith("CT1/scans/10-unknown/resources/DICOM/files/")


def test_others_may_not_download(bob: Client, stranger: Client) -> None:
    for path in ("scans/ALL/files?format=zip", "scans/1/files"):
        assert bob("GET", f"{E1}/{path}").status_code == 404
        assert stranger("GET", f"{E1}/{path}").status_code == 401


def test_the_server_sends_large_files_in_pieces(site: Site) -> None:
    folder = site.settings.inbox_path / "P1" / "large"
    noise = bytes(range(256)) * 4096
    save(instance(40, 1, 1, Rows=2048, Columns=1024, PixelData=noise * 4), folder / "a.dcm")
    import_folder(site, folder, "P1", "SUB40", "LARGE")
    url = "/data/projects/P1/experiments/LARGE/scans/ALL/files"
    with web_process(site.settings.home) as address, httpx.Client(base_url=address, auth=("ada", PASSWORD)) as client:
        with client.stream("GET", url, params={"format": "zip"}) as answer:
            assert int(answer.headers["content-length"]) > len(noise) * 4
            assert len(unzipped_bytes(b"".join(answer.iter_raw()))) == 1
        row = client.get(url).json()["ResultSet"]["Result"][0]
        with client.stream("GET", row["URI"]) as answer:
            answer.read()
            assert hashlib.md5(answer.content).hexdigest() == row["digest"]  # noqa: S324


def unzipped_bytes(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def test_a_damaged_file_is_never_sent_whole(ada: Client, site: Site) -> None:
    row = listed(ada, "/data/experiments/CT1/scans/10/files")[0]
    path = folder_of(site, "CT1") / "10" / "DICOM" / row["Name"]
    good = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        with pytest.raises(ResponseBroken):
            ada("GET", row["URI"])
        with pytest.raises(ResponseBroken):
            ada("GET", "/data/experiments/CT1/scans/10/files?format=zip")
    finally:
        path.write_bytes(good)
    assert ada("GET", row["URI"]).content == good


@pytest.fixture
def under_way(site: Site) -> Iterator[Path]:
    """A commit whose intent to give MR1 a new generation stays open."""
    here = request_sessions.c.number == 1, request_sessions.c.intent_target == "P1/arc001/MR1"
    with site.catalog.write() as connection:
        row: Any = connection.execute(sa.select(request_sessions).where(*here).limit(1)).mappings().one()
        mine = (request_sessions.c.request_id == row["request_id"]) & (request_sessions.c.number == 1)
        connection.execute(sa.update(request_sessions).where(mine).values(session_id=None, intent_token="t"))
    yield folder_of(site).parent
    with site.catalog.write() as connection:
        values = {"session_id": row["session_id"], "intent_token": row["intent_token"]}
        connection.execute(sa.update(request_sessions).where(mine).values(values))


def test_while_a_commit_is_under_way_the_former_files_are_read(ada: Client, under_way: Path) -> None:
    assert under_way.is_dir()
    assert len(unzipped(ada("GET", f"{E1}/scans/ALL/files?format=zip"))) == 4


def test_a_session_that_is_away_for_longer_answers_503(ada: Client, under_way: Path) -> None:
    aside = under_way.with_name("MR1.aside")
    under_way.rename(aside)
    try:
        answer = ada("GET", f"{E1}/scans/ALL/files?format=zip")
    finally:
        aside.rename(under_way)
    assert (answer.status_code, answer.headers["x-inbox-reason"]) == (503, "session_away")
    assert answer.headers["retry-after"] == "5"


def test_files_of_the_next_generation_are_not_sent_before_its_rows_are(ada: Client, under_way: Path) -> None:
    row = listed(ada, f"{E1}/scans/2/files")[0]
    path = under_way / "SCANS" / "2" / "DICOM" / row["Name"]
    good = path.read_bytes()
    path.unlink()
    path.write_bytes(good + b"new")
    try:
        assert ada("GET", row["URI"]).status_code == 503
        assert ada("GET", listed(ada, f"{E1}/scans/1/files")[0]["URI"]).status_code == 200
    finally:
        path.unlink()
        path.write_bytes(good)


def test_what_was_opened_stays_the_generation_that_it_was(site: Site, ada: Client) -> None:
    """An import exchanges the session while its files are being read."""
    folder = site.settings.inbox_path / "P1" / "grows"
    save(instance(50, 1, 1), folder / "a.dcm")
    import_folder(site, folder, "P1", "SUB50", "GROWS")
    url = "/data/projects/P1/experiments/GROWS/scans/ALL/files"
    before = {row["Name"]: row["digest"] for row in listed(ada, url)}
    session = ada("GET", "/data/projects/P1/experiments/GROWS").json()["items"][0]
    scan_id = session["children"][0]["items"][0]["children"][0]["items"][0]["data_fields"]["xnat_abstractresource_id"]
    opened = reading.open_files(site, session_row(site, session["data_fields"]["ID"]), [scan_id])
    save(instance(50, 1, 1, ImageComments="anew"), folder / "a.dcm")
    save(instance(50, 1, 2), folder / "b.dcm")
    import_folder(site, folder, "P1", "SUB50", "GROWS", overwrite="append", overwrite_files="true")
    after = {row["Name"]: row["digest"] for row in listed(ada, url)}
    assert len(after) == 2
    assert before.items() & after.items() == set()
    with opened.folder as held:
        (row,) = opened.rows
        content = b"".join(held.pieces(row["path"], row["sha256"]))
    assert hashlib.md5(content).hexdigest() == before[row["path"].rpartition("/")[2]]  # noqa: S324
    assert {name.rpartition("/")[2] for name in unzipped(ada("GET", f"{url}?format=zip"))} == set(after)


def session_row(site: Site, accession: str) -> int:
    from inbox_pipeline.store.catalog.schema import sessions

    with site.catalog.read() as connection:
        query = sa.select(sessions.c.id).where(sessions.c.accession == accession)
        return int(connection.execute(query).scalar_one())
