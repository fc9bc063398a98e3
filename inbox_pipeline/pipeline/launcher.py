"""Dagster's own launchers and run queue, in which to terminate a run means to cancel its request.

Belongs here: the classes that `dagster.yaml` names. Does not belong here: what cancelling does (`services/queue.py`).

No process is ever signalled: a worker that commits a session must be able to finish it. The run sees the cancel column
when it next renews its lease, cleans up and ends CANCELED by itself. A run that has not started yet is CANCELED at
once, and the worker that later finds its message leaves it alone.
"""

import dagster as dg
from dagster._core.launcher import DefaultRunLauncher  # the public name lacks the base of `dagster.yaml` classes
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster_celery.launcher import CeleryRunLauncher

from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.pipeline.tags import request_of
from inbox_pipeline.services import queue
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import requests

BEGUN = {dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING}


class LocalLauncher(DefaultRunLauncher):
    """A process per run on the code server's machine; needs no broker and no workers."""

    def terminate(self, run_id: str) -> bool:
        """Cancel the run's request; return whether the run was unfinished."""
        return cancel_request_of(self._instance, run_id)


class WorkerLauncher(CeleryRunLauncher):
    """A Celery task per run, for persistent workers."""

    def terminate(self, run_id: str) -> bool:
        """Cancel the run's request; return whether the run was unfinished."""
        return cancel_request_of(self._instance, run_id)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether Dagster may judge a worker by its task's result: no, leases do that, and results are not kept."""
        return False


class RequestQueue(QueuedRunCoordinator):
    """Dagster's run queue; a run that is terminated while it waits in it cancels its request as well."""

    def cancel_run(self, run_id: str) -> bool:
        """Cancel a waiting run here, any other through the launcher."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and run.status == dg.DagsterRunStatus.QUEUED:
            return cancel_request_of(self._instance, run_id)
        return super().cancel_run(run_id)


def cancel_request_of(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Cancel the request that a run works on, and show the run as being cancelled.

    Raises:
        Rejected: as `open_site`.
        Unavailable: `catalog_unavailable`.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    with SiteResource().opened() as site:
        request_id = _request_held_by(site, run)
        if request_id is not None:
            queue.cancel_run(site, request_id)
    if run.status != dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceling(run, message="Its request was asked to be cancelled; the run will end by itself.")
    if run.status not in BEGUN:
        instance.report_run_canceled(run, message="Cancelled before it began.")
    return True


def _request_held_by(site: Site, run: dg.DagsterRun) -> int | None:
    """Return the request whose attempt the run is, or would have become: never one that another run works on."""
    held = queue.request_of_run(site, run.run_id)
    asked = request_of(run)
    if held is not None or asked is None:
        return held
    with site.catalog.read() as connection:
        row = requests.get(connection, asked)
    return asked if row is not None and row["status"] == "Queued" else None
