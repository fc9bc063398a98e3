"""The four steps of an import, as the pipeline runs them: each takes or resumes the lease, works, and reports.

Belongs here: which step runs when, what a step reports, and what its failure means for the request. Does not belong
here: the steps' work (`scan.py`, `validate.py`, `anonymize.py`, `commit.py`, `cleanup.py`) and Dagster.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.engine import RowMapping

from inbox_pipeline.errors import Cancelled, InboxError, LeaseLost, Rejected, Unavailable
from inbox_pipeline.intake.reasons import ending
from inbox_pipeline.intake.verdict import plural
from inbox_pipeline.services import from_prearchive
from inbox_pipeline.services.accounts import get_account, is_owner, may_edit
from inbox_pipeline.services.anonymize import anonymize
from inbox_pipeline.services.care import Care
from inbox_pipeline.services.checks import Result, run_checks
from inbox_pipeline.services.cleanup import clean_up
from inbox_pipeline.services.commit import commit_sessions, settle_intents
from inbox_pipeline.services.ending import UNCOUNTED, end_request, give_back, reached
from inbox_pipeline.services.from_prearchive import is_review
from inbox_pipeline.services.guards import recorded, require
from inbox_pipeline.services.lease import Keeper, hold, lost
from inbox_pipeline.services.policies import PolicyChoice
from inbox_pipeline.services.routing import versions_in_force
from inbox_pipeline.services.scan import scan
from inbox_pipeline.services.settling import settle
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.storage import storing
from inbox_pipeline.services.trash import put_away
from inbox_pipeline.services.validate import validate
from inbox_pipeline.store.catalog import leases, ledger, projects, requests
from inbox_pipeline.store.catalog.leases import Lease
from inbox_pipeline.store.staging import Staging

STEPS = ("scan", "validate", "anonymize", "archive")
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds to wait for what is away, before the attempt is given back and its worker free for others."""

STATUS = {"scan": "Trawling", "validate": "Trawling", "anonymize": "Importing", "archive": "Importing"}


@dataclass(frozen=True)
class StepReport:
    """What a step shows an operator: a sentence, facts by name, a row per series and per session, what was
    proved of the files; ids and counts."""

    sentence: str
    facts: dict[str, int | float | str | bool] = field(default_factory=dict)
    series: list[dict[str, str | int | float]] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    checks: list[Result] = field(default_factory=list)


def run_step(site: Site, request_id: int, step: str, *, run_id: str) -> StepReport:
    """Run one step of a request, and before it every earlier step that is not done.

    Raises:
        Rejected: the run may not work on this request, or the request has ended Failed with that reason.
        Unavailable: the attempt was given back; another will follow, or the request has ended Failed.
        LeaseLost: another attempt has taken over.
        Cancelled: the request was cancelled and has ended.
    """
    began = time.monotonic()
    with hold(site, request_id, run_id) as keeper:
        try:
            sentence = _patiently(site, keeper, step)
        except LeaseLost:
            raise
        except Cancelled:
            recorded(site, partial(_stop, site, keeper, "cancelled", {}))
            raise
        except Rejected as error:
            raise recorded(site, partial(_ended, site, keeper, error)) from None
        except Unavailable as error:
            recorded(site, partial(_give_back, site, keeper, error))
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours must end the request visibly, without its message
            raise recorded(site, partial(_ended, site, keeper, _fault(error))) from None
    return _report(site, request_id, step, sentence, time.monotonic() - began)


def _patiently(site: Site, keeper: Keeper, step: str) -> str:
    """Run the steps up to `step`; after a transient error, go on where it happened after a pause, a few times.

    Raises:
        Unavailable: it did not go away.
    """
    for pause in PAUSES:
        try:
            return _advance(site, keeper, step)
        except LeaseLost:
            raise
        except Unavailable as error:
            if error.code in UNCOUNTED:
                raise
        keeper.wait(pause)
    return _advance(site, keeper, step)


def _advance(site: Site, keeper: Keeper, step: str) -> str:
    """Run the steps up to `step` that are not done yet, and return what the last one says."""
    request_id = keeper.lease.request_id
    staging = Staging(site.settings.staging_path, request_id, keeper.lease.token)
    with storing():
        _take_over(site, staging)
    keeper.check()
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
    done = row["steps_done"] if row else 0
    sentence = "This step was done already."
    for number in range(done, STEPS.index(step) + 1):
        name = STEPS[number]
        keeper.check()
        require(site, request_id)
        _note(site, keeper, status=STATUS[name], phase=name)
        run = _REVIEW if row is not None and is_review(row) else _IMPORT
        sentence = run[name](site, keeper, staging)
        if name != STEPS[-1]:
            _note(site, keeper, steps_done=number + 1)
    return sentence


def _take_over(site: Site, staging: Staging) -> None:
    """Take the staging folder over, and note first at which file an older attempt died."""
    marks = staging.marks()
    with site.catalog.write() as connection:
        for token, path_digest in marks.items():
            leases.note_death(connection, staging.request_id, token, path_digest)
    staging.take_over()


