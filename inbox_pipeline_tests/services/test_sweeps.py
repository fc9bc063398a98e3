"""Sweeps on a real site, with a clock of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from inbox_pipeline.services import queue, requests, steps, sweeps
from inbox_pipeline.services.accounts import Account, set_enabled
from inbox_pipeline.services.projects import set_project
from inbox_pipeline.services.site import Site, open_site
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder

NOW = 4_000_000_000.0


@pytest.fixture
def folder(site: Site) -> Path:
    set_project(site, "admin", "P", sweep_user="admin", sweep=True, quiet_seconds=60.0)
    return session_folder(site.settings.inbox_path / "P" / "visit", files=2)


def filed(site: Site, now: float) -> list[int]:
    return [request for report in sweeps.sweep_all(site, now) for request in report.request_ids]


def test_a_folder_starts_once_when_it_is_quiet(site: Site, admin: Account, folder: Path) -> None:
    assert filed(site, NOW) == []
    save(instance(number=7), folder / "late.dcm")
    assert filed(site, NOW + 61) == []
    assert filed(site, NOW + 120) == []
    assert filed(site, NOW + 122) == [1]
    assert filed(site, NOW + 200) == []
    assert requests.request_json(site, 1, admin)["username"] == "admin"


def test_files_that_arrive_later_are_imported_alone(site: Site, admin: Account, folder: Path) -> None:
    filed(site, NOW)
    assert filed(site, NOW + 61) == [1]
    for step in steps.STEPS:
        steps.run_step(site, 1, step, run_id="run-1")
    save(instance(study=2, number=1, PatientID="FAKE002"), folder / "sub" / "new.dcm")
    reopened = open_site(site.settings)
    assert filed(reopened, NOW + 100) == []
    assert filed(reopened, NOW + 161) == [2]
    for step in steps.STEPS:
        steps.run_step(site, 2, step, run_id="run-2")
    answer = requests.request_json(site, 2, admin)
    assert (answer["files"]["found"], answer["outcome"]) == (1, "complete")


def test_a_file_that_arrives_before_the_requests_turn_is_imported_once(
    site: Site, admin: Account, folder: Path
) -> None:
    (folder / "link").symlink_to("nothing")
    filed(site, NOW)
    assert filed(site, NOW + 61) == [1]
    save(instance(study=2, PatientID="FAKE002"), folder / "late.dcm")
    for step in steps.STEPS:
        steps.run_step(site, 1, step, run_id="run-1")
    first = requests.request_json(site, 1, admin)
    assert first["files"]["by_reason"] == {"archived": 2, "link_broken": 1}
    assert filed(site, NOW + 100) == []
    assert filed(site, NOW + 161) == [2]
    for step in steps.STEPS:
        steps.run_step(site, 2, step, run_id="run-2")
    assert requests.request_json(site, 2, admin)["files"]["by_reason"] == {"archived": 1}


def test_a_sweep_that_dies_after_filing_has_remembered_what_it_asked_for(
    site: Site, admin: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filed(site, NOW)
    with monkeypatch.context() as dying:
        dying.setattr(sweeps.sweeps, "remember", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            filed(site, NOW + 61)
    for step in steps.STEPS:
        steps.run_step(site, 1, step, run_id="run-1")
    assert filed(site, NOW + 62) == []
    assert filed(site, NOW + 200) == []


def test_a_clock_that_steps_back_starts_the_quiet_time_anew(site: Site, folder: Path) -> None:
    filed(site, NOW)
    assert filed(site, NOW - 3600) == []
    assert filed(site, NOW - 3600 + 59) == []
    assert filed(site, NOW - 3600 + 61) == [1]


def test_a_sweep_user_without_rights_files_nothing(site: Site, admin: Account, folder: Path) -> None:
    from inbox_pipeline.services.accounts import create_user

    create_user(site, "admin", "sweeper", "a good password")
    set_project(site, "admin", "P", sweep_user="sweeper")
    filed(site, NOW)
    (report,) = sweeps.sweep_all(site, NOW + 61)
    assert (report.request_ids, report.refused) == ((), "inbox_project_denied")
    set_enabled(site, "admin", "sweeper", False)
    (report,) = sweeps.sweep_all(site, NOW + 122)
    assert report.refused == "user_not_found"
    assert queue.due_launches(site, 5) == []
