"""The schedules: sweeps of the inbox, once a minute, forgetting old runs and emptying the trash, once an hour.

Belongs here: the clock. Does not belong here: what a sweep looks at and files (`services/sweeps.py`), which runs go
(`retention.py`), and for how long the trash is kept (`services/trash.py`).
"""

import datetime as dt
import time

import dagster as dg

from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.pipeline.retention import KEPT, forget_old_runs
from inbox_pipeline.pipeline.tags import JOB_NAME
from inbox_pipeline.pipeline.ticks import on_site
from inbox_pipeline.services import trash
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.sweeps import SweepReport, sweep_all


@dg.schedule(
    job_name=JOB_NAME,
    cron_schedule="* * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Looks into the inbox folders of projects that switched sweeps on, and files what has become quiet.",
)
def sweeps(site: SiteResource) -> dg.SkipReason:
    """Sweep; the requests it files are launched by the sensor, like any other."""
    return on_site(site, swept)


@dg.schedule(
    job_name=JOB_NAME,
    cron_schedule="17 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=f"Deletes finished runs that are older than {KEPT.days} days; their requests and ledgers stay.",
)
def retention(context: dg.ScheduleEvaluationContext) -> dg.SkipReason:
    """Delete old runs, a few hundred at a time."""
    gone = forget_old_runs(context.instance, dt.datetime.now(dt.UTC))
    return dg.SkipReason(f"{gone} runs older than {KEPT.days} days deleted.")


@dg.schedule(
    job_name=JOB_NAME,
    cron_schedule="47 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=f"Deletes what imports into existing sessions replaced more than {trash.KEPT.days} days ago.",
)
def emptying(site: SiteResource) -> dg.SkipReason:
    """Empty the trash of what is old."""
    return on_site(site, emptied)


def emptied(site: Site) -> dg.SkipReason:
    """Empty the trash of what is old and say how much that was."""
    gone = trash.empty_trash(site, dt.datetime.now(dt.UTC))
    return dg.SkipReason(f"{gone} former generations of sessions deleted.")


def swept(site: Site) -> dg.SkipReason:
    """Sweep all projects and say what was filed."""
    reports = sweep_all(site, time.time())
    return dg.SkipReason(" ".join(map(described, reports)) or "No project has sweeps switched on.")


def described(report: SweepReport) -> str:
    """Say what a project's sweep did, in ids and counts."""
    if report.refused:
        return f"{report.project_id}: not swept ({report.refused})."
    return f"{report.project_id}: {report.folders} folders seen, {len(report.request_ids)} requests filed."
