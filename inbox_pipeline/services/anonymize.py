"""Step 3, anonymize: each pending file rewritten into staging by the scripts in force, made durable in batches.

Belongs here: which scripts run on a session, and where in staging a file goes. Does not belong here: what is done to a
file's elements (`recipe.py`) and its bytes (`rewriting.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.engine import RowMapping

from inbox_pipeline.deid.identifier import Kind
from inbox_pipeline.deid.keyed import Form, Forms
from inbox_pipeline.deid.pixel_rules import Rules
from inbox_pipeline.dicom.rewrite import Rewritten
from inbox_pipeline.dicom.values import day, short_text, time_of_day
from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import disposition_of
from inbox_pipeline.intake.sessions import ARCHIVE
from inbox_pipeline.script.references import FRAME_OF_REFERENCE, INSTANCE, SERIES, STUDY
from inbox_pipeline.services.care import KILLS_WORKER, Care
from inbox_pipeline.services.examine import open_folder
from inbox_pipeline.services.keyed_uids import PURPOSE
from inbox_pipeline.services.linking import link
from inbox_pipeline.services.maps import Pairs
from inbox_pipeline.services.new_labels import keep_digests
from inbox_pipeline.services.policies import PIXEL_RULES_NAME, PolicyChoice, pixel_rules, pseudonyms_of
from inbox_pipeline.services.processes import rewriting_many
from inbox_pipeline.services.profile import Profile
from inbox_pipeline.services.recipe import CodedScript, Recipe, shortened
from inbox_pipeline.services.replacements import ROLE_NAMES, ROLES, Bearer, Replacements, Uids
from inbox_pipeline.services.rewriting import Rewriter, Source, Target, TargetFailed, Written
from inbox_pipeline.services.scripts import StoredScript, active_script, compiled, stored_script, under_basic
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.stopped import Stopped
from inbox_pipeline.services.storage import storage_failed, storing
from inbox_pipeline.store.catalog import leases, ledger, projects, requests
from inbox_pipeline.store.catalog.leases import Lease
from inbox_pipeline.store.fresh import FRESH
from inbox_pipeline.store.inbox import Requested
from inbox_pipeline.store.staging import PART, Staging, replace_part

BATCH_FILES = 500
FIRST_BATCH_SECONDS = 1.0
BATCH_SECONDS = 5.0
MOST_FRAMES = 2**31 - 1
"""An attempt makes its first files durable early, so that it has got further if it dies."""

_MADE = {INSTANCE: "sop_instance_uid", SERIES: "series_uid", STUDY: "study_uid"}
_PLANNED = frozenset(("disposition", "reason", "detail", "session_number", "scan_label", "archived_path"))
_UNSTAGED = {name: value for name, value in FRESH.items() if name not in _PLANNED}
"""A row's columns as they were before its file was rewritten; those that scan, validation and commit write stay."""


def anonymize(site: Site, lease: Lease, staging: Staging, care: Care, check: Callable[[], None]) -> None:
    """Stage every pending file that belongs to a session.

    Args:
        site: the site.
        lease: the attempt's lease on the request.
        staging: its staging folder.
        care: for files that are bad for whoever reads them.
        check: called between files; raises when the work must stop.

    Raises:
        Rejected: `script_broken`, `pixel_rules_broken`, `path_gone`.
        Unavailable: `storage_failed`.
    """
    with site.catalog.read() as connection:
        request = requests.get(connection, lease.request_id)
        plans = requests.planned_sessions(connection, lease.request_id)
        rows = [row for row in ledger.pending(connection, lease.request_id) if not row["staged_name"]]
    if request is None:
        raise Rejected("request_not_found", "The request is gone.", "")
    choice = PolicyChoice.of(request)
    pseudonyms = pseudonyms_of(site.secret, request["project_id"])
    profile = Profile(choice, pseudonyms, _pixel_rules(site))
    bare = request["prevent_anon"]
    recipes = {plan["number"]: recipe_for(site, plan, profile, bare=bare) for plan in plans}
    with open_folder(request["source_path"]) as folder, rewriting_many():
        rewriter = rewriter_for(site, request, folder, recipes)
        worker = _Worker(site, lease, staging, rewriter, recipes, linking=_keeps_links(site, request["project_id"]))
        for row in folder.in_order(rows):
            check()
            if care.is_deadly(row["path_digest"]):
                worker.leave(row)
            else:
                worker.note(row, care.read(folder, row, partial(worker.staged, row), check))
        worker.flush()


