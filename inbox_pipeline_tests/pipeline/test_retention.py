"""Old runs go, with their files; young and unfinished ones stay, and so does every request."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import dagster as dg

from inbox_pipeline.pipeline import schedules
from inbox_pipeline.pipeline.jobs import import_request
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.pipeline.retention import KEPT, forget_old_runs

STATUS = dg.DagsterRunStatus


def test_only_old_finished_runs_go(instance: dg.DagsterInstance) -> None:
    states = (STATUS.SUCCESS, STATUS.FAILURE, STATUS.CANCELED, STATUS.STARTED)
    for state in states:
        instance.create_run_for_job(import_request, run_config={"request_id": 1}, status=state)
    now = dt.datetime.now(dt.UTC)
    assert forget_old_runs(instance, now + KEPT - dt.timedelta(minutes=1)) == 0
    assert forget_old_runs(instance, now + KEPT + dt.timedelta(minutes=1)) == 3
    assert {run.status for run in instance.get_runs()} == {STATUS.STARTED}


def test_a_runs_file_goes_with_it(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run = instance.create_run_for_job(import_request, run_config={"request_id": 1}, status=STATUS.STARTED)
        instance.report_run_failed(run, message="ended")
        assert list(tmp_path.rglob(f"{run.run_id}.db*"))
        assert forget_old_runs(instance, dt.datetime.now(dt.UTC) + KEPT + dt.timedelta(minutes=1)) == 1
        assert not list(tmp_path.rglob(f"{run.run_id}.db*"))


def test_the_schedule_says_how_many_went(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, dg.build_schedule_context(instance) as context:
        answer = schedules.retention(context)
    assert answer.skip_message == "0 runs older than 30 days deleted."


def test_the_trash_is_emptied_on_a_schedule(resource: SiteResource) -> None:
    with dg.build_schedule_context(resources={"site": resource}) as context:
        answer = schedules.emptying(context)
    assert answer.skip_message == "0 former generations of sessions deleted."
