"""What is proved of the files that a request has committed: the checks that a run shows as asset checks.

Belongs here: which files are looked at, and the results as counts. Does not belong here: the judgements
(`deid/crossfile.py`, `dciodvfy.py`) and their form for operators (`pipeline`).

Sources and outputs are read once more, after the commit and before cleanup, so that nothing of a source has to be kept.
Under policy `none` nothing is promised across files, and only the identifiers that were found are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, TypedDict

from sqlalchemy.engine import RowMapping

from inbox_pipeline.deid.crossfile import Check, FileFacts, judge
from inbox_pipeline.deid.policy import METHOD_CODES, Policy
from inbox_pipeline.errors import InboxError, Rejected
from inbox_pipeline.services import dciodvfy
from inbox_pipeline.services.care import Care
from inbox_pipeline.services.examine import open_folder
from inbox_pipeline.services.file_facts import look
from inbox_pipeline.services.policies import PolicyChoice
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import ledger, requests
from inbox_pipeline.store.inbox import Requested

ACROSS_FILES = 5_000
"""So many files of a request are compared with their sources; of a larger one, files at equal distances in path order.
This bounds memory (about 5 kB a file) and time (about 10 ms a file)."""
CONFORMANCE_FILES = 50
"""So many files of a request go to dciodvfy: the first of each series, in the order of their paths."""
_NAMES = {name: name for name in ("uids_consistent", "references_resolve", "intervals_kept", "markers_present")} | {
    "patients_not_merged": "patients_apart"
}
"""The judgements that are shown. One PatientID for all of a patient's files is not promised: the script that a site
begins with writes the session's label into it, as XNAT's does."""


class Result(TypedDict):
    """One check: how many things were looked at, how many are wrong, and how many could not be looked at."""

    name: str
    checked: int
    failed: int
    unchecked: int


def run_checks(site: Site, request_id: int, care: Care, check: Callable[[], None]) -> list[Result]:
    """Return the checks of what a request has committed; no value of a file is in them.

    A folder that is gone by now undoes nothing: its files count as not looked at.
    """
    with site.catalog.read() as connection:
        request = requests.get(connection, request_id)
        rows = ledger.committed(connection, request_id)
        held = ledger.with_reason(connection, request_id, "identifier_found")
    if request is None or not rows:
        return []
    results = [_identifiers(rows, len(held))]
    choice = PolicyChoice.of(request)
    if choice.basic:
        with ExitStack() as stack:
            files = _Files(site, _opened(request["source_path"], stack), care, check)
            results += _across(files, rows, Policy.of(choice.options))
            results += _conformance(files, rows)
    return results


def _opened(source_path: bytes, stack: ExitStack) -> Requested | None:
    """Open a request's folder for as long as `stack` lasts; None if it is gone."""
    try:
        folder: Requested = open_folder(source_path)
        return stack.enter_context(folder)
    except Rejected:
        return None


def _identifiers(rows: Sequence[RowMapping], held: int) -> Result:
    """Every committed file was searched when it was written; those that were held did not get here."""
    return _result("identifiers_absent", len(rows) + held, sum(1 for row in rows if row["identifiers"]))


class _Files:
    """Opens the source and the output of a ledger row."""

    def __init__(self, site: Site, folder: Requested | None, care: Care, check: Callable[[], None]) -> None:
        self._folder, self._care, self._check = folder, care, check
        self._roots = {"archived": site.settings.archive_path, "prearchived": site.settings.prearchive_path}

    def in_order(self, rows: Sequence[RowMapping]) -> Sequence[RowMapping]:
        """Return rows in the order in which their sources are read with the least work."""
        return rows if self._folder is None else self._folder.in_order(rows)

    def open(self, row: RowMapping, stack: ExitStack) -> tuple[BinaryIO, BinaryIO]:
        """Open both for as long as `stack` lasts. Raises OSError, also for a file at which workers died."""
        self._check()
        if self._folder is None or self._care.is_deadly(row["path_digest"]):
            raise FileNotFoundError
        stack.enter_context(self._care.at(row["path_digest"]))
        source = stack.enter_context(self._folder.open(row["source_path"]))
        path: Path = self._roots[row["disposition"]] / row["archived_path"]
        return source, stack.enter_context(path.open("rb"))


def _across(files: _Files, rows: Sequence[RowMapping], policy: Policy) -> list[Result]:
    sample = rows[:: -(-len(rows) // ACROSS_FILES)]
    counts = Counter(files=len(rows) - len(sample))
    facts = list(_facts(files, sample, policy, counts))
    checks = judge(facts, (*policy.markers(), METHOD_CODES))
    return [_of_check(each, counts) for each in checks if each.name in _NAMES]


def _facts(files: _Files, rows: Sequence[RowMapping], policy: Policy, counts: Counter[str]) -> Iterator[FileFacts]:
    """Read what can be read; `counts` takes up what cannot, and references that are no longer there."""
    for row in files.in_order(rows):
        try:
            with ExitStack() as stack:
                looked = look(*files.open(row, stack), policy)
        except InboxError:
            raise
        except Exception:  # noqa: BLE001 - whatever pydicom makes of a hostile source must not end a commit
            counts["files"] += 1
            continue
        counts["references_resolve"] += looked.removed
        yield looked.facts


def _of_check(check: Check, counts: Counter[str]) -> Result:
    return _result(_NAMES[check.name], check.checked, check.failed, counts["files"] + counts[check.name])


def _conformance(files: _Files, rows: Sequence[RowMapping]) -> list[Result]:
    """Ask dciodvfy, if it is there, whether outputs have errors of a kind that their sources have not."""
    program = dciodvfy.checker()
    if program is None:
        return []
    firsts = {(row["session_number"], row["scan_label"], row["sop_class_uid"]): row for row in reversed(rows)}
    asked = sorted(firsts.values(), key=lambda row: bytes(row["source_path"]))[:CONFORMANCE_FILES]
    answers = [_new_kinds(program, files, row) for row in asked]
    told = [answer for answer in answers if answer is not None]
    return [_result("conformance", len(told), sum(1 for kinds in told if kinds), len(answers) - len(told))]


def _new_kinds(program: Path, files: _Files, row: RowMapping) -> set[str] | None:
    try:
        with ExitStack() as stack:
            return dciodvfy.new_kinds(program, *files.open(row, stack))
    except OSError:
        return None


def _result(name: str, checked: int, failed: int, unchecked: int = 0) -> Result:
    return {"name": name, "checked": checked, "failed": failed, "unchecked": unchecked}


def sentence_of(result: Result) -> str:
    """Return what a check says, for people."""
    return f"{SENTENCES[result['name']]}: {result['checked']:,} looked at, {result['failed']:,} wrong."


SENTENCES = {
    "identifiers_absent": "No output holds one of its patient's own identifiers",
    "uids_consistent": "One original UID became one new one, and two became two",
    "references_resolve": "References that led to a file of this request still do",
    "patients_apart": "No two patients share a PatientID",
    "intervals_kept": "All dates of a patient moved by the same number of days",
    "markers_present": "Every output says how it was de-identified",
    "conformance": "dciodvfy finds no kind of error that the source does not have",
}
"""What each check proves when nothing is wrong."""
