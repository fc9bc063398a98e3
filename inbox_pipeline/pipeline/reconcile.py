"""Bringing Dagster's runs and the catalog's leases back together after anything died.

Belongs here: which run must end, and which request needs a new one. Does not belong here: leases themselves
(`services/lease.py`, `services/queue.py`) and sensors.

Eight rules, each safe to apply twice and in any order:

1. A lease that ran out, or whose worker is dead, is given back; its run ends as failed.
2. A run that nobody works on (seen without a lease for a while) is ended, so that it frees its place in the queue.
3. A queued request whose run has ended without ever taking the lease gets a new attempt, with a growing pause; if that
   run was cancelled, so is the request.
4. What a request that has ended left in staging is deleted.
5. An undo or a restoration that was interrupted is finished.
6. A nightly reading that died is ended.
7. The former folder of a session that was archived from the prearchive goes to the trash, if that failed.
8. A move from one project's prearchive to another's that was interrupted is finished.
"""

import datetime as dt
import time
from collections.abc import Sequence

import dagster as dg

from inbox_pipeline.pipeline.tags import ATTEMPT_TAG, FIXITY_JOB, JOB_NAME, REQUEST_TAG
from inbox_pipeline.services import queue, settling, undo
from inbox_pipeline.services.guards import keep_reserves
from inbox_pipeline.services.lease import owner_is_dead
from inbox_pipeline.services.leftovers import remove_leftovers
from inbox_pipeline.services.prearchive_moves import finish_moves
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import leases

STARTED_GRACE_SECONDS = 15.0
"""A run takes its lease within milliseconds of its start, and ends as soon after giving it back."""

STARTING_GRACE_SECONDS = 60.0
"""A message to an idle worker arrives within a second; one that has not after a minute is lost."""

LONGEST_READING = dt.timedelta(hours=3)
"""A nightly reading begins no session after five minutes; no session takes this long to read."""

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 600.0
DEAD_WORKER = "The worker of this run stopped renewing its lease; the request's next attempt goes on where it ended."
NO_WORKER = "No process works on this run any more; nothing was changed by ending it."
UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.STARTING]


