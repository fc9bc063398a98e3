"""The anonymize step alone: a folder or archive file in, a folder out, no server and no catalog.

Belongs here: the order of the work (scan and plan in memory, rewrite, report). Does not belong here: the decisions,
which are those of an import, and the terminal (`cli`).

Nothing is written to the source. A session that an import would leave waiting in the prearchive (`label_taken`,
`patient_conflict`) is held: here is no prearchive in which a person could look at it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes

from inbox_pipeline.deid.pseudonyms import Keys
from inbox_pipeline.dicom.headers import Headers
from inbox_pipeline.errors import Rejected, Unavailable
from inbox_pipeline.intake.reasons import disposition_of, refusal
from inbox_pipeline.intake.requests import ImportParameters
from inbox_pipeline.intake.sessions import PlannedSession
from inbox_pipeline.intake.verdict import REASON_WORDS, SessionEnd, judge
from inbox_pipeline.services.compiling import check_script
from inbox_pipeline.services.examine import entries, is_packed, open_folder
from inbox_pipeline.services.folder_plan import (
    ONE_LABEL,
    UNASSIGNED,
    Row,
    bearers_of,
    labels_asked,
    plan_examined,
    variables_of,
)
from inbox_pipeline.services.folder_scan import Look, examined
from inbox_pipeline.services.folder_worker import (
    STORAGE_FAILED,
    FolderWorker,
    KeyedPolicy,
    Share,
    Staged,
    Task,
    stage,
    start,
)
from inbox_pipeline.services.maps import Pairs
from inbox_pipeline.services.policies import PolicyChoice
from inbox_pipeline.services.processes import helpers_context, rewriting_many
from inbox_pipeline.services.replacements import ROLES
from inbox_pipeline.services.rewriting import Source
from inbox_pipeline.store.secret import Secret
from inbox_pipeline.store.staging import replace_part

LARGEST_CHUNK, CHUNKS_PER_JOB = 16, 4
"""How many files a process is given at once: few enough that all are busy to the end."""
HELD_WORDS = {
    "label_taken": "held because another study has their label",
    "patient_conflict": "held because their study holds several patients",
}
LEDGER_MEMBERS = (
    "source_path",
    "disposition",
    "reason",
    "detail",
    "bytes",
    "source_sha256",
    "archived_path",
    "archived_sha256",
    "project",
    "session",
    "scan",
    "sop_instance_uid",
    "deleted_at",
    "warnings",
    "identifiers",
)

REPORTED = ("source_path", "disposition", "reason", "detail", "bytes", "number", "subject_label", "session", "scan")
"""What the plan says of a file that is told at the end."""

Stop = tuple[str, Mapping[str, object]] | None


@dataclass(frozen=True)
class Order:
    """What to anonymize and how.

    `scripts` are texts, applied in order; `jobs` is a number of processes; `key` is the project's for new and mapped
    UIDs, None makes one for this call; `strict_script` holds files on which a line of a script had no effect; `policy`
    follows the scripts, None is policy `none`, under which `strict_identifiers` holds what still holds identifiers;
    `pairs` asks what became of each UID and PatientID.
    """

    source: Path
    target: Path
    scripts: tuple[str, ...]
    project: str = UNASSIGNED
    subject: str | None = None
    session: str | None = None
    jobs: int = 1
    key: bytes | None = None
    strict_script: bool = False
    policy: KeyedPolicy | None = None
    strict_identifiers: bool = False
    pairs: bool = False


@dataclass
class Result:
    """How it went: `outcome` as of an import, one sentence, a row per file found, as in a ledger, and what became of
    identifiers, if that was asked.
    """

    outcome: str
    verdict: str
    rows: list[Row] = field(default_factory=list)
    pairs: Pairs = field(default_factory=Pairs)


def anonymize_folder(order: Order, progress: Callable[[int, int], None] = lambda done, total: None) -> Result:
    """Anonymize every instance under `order.source` into `order.target`/<subject>/<session>/<scan>/<new UID>.dcm.

    Args:
        order: what to do.
        progress: called with the number of files done and to do.

    Raises:
        Rejected: `script_invalid`, `path_not_found`, `path_not_a_folder`, `folders_overlap`, `subject_label_illegal`,
            `session_label_illegal`, `archive_file_not_supported`.
        Unavailable: `storage_failed`, when the target cannot be written.
    """
    scripts = [check_script(text) for text in order.scripts]
    follows = any(script.may_assign(role) for script in scripts for role in ROLES)
    asked = _asked(order)
    grouping = Secret(token_bytes(32))
    headers = Headers()
    with rewriting_many():
        found, sessions, stop = _plan(order, asked, grouping, headers)
        share = _share(order, found, sessions, grouping, follows)
        _forget_plan(found)
        pairs = _rewrite_all(share, order.jobs, found, headers, progress)
    return _result(order, found, sessions, stop, pairs)


def _asked(order: Order) -> ImportParameters:
    """Check paths and labels."""
    if not order.source.exists():
        raise refusal("path_not_found")
    if not order.source.is_dir() and not is_packed(_real(order.source)):
        raise refusal("path_not_a_folder")
    source, target = order.source.resolve(), order.target.resolve()
    if source.is_relative_to(target) or target.is_relative_to(source):
        raise Rejected("folders_overlap", "One of the two folders lies in the other.", "Choose another target.")
    return labels_asked(order.subject, order.session)


def _plan(
    order: Order, asked: ImportParameters, grouping: Secret, headers: Headers
) -> tuple[list[Row], list[PlannedSession], Stop]:
    """Scan and validate in memory; the keys that group files are good for this one call."""
    source = _real(order.source)
    policy = order.policy if order.policy is not None and order.policy.choice.basic else None
    look = Look(source, asked.subject_label, asked.session_label, grouping, policy)
    with open_folder(source) as folder:
        rows = examined(look, folder, entries(folder, None), order.jobs, headers)
        plan = plan_examined(folder, rows, asked.session_label)
    return plan.rows, plan.sessions, (ONE_LABEL, {"studies": plan.studies}) if plan.studies else None


def _share(
    order: Order, found: Sequence[Row], sessions: Sequence[PlannedSession], grouping: Secret, follows: bool
) -> Share:
    """Say what is to be rewritten; files of a session that must wait are held.

    Which file bears which UID is told if references must follow what scripts replace.
    """
    tasks = sorted(_tasks(found, sessions), key=lambda task: task.row_id)
    return Share(
        source=_real(order.source),
        target=order.target,
        scripts=order.scripts,
        strict=order.strict_script,
        policy=order.policy or _policy_none(order, grouping),
        key=order.key or token_bytes(32),
        grouping=grouping,
        variables={session.number: variables_of(order.project, session) for session in sessions},
        tasks=tasks,
        bearers=bearers_of([found[task.row_id] for task in tasks]) if follows else (),
        pairs=order.pairs,
    )


def _policy_none(order: Order, grouping: Secret) -> KeyedPolicy:
    """Policy `none` asks its keys for nothing."""
    choice = PolicyChoice(strict_identifiers=order.strict_identifiers)
    return KeyedPolicy(choice, Keys.derived(grouping.subkey, order.project))


def _forget_plan(found: list[Row]) -> None:
    """Leave in the rows only what the report tells: there may be very many."""
    for number, row in enumerate(found):
        found[number] = {name: row[name] for name in REPORTED if name in row}


def _tasks(found: Sequence[Row], sessions: Iterable[PlannedSession]) -> Iterator[Task]:
    for session in sessions:
        for row_id, scan in session.scans.items():
            row = found[row_id]
            row |= {"number": session.number, "session": session.session_label, "scan": scan}
            if session.reason is not None:
                row |= {"disposition": "held", "reason": session.reason}
            else:
                folder = f"{session.subject_label}/{session.session_label}/{scan}"
                yield Task(row_id, Source.of(row), session.number, folder)


def _rewrite_all(
    share: Share, jobs: int, found: Sequence[Row], headers: Headers, progress: Callable[[int, int], None]
) -> Pairs:
    """Rewrite in this process, or in several; two files that come out with one UID are settled in order.

    Returns:
        what became of identifiers, if that was asked.

    Raises:
        Unavailable: `storage_failed`.
    """
    taken: set[str] = set()
    pairs = Pairs()
    with ExitStack() as stack:
        results = _staged(share, jobs, headers, stack)
        for done, (task, staged) in enumerate(zip(share.tasks, results, strict=True), 1):
            if staged.reason == STORAGE_FAILED:
                raise Unavailable(
                    STORAGE_FAILED, f"The target did not accept the files ({staged.detail}).", "Check space and rights."
                )
            change = _settled(share.target, task, staged, taken)
            found[task.row_id].update(change, disposition=disposition_of(str(change["reason"])))
            if staged.pairs is not None:
                pairs.add(staged.pairs)
            progress(done, len(share.tasks))
    return pairs


def _staged(share: Share, jobs: int, headers: Headers, stack: ExitStack) -> Iterator[Staged]:
    if jobs == 1:
        worker = FolderWorker(share, headers)
        stack.callback(worker.close)
        return map(worker.stage, share.tasks)
    pool = stack.enter_context(ProcessPoolExecutor(jobs, helpers_context(), start, (share,)))
    stack.callback(pool.shutdown, cancel_futures=True)
    chunk = max(1, min(LARGEST_CHUNK, len(share.tasks) // (CHUNKS_PER_JOB * jobs)))
    return pool.map(stage, range(len(share.tasks)), chunksize=chunk)


def _settled(target: Path, task: Task, staged: Staged, taken: set[str]) -> Row:
    """Give a staged file its name, and return what becomes of its row; of two files for one place, the first has it."""
    if staged.reason != "archived":
        return {"reason": staged.reason, "detail": staged.detail}
    place = f"{task.folder}/{staged.sop_instance_uid}.dcm"
    if place in taken:
        (target / task.part).unlink()
        return {"reason": "sop_uid_conflict"}
    taken.add(place)
    replace_part(f"{target}/{task.part}", f"{target}/{place}")
    return {
        "reason": "archived",
        "detail": staged.detail,
        "archived_path": place,
        "source_sha256": staged.source_sha256,
        "archived_sha256": staged.archived_sha256,
        "sop_instance_uid": staged.sop_instance_uid,
        "warnings": staged.warnings,
        "identifiers": staged.identifiers,
    }


def _result(order: Order, found: list[Row], sessions: Iterable[PlannedSession], stop: Stop, pairs: Pairs) -> Result:
    """Judge as an import is judged, and say it in this command's words."""
    counts = Counter((row["disposition"], row["reason"]) for row in found)
    filled = {row["number"] for row in found if row["disposition"] == "archived"}
    ends = [
        SessionEnd(session.number, "ARCHIVED" if session.reason is None else session.state, session.reason)
        for session in sessions
        if session.reason is not None or session.number in filled
    ]
    outcome = judge(counts, ends, stop).outcome
    for number, row in enumerate(found):
        found[number] = _reported(order, row)  # in its place: a copy of many rows would double them
    return Result(outcome, _sentence(outcome, counts, len(filled)), found, pairs)


def _sentence(outcome: str, counts: Counter[tuple[str, str]], sessions: int) -> str:
    done, found = counts["archived", "archived"], counts.total()
    files, into = "file" if found == 1 else "files", "session" if sessions == 1 else "sessions"
    rest = sorted(((n, reason) for (kind, reason), n in counts.items() if kind != "archived"), reverse=True)
    tail = ", ".join(f"{n:,} {HELD_WORDS.get(reason, REASON_WORDS[reason])}" for n, reason in rest)
    sentence = f"{outcome.capitalize()}: {done:,} of {found:,} {files} anonymized into {sessions:,} {into}"
    return f"{sentence}; {tail}." if tail else f"{sentence}."


def _reported(order: Order, row: Row) -> Row:
    """Return a row in the form of the ledger (DESIGN section 6); `archived_path` is relative to the target."""
    members = {name: row.get(name) for name in LEDGER_MEMBERS}
    source_path = row["source_path"].decode("utf-8", "backslashreplace")
    return {**members, "source_path": source_path, "project": order.project, "subject": row.get("subject_label")}


def _real(path: Path) -> bytes:
    return os.fsencode(path.resolve())
