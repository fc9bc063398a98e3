"""What anonymization scripts do to real files, before anything is imported.

Belongs here: the order of the work (scan and plan in memory, a trial of each file, tables). Does not belong here: the
edit itself, which is that of an import (`recipe.py`, `rewriting.py`), and how it is shown (`cli`).

The result holds patients' values: that is what it is for. Nothing is written anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import disposition_of, ending, ledger_reason, refusal
from inbox_pipeline.intake.verdict import some_lost
from inbox_pipeline.script import compile_script
from inbox_pipeline.script.differences import differences, text_or_blank
from inbox_pipeline.script.edits import Edits
from inbox_pipeline.script.errors import Place
from inbox_pipeline.script.levels import Root
from inbox_pipeline.services.compiling import check_script
from inbox_pipeline.services.examine import is_packed, open_folder
from inbox_pipeline.services.folder_plan import (
    ONE_LABEL,
    UNASSIGNED,
    FolderPlan,
    bearers_of,
    labels_asked,
    plan_entries,
    variables_of,
)
from inbox_pipeline.services.folder_worker import rewriter_among
from inbox_pipeline.services.preview_tables import Heading, Series
from inbox_pipeline.services.recipe import CodedScript, Recipe, Trace
from inbox_pipeline.services.rewriting import Rewriter, Source
from inbox_pipeline.services.stopped import Stopped
from inbox_pipeline.store.inbox import UNREADABLE, Entry, InboxFolder, Requested
from inbox_pipeline.store.secret import Secret

if TYPE_CHECKING:
    from pydicom import Dataset

_HEADING = (0x00200011, 0x0008103E, 0x00080060)
"""Series number, series description, modality."""


@dataclass(frozen=True)
class NamedScript:
    """A script's text and the name by which people know it."""

    name: str
    text: str


@dataclass(frozen=True)
class Order:
    """What to preview: scripts in order, on files and folders, as files of a project under these labels.

    `key` is the project's for new and mapped UIDs, None makes one for this call; `strict` stops files on which a line
    had no effect, as a strict project does.
    """

    scripts: Sequence[NamedScript]
    paths: Sequence[Path]
    project: str = UNASSIGNED
    subject: str | None = None
    session: str | None = None
    key: bytes | None = None
    strict: bool = False


@dataclass(frozen=True)
class Stop:
    """Why files have no table: a ledger's reason and detail, and the place in the script that `detail` names."""

    reason: str
    detail: str | None = None
    place: Place | None = None

    @property
    def sentence(self) -> str:
        """What the reason says."""
        return ledger_reason(self.reason).sentence

    @property
    def disposition(self) -> str:
        """What an import would call these files."""
        return disposition_of(self.reason)


@dataclass
class Preview:
    """What would happen: tables by series, and the files without one by what stopped them."""

    series: list[Series]
    stopped: dict[Stop, list[str]] = field(default_factory=dict)

    @property
    def files(self) -> int:
        """The number of files that have a table."""
        return sum(table.files for each in self.series for table in each.tables)

    @property
    def whole(self) -> bool:
        """Whether every file was previewed, dropped by a script on purpose, or is recognised litter."""
        return not some_lost({(stop.disposition, stop.reason): len(names) for stop, names in self.stopped.items()})


def preview(order: Order) -> Preview:
    """Return what the scripts do to the files, as an import with the same labels and key would do it.

    Raises:
        Rejected: `script_invalid`, `path_not_found`, `nothing_to_preview`, `several_studies_one_label`,
            `subject_label_illegal`, `session_label_illegal`.
    """
    for script in order.scripts:
        _require_compiles(script)
    asked, grouping = labels_asked(order.subject, order.session), Secret(token_bytes(32))
    root, covered = _covered(order.paths)
    with open_folder(root) as folder:
        plan = plan_entries(folder, _entries(folder, covered), asked, grouping)
        _require_some(plan)
        return _Trial(order, plan, folder, grouping).run()


def _require_compiles(script: NamedScript) -> None:
    try:
        check_script(script.text)
    except Rejected as error:
        error.data["script"] = script.name
        raise


def _covered(paths: Sequence[Path]) -> tuple[bytes, list[bytes]]:
    """Return the folder that holds everything asked for, and each path below it; "" is the folder itself.

    An archive file that is asked for by itself is such a folder.
    """
    if not all(path.exists() for path in paths):
        raise refusal("path_not_found")
    real = [path.resolve() for path in paths]
    if len(real) == 1 and is_packed(os.fsencode(real[0])):
        return os.fsencode(real[0]), [b""]
    root = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in real]))
    return os.fsencode(root), [os.fsencode(path.relative_to(root)) if path != root else b"" for path in real]


