"""What scripts did to the files of a series, as tables: files that changed alike share one.

Belongs here: which line did a difference, and adding file after file to tables that do not grow with their number.
Does not belong here: reading files (`preview.py`), layout (`cli`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from inbox_pipeline.script import Change
from inbox_pipeline.script.differences import Comparison, Difference
from inbox_pipeline.script.edits import Location
from inbox_pipeline.script.script import Script
from inbox_pipeline.services.recipe import Trace

REFERENCE = "reference"
ACTIONS = {
    "set": "given a value; created if it was not there",
    "delete": "removed",
    "empty": "value taken away, or an item emptied",
    "create": "sequence, item or private creator made on the way to another element",
    "recode": "same text, written in another character set",
    "pixels": "pixel data altered",
    REFERENCE: "follows a UID that a script has replaced; no line of its own",
}
"""What each action means."""

_ANY_ITEM = -1


@dataclass(frozen=True)
class Cause:
    """What did a difference: the action, and the line of the script that did it last, if it was a line."""

    action: str
    script: str | None = None
    line: int | None = None
    source: str | None = None


@dataclass
class Values:
    """The values that an element had in several places or files: one of them, and how many distinct ones there are."""

    example: str | None
    _seen: set[int] = field(default_factory=set)

    def add(self, text: str | None) -> None:
        """Count one more value."""
        self._seen.add(hash(text))

    @property
    def distinct(self) -> int:
        """The number of distinct values; none counts as one."""
        return len(self._seen)


@dataclass
class Row:
    """One row of a table. `changes` counts the elements of all files that it stands for."""

    location: Location
    name: str
    cause: Cause
    before: Values
    after: Values
    changes: int = 0

    def add(self, difference: Difference) -> None:
        """Count one more difference; item numbers that are not the same everywhere are no longer told."""
        self.location = tuple(
            mine if mine == its else _ANY_ITEM for mine, its in zip(self.location, difference.location, strict=True)
        )
        self.before.add(difference.before)
        self.after.add(difference.after)
        self.changes += 1

    @property
    def path(self) -> str:
        """The path as scripts write it; `[*]` stands for several items."""
        return Difference(self.location, "", None, None).path.replace(f"[{_ANY_ITEM}]", "[*]")


@dataclass
class Table:
    """What happened to files that changed alike. `unchanged` is the least and the most root elements that stayed."""

    example: str
    rows: list[Row]
    unchanged: tuple[int, int]
    files: int = 0
    warnings: Counter[str] = field(default_factory=Counter)
    no_effect: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Heading:
    """What people know a series by, and the variables that its scripts saw."""

    number: str
    description: str
    modality: str
    variables: Mapping[str, str]


_Shape = tuple[tuple[Location, bool, Cause], ...]


@dataclass
class Series:
    """The tables of one series."""

    heading: Heading
    _tables: dict[_Shape, Table] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        """The tables, the one of most files first."""
        return sorted(self._tables.values(), key=lambda table: -table.files)

    def add(self, name: str, comparison: Comparison, trace: Trace) -> None:
        """Add what happened to one file of that name."""
        causes = Causes(trace)
        caused = [(difference, causes.of(difference.location)) for difference in comparison.rows]
        grouped: dict[tuple[Location, bool, Cause], list[Difference]] = {}
        for difference, cause in caused:
            at = difference.location
            grouped.setdefault((at[::2], bool(len(at) % 2), cause), []).append(difference)
        shape, stayed = tuple(grouped), comparison.unchanged
        if shape not in self._tables:
            rows = [_row(found[0], cause) for (_, _, cause), found in grouped.items()]
            self._tables[shape] = Table(name, rows, (stayed, stayed))
        _count(self._tables[shape], grouped.values(), stayed, trace)


def _row(difference: Difference, cause: Cause) -> Row:
    before, after = Values(difference.before), Values(difference.after)
    return Row(difference.location, difference.name, cause, before, after)


def _count(table: Table, grouped: Iterable[list[Difference]], unchanged: int, trace: Trace) -> None:
    for row, found in zip(table.rows, grouped, strict=True):
        for difference in found:
            row.add(difference)
    table.files += 1
    table.unchanged = (min(table.unchanged[0], unchanged), max(table.unchanged[1], unchanged))
    table.no_effect.update(trace.skipped)
    table.warnings.update(sentence for sentence in trace.warnings if sentence not in trace.skipped)


class Causes:
    """Finds what did a difference in the journals of what was done to a file."""

    def __init__(self, trace: Trace) -> None:
        self._by_location: dict[Location, Cause] = {}
        for applied in trace.applied:
            lines = script_lines(applied.coded.script)
            for change in applied.outcome.changes:
                self._note(change, Cause(change.action, applied.coded.name, change.line, lines[change.line - 1]))
        for change in trace.followed:
            self._by_location[change.location] = Cause(REFERENCE)

    def of(self, location: Location) -> Cause:
        """Return what did the difference there: to the element itself, else to what it lies in, else to what is in it.

        Raises:
            LookupError: when no edit was made there; then a journal is not complete.
        """
        around = (location[:length] for length in range(len(location), 0, -1))
        found = next((at for at in around if at in self._by_location), None)
        if found is None:
            found = next((at for at in self._by_location if at[: len(location)] == location), None)
        if found is None:
            raise LookupError("no edit is known for a difference")
        return self._by_location[found]

    def _note(self, change: Change, cause: Cause) -> None:
        """Remember the last edit of a place; that a text is written otherwise says less than what gave it."""
        if change.action == "recode":
            self._by_location.setdefault(change.location, cause)
        else:
            self._by_location[change.location] = cause


def script_lines(script: Script) -> list[str]:
    """Return the lines of a script as they were typed."""
    return script.text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