def _pixel_rules(site: Site) -> Rules:
    """Return the site's device rules. Raises Rejected: `pixel_rules_broken`."""
    try:
        return pixel_rules(site.settings.home / PIXEL_RULES_NAME)
    except Rejected as error:
        raise Rejected("pixel_rules_broken", error.sentence, error.hint) from None


def _keeps_links(site: Site, project_id: str) -> str | None:
    """Return the project if it keeps a linking table."""
    with site.catalog.read() as connection:
        project = projects.get_project(connection, project_id)
    return project_id if project is not None and project["linking_table"] else None


def recipe_for(site: Site, plan: RowMapping, profile: Profile, *, bare: bool) -> Recipe:
    """Return what is done to a planned session.

    Under policy `none` the site script runs at import and the project script on entering the archive, as in XNAT; under
    `basic` both run at import, wherever the session goes.

    The versions are those with which the session's first file was written, whatever has been stored since.

    Args:
        site: the site.
        plan: the session.
        profile: what follows the scripts.
        bare: run no script, as `prevent_anon` asks.

    Raises:
        Rejected: `script_broken`.
    """
    with site.catalog.read() as connection:
        project = projects.get_project(connection, plan["project_id"])
    variables = {
        "project": plan["project_id"],
        "subject": plan["subject_label"],
        "session": plan["session_label"],
    }
    at_once = profile.cleans or plan["destination"] == ARCHIVE
    scopes = [None, plan["project_id"]] if at_once else [None]
    stored = [] if bare else _scripts_of(site, plan, scopes, basic=profile.cleans)
    coded = [CodedScript(script.id, script.name, compiled(site, script)) for script in stored]
    return Recipe(coded, variables, bool(project and project["strict_script"]), profile)


def _scripts_of(site: Site, plan: RowMapping, scopes: Sequence[str | None], *, basic: bool) -> list[StoredScript]:
    """Return the script versions of a session; when it has none yet, those in force now, which it then keeps."""
    if plan["scripts"] is not None:
        found = [stored_script(site, each["id"]) for each in plan["scripts"]]
        return [under_basic(script) for script in found] if basic else found
    stored = [script for scope in scopes if (script := active_script(site, scope)) and script.enabled]
    stored = [under_basic(script) for script in stored] if basic else stored
    pinned = [{"id": script.id, "scope": script.scope, "digest": script.digest} for script in stored]
    with site.catalog.write() as connection:
        requests.update_session(connection, plan["request_id"], plan["number"], scripts=pinned)
    return stored


def rewriter_for(site: Site, request: RowMapping, folder: Requested, recipes: Mapping[int, Recipe]) -> Rewriter:
    """Return what rewrites the files of a request, references included."""
    key = site.secret.subkey(PURPOSE, request["project_id"])
    rewriter = Rewriter(folder, key)
    roles = [role for role in ROLES if any(recipe.may_replace(role) for recipe in recipes.values())]
    if not roles:
        return rewriter
    with site.catalog.read() as connection:
        bearers = {row["id"]: row for row in ledger.bearers(connection, request["id"])}

    def edited(row_id: int) -> Uids:
        row = bearers[row_id]
        made = {tag: str(row[name]) for tag, name in _MADE.items() if row[name]}
        if made and FRAME_OF_REFERENCE not in roles:
            return made
        return {**rewriter.uids(Source.of(row), recipes[row["session_number"]]), **made}

    known = [
        Bearer(row_id, {tag: row[f"{name}_key"] for tag, name in ROLE_NAMES.items()}) for row_id, row in bearers.items()
    ]
    return Rewriter(folder, key, Replacements(known, roles, lambda uid: site.secret.digest("uid", uid), edited))


