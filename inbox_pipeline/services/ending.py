"""How a request ends: counts and sessions to a verdict, written once.

Belongs here: ending a request well, ending it early, giving an attempt back, and what an ended one says once sessions
of it are gone. Does not belong here: the verdict's words (`intake/verdict.py`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.prearchive import ARCHIVING, QUEUED_ARCHIVING, READY, state_after
from inbox_pipeline.intake.reasons import FROM_ARCHIVE
from inbox_pipeline.intake.verdict import SessionEnd, Verdict, judge
from inbox_pipeline.services.guards import CODES
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import commits, digests, leases, ledger, prearchive, requests, withdrawals
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.catalog.engine import now_seconds

WORKER_DIED = "lease_expired"
FRUITLESS_LIMIT = 3
"""So many attempts in a row may end by the death of their worker without making any file durable."""

SETBACK_LIMIT = 12
"""So many may end by a transient error of one kind: with their pauses, after about half an hour."""

RETRY_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
TURN = "lock_busy"
UNCOUNTED = CODES | {TURN}
"""An attempt that only had to wait, for another request or for what it needs, counts for nothing."""

ENDED = ("status", "outcome", "reason", "verdict", "resolution")
JUDGED = ("complete", "partial", "nothing_importable", "sessions_waiting")
"""The reasons of requests that came to their end, not to another one."""

CLOSED_BY = {"cancelled": "cancelled"}


def session_uri(session: RowMapping) -> str | None:
    """Return the address of a session: the experiment once archived, else its place in the prearchive.

    One that an undo has withdrawn has none.
    """
    if session["withdrawn_at"]:
        return None
    if session["accession"]:
        return f"/data/experiments/{session['accession']}"
    if session["prearchive_timestamp"]:
        folder = f"{session['prearchive_timestamp']}/{session['session_label']}"
        return f"/data/prearchive/projects/{session['project_id']}/{folder}"
    return None


def end_request(
    connection: Connection, request_id: int, stop: tuple[str, dict[str, Any]] | None = None, cleanup: str = "off"
) -> Verdict:
    """Give every file its final disposition, and the request its verdict; release its lease and locks.

    Args:
        stop: reason code and the fields of its sentence when the request ends early, else None.
        cleanup: what became of the sources (Request JSON, `cleanup`); a request that ends early deletes none.
    """
    if stop is not None:
        row = requests.get(connection, request_id)
        cleanup = "partial" if row and row["cleanup"] else "off"
        ledger.close_pending(connection, request_id, CLOSED_BY.get(stop[0], "request_failed"))
        if row is not None and row["prearchive_session_id"]:
            _return_session(connection, row["prearchive_session_id"], stop[0])
    verdict = judge_anew(connection, request_id, stop)
    requests.update(
        connection,
        request_id,
        phase="done",
        cleanup_state=cleanup,
        finished_at=requests.utc_now(),
        cancel_requested=False,
    )
    leases.release(connection, request_id, verdict.reason)
    commits.release_all(connection, request_id)
    digests.forget_unused(connection, request_id)
    site_store.record(
        connection, "system", "request.end", str(request_id), outcome=verdict.outcome, reason=verdict.reason
    )
    return verdict


def retell(connection: Connection, request_id: int) -> None:
    """Let an ended request say what is left of what it has made, after that was deleted, undone or restored.

    One that ended by itself is judged anew. One that was stopped says only that something is gone, and gets the verdict
    back that it had, once all is there again. One that runs will be judged at its end.
    """
    row = requests.get(connection, request_id)
    if row is None or row["status"] not in requests.FINAL:
        return
    if row["reason"] == withdrawals.REASON:
        judge_anew(connection, request_id, (withdrawals.REASON, {}))
    elif row["before_undo"] is None and row["reason"] in (*JUDGED, FROM_ARCHIVE):
        judge_anew(connection, request_id, None)
    elif any(reason == FROM_ARCHIVE for _, reason in ledger.counts(connection, request_id)):
        keep_verdict(connection, row)
        judge_anew(connection, request_id, (FROM_ARCHIVE, {}))
    elif row["before_undo"]:
        give_verdict_back(connection, row)


def keep_verdict(connection: Connection, row: RowMapping) -> None:
    """Keep how a request ended, unless that was done already."""
    if row["before_undo"] is None:
        requests.update(connection, row["id"], before_undo={name: row[name] for name in ENDED})


def give_verdict_back(connection: Connection, row: RowMapping) -> None:
    """Let a request say again how it ended."""
    requests.update(connection, row["id"], before_undo=None, **row["before_undo"])


def judge_anew(connection: Connection, request_id: int, stop: tuple[str, dict[str, Any]] | None) -> Verdict:
    """Give a request its verdict and return it; one of whose sessions none is left was stopped by that.

    Args:
        connection: a writing transaction.
        request_id: the request.
        stop: as for `end_request`.
    """
    planned = [s for s in requests.planned_sessions(connection, request_id) if s["state"] != "EMPTY"]
    made = [s for s in planned if s["session_id"] is not None]
    deleted = [s for s in made if s["session_state"] in withdrawals.GONE and s["state"] == "ARCHIVED"]
    ended = [s for s in planned if (s["session_id"] is not None or s["state"] == "ERROR") and s not in deleted]
    ends = [SessionEnd(s["number"], s["state"], s["reason"], s["accession"]) for s in ended]
    if deleted and not ends and stop is None:
        stop = (FROM_ARCHIVE, {})
    verdict = judge(ledger.counts(connection, request_id), ends, stop)
    uris = [uri for uri in map(session_uri, made) if uri]
    requests.update(
        connection,
        request_id,
        status=verdict.status,
        outcome=verdict.outcome,
        reason=verdict.reason,
        verdict=verdict.sentence,
        resolution=" ".join([verdict.sentence, *uris]),
    )
    return verdict


def _return_session(connection: Connection, session_id: int, code: str) -> None:
    """Show in the state of a prearchive session why it was not archived, unless it was after all."""
    session = prearchive.get(connection, session_id)
    if session is not None and session["state"] in (QUEUED_ARCHIVING, ARCHIVING):
        state, reason = state_after(code, session["state_before"] or READY)
        prearchive.change(connection, session, state=state, reason=reason or session["reason"], state_before=None)


def give_back(connection: Connection, request_id: int, reason: str, stop: tuple[str, dict[str, Any]]) -> str:
    """Queue the next attempt of a request whose attempt ended without a verdict, or end it after too many.

    An attempt counts against the limit only if it made no file durable. Returns `queued` or `failed`.

    Args:
        connection: a writing transaction.
        request_id: the request.
        reason: why the attempt ended; the request shows it while it waits.
        stop: how the request ends when the limit is reached.
    """
    row = requests.get(connection, request_id)
    if row is None:
        return "failed"
    leases.release(connection, request_id, reason)
    alike = leases.ended_alike(connection, request_id, reason)
    if reason not in UNCOUNTED and alike >= (FRUITLESS_LIMIT if reason == WORKER_DIED else SETBACK_LIMIT):
        end_request(connection, request_id, stop)
        return "failed"
    queued_at = now_seconds(connection) + pause_before(reason, alike)
    requests.update(
        connection,
        request_id,
        status="Queued",
        phase=phase_of(reason),
        attempt=row["attempt"] + 1,
        reason=reason,
        queued_at=queued_at,
        dagster_run_id=None,
    )
    return "queued"


def phase_of(reason: str) -> str:
    """Return the phase of a queued request whose last attempt ended for a reason."""
    return "waiting" if reason in CODES else "queued"


def pause_before(reason: str, alike: int) -> float:
    """Return the seconds before the next attempt, after so many that ended alike: none if only the worker died."""
    if reason == WORKER_DIED:
        return 0.0
    doubled = 0 if reason == TURN else max(alike - 1, 0)
    return min(LONGEST_PAUSE_SECONDS, RETRY_PAUSE_SECONDS * 2.0**doubled)


def reached(site: Site, request_id: int) -> dict[str, int]:
    """Return the number of a request's files by disposition."""
    with site.catalog.read() as connection:
        counts = ledger.counts(connection, request_id)
    totals: dict[str, int] = {}
    for (disposition, _), n in counts.items():
        totals[disposition] = totals.get(disposition, 0) + n
    return totals
