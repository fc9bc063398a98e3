"""Forgetting old runs: Dagster keeps runs and their events for ever, and one SQLite file for each run.

Belongs here: which runs go, and what is left of them on disk. Does not belong here: when (`schedules.py`). Requests,
ledgers and the audit trail stay: the catalog is their record, not Dagster.
"""

import datetime as dt
from contextlib import suppress
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage  # the only way to the file of a run

from inbox_pipeline.pipeline.tags import FIXITY_JOB, JOB_NAME

KEPT = dt.timedelta(days=30)
RUNS_PER_TICK = 500
JOBS = (JOB_NAME, FIXITY_JOB)
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def forget_old_runs(instance: dg.DagsterInstance, now: dt.datetime) -> int:
    """Delete finished runs of our jobs that have not changed for `KEPT`; return how many.

    Args:
        instance: where the runs are.
        now: the clock, aware.
    """
    filters = [dg.RunsFilter(job_name=job, statuses=FINISHED, updated_before=now - KEPT) for job in JOBS]
    runs = [run for old in filters for run in instance.get_runs(old, limit=RUNS_PER_TICK)]
    for run in runs:
        instance.delete_run(run.run_id)
        _unlink_events(instance, run.run_id)
    return len(runs)


def _unlink_events(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove the file that SQLite's event log leaves behind, empty, for every deleted run."""
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):  # the last two are there only while somebody has the first one open
                Path(storage.path_for_shard(run_id) + suffix).unlink()
