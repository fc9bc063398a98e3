"""Sensors, schedule and reconciliation on a real site and an ephemeral instance."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.pipeline import schedules, sensors
from inbox_pipeline.pipeline.build import build_defs
from inbox_pipeline.pipeline.jobs import import_request
from inbox_pipeline.pipeline.reconcile import STARTED_GRACE_SECONDS, STARTING_GRACE_SECONDS, Reconciler
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.pipeline.tags import launch_tags, run_config
from inbox_pipeline.services import prearchive, projects, queue, requests
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.health import readiness
from inbox_pipeline.services.lease import hold
from inbox_pipeline.services.prearchive import Place, Wish
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import requests as rows
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.pipeline.conftest import Execute, File

STATUS = dg.DagsterRunStatus


@pytest.fixture
def request_id(site: Site, file: File) -> int:
    return file(session_folder(site.settings.inbox_path / "P" / "visit"))


def launched(instance: dg.DagsterInstance, request_id: int, status: STATUS, attempt: int = 1) -> dg.DagsterRun:
    """Return a run as the sensor launches it, in some state."""
    tags = launch_tags(queue.Launch(request_id, attempt, "P"))
    return instance.create_run_for_job(import_request, run_config=run_config(request_id), tags=tags, status=status)


def working(site: Site, request_id: int, run_id: str, owner: str | None = None) -> None:
    """Leave the lease as a run holds it, under this process or another owner."""
    with hold(site, request_id, run_id):
        pass
    if owner is not None:
        set_columns(site, request_id, lease_owner=owner)


def set_columns(site: Site, request_id: int, **values: object) -> None:
    with site.catalog.write() as connection:
        connection.execute(sa.update(rows).where(rows.c.id == request_id).values(values))


def dead_owner(site: Site, request_id: int) -> str:
    """Return the owner of the request's lease, as if that process had been another that is gone."""
    with site.catalog.read() as connection:
        owner = connection.execute(sa.select(rows.c.lease_owner).where(rows.c.id == request_id)).scalar_one()
    return str(owner).rsplit(":", 1)[0] + ":1"


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> STATUS:
    again = instance.get_run_by_id(run.run_id)
    assert again is not None
    return again.status


def look(site: Site, instance: dg.DagsterInstance, suspects: dict[str, float] | None = None) -> dict[str, float]:
    reconciler = Reconciler(site, instance, suspects or {})
    reconciler.run()
    return reconciler.suspects


def test_a_queued_request_is_launched_under_a_key_of_its_attempt(site: Site, request_id: int) -> None:
    (asked,) = sensors.launches(site, patience=0).run_requests
    assert asked.run_key == f"{request_id}:1"
    assert asked.run_config == {"request_id": request_id}
    assert asked.tags == {"inbox/request_id": str(request_id), "inbox/project": "P", "inbox/attempt": "1"}


def test_a_tick_is_the_daemons_heartbeat(site: Site) -> None:
    assert readiness(site)["daemon"] == "no heartbeat yet"
    assert not sensors.launches(site, patience=0).run_requests
    assert readiness(site)["daemon"] is None


def test_a_tick_answers_as_soon_as_a_request_arrives(site: Site, request_id: int) -> None:
    began = time.monotonic()
    assert sensors.launches(site, patience=60).run_requests
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", ["queued_requests", "reconcile"])
def test_sensors_skip_with_the_next_step_where_there_is_no_site(
    name: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    resource = SiteResource(home=str(tmp_path / "nothing"))
    definitions = build_defs(site=resource).get_repository_def()
    context = dg.build_sensor_context(instance=instance, repository_def=definitions, resources={"site": resource})
    evaluated = definitions.get_sensor_def(name).evaluate_tick(context)
    assert "inbox-pipeline init" in (evaluated.skip_message or "")
    assert not (tmp_path / "nothing").exists()


def test_the_schedule_says_what_it_saw(site: Site, resource: SiteResource) -> None:
    answer = schedules.swept(site)
    assert answer.skip_message == "No project has sweeps switched on."


def test_a_dead_workers_request_is_queued_again_and_its_run_ended(
    site: Site, admin: Account, request_id: int, instance: dg.DagsterInstance
) -> None:
    run = launched(instance, request_id, STATUS.STARTED)
    working(site, request_id, run.run_id)
    set_columns(site, request_id, lease_owner=dead_owner(site, request_id))
    look(site, instance)
    assert status(instance, run) == STATUS.FAILURE
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["attempt"]) == ("Queued", 2)
    assert [launch.attempt for launch in queue.due_launches(site, 5)] == [2]


def test_a_request_that_was_cancelled_when_its_worker_died_ends_cancelled(
    site: Site, admin: Account, request_id: int, instance: dg.DagsterInstance, execute: Execute
) -> None:
    run = launched(instance, request_id, STATUS.STARTED)
    working(site, request_id, run.run_id)
    queue.cancel_run(site, request_id)
    set_columns(site, request_id, lease_owner=dead_owner(site, request_id))
    look(site, instance)
    execute(request_id)
    assert requests.request_json(site, request_id, admin)["outcome"] == "cancelled"
    assert list(site.settings.staging_path.iterdir()) == []


