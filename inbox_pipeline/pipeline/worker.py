"""A persistent run worker: `python -m inbox_pipeline.pipeline.worker NUMBER`.

Belongs here: the process around Celery: logging, heartbeat, and leaving after a number of runs. Does not belong here:
Celery's settings, which come with the launcher from `dagster.yaml`, and the runs themselves.

One process executes one run at a time (`--pool=solo`), because a Celery child process may not start the processes that
a step needs. After `RUNS_PER_PROCESS` runs it ends with 0 and is started anew, which bounds whatever leaks.
"""

import logging
import sys
import threading
from collections.abc import Sequence
from typing import Any

from celery import Celery, signals
from celery.worker import state
from dagster import DagsterInstance
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from inbox_pipeline.errors import InboxError
from inbox_pipeline.observability import configure_logging
from inbox_pipeline.pipeline.launcher import WorkerLauncher
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.services.health import WORKER, beat

BEAT_SECONDS = 10.0
RUNS_PER_PROCESS = 500
log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until told to stop; returns the exit code."""
    number = (sys.argv[1:] if arguments is None else arguments)[0]
    configure_logging(level=logging.WARNING)
    with DagsterInstance.get() as instance:
        app = tasks_of(instance)
        stop = threading.Event()
        signals.setup_logging.connect(_keep_logging, weak=False)
        signals.task_postrun.connect(Countdown(RUNS_PER_PROCESS), weak=False)
        signals.worker_ready.connect(lambda **_: _start_beating(number, stop), weak=False)
        app.worker_main(["--quiet", "worker", *options(number)])
        stop.set()
    return 0


def tasks_of(instance: DagsterInstance) -> Celery:
    """Return the launcher's own Celery app with the tasks that execute runs.

    Raises:
        TypeError: the instance's launcher does not use workers.
    """
    launcher = instance.run_launcher
    if not isinstance(launcher, WorkerLauncher):
        raise TypeError(f"{type(launcher).__name__} does not use workers")
    create_execute_job_task(launcher.celery)
    create_resume_job_task(launcher.celery)
    return launcher.celery


def options(number: str) -> list[str]:
    """Return Celery's options for one worker."""
    return [
        "--pool=solo",
        "--prefetch-multiplier=1",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "--queues=dagster",
        "--loglevel=WARNING",
        f"--hostname=worker{number}@inbox",
    ]


class Countdown:
    """Asks the worker to end after a number of tasks; the solo pool knows no such limit itself."""

    def __init__(self, tasks: int) -> None:
        self.left = tasks

    def __call__(self, **_: Any) -> None:
        """Count a finished task."""
        self.left -= 1
        if self.left <= 0:
            state.should_stop = 0


def _start_beating(number: str, stop: threading.Event) -> None:
    threading.Thread(target=_beat, args=(f"{WORKER}:{number}", stop), name="heartbeat", daemon=True).start()


def _beat(name: str, stop: threading.Event) -> None:
    """Leave a heartbeat until told to stop; while the catalog does not answer, none is left."""
    with SiteResource().opened() as site:
        while True:
            try:
                beat(site, name)
            except InboxError as error:
                log.warning("No heartbeat: %s", error.sentence)
            if stop.wait(BEAT_SECONDS):
                return


def _keep_logging(**_: Any) -> None:
    """Keep Celery from configuring logging itself."""


if __name__ == "__main__":
    raise SystemExit(main())
