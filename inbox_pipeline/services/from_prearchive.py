"""Archiving a prearchive session, or relabelling an archived one: a run's steps for files that are anonymized already.

Belongs here: what `scan`, `validate` and `anonymize` are for such a request, and what its commit changes. Does not
belong here: the order of steps (`steps.py`), the commit (`commit.py`), what follows it (`settling.py`), who may ask for
it (`prearchive.py`).

Files go into the archive as they are, by a second name, unless the project's script is due (policy `none`, as in XNAT)
or the session gets other labels than it was imported under: then the statements of its scripts that write labels are
run again. A failure leaves the session as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.prearchive import ARCHIVING
from inbox_pipeline.intake.reasons import disposition_of, ending
from inbox_pipeline.intake.sessions import ARCHIVE
from inbox_pipeline.script.references import INSTANCE, SERIES, STUDY
from inbox_pipeline.services.anonymize import browsed_by
from inbox_pipeline.services.entering import hindrance_of
from inbox_pipeline.services.examine import open_folder
from inbox_pipeline.services.generation import Joining
from inbox_pipeline.services.keyed_uids import PURPOSE
from inbox_pipeline.services.lease import lost
from inbox_pipeline.services.policies import BASIC, PolicyChoice, pseudonyms_of
from inbox_pipeline.services.profile import Profile
from inbox_pipeline.services.recipe import CodedScript, Recipe
from inbox_pipeline.services.relabelling import ARCHIVED, is_relabelling, session_to_relabel
from inbox_pipeline.services.replacements import ROLES, Bearer, Replacements, Uids
from inbox_pipeline.services.rewriting import Rewriter, Source, Target, TargetFailed, Written
from inbox_pipeline.services.scripts import active_script, compiled, stored_script, under_basic
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.stopped import Stopped
from inbox_pipeline.services.storage import storage_failed, storing
from inbox_pipeline.store.archive import file_sha256
from inbox_pipeline.store.catalog import leases, ledger, merges, prearchive, projects, relabelled, requests
from inbox_pipeline.store.catalog import scripts as script_rows
from inbox_pipeline.store.catalog.leases import Lease
from inbox_pipeline.store.filesystem import link_file
from inbox_pipeline.store.fresh import FRESH
from inbox_pipeline.store.inbox import Entry, Requested
from inbox_pipeline.store.staging import PART, Staging, replace_part

BATCH_FILES = 500
NUMBER = 1
LABELS = ("project", "subject", "session")
_OF_IMPORT = (
    "study_key",
    "series_key",
    "sop_key",
    "frame_key",
    "patient_key",
    "modality",
    "scan_label_asked",
    "instance_number",
    "subject_label",
    "session_label",
    "subject_rule",
    "session_rule",
    "source_sha256",
    "sop_class_uid",
    "study_uid",
    "study_date",
    "study_time",
    "series_description",
    "frames",
    "identifiers",
    "face",
)
"""What a ledger row keeps of the row that its file was imported by."""


def is_review(request: Mapping[str, Any] | RowMapping) -> bool:
    """Return whether a request is about a session that is held already: archives a prearchive one, or relabels one."""
    return bool(request["source"] in (prearchive.SOURCE, relabelled.SOURCE))


def scan(site: Site, lease: Lease, check: Callable[[], None]) -> None:
    """Write a ledger row for every file that the session has; one that is staged already keeps its row.

    Raises:
        Rejected: `prearchive_gone`, `prearchive_changed`.
    """
    with site.catalog.write() as connection:
        request, session = _both(connection, lease.request_id)
        if not is_relabelling(request):
            prearchive.change(connection, session, state=ARCHIVING)
        choice = {name: session[name] for name in ("policy", "options")} | {"strict_identifiers": False}
        if not leases.update_held(connection, lease, **choice):
            raise lost(lease.request_id)
        files = prearchive.files(connection, session["id"])
        if is_relabelling(request) and len(files) != len(merges.members(connection, session["id"])):
            raise _stop("session_damaged")
        known = ledger.known_paths(connection, lease.request_id)
    rows = []
    with open_folder(request["source_path"]) as folder:
        for file in files:
            check()
            digest = requests.path_digest(file["path"].encode())
            if digest not in known:
                rows.append(_row(lease.request_id, digest, file, _entry(folder, file, request)))
    for start in range(0, len(rows), ledger.BATCH):
        with site.catalog.write() as connection:
            ledger.insert(connection, rows[start : start + ledger.BATCH])


def _both(connection: Connection, request_id: int) -> tuple[RowMapping, RowMapping]:
    """Return a request and the session that it is about.

    Raises:
        Rejected: `prearchive_gone`, `archived_changed`.
    """
    request = requests.get(connection, request_id)
    if request is not None and is_relabelling(request):
        return request, session_to_relabel(connection, request)
    session = prearchive.get(connection, request["prearchive_session_id"]) if request else None
    if request is None or session is None or session["prearchive_timestamp"] is None:
        raise _stop("prearchive_gone")
    return request, session


def _entry(folder: Requested, file: RowMapping, request: RowMapping) -> Entry:
    entry = folder.entry(file["path"].encode())
    if entry is None or entry.size != file["size"]:
        raise _stop(_changed(request))
    return entry


def _changed(request: RowMapping) -> str:
    """Return the code for files that are not what the catalog says."""
    return "session_damaged" if is_relabelling(request) else "prearchive_changed"


def _row(request_id: int, digest: str, file: RowMapping, entry: Entry) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "source_path": entry.source_path,
        "path_digest": digest,
        "bytes": entry.size,
        "mtime_ns": entry.mtime_ns,
        "inode": entry.inode,
        **FRESH,
        **{name: file[name] for name in _OF_IMPORT},
        "disposition": "pending",
        "reason": "waiting",
        "session_number": NUMBER,
        "scan_label": file["scan"],
        "archived_sha256": file["sha256"],
        "archived_md5": file["md5"],
        "archived_bytes": file["size"],
        "sop_instance_uid": file["uid"],
        "series_uid": file["series"],
    }


def validate(site: Site, lease: Lease) -> None:
    """Plan the one session, under the labels that were asked for or those that it has.

    Raises:
        Rejected: `prearchive_gone`, `project_gone`; as `hindrance_of`.
    """
    with site.catalog.write() as connection:
        request, session = _both(connection, lease.request_id)
        if projects.get_project(connection, request["project_id"]) is None:
            raise _stop("project_gone")
        hindrance = hindrance_of(site, connection, session, request["project_id"])
        if hindrance is not None:
            raise _stop(hindrance)
        if any(plan["intent_token"] for plan in requests.planned_sessions(connection, lease.request_id)):
            return
        first = prearchive.plans(connection, session["id"])[0]
        plan = {
            "request_id": lease.request_id,
            "number": NUMBER,
            "project_id": request["project_id"],
            "subject_label": request["subject_label"] or session["subject_label"],
            "session_label": request["session_label"] or session["label"],
            **{name: first[name] for name in ("study_key", "patient_key", "subject_rule", "session_rule")},
            "destination": ARCHIVE,
            "state": "READY",
            "reason": None,
            "findings": [],
            "identified": first["identified"],
            "scripts": session["scripts"],
        }
        requests.replace_plan(connection, lease.request_id, [plan])


def anonymize(site: Site, lease: Lease, staging: Staging, check: Callable[[], None]) -> None:
    """Stage every file: by a second name, or rewritten where a script is due.

    Raises:
        Rejected: `prearchive_gone`, `prearchive_changed`, `labels_fixed`, `script_broken`, `script_failed`.
        Unavailable: `storage_failed`.
    """
    with site.catalog.read() as connection:
        request, session = _both(connection, lease.request_id)
        plan = requests.planned_sessions(connection, lease.request_id)[0]
        rows = [row for row in ledger.pending(connection, lease.request_id) if not row["staged_name"]]
    recipe = _recipe(site, session, plan)
    waiting = iter(rows)
    with open_folder(request["source_path"]) as folder:
        stager = _Stager(site, request, staging, folder, recipe)
        while some := list(islice(waiting, BATCH_FILES)):
            done = []
            for row in some:
                check()
                done.append(stager.staged(row))
            with storing():
                staging.sync()
            with site.catalog.write() as connection:
                ledger.update_rows(connection, done)
                leases.count_durable(connection, lease, len(done))


def _recipe(site: Site, session: RowMapping, plan: RowMapping) -> Recipe | None:
    """Return what is done to the files on their way into the archive; None if nothing is.

    Raises:
        Rejected: `labels_fixed`, `script_broken`.
    """
    basic = session["policy"] == BASIC
    scripts = [] if _same_labels(session, plan) else _label_scripts(site, session, basic=basic)
    added = [] if basic else _project_script(site, session, plan)
    if not scripts and not added:
        return None
    with site.catalog.read() as connection:
        project = projects.get_project(connection, plan["project_id"])
    variables = dict(zip(LABELS, (plan["project_id"], plan["subject_label"], plan["session_label"]), strict=True))
    profile = Profile(PolicyChoice(), pseudonyms_of(site.secret, plan["project_id"]))
    return Recipe([*scripts, *added], variables, bool(project and project["strict_script"]), profile)


def _same_labels(session: RowMapping, plan: RowMapping) -> bool:
    now = session["labelled_as"] or [session["project_id"], session["subject_label"], session["label"]]
    return list(now) == [plan["project_id"], plan["subject_label"], plan["session_label"]]


def require_relabelling(site: Site, session: RowMapping) -> None:
    """Refuse to give a session other labels, or another project, if its scripts cannot write them.

    Raises:
        Rejected: `labels_fixed`, `script_broken`.
    """
    try:
        _label_scripts(site, session, basic=session["policy"] == BASIC)
    except Rejected as error:
        raise Rejected(error.code, error.sentence, error.hint, {"status": int(HTTPStatus.CONFLICT)}) from None


def _label_scripts(site: Site, session: RowMapping, *, basic: bool) -> list[CodedScript]:
    """Return what of the session's scripts writes labels. Raises Rejected: `labels_fixed`."""
    found = []
    for each in session["scripts"]:
        stored = stored_script(site, each["id"])
        script = compiled(site, under_basic(stored) if basic else stored).relabelling(LABELS)
        if script is None:
            raise _stop("labels_fixed")
        found.append(CodedScript(0, stored.name, script))
    return found