def _scan(site: Site, keeper: Keeper, staging: Staging) -> str:
    require_rights(site, keeper.lease.request_id)
    keep_policy(site, keeper.lease)
    with Care(site, staging) as care:
        scan(site, keeper.lease, care, keeper.check)
    totals = reached(site, keeper.lease.request_id)
    with site.catalog.write() as connection:
        size = ledger.total_bytes(connection, keeper.lease.request_id)
        leases.update_held(connection, keeper.lease, bytes=size)
    return f"{sum(totals.values()):,} files found, {totals.get('pending', 0):,} of them can be imported."


def keep_policy(site: Site, lease: Lease) -> None:
    """Note the project's policy and the site's routing on the request, which keeps to them whatever is set meanwhile.

    Raises:
        Rejected: `project_gone`; `policy_forbids`, if the policy came after the request.
        LeaseLost: another attempt has taken over.
    """
    with site.catalog.write() as connection:
        row = requests.get(connection, lease.request_id)
        project = projects.get_project(connection, row["project_id"]) if row else None
        if project is None:
            raise Rejected("project_gone", "The destination project no longer exists.", "File a new request.")
        if row is not None and row["prevent_anon"] and PolicyChoice.of(project).basic:
            raise Rejected("policy_forbids", ending("policy_forbids").sentence, ending("policy_forbids").hint)
        choice = {name: project[name] for name in ("policy", "options", "strict_identifiers")}
        choice["routing"] = versions_in_force(connection)
        if not leases.update_held(connection, lease, **choice):
            raise lost(lease.request_id)


def require_rights(site: Site, request_id: int) -> None:
    """Check again, when the work begins, that whoever asked may still ask.

    Raises:
        Rejected: `user_gone` or `rights_gone`.
    """
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
    account = get_account(site, row["username"]) if row else None
    if row is None or account is None:
        raise Rejected("user_gone", "The user who asked is unknown or disabled.", "Let another user file the request.")
    may = is_owner if row["prevent_anon"] else may_edit
    if not may(site, account, row["project_id"]):
        raise Rejected("rights_gone", "The user who asked may no longer edit the project.", "Ask its owner.")


def _validate(site: Site, keeper: Keeper, _staging: Staging) -> str:
    validate(site, keeper.lease.request_id, keeper.check)
    with site.catalog.read() as connection:
        planned = len(requests.planned_sessions(connection, keeper.lease.request_id))
    files = reached(site, keeper.lease.request_id).get("pending", 0)
    return f"{files:,} {plural(files, 'file')} make {planned:,} {plural(planned, 'session')}."


def _anonymize(site: Site, keeper: Keeper, staging: Staging) -> str:
    with Care(site, staging) as care:
        anonymize(site, keeper.lease, staging, care, keeper.check)
    files = reached(site, keeper.lease.request_id).get("pending", 0)
    return f"{files:,} files anonymized and staged."


def _archive(site: Site, keeper: Keeper, staging: Staging) -> str:
    commit_sessions(site, keeper.lease, staging, keeper.check)
    _note(site, keeper, status="Processed", phase="cleanup")
    _prove(site, keeper, staging)
    cleanup = clean_up(site, keeper.lease, _lease_only(keeper))
    return _ended_well(site, keeper, staging, cleanup)


def _ended_well(site: Site, keeper: Keeper, staging: Staging, cleanup: str) -> str:
    """Empty staging, and give the request its verdict, whose sentence is returned."""
    _empty(site, staging)
    with site.catalog.write() as connection:
        if not leases.update_held(connection, keeper.lease, steps_done=len(STEPS)):
            raise lost(keeper.lease.request_id)
        return end_request(connection, keeper.lease.request_id, None, cleanup).sentence


def _prove(site: Site, keeper: Keeper, staging: Staging) -> None:
    """Check what was committed, once: a later attempt may find sources cleaned up."""
    with site.catalog.read() as connection:
        row = requests.get(connection, keeper.lease.request_id)
    if row is not None and row["checks"] is None:
        with Care(site, staging) as care:
            checks = run_checks(site, keeper.lease.request_id, care, _lease_only(keeper))
        _note(site, keeper, checks=checks)


def _scan_review(site: Site, keeper: Keeper, _staging: Staging) -> str:
    require_rights(site, keeper.lease.request_id)
    from_prearchive.scan(site, keeper.lease, keeper.check)
    totals = reached(site, keeper.lease.request_id)
    return f"The prearchive session has {sum(totals.values()):,} files."


def _validate_review(site: Site, keeper: Keeper, _staging: Staging) -> str:
    from_prearchive.validate(site, keeper.lease)
    return "The session goes to the archive as a whole."


def _anonymize_review(site: Site, keeper: Keeper, staging: Staging) -> str:
    from_prearchive.anonymize(site, keeper.lease, staging, keeper.check)
    files = reached(site, keeper.lease.request_id).get("pending", 0)
    return f"{files:,} files staged."


def _archive_review(site: Site, keeper: Keeper, staging: Staging) -> str:
    commit_sessions(site, keeper.lease, staging, keeper.check)
    _note(site, keeper, status="Processed", phase="cleanup")
    settle(site, keeper.lease, _lease_only(keeper))
    return _ended_well(site, keeper, staging, "off")


