"""The nightly reading: the longest unread first, within its share and time, and what was found is kept."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from inbox_pipeline.cli.checkup import examine
from inbox_pipeline.services import fixity, undo
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import sessions
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.importing import imported

NIGHT = dt.timedelta(days=1)


@pytest.fixture
def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.fixture
def done(site: Site, admin: Account) -> list[dict[str, Any]]:
    """Three requests with a session each."""
    inbox = site.settings.inbox_path / "P"
    folders = [session_folder(inbox / f"v{n}", study=n, PatientID=f"FAKE{n}") for n in (1, 2, 3)]
    return [imported(site, admin, folder) for folder in folders]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def read_at(site: Site) -> dict[str, dt.datetime | None]:
    with site.catalog.read() as connection:
        return {row.accession: row.read_at for row in connection.execute(sa.select(sessions))}


def fixity_check(site: Site) -> dict[str, str]:
    return next(row for row in examine(site.settings) if row["check"] == "fixity")


def test_a_small_archive_is_read_once_a_night(site: Site, done: list[dict[str, Any]], now: dt.datetime) -> None:
    assert fixity.check_part(site, now).read.files == 12
    assert fixity.check_part(site, now + dt.timedelta(minutes=30)).read.sessions == 0
    assert fixity.check_part(site, now + NIGHT).read.sessions == 3


def test_the_longest_unread_comes_first_and_a_share_ends_the_part(
    site: Site, done: list[dict[str, Any]], now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixity, "LEAST_BYTES", 1)
    read = []
    for night in range(4):
        assert fixity.check_part(site, now + night * NIGHT).read.sessions == 1
        read.append(max(read_at(site).items(), key=lambda item: item[1] or dt.datetime.min.replace(tzinfo=dt.UTC))[0])
    assert read == ["INBOX_E00001", "INBOX_E00002", "INBOX_E00003", "INBOX_E00001"]


def test_no_session_is_begun_after_the_time_is_over(site: Site, done: list[dict[str, Any]], now: dt.datetime) -> None:
    assert fixity.check_part(site, now, seconds=0.0).read.sessions == 0


def test_what_was_found_is_kept_until_a_reading_finds_it_mended(
    site: Site, done: list[dict[str, Any]], now: dt.datetime
) -> None:
    path = next((site.settings.archive_path / "P" / "arc001" / done[1]["sessions"][0]["session"]).rglob("*.dcm"))
    flip(path)
    path.with_name("stray.dcm").write_bytes(b"")
    part = fixity.check_part(site, now)
    assert list(fixity.by_kind(part)) == [
        {"session": "INBOX_E00002", "difference": "file_changed", "count": 1},
        {"session": "INBOX_E00002", "difference": "file_unknown", "count": 1},
    ]
    assert fixity.standing(site, now) == fixity.Standing(1, 0)
    assert fixity_check(site)["state"] == "wrong"
    flip(path)
    path.with_name("stray.dcm").unlink()
    assert fixity.check_part(site, now + NIGHT).damaged == {}
    assert fixity.standing(site, now + NIGHT).problem is None
    assert fixity_check(site)["state"] == "good"


def test_doctor_says_when_the_nights_do_not_suffice(site: Site, done: list[dict[str, Any]], now: dt.datetime) -> None:
    assert fixity.standing(site, now + fixity.CYCLE).problem is None
    late = fixity.standing(site, now + fixity.CYCLE + NIGHT).problem
    assert late == "the oldest reading is 31 days ago; the nights do not suffice"


def test_a_withdrawn_session_is_read_in_the_trash(
    site: Site, admin: Account, done: list[dict[str, Any]], now: dt.datetime
) -> None:
    undo.undo(site, admin, done[0]["id"])
    flip(next(site.settings.trash_path.rglob("*.dcm")))
    part = fixity.check_part(site, now)
    assert (part.read.sessions, list(part.damaged)) == (3, ["INBOX_E00001"])


def test_an_empty_archive_is_in_order(site: Site, now: dt.datetime) -> None:
    assert fixity.check_part(site, now).damaged == {}
    assert fixity.standing(site, now).problem is None
