"""Step 3, anonymize: each pending file rewritten into staging by the scripts in force, made durable in batches.

Belongs here: which scripts run on a session, and the way of one file from inbox to staging. Does not belong here: the
scripts' language (`script`), the rewriting of bytes (`dicom/rewrite.py`).
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from sqlalchemy.engine import RowMapping

from inbox_pipeline.dicom.codes import append_method_code
from inbox_pipeline.dicom.errors import NotReadable, NotWritable
from inbox_pipeline.dicom.rewrite import Rewritten, rewrite
from inbox_pipeline.errors import InboxError, LeaseLost, Rejected, Unavailable
from inbox_pipeline.intake.reasons import disposition_of
from inbox_pipeline.intake.sessions import ARCHIVE
from inbox_pipeline.script import Script, ScriptError
from inbox_pipeline.services.scan import open_folder
from inbox_pipeline.services.scripts import active_script, compiled
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import leases, ledger, requests
from inbox_pipeline.store.catalog.leases import Lease
from inbox_pipeline.store.inbox import InboxFolder, file_inode
from inbox_pipeline.store.staging import PART, Staging, replace_part

if TYPE_CHECKING:
    from pydicom import Dataset

BATCH_FILES = 500
BATCH_SECONDS = 5.0
_UID = re.compile(r"[0-9.]{1,64}")
_UNSTAGED: dict[str, Any] = {
    "source_sha256": None,
    "staged_name": None,
    "archived_sha256": None,
    "archived_md5": None,
    "archived_bytes": None,
    "sop_instance_uid": None,
    "sop_class_uid": None,
    "series_uid": None,
    "study_uid": None,
    "warnings": 0,
}


@dataclass(frozen=True)
class CodedScript:
    """A compiled script with the id under which files record it."""

    id: int
    script: Script


@dataclass
class Recipe:
    """What is done to the files of one session: scripts in order, and the variables they see."""

    scripts: Sequence[CodedScript]
    variables: Mapping[str, str]
    warnings: int = 0

    def edit(self, dataset: Dataset) -> None:
        """Apply the scripts and record each in (0012,0064), as XNAT does (specification section 2.10)."""
        for coded in self.scripts:
            outcome = coded.script.apply(dataset, dict(self.variables))
            if outcome.rejected:
                raise _Stopped("script_rejected")
            self.warnings += len(outcome.warnings)
            if coded.id:
                generation = "4" if coded.script.language == "4.2" else "6"
                append_method_code(dataset, str(coded.id), f"XNAT DicomEdit {generation} Script")


def anonymize(site: Site, lease: Lease, staging: Staging, check: Callable[[], None]) -> None:
    """Stage every pending file that belongs to a session.

    Raises:
        Rejected: `script_broken`, `path_gone`.
        Unavailable: `storage_failed`.
    """
    with site.catalog.read() as connection:
        request = requests.get(connection, lease.request_id)
        plans = {plan["number"]: plan for plan in requests.planned_sessions(connection, lease.request_id)}
        rows = [row for row in ledger.pending(connection, lease.request_id) if not row["staged_name"]]
    if request is None:
        raise Rejected("request_not_found", "The request is gone.", "")
    recipes = {number: recipe_for(site, plan) for number, plan in plans.items()}
    with open_folder(request["source_path"]) as folder:
        worker = _Worker(site, lease, staging, folder, recipes)
        for row in rows:
            check()
            worker.take(row)
        worker.flush()


def recipe_for(site: Site, plan: RowMapping) -> Recipe:
    """Return what is done to a planned session: site script at import, project script on entering the archive.

    Raises:
        Rejected: `script_broken`.
    """
    scopes = [None, plan["project_id"]] if plan["destination"] == ARCHIVE else [None]
    stored = [script for scope in scopes if (script := active_script(site, scope)) and script.enabled]
    variables = {
        "project": plan["project_id"],
        "subject": plan["subject_label"],
        "session": plan["session_label"],
    }
    return Recipe([CodedScript(script.id, compiled(site, script)) for script in stored], variables)


class _Stopped(Exception):
    """This file cannot be staged; `code` is its reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Dest:
    """A file in staging whose write errors are the storage's, never the source's."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise storage_failed(error) from None

    def write(self, data: bytes) -> int:
        """Write all of `data`."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise storage_failed(error) from None
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Worker:
    """Rewrites file by file, and writes rows to the ledger once their bytes are durable."""

    def __init__(
        self, site: Site, lease: Lease, staging: Staging, folder: InboxFolder, recipes: Mapping[int, Recipe]
    ) -> None:
        self.site, self.lease, self.staging, self.folder, self.recipes = site, lease, staging, folder, recipes
        self.taken = staged_uids(site, lease.request_id)
        self.done: list[dict[str, Any]] = []
        self.since = time.monotonic()

    def take(self, row: RowMapping) -> None:
        """Stage one file, or note why it cannot be."""
        recipe = self.recipes[row["session_number"]]
        recipe.warnings = 0
        self.done.append({"row_id": row["id"], **_UNSTAGED, **self._staged(row, recipe)})
        if len(self.done) >= BATCH_FILES or time.monotonic() - self.since > BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Make the staged bytes durable, then their rows."""
        if self.done:
            try:
                self.staging.sync()
            except OSError as error:
                raise storage_failed(error) from None
            with self.site.catalog.write() as connection:
                ledger.update_rows(connection, self.done)
                leases.count_durable(connection, self.lease, sum(1 for row in self.done if row["staged_name"]))
        self.done, self.since = [], time.monotonic()

    def _staged(self, row: RowMapping, recipe: Recipe) -> dict[str, Any]:
        try:
            scan_path = self.staging.scan_path(row["session_number"], row["scan_label"])
            part = scan_path / f"{row['id']}{PART}"
            return self._accept(row, self._rewrite(row, recipe, part), part, recipe)
        except _Stopped as stop:
            return _ended(stop.code)
        except ScriptError as error:
            return _ended("script_error", f"line {error.line}")
        except OSError as error:
            raise storage_failed(error) from None

    def _rewrite(self, row: RowMapping, recipe: Recipe, part: Path) -> Rewritten:
        """Read the source once and write the result beside its final place; the source must be what was scanned."""
        try:
            with self.folder.open(row["source_path"]) as source:
                _require_same(source, row)
                dest = _Dest(part)
                try:
                    result = rewrite(source, cast(BinaryIO, dest), recipe.edit, size=row["bytes"])
                finally:
                    dest.close()
                _require_same(source, row)
                return result
        except FileNotFoundError:
            raise _Stopped("source_vanished") from None
        except OSError:
            raise _Stopped("unreadable") from None
        except (NotReadable, NotWritable):
            raise _Stopped("anonymize_error") from None
        except (InboxError, ScriptError, _Stopped):
            raise
        except Exception:  # noqa: BLE001 - whatever one hostile file provokes must not end the whole request
            raise _Stopped("anonymize_error") from None

    def _accept(self, row: RowMapping, result: Rewritten, part: Path, recipe: Recipe) -> dict[str, Any]:
        uid = result.sop_instance_uid or ""
        if not _UID.fullmatch(uid) or not result.study_instance_uid or not result.series_instance_uid:
            return _ended("missing_uid")
        if (row["session_number"], uid) in self.taken:
            return _ended("sop_uid_conflict")
        self.taken.add((row["session_number"], uid))
        final = part.with_name(f"{uid}.dcm")
        replace_part(part, final)
        return {
            "disposition": "pending",
            "reason": "waiting",
            "detail": None,
            "source_sha256": result.source_sha256,
            "staged_name": final.name,
            "archived_sha256": result.output_sha256,
            "archived_md5": result.output_md5,
            "archived_bytes": result.output_bytes,
            "sop_instance_uid": uid,
            "sop_class_uid": result.sop_class_uid or "",
            "series_uid": result.series_instance_uid,
            "study_uid": result.study_instance_uid,
            "warnings": recipe.warnings,
        }


def staged_uids(site: Site, request_id: int) -> set[tuple[int, str]]:
    """Return the (session number, SOP Instance UID) pairs that a request has staged already."""
    with site.catalog.read() as connection:
        return {
            (row["session_number"], row["sop_instance_uid"])
            for row in ledger.pending(connection, request_id)
            if row["staged_name"]
        }


def storage_failed(error: OSError) -> Unavailable:
    """Return the error for a storage that does not accept what is written."""
    if isinstance(error, FileNotFoundError):
        return LeaseLost("lease_lost", "The staging folder was taken over by another attempt.", "Follow the newer run.")
    name = errno.errorcode.get(error.errno or 0, "OSError")
    return Unavailable(
        "storage_failed", f"The storage did not accept the files ({name}).", "Check disk space and rights, then retry."
    )


def _require_same(source: BinaryIO, row: RowMapping) -> None:
    info = os.fstat(source.fileno())
    if (info.st_size, info.st_mtime_ns, file_inode(info)) != (row["bytes"], row["mtime_ns"], row["inode"]):
        raise _Stopped("source_changed")


def _ended(code: str, detail: str | None = None) -> dict[str, Any]:
    return {"disposition": disposition_of(code), "reason": code, "detail": detail}