class _Worker:
    """Rewrites file by file, and writes rows to the ledger once their bytes are durable."""

    def __init__(
        self,
        site: Site,
        lease: Lease,
        staging: Staging,
        rewriter: Rewriter,
        recipes: Mapping[int, Recipe],
        linking: str | None,
    ) -> None:
        self.linking, self.pairs = linking, Pairs()
        self.kept: dict[str, dict[Form, Kind]] = {}
        """Of each study what labels must not hold, as far as it is in the catalog or on its way there."""
        self.forms: dict[str, dict[Form, Kind]] = {}
        """What of it is on its way."""
        self.site, self.lease, self.staging, self.rewriter, self.recipes = site, lease, staging, rewriter, recipes
        self.taken = staged_uids(site, lease.request_id)
        self.done: list[dict[str, Any]] = []
        self.since, self.batch_seconds = time.monotonic(), FIRST_BATCH_SECONDS

    def leave(self, row: RowMapping) -> None:
        """Note at once that a file is not touched, since that is what this attempt has got further by."""
        self.note(row, _ended(KILLS_WORKER))
        self.flush()

    def note(self, row: RowMapping, became: Mapping[str, Any]) -> None:
        """Remember what became of a file."""
        self.done.append({"row_id": row["id"], **_UNSTAGED, **became})
        if len(self.done) >= BATCH_FILES or time.monotonic() - self.since > self.batch_seconds:
            self.flush()

    def flush(self) -> None:
        """Make the staged bytes durable, then their rows."""
        if self.done:
            with storing():
                self.staging.sync()
            if self.linking is not None:
                link(self.site, self.linking, self.lease.request_id, self.pairs)
            with self.site.catalog.write() as connection:
                ledger.update_rows(connection, self.done)
                for study_key, forms in self.forms.items():
                    keep_digests(connection, self.site.secret, self.lease.request_id, study_key, forms)
                got_further = sum(1 for row in self.done if row["staged_name"] or row["reason"] == KILLS_WORKER)
                leases.count_durable(connection, self.lease, got_further)
        self.done, self.since, self.pairs, self.forms = [], time.monotonic(), Pairs(), {}
        self.batch_seconds = BATCH_SECONDS

    def staged(self, row: RowMapping) -> dict[str, Any]:
        """Stage one file and return what its row says then, or why it cannot be."""
        try:
            scan_path = self.staging.scan_path(row["session_number"], row["scan_label"])
            part = scan_path / f"{row['id']}{PART}"
            with part.open("wb", buffering=0) as file:
                written = self._written(row, file)
            return self._accept(row, written, part)
        except Stopped as stop:
            return _ended(stop.code, stop.detail)
        except TargetFailed as failed:
            raise storage_failed(failed.error) from None
        except OSError as error:
            raise storage_failed(error) from None

    def _written(self, row: RowMapping, file: BinaryIO) -> Written:
        recipe = self.recipes[row["session_number"]]
        return self.rewriter.write(Source.of(row), recipe, Target(file), pairs=self.linking is not None, forms=True)

    def _note_forms(self, study_key: str, forms: Forms) -> None:
        kept = self.kept.setdefault(study_key, {})
        new = {form: kind for form, kind in forms.items() if form not in kept}
        if new:
            kept |= new
            self.forms.setdefault(study_key, {}).update(new)

    def _accept(self, row: RowMapping, written: Written, part: Path) -> dict[str, Any]:
        if (row["session_number"], written.uid) in self.taken:
            return _ended("sop_uid_conflict")
        self.taken.add((row["session_number"], written.uid))
        final = part.with_name(f"{written.uid}.dcm")
        replace_part(part, final)
        if written.pairs is not None:
            self.pairs.add(written.pairs)
        if written.forms is not None:
            self._note_forms(row["study_key"], written.forms)
        result = written.result
        return {
            "disposition": "pending",
            "reason": "waiting",
            "detail": shortened(written.warnings),
            "source_sha256": result.source_sha256,
            "staged_name": final.name,
            "archived_sha256": result.output_sha256,
            "archived_md5": result.output_md5,
            "archived_bytes": result.output_bytes,
            "sop_instance_uid": written.uid,
            "sop_class_uid": result.sop_class_uid or "",
            "series_uid": result.series_instance_uid,
            "study_uid": result.study_instance_uid,
            **browsed_by(result),
            "warnings": len(written.warnings),
            "identifiers": written.identifiers,
            "face": written.face,
            "digested": written.forms is not None,
        }


def browsed_by(result: Rewritten) -> dict[str, Any]:
    """Return the columns of a written file by which people browse the archive."""
    return {
        "study_date": day(result.study_date),
        "study_time": time_of_day(result.study_time),
        "series_description": short_text(result.series_description),
        "frames": max(1, min(result.number_of_frames or 1, MOST_FRAMES)),
    }


def staged_uids(site: Site, request_id: int) -> set[tuple[int, str]]:
    """Return the (session number, SOP Instance UID) pairs that a request has staged already."""
    with site.catalog.read() as connection:
        return {
            (row["session_number"], row["sop_instance_uid"])
            for row in ledger.pending(connection, request_id)
            if row["staged_name"]
        }


def _ended(code: str, detail: str | None = None) -> dict[str, Any]:
    return {"disposition": disposition_of(code), "reason": code, "detail": detail}