Step = Callable[[Site, Keeper, Staging], str]
_IMPORT: dict[str, Step] = {
    "scan": _scan,
    "validate": _validate,
    "anonymize": _anonymize,
    "archive": _archive,
}
_REVIEW: dict[str, Step] = {
    "scan": _scan_review,
    "validate": _validate_review,
    "anonymize": _anonymize_review,
    "archive": _archive_review,
}


def _lease_only(keeper: Keeper) -> Callable[[], None]:
    """Return a check that a cancel does not stop: once sessions are committed, the request is finished."""

    def check() -> None:
        try:
            keeper.check()
        except Cancelled:
            return

    return check


def _note(site: Site, keeper: Keeper, **values: Any) -> None:
    with site.catalog.write() as connection:
        if not leases.update_held(connection, keeper.lease, **values):
            raise lost(keeper.lease.request_id)


def _stop(site: Site, keeper: Keeper, code: str, fields: dict[str, Any]) -> None:
    """End the request early: settle open commits, empty staging, write the verdict."""
    staging = Staging(site.settings.staging_path, keeper.lease.request_id, keeper.lease.token)
    settle_intents(site, keeper.lease, staging, finish=code == "cancelled")
    with site.catalog.read() as connection:
        row = requests.get(connection, keeper.lease.request_id)
    if row is not None and is_review(row):
        settle(site, keeper.lease, _lease_only(keeper))
    with site.catalog.write() as connection:
        if not leases.update_held(connection, keeper.lease, steps_done=0):
            raise lost(keeper.lease.request_id)
        end_request(connection, keeper.lease.request_id, (code, fields))
    _empty(site, staging)


def _empty(site: Site, staging: Staging) -> None:
    """Move the generations that were replaced to the trash, and delete what else is in staging.

    What cannot go now does not keep a request from its end; the reconcile sensor tries again and says so.
    """
    with suppress(OSError):
        put_away(site, staging)
        staging.remove()


def _ended(site: Site, keeper: Keeper, error: Rejected) -> Rejected:
    """End the request Failed for a permanent reason, and return the error with its verdict sentence."""
    _stop(site, keeper, error.code, error.data)
    with site.catalog.read() as connection:
        row = requests.get(connection, keeper.lease.request_id)
    return Rejected(error.code, str(row["verdict"]) if row else error.sentence, "", error.data)


def _fault(error: Exception) -> Rejected:
    """Return an unexpected exception as one of ours: its kind and place, never its message, which may hold values."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
    return Rejected("internal_error", f"An unexpected fault of kind {kind} stopped the work.", "", {"error": kind})


def _give_back(site: Site, keeper: Keeper, error: InboxError) -> None:
    with site.catalog.write() as connection:
        if leases.update_held(connection, keeper.lease, phase="queued"):
            stop = ("storage_failed", {"error": error.data.get("error", error.code)})
            give_back(connection, keeper.lease.request_id, error.code, stop)


def _report(site: Site, request_id: int, step: str, sentence: str, seconds: float) -> StepReport:
    with site.catalog.read() as connection:
        row = requests.get(connection, request_id)
        counts = ledger.counts(connection, request_id)
        series = ledger.series_table(connection, request_id)
        sessions = requests.planned_sessions(connection, request_id)
    facts: dict[str, int | float | str | bool] = {"files": sum(counts.values()), "seconds": round(seconds, 3)}
    for (disposition, reason), n in sorted(counts.items()):
        facts[f"{disposition}: {reason}"] = n
    size = int(row["bytes"]) if row else 0
    facts |= {"bytes": size, "bytes per second": round(size / seconds) if seconds > 0 else 0}
    if row and row["outcome"]:
        facts |= {"outcome": row["outcome"], "status": row["status"], "cleanup": row["cleanup_state"]}
    checks = row["checks"] if row and step == STEPS[-1] else None
    return StepReport(sentence, facts, _series_rows(series), [_session(s) for s in sessions], checks or [])


def _series_rows(lines: Sequence[RowMapping]) -> list[dict[str, str | int | float]]:
    """Number each session's series in their order: a scan's label is made of values from headers, and stays out."""
    numbers: dict[int, dict[str, int]] = {}
    for line in lines:
        of_session = numbers.setdefault(line["session_number"], {})
        of_session.setdefault(line["scan_label"], len(of_session) + 1)
    return [_series(line, numbers[line["session_number"]][line["scan_label"]]) for line in lines]


def _series(line: RowMapping, number: int) -> dict[str, str | int | float]:
    return {
        "session": line["session_number"],
        "series": number,
        "modality": line["modality"],
        "disposition": line["disposition"],
        "files": line["files"],
        "source bytes": int(line["bytes"]),
        "written bytes": int(line["written"]),
    }


def _session(session: Any) -> dict[str, Any]:
    return {
        "session": session["number"],
        "state": session["state"],
        "reason": session["reason"] or "",
        "accession": session["accession"] or "",
        "subject from": session["subject_rule"],
        "label from": session["session_rule"],
        "findings": ", ".join(f"{f['code']} ({f['count']})" for f in session["findings"]),
    }
