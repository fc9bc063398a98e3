"""What an archive is browsed by, as it is written at commit: as archived, also after merging, and of old sessions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import browse, projects
from inbox_pipeline.services.accounts import Account, create_user
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import scans, sessions
from inbox_pipeline.store.catalog.views import Wanted
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.services.importing import imported


@pytest.fixture
def inbox(site: Site) -> Path:
    return site.settings.inbox_path / "P"


def the_session(site: Site, admin: Account) -> tuple[Any, list[Any]]:
    (session,) = browse.list_sessions(site, admin, Wanted()).rows
    return session, list(browse.list_scans(site, session, Wanted()).rows)


def test_date_time_description_and_frames_are_those_of_the_files(site: Site, admin: Account, inbox: Path) -> None:
    save(instance(1, 1, 1, StudyDate="", StudyTime="", SeriesDescription="T1\tsag "), inbox / "a" / "1.dcm")
    save(instance(1, 1, 2, StudyTime="093000.5", NumberOfFrames=7), inbox / "a" / "2.dcm")
    save(instance(1, 2, 3, StudyTime="093000.5"), inbox / "a" / "3.dcm")
    imported(site, admin, inbox / "a")
    session, found = the_session(site, admin)
    assert (session["date"], session["time"]) == (dt.date(2020, 1, 2), dt.time(9, 30))
    told = [(scan["label"], scan["series_description"], scan["type"], scan["frames"]) for scan in found]
    assert told == [("1", "T1 sag", "T1 sag", 8), ("2", None, "unknown", 1)]


def test_a_study_without_date_has_none(site: Site, admin: Account, inbox: Path) -> None:
    save(instance(1, 1, 1, StudyDate="", StudyTime=None), inbox / "a" / "1.dcm")
    imported(site, admin, inbox / "a")
    session, _ = the_session(site, admin)
    assert (session["date"], session["time"]) == (None, None)


def test_under_policy_basic_they_are_those_of_the_output(site: Site, admin: Account, inbox: Path) -> None:
    projects.set_project(site, "admin", "P", policy="basic")
    save(instance(1, 1, 1, SeriesDescription="T1 sag"), inbox / "a" / "1.dcm")
    imported(site, admin, inbox / "a")
    session, (scan,) = the_session(site, admin)
    import pydicom

    (path,) = (site.settings.archive_path / session["path"]).rglob("*.dcm")
    output = pydicom.dcmread(path)
    assert (output.StudyDate or None) == (session["date"] and f"{session['date']:%Y%m%d}")
    assert (output.get("SeriesDescription") or None) == scan["series_description"]
    assert session["date"] != dt.date(2020, 1, 2)


def test_merging_counts_frames_again_and_keeps_what_is_known(site: Site, admin: Account, inbox: Path) -> None:
    save(instance(1, 1, 1, SeriesDescription="T1", NumberOfFrames=5), inbox / "a" / "1.dcm")
    imported(site, admin, inbox / "a", EXPT_LABEL="E")
    save(instance(1, 1, 1, SeriesDescription="other", NumberOfFrames=3, ImageComments="anew"), inbox / "b" / "1.dcm")
    save(instance(1, 1, 2, SeriesDescription="other", StudyDate="20210101"), inbox / "b" / "2.dcm")
    imported(site, admin, inbox / "b", EXPT_LABEL="E", overwrite="append", overwrite_files="true")
    session, (scan,) = the_session(site, admin)
    assert (session["date"], scan["series_description"], scan["frames"]) == (dt.date(2020, 1, 2), "T1", 4)


def test_a_session_from_before_learns_its_date_when_files_join(site: Site, admin: Account, inbox: Path) -> None:
    save(instance(1, 1, 1), inbox / "a" / "1.dcm")
    imported(site, admin, inbox / "a", EXPT_LABEL="E")
    with site.catalog.write() as connection:
        connection.execute(sa.update(sessions).values(date=None, time=None))
        connection.execute(sa.update(scans).values(series_description=None, type=None, frames=None))
    session, (scan,) = the_session(site, admin)
    assert (session["date"], scan["type"], scan["frames"]) == (None, None, None)
    save(instance(1, 1, 2), inbox / "b" / "2.dcm")
    imported(site, admin, inbox / "b", EXPT_LABEL="E", overwrite="append")
    session, (scan,) = the_session(site, admin)
    assert (session["date"], scan["frames"]) == (dt.date(2020, 1, 2), 2)


def test_only_members_see_a_project(site: Site, admin: Account, inbox: Path) -> None:
    save(instance(1, 1, 1), inbox / "a" / "1.dcm")
    imported(site, admin, inbox / "a")
    user = create_user(site, "admin", "user", "a good password")
    assert browse.list_sessions(site, user, Wanted()).total == 0
    assert browse.list_projects(site, user, Wanted()).total == browse.list_subjects(site, user, Wanted()).total == 0
    for find, name in ((browse.find_session, "INBOX_E00001"), (browse.find_subject, "INBOX_S00001")):
        with pytest.raises(Rejected):
            find(site, user, name)
    projects.set_member(site, "admin", "P", "user", "collaborator")
    assert browse.list_sessions(site, user, Wanted()).total == 1
    assert browse.find_session(site, user, "inbox_e00001")["project_id"] == "P"
