"""Rewriting the files of a folder by scripts, one by one, in this process or in several.

Belongs here: the way of one file to its place under a target folder. Does not belong here: which files, and into which
session (`anonymize_folder.py`); imports have a way of their own, through staging (`anonymize.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from inbox_pipeline.dicom.rewrite import rewrite
from inbox_pipeline.script import Script, ScriptError, compile_script
from inbox_pipeline.store.inbox import InboxFolder
from inbox_pipeline.store.staging import PART, replace_part

if TYPE_CHECKING:
    from pydicom import Dataset

STORAGE_FAILED = "storage_failed"
_UID = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True)
class Task:
    """One file to rewrite: its row, its path relative to the source folder, and where it goes below the target."""

    row_id: int
    source_path: bytes
    size: int
    folder: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Staged:
    """A rewritten file that waits beside its place, or the reason why there is none."""

    reason: str
    detail: str | None = None
    source_sha256: str | None = None
    archived_sha256: str | None = None
    sop_instance_uid: str = ""
    warnings: int = 0


class KeyedUids:
    """UIDs for scripts, the same ones in every process that has the key (PS3.5 section B.2: a UUID's 128 bits)."""

    def __init__(self, key: bytes, source_path: bytes) -> None:
        self._key = key
        self._source_path = source_path

    def new_uid(self, script_digest: str, call: int) -> str:
        """Return the UID of this call on this file."""
        return f"2.25.{self._number(b'new', self._source_path, script_digest.encode(), str(call).encode())}"

    def mapped_uid(self, prefix: str, value: str) -> str:
        """Return the UID that stands for a value."""
        return f"{prefix}.{self._number(b'mapped', prefix.encode(), value.encode('utf-8', 'surrogateescape'))}"

    def _number(self, *parts: bytes) -> int:
        digest = hmac.new(self._key, b"".join(len(part).to_bytes(8, "big") + part for part in parts), hashlib.sha256)
        return int.from_bytes(digest.digest()[:16], "big")


@lru_cache(maxsize=4)
def compiled(texts: tuple[str, ...]) -> tuple[Script, ...]:
    """Compile scripts, once per process.

    Raises:
        ScriptError: with line and column.
    """
    return tuple(compile_script(text) for text in texts)


@dataclass(frozen=True)
class Rewriter:
    """A source and a target folder, and the scripts in between; goes to other processes whole."""

    source: bytes
    target: Path
    scripts: tuple[str, ...]
    key: bytes

    def stage(self, task: Task) -> Staged:
        """Rewrite one file into `<row>.part` beside its place.

        A target that cannot be written is the reason `storage_failed`: errors of our own do not travel between
        processes, this does.
        """
        part = self._part(task)
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as dest:
                staged = self._rewrite(task, _Target(dest))
            if staged.reason != "archived":
                part.unlink()
        except (OSError, _TargetFailed) as error:
            return Staged(STORAGE_FAILED, type(error).__name__)
        return staged

    def settle(self, task: Task, staged: Staged, taken: set[str]) -> dict[str, object]:
        """Give a staged file its name, and return what becomes of its row.

        Args:
            task: the file.
            staged: what `stage` returned.
            taken: places given already; of two files that come to one place, the first has it.
        """
        place = f"{task.folder}/{staged.sop_instance_uid}.dcm"
        if staged.reason != "archived":
            return {"reason": staged.reason, "detail": staged.detail}
        if place in taken:
            self._part(task).unlink()
            return {"reason": "sop_uid_conflict"}
        taken.add(place)
        replace_part(self._part(task), self.target / place)
        return {
            "reason": "archived",
            "archived_path": place,
            "source_sha256": staged.source_sha256,
            "archived_sha256": staged.archived_sha256,
            "sop_instance_uid": staged.sop_instance_uid,
            "warnings": staged.warnings,
        }

    def _part(self, task: Task) -> Path:
        return self.target / task.folder / f"{task.row_id}{PART}"

    def _rewrite(self, task: Task, target: _Target) -> Staged:
        """Read the source once; whatever is wrong with it becomes a reason."""
        edit = _Edit(compiled(self.scripts), task.variables, KeyedUids(self.key, task.source_path))
        try:
            with InboxFolder(self.source) as folder, folder.open(task.source_path) as source:
                result = rewrite(source, cast(BinaryIO, target), edit, size=task.size)
        except ScriptError as error:
            return Staged("script_error", f"line {error.line}")
        except _ScriptRejected:
            return Staged("script_rejected")
        except OSError:
            return Staged("unreadable")
        except _TargetFailed:
            raise
        except Exception:  # noqa: BLE001 - whatever one hostile file provokes must not end the whole folder
            return Staged("anonymize_error")
        uid = result.sop_instance_uid or ""
        if not _UID.fullmatch(uid) or not result.study_instance_uid or not result.series_instance_uid:
            return Staged("missing_uid")
        return Staged("archived", None, result.source_sha256, result.output_sha256, uid, edit.warnings)


class _Edit:
    """Applies the scripts in order to one data set, and counts their warnings."""

    def __init__(self, scripts: Sequence[Script], variables: Mapping[str, str], uids: KeyedUids) -> None:
        self._scripts, self._variables, self._uids = scripts, variables, uids
        self.warnings = 0

    def __call__(self, dataset: Dataset) -> None:
        for script in self._scripts:
            outcome = script.apply(dataset, self._variables, uids=self._uids)
            if outcome.rejected:
                raise _ScriptRejected
            self.warnings += len(outcome.warnings)


class _Target:
    """The file that is written: its errors must not be taken for the source's."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        """Write all of `data`."""
        try:
            return self._file.write(data)
        except OSError:
            raise _TargetFailed from None


class _TargetFailed(Exception):
    """The target cannot be written."""


class _ScriptRejected(Exception):
    """A script dropped this instance."""
