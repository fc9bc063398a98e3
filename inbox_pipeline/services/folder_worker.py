"""One process's share of anonymizing a folder: files rewritten beside their places under a target folder.

Belongs here: what such a process is given, what it makes of a file, and what it reports. Does not belong here: which
files, and the order in which results are settled (`anonymize_folder.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inbox_pipeline.deid.pixel_rules import Rules
from inbox_pipeline.deid.pseudonyms import Keys, Pseudonyms
from inbox_pipeline.dicom.headers import Headers
from inbox_pipeline.script import compile_script
from inbox_pipeline.services.examine import open_folder
from inbox_pipeline.services.maps import Pairs
from inbox_pipeline.services.policies import PolicyChoice
from inbox_pipeline.services.processes import collect_rarely, end_with_parent, keep_freed_memory
from inbox_pipeline.services.profile import NO_RULES, Profile
from inbox_pipeline.services.recipe import CodedScript, Recipe, shortened
from inbox_pipeline.services.replacements import ROLES, Bearer, Replacements
from inbox_pipeline.services.rewriting import Rewriter, Source, Target, TargetFailed
from inbox_pipeline.services.stopped import Stopped
from inbox_pipeline.store.inbox import Requested
from inbox_pipeline.store.secret import Secret
from inbox_pipeline.store.staging import PART

STORAGE_FAILED = "storage_failed"


@dataclass(frozen=True, slots=True)
class Task:
    """One file to rewrite: its row, what was scanned, its session's number, and its folder below the target."""

    row_id: int
    source: Source
    session: int
    folder: str

    @property
    def part(self) -> str:
        """Where the file is written until it is settled, relative to the target."""
        return f"{self.folder}/{self.row_id}{PART}"


@dataclass(frozen=True, slots=True)
class Staged:
    """A rewritten file that waits beside its place, or the reason why there is none."""

    reason: str
    detail: str | None = None
    source_sha256: str | None = None
    archived_sha256: str | None = None
    sop_instance_uid: str = ""
    warnings: int = 0
    identifiers: int = 0
    pairs: Pairs | None = None


@dataclass(frozen=True)
class KeyedPolicy:
    """A policy with the keys of its project; goes to other processes, which pseudonyms themselves cannot."""

    choice: PolicyChoice
    keys: Keys
    rules: Rules = NO_RULES

    def profile(self) -> Profile:
        """Return the profile, which remembers within one process."""
        return Profile(self.choice, Pseudonyms(self.keys), self.rules)


@dataclass(frozen=True)
class Share:
    """What every process is given once.

    `variables` are those of each session by its number; `bearers` tell which file bears which original UID, under
    keyed digests made with `grouping`; `key` is the one for new and mapped UIDs.
    """

    source: bytes
    target: Path
    scripts: tuple[str, ...]
    strict: bool
    policy: KeyedPolicy
    key: bytes
    grouping: Secret
    variables: Mapping[int, Mapping[str, str]]
    tasks: Sequence[Task]
    bearers: Sequence[Bearer]
    pairs: bool = False


class FolderWorker:
    """Rewrites files of one share; `headers` remembers from file to file."""

    def __init__(self, share: Share, headers: Headers) -> None:
        coded = [
            CodedScript(0, f"script {number}", compile_script(text)) for number, text in enumerate(share.scripts, 1)
        ]
        self.tasks = share.tasks
        self._target, self._pairs = share.target, share.pairs
        self._folders: set[str] = set()
        profile = share.policy.profile()
        self._recipes = {
            number: Recipe(coded, given, share.strict, profile) for number, given in share.variables.items()
        }
        edited = {task.row_id: (task.source, self._recipes[task.session]) for task in share.tasks}
        self._source = open_folder(share.source)
        self._rewriter = rewriter_among(self._source, share.key, edited, share.bearers, share.grouping, headers)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def stage(self, task: Task) -> Staged:
        """Rewrite one file into its `.part`.

        A target that cannot be written is the reason `storage_failed`: errors of our own do not travel between
        processes, this does.
        """
        part = f"{self._target}/{task.part}"
        try:
            self._make(task.folder)
            with open(part, "wb", buffering=0) as dest:
                staged = self._rewritten(task, Target(dest))
            if staged.reason != "archived":
                os.unlink(part)  # noqa: PTH108 - as above
        except OSError as error:
            return Staged(STORAGE_FAILED, type(error).__name__)
        except TargetFailed as failed:
            return Staged(STORAGE_FAILED, str(failed))
        return staged

    def _make(self, folder: str) -> None:
        if folder not in self._folders:
            (self._target / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)

    def _rewritten(self, task: Task, target: Target) -> Staged:
        try:
            written = self._rewriter.write(
                task.source, self._recipes[task.session], target, pairs=self._pairs, md5=False
            )
        except Stopped as stop:
            return Staged(stop.code, stop.detail)
        result, warnings = written.result, written.warnings
        digests = (result.source_sha256, result.output_sha256)
        return Staged(
            "archived", shortened(warnings), *digests, written.uid, len(warnings), written.identifiers, written.pairs
        )


def rewriter_among(
    folder: Requested,
    key: bytes,
    edited: Mapping[int, tuple[Source, Recipe]],
    bearers: Sequence[Bearer],
    grouping: Secret,
    headers: Headers | None = None,
) -> Rewriter:
    """Return a rewriter whose references follow the UIDs that scripts replace within a set of files.

    Args:
        folder: the folder that sources are relative to.
        key: the one for new and mapped UIDs.
        edited: each file of the set and its recipe, by the file's number.
        bearers: which file bears which original UID.
        grouping: made their keyed digests.
        headers: remembers headers from file to file.
    """
    rewriter = Rewriter(folder, key, headers=headers)
    recipes = {id(recipe): recipe for _, recipe in edited.values()}.values()
    roles = [role for role in ROLES if any(recipe.may_replace(role) for recipe in recipes)]
    if roles:
        scripted = Rewriter(folder, key)
        rewriter.new_uid = Replacements(
            bearers, roles, lambda uid: grouping.digest("uid", uid), lambda row_id: scripted.uids(*edited[row_id])
        )
    return rewriter


_worker: FolderWorker | None = None


def start(share: Share) -> None:
    """Make this process ready for `stage`; a pool calls it once in each of its processes."""
    global _worker  # noqa: PLW0603 - a process of a pool has nowhere else to keep what it was given
    end_with_parent()
    collect_rarely()
    keep_freed_memory()
    _worker = FolderWorker(share, Headers())


def stage(number: int) -> Staged:
    """Rewrite the file of one of the share's tasks in a process that was made ready."""
    assert _worker is not None, "start has not been called in this process"  # noqa: S101
    return _worker.stage(_worker.tasks[number])