def _project_script(site: Site, session: RowMapping, plan: RowMapping) -> list[CodedScript]:
    """Return the project's script if it is due: under policy `none` it runs when a session enters the archive.

    It is noted with the session, as of which every later attempt keeps to it. One that is archived has been through it,
    unless it comes from another project.
    """
    if session["state"] == ARCHIVED and _was_in(site, session, plan["project_id"]):
        return []
    pinned = list(plan["scripts"] or [])
    known = {each["id"] for each in session["scripts"]}
    mine = [each for each in pinned if each["scope"] == "project" and each["id"] not in known]
    stored = stored_script(site, mine[0]["id"]) if mine else active_script(site, plan["project_id"])
    if stored is None or not stored.enabled or stored.id in known:
        return []
    if not mine:
        pinned.append({"id": stored.id, "scope": stored.scope, "digest": stored.digest})
        with site.catalog.write() as connection:
            requests.update_session(connection, plan["request_id"], plan["number"], scripts=pinned)
    return [CodedScript(stored.id, stored.name, compiled(site, stored))]


def _was_in(site: Site, session: RowMapping, project_id: str) -> bool:
    """Return whether a session is a project's, or has been through a version of its script."""
    with site.catalog.read() as connection:
        found = [script_rows.by_id(connection, each["id"]) for each in session["scripts"]]
    return session["project_id"] == project_id or any(row and row["project_id"] == project_id for row in found)


