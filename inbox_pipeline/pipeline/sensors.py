"""The sensors: queued requests become runs; what died or got lost is queued again.

Belongs here: Dagster's side of the queue. Does not belong here: which request may start (`services/queue.py`), and how
runs and leases are reconciled (`reconcile.py`).
"""

import json

import dagster as dg

from inbox_pipeline.pipeline.reconcile import Reconciler
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.pipeline.tags import JOB_NAME, launch_tags, run_config
from inbox_pipeline.pipeline.ticks import on_site
from inbox_pipeline.services.health import DAEMON, beat
from inbox_pipeline.services.queue import due_launches
from inbox_pipeline.services.site import Site

TICK_SECONDS = 5
LAUNCHES_PER_TICK = 20


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


def launches(site: Site) -> dg.SensorResult:
    """Return the runs to launch, and leave the daemon's heartbeat."""
    beat(site, DAEMON)
    due = due_launches(site, LAUNCHES_PER_TICK)
    requests = [
        dg.RunRequest(
            run_key=f"{launch.request_id}:{launch.attempt}",
            run_config=run_config(launch.request_id),
            tags=launch_tags(launch),
        )
        for launch in due
    ]
    return dg.SensorResult(run_requests=requests, skip_reason=None if requests else "No request is waiting.")