def _entries(folder: Requested, covered: Sequence[bytes]) -> list[Entry]:
    """Return what is to be looked at, each once, in byte order."""
    found = {entry.source_path: entry for below in covered for entry in _below(folder, below)}
    return [found[path] for path in sorted(found)]


def _below(folder: Requested, path: bytes) -> Iterator[Entry]:
    """Yield a file, or what a walk of a folder finds; "" is the folder itself."""
    entry = folder.entry(path) if path else None
    if entry is not None and entry.kind != UNREADABLE:
        yield entry
    elif not path:
        yield from folder.walk()
    else:
        yield from _walk_below(folder, path)


def _walk_below(folder: Requested, path: bytes) -> Iterator[Entry]:
    try:
        with InboxFolder(folder.real_path.rstrip(b"/") + b"/" + path) as inner:
            for each in inner.walk():
                yield replace(each, source_path=path + b"/" + each.source_path)
    except OSError:
        yield Entry(path, UNREADABLE)


def _require_some(plan: FolderPlan) -> None:
    if plan.studies:
        reason = ending(ONE_LABEL)
        raise Rejected(reason.code, reason.sentence.format(studies=plan.studies), reason.hint)
    if not plan.sessions:
        found = len(plan.rows)
        raise Rejected(
            "nothing_to_preview",
            f"None of the {found:,} files found is one that an import would anonymize.",
            "See `anonymize --report` for what each of them is.",
        )


class _Trial:
    """One preview at work: file by file, each forgotten when its table has counted it."""

    def __init__(self, order: Order, plan: FolderPlan, folder: Requested, grouping: Secret) -> None:
        coded = [CodedScript(0, script.name, compile_script(script.text)) for script in order.scripts]
        variables = {session.number: variables_of(order.project, session) for session in plan.sessions}
        recipes = {number: Recipe(coded, given, order.strict) for number, given in variables.items()}
        numbers = {row_id: session.number for session in plan.sessions for row_id in session.scans}
        self._rows = plan.rows
        self._edited = {row_id: (Source.of(plan.rows[row_id]), recipes[n]) for row_id, n in sorted(numbers.items())}
        bearers = bearers_of([plan.rows[row_id] for row_id in self._edited])
        key = order.key or token_bytes(32)
        self._rewriter: Rewriter = rewriter_among(folder, key, self._edited, bearers, grouping)
        self._series: dict[str, Series] = {}
        self._stopped: dict[Stop, list[str]] = {}

    def run(self) -> Preview:
        """Try every file."""
        for row in self._rows:
            if row["id"] in self._edited:
                self._try(row)
            else:
                self._stop(row, Stopped(row["reason"]))
        return Preview(list(self._series.values()), self._stopped)

    def _try(self, row: Mapping[str, Any]) -> None:
        source, recipe = self._edited[row["id"]]
        try:
            heading, tabled = self._rewriter.trial(source, recipe, _looked(recipe))
        except Stopped as stop:
            self._stop(row, stop)
            return
        series = self._series.setdefault(row["series_key"], Series(heading))
        series.add(_name(row), *tabled)

    def _stop(self, row: Mapping[str, Any], stop: Stopped) -> None:
        fault = stop.fault
        place = Place(fault.line, fault.column, fault.source_line) if fault else None
        self._stopped.setdefault(Stop(stop.code, stop.detail, place), []).append(_name(row))


def _looked(recipe: Recipe) -> Any:
    """Return what is asked of a trial: the series' heading, what differs, and what was done."""

    def look(before: Dataset, after: Dataset, trace: Trace) -> tuple[Heading, tuple[Any, Trace]]:
        return _heading(before, recipe.variables), (differences(before, after), trace)

    return look


def _heading(dataset: Dataset, variables: Mapping[str, str]) -> Heading:
    root = Root(dataset, Edits())
    number, description, modality = (text_or_blank(root, tag) for tag in _HEADING)
    return Heading(number, description, modality, variables)


def _name(row: Mapping[str, Any]) -> str:
    """Return a file's path, relative to the folder that holds everything asked for."""
    path: bytes = row["source_path"]
    return path.decode("utf-8", "backslashreplace")