class Reconciler:
    """One look at runs and leases.

    Args:
        suspects: run ids seen without a lease, with the epoch seconds of the first such look.
    """

    def __init__(self, site: Site, instance: dg.DagsterInstance, suspects: dict[str, float]) -> None:
        self.site = site
        self.instance = instance
        self.suspects = suspects

    def run(self) -> str:
        """Apply the rules and keep the reserves; return what was done in one line, "" for nothing."""
        keep_reserves(self.site)
        done = [*self.give_back_expired(), *self.end_unattended(), *self.relaunch_lost(), *self.sweep_staging()]
        done += [*self.finish_undoing(), *self.end_lost_readings(), *self.settle_given_up(), *self.finish_moving()]
        return " ".join(done)

    def give_back_expired(self) -> list[str]:
        """Apply rule 1."""
        done = []
        for item in queue.expired(self.site):
            became = queue.requeue(self.site, item)
            if became == "held":
                continue
            run = self.instance.get_run_by_id(item.run_id) if item.run_id else None
            if run is not None:
                self._end(run, DEAD_WORKER)
            done.append(f"Request {item.request_id}: worker lost, now {became}.")
        return done

    def end_unattended(self) -> list[str]:
        """Apply rule 2, and forget suspects that are none any more."""
        attended, now = self._attended(), time.time()
        filters = dg.RunsFilter(job_name=JOB_NAME, statuses=UNFINISHED)
        runs = [run for run in self.instance.get_runs(filters) if run.run_id not in attended]
        self.suspects = {run.run_id: self.suspects.get(run.run_id, now) for run in runs}
        idle = len(attended) < self.site.settings.workers
        lost = [run for run in runs if now - self.suspects[run.run_id] >= _grace(run, idle)]
        for run in lost:
            self._end(run, NO_WORKER)
        return [f"Run {run.run_id[:8]}: ended, as nobody works on it." for run in lost]

    def relaunch_lost(self) -> list[str]:
        """Apply rule 3."""
        done = []
        for waiting in queue.queued_since(self.site):
            runs = self._runs_of(waiting)
            if not runs or not all(run.is_finished for run in runs):
                continue
            if all(run.status == dg.DagsterRunStatus.CANCELED for run in runs):
                queue.cancel_run(self.site, waiting.request_id)
                done.append(f"Request {waiting.request_id}: cancelled, as its run was.")
            elif waiting.seconds >= _pause(waiting.attempt):
                queue.relaunch(self.site, waiting.request_id, waiting.attempt)
                done.append(f"Request {waiting.request_id}: its run ended before it began, so another follows.")
        return done

    def sweep_staging(self) -> list[str]:
        """Apply rule 4; what cannot be deleted now is tried again at the next look."""
        try:
            swept = remove_leftovers(self.site)
        except OSError as error:
            return [f"What ended requests left in staging cannot be deleted ({type(error).__name__})."]
        return [f"Request {request_id}: what it left in staging was deleted." for request_id in swept]

    def finish_undoing(self) -> list[str]:
        """Apply rule 5."""
        return [f"Request {number}: its undo or restoration was finished." for number in undo.finish(self.site)]

    def end_lost_readings(self) -> list[str]:
        """Apply rule 6: they would keep their place in the queue."""
        before = dt.datetime.now(dt.UTC) - LONGEST_READING
        filters = dg.RunsFilter(job_name=FIXITY_JOB, statuses=UNFINISHED, updated_before=before)
        lost = self.instance.get_runs(filters)
        for run in lost:
            self._end(run, NO_WORKER)
        return [f"Run {run.run_id[:8]}: ended, as nobody works on it." for run in lost]

    def settle_given_up(self) -> list[str]:
        """Apply rule 7; what cannot be put away now is tried again at the next look."""
        try:
            settled = settling.settle_given_up(self.site)
        except OSError as error:
            return [f"Former prearchive folders cannot be put into the trash ({type(error).__name__})."]
        return [f"Request {number}: the former prearchive folder was put into the trash." for number in settled]

    def finish_moving(self) -> list[str]:
        """Apply rule 8."""
        return [f"Session {key}: its move was finished." for key in finish_moves(self.site)]

    def _runs_of(self, waiting: queue.Waiting) -> Sequence[dg.DagsterRun]:
        tags = {REQUEST_TAG: str(waiting.request_id), ATTEMPT_TAG: str(waiting.attempt)}
        return self.instance.get_runs(dg.RunsFilter(job_name=JOB_NAME, tags=tags))

    def _attended(self) -> set[str]:
        """Return the runs that hold a live lease."""
        with self.site.catalog.read() as connection:
            rows = [row for row in leases.leased(connection) if leases.held(connection, row)]
        return {row["dagster_run_id"] for row in rows if not owner_is_dead(row["lease_owner"])}

    def _end(self, run: dg.DagsterRun, sentence: str) -> None:
        """End an unfinished run, CANCELED if it was being terminated, else FAILURE."""
        if run.is_finished:
            return
        if run.status == dg.DagsterRunStatus.CANCELING:
            self.instance.report_run_canceled(run, message=sentence)
        else:
            self.instance.report_run_failed(run, message=sentence)


def _grace(run: dg.DagsterRun, idle_worker: bool) -> float:
    """Return for how long a run may be without a lease; without end while it waits for a busy worker."""
    if run.status != dg.DagsterRunStatus.STARTING:
        return STARTED_GRACE_SECONDS
    return STARTING_GRACE_SECONDS if idle_worker else float("inf")


def _pause(attempt: int) -> float:
    """Return the seconds before another run is tried: 10, 20, 40 ... at most ten minutes."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(attempt - 1, 10))