class _Stager:
    """Stages file by file."""

    def __init__(
        self, site: Site, request: RowMapping, staging: Staging, folder: Requested, recipe: Recipe | None
    ) -> None:
        self.staging, self.recipe, self.changed = staging, recipe, _changed(request)
        self.source = os.fsdecode(request["source_path"])
        if recipe is not None:
            self.rewriter = _rewriter(site, request, folder, recipe)

    def staged(self, row: RowMapping) -> dict[str, Any]:
        """Stage a file and return its row's changes.

        Raises:
            Rejected: `prearchive_changed`, `script_failed`.
            Unavailable: `storage_failed`.
        """
        try:
            folder = self.staging.scan_path(NUMBER, row["scan_label"])
            if self.recipe is None:
                return self._linked(row, folder)
            part = folder / f"{row['id']}{PART}"
            with part.open("wb", buffering=0) as file:
                written = self.rewriter.write(Source.of(row), self.recipe, Target(file))
            return self._accepted(row, written, part)
        except Stopped as stop:
            return self._stopped(row, stop)
        except TargetFailed as failed:
            raise storage_failed(failed.error) from None
        except OSError as error:
            raise storage_failed(error) from None

    def _linked(self, row: RowMapping, folder: Any) -> dict[str, Any]:
        name = f"{row['sop_instance_uid']}.dcm"
        final = folder / name
        final.unlink(missing_ok=True)
        link_file(type(folder)(self.source) / os.fsdecode(row["source_path"]), final)
        if file_sha256(final) != row["archived_sha256"]:
            raise _stop(self.changed)
        return {"row_id": row["id"], "staged_name": name, **{each: row[each] for each in _MADE}}

    def _accepted(self, row: RowMapping, written: Written, part: Any) -> dict[str, Any]:
        result = written.result
        if result.source_sha256 != row["archived_sha256"]:
            raise _stop(self.changed)
        final = part.with_name(f"{written.uid}.dcm")
        replace_part(part, final)
        made = {
            "disposition": "pending",
            "reason": "waiting",
            "archived_sha256": result.output_sha256,
            "archived_md5": result.output_md5,
            "archived_bytes": result.output_bytes,
            "sop_instance_uid": written.uid,
            "series_uid": result.series_instance_uid,
            "study_uid": result.study_instance_uid,
            **browsed_by(result),
        }
        return {"row_id": row["id"], "staged_name": final.name, **made}

    def _stopped(self, row: RowMapping, stop: Stopped) -> dict[str, Any]:
        """Leave a file out that the script drops; anything else ends the archiving (contract section 3)."""
        if stop.code != "script_rejected":
            raise _stop(self.changed if stop.code in _CHANGED else "script_failed")
        dropped = {"disposition": disposition_of(stop.code), "reason": stop.code}
        return {"row_id": row["id"], "staged_name": None, **{each: row[each] for each in _MADE}, **dropped}