def test_a_run_that_holds_its_lease_is_left_alone(
    site: Site, admin: Account, request_id: int, instance: dg.DagsterInstance
) -> None:
    run = launched(instance, request_id, STATUS.STARTED)
    working(site, request_id, run.run_id)
    assert look(site, instance, {run.run_id: 0.0}) == {}
    assert status(instance, run) == STATUS.STARTED
    assert requests.request_json(site, request_id, admin)["attempt"] == 1


@pytest.mark.parametrize(
    ("before", "grace", "after"),
    [
        (STATUS.STARTED, STARTED_GRACE_SECONDS, STATUS.FAILURE),
        (STATUS.CANCELING, STARTED_GRACE_SECONDS, STATUS.CANCELED),
        (STATUS.STARTING, STARTING_GRACE_SECONDS, STATUS.FAILURE),
    ],
)
def test_a_run_that_nobody_works_on_is_ended_after_its_grace(
    site: Site, request_id: int, instance: dg.DagsterInstance, before: STATUS, grace: float, after: STATUS
) -> None:
    run = launched(instance, request_id, before)
    suspects = look(site, instance)
    assert set(suspects) == {run.run_id}
    assert status(instance, run) == before
    look(site, instance, {run.run_id: time.time() - grace + 3})
    assert status(instance, run) == before
    look(site, instance, {run.run_id: time.time() - grace - 1})
    assert status(instance, run) == after


def test_a_run_that_waits_for_a_busy_worker_is_not_lost(
    site: Site, file: File, request_id: int, instance: dg.DagsterInstance
) -> None:
    waiting = launched(instance, request_id, STATUS.STARTING)
    for number in range(site.settings.workers):
        other = file(session_folder(site.settings.inbox_path / "P" / f"busy{number}", study=5 + number))
        working(site, other, launched(instance, other, STATUS.STARTED).run_id)
    look(site, instance, {waiting.run_id: 0.0})
    assert status(instance, waiting) == STATUS.STARTING


def test_a_request_whose_run_ended_before_it_began_gets_another_after_a_pause(
    site: Site, admin: Account, request_id: int, instance: dg.DagsterInstance
) -> None:
    launched(instance, request_id, STATUS.FAILURE)
    look(site, instance)
    assert requests.request_json(site, request_id, admin)["attempt"] == 1
    set_columns(site, request_id, queued_at=time.time() - 60)
    look(site, instance)
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["attempt"]) == ("Queued", 2)


def test_a_request_whose_run_has_not_started_is_left_alone(
    site: Site, admin: Account, request_id: int, instance: dg.DagsterInstance
) -> None:
    run = launched(instance, request_id, STATUS.NOT_STARTED)
    set_columns(site, request_id, queued_at=time.time() - 3600)
    look(site, instance, {run.run_id: 0.0})
    assert status(instance, run) == STATUS.NOT_STARTED
    assert requests.request_json(site, request_id, admin)["attempt"] == 1


def test_a_run_cancelled_before_it_began_cancels_its_request(
    site: Site, admin: Account, request_id: int, instance: dg.DagsterInstance
) -> None:
    launched(instance, request_id, STATUS.CANCELED)
    look(site, instance)
    assert requests.request_json(site, request_id, admin)["outcome"] == "cancelled"


def test_an_unexpected_fault_of_a_tick_leaves_only_its_kind_and_place(
    resource: SiteResource, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(2, "No such file", "/inbox/CANARYPATH")

    monkeypatch.setattr("inbox_pipeline.pipeline.schedules.sweep_all", broken)
    context = dg.build_schedule_context(instance=instance, resources={"site": resource})
    with pytest.raises(Rejected, match=r"kind FileNotFoundError at test_sensors\.py") as caught:
        schedules.sweeps(context)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_former_prearchive_folder_goes_to_the_trash_as_soon_as_that_takes_it(
    site: Site, admin: Account, request_id: int, instance: dg.DagsterInstance, execute: Execute
) -> None:
    projects.set_project(site, "admin", "P", prearchive_code=0)
    assert execute(request_id).success
    (waiting,) = prearchive.sessions(site, admin)
    site.settings.trash_path.rmdir()
    site.settings.trash_path.write_text("a file where the trash should be")
    archiving = prearchive.archive(site, admin, Place.of(waiting), Wish())
    assert execute(archiving).success
    reconciler = Reconciler(site, instance, {})
    assert reconciler.run() == "Former prearchive folders cannot be put into the trash (NotADirectoryError)."
    site.settings.trash_path.unlink()
    site.settings.trash_path.mkdir()
    assert reconciler.run() == f"Request {archiving}: the former prearchive folder was put into the trash."
    assert not (site.settings.prearchive_path / waiting["path"]).exists()
    assert reconciler.run() == ""
