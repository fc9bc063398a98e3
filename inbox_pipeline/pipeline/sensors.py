"""The sensors: queued requests become runs; what died or got lost is queued again.

Belongs here: Dagster's side of the queue. Does not belong here: which request may start (`services/queue.py`), and how
runs and leases are reconciled (`reconcile.py`).
"""

import json
import time

import dagster as dg

from inbox_pipeline.pipeline.reconcile import Reconciler
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.pipeline.tags import JOB_NAME, launch_tags, run_config
from inbox_pipeline.pipeline.ticks import on_site
from inbox_pipeline.services.health import DAEMON, beat
from inbox_pipeline.services.queue import Launch, due_launches
from inbox_pipeline.services.site import Site

TICK_SECONDS = 5
LAUNCHES_PER_TICK = 20
PATIENCE_SECONDS = 3.5
LOOK_SECONDS = 0.2


@dg.sensor(
    job_name=JOB_NAME,
    minimum_interval_seconds=TICK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Launches one run per attempt of each queued import request.",
)
def queued_requests(site: SiteResource) -> dg.SensorResult | dg.SkipReason:
    """Ask for a run of every request that may start; a run key per attempt makes repeated asking harmless."""
    return on_site(site, launches)


@dg.sensor(
    job_name=JOB_NAME,
    minimum_interval_seconds=TICK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose worker died or whose launch got lost, and queues their requests' next attempt.",
)
def reconcile(context: dg.SensorEvaluationContext, site: SiteResource) -> dg.SensorResult | dg.SkipReason:
    """Compare runs with leases; the cursor remembers since when a run has been without one."""
    suspects = json.loads(context.cursor or "{}")

    def work(opened: Site) -> dg.SensorResult:
        reconciler = Reconciler(opened, context.instance, suspects)
        done = reconciler.run()
        return dg.SensorResult(skip_reason=done or "Runs and leases agree.", cursor=json.dumps(reconciler.suspects))

    return on_site(site, work)


def launches(site: Site, patience: float = PATIENCE_SECONDS) -> dg.SensorResult:
    """Leave the daemon's heartbeat, wait for work if there is none, and return the runs to launch.

    Dagster looks at a sensor every five seconds at most. A tick that waits for most of that time and answers as soon
    as a request arrives takes seconds off the way from a request to its run.

    Args:
        patience: seconds to wait for work.
    """
    beat(site, DAEMON)
    until = time.monotonic() + patience
    while not (due := due_launches(site, LAUNCHES_PER_TICK)) and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    return dg.SensorResult(run_requests=[run_request(launch) for launch in due])


def run_request(launch: Launch) -> dg.RunRequest:
    """Return the run of a request's attempt."""
    return dg.RunRequest(
        run_key=f"{launch.request_id}:{launch.attempt}",
        run_config=run_config(launch.request_id),
        tags=launch_tags(launch),
    )