_MADE = (
    "disposition",
    "reason",
    "archived_sha256",
    "archived_md5",
    "archived_bytes",
    "sop_instance_uid",
    "series_uid",
    "study_uid",
    "study_date",
    "study_time",
    "series_description",
    "frames",
)
_CHANGED = frozenset({"source_changed", "source_vanished", "unreadable"})


def _rewriter(site: Site, request: RowMapping, folder: Requested, recipe: Recipe) -> Rewriter:
    """Return what rewrites the files, references to UIDs that the script replaces included."""
    key = site.secret.subkey(PURPOSE, request["project_id"])
    rewriter = Rewriter(folder, key)
    roles = [role for role in ROLES if recipe.may_replace(role)]
    if not roles:
        return rewriter
    with site.catalog.read() as connection:
        rows = {row["id"]: row for row in ledger.bearers(connection, request["id"])}

    def digest(uid: str) -> str:
        return site.secret.digest("uid", uid)

    def edited(row_id: int) -> Uids:
        return rewriter.uids(Source.of(rows[row_id]), recipe)

    borne = {INSTANCE: "sop_instance_uid", SERIES: "series_uid", STUDY: "study_uid"}
    known = [Bearer(id_, {tag: digest(row[name]) for tag, name in borne.items()}) for id_, row in rows.items()]
    return Rewriter(folder, key, Replacements(known, roles, digest, edited))


def refuse_conflict(reason: str | None, joining: Joining | None, *, replaces: bool) -> None:
    """Refuse to archive a session that cannot enter the archive as it is asked for (contract section 4.5).

    Args:
        reason: why the session cannot go to the archive, None if it can.
        joining: how its files join a session that is there.
        replaces: whether they may replace files that are there.

    Raises:
        Rejected: the reason, or `files_exist`.
    """
    if reason is not None:
        raise _stop(reason)
    if joining is not None and joining.verdicts and not replaces:
        raise _stop("files_exist")


def hand_over(connection: Connection, request: RowMapping, session: Mapping[str, Any] | RowMapping | None) -> None:
    """In the commit's transaction: the import that made the prearchive session has ended in the archived one.

    Raises:
        Rejected: `nothing_left`, when the script has dropped every file.
    """
    if session is None:
        raise _stop("nothing_left")
    prearchive.hand_over(connection, request["id"], request["prearchive_session_id"], session["id"])


def _stop(code: str) -> Rejected:
    reason = ending(code)
    return Rejected(code, reason.sentence, reason.hint)
