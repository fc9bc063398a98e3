"""A preview as JSON, text and HTML.

Belongs here: the one structure that all three show (documented in `docs/preview.md`), and their layout. Does not belong
here: making a preview (`services`), the command's options (`preview.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import Counter

    from inbox_pipeline.services.preview import Preview, Stop
    from inbox_pipeline.services.preview_tables import Row, Series, Table

VERSION = 1
WIDEST = 44
COLUMNS = ("tag", "name", "before", "after", "action", "line")
_ABSENT, _EMPTY = "(absent)", "(empty)"


def structure(preview: Preview, scripts: Sequence[str]) -> dict[str, Any]:
    """Return a preview as plain values; members may join, these stay."""
    from inbox_pipeline.services.preview_tables import ACTIONS  # noqa: PLC0415 - loads pydicom

    stopped = [_stop(stop, names) for stop, names in preview.stopped.items()]
    return {
        "version": VERSION,
        "scripts": list(scripts),
        "files": {"previewed": preview.files, "stopped": sum(len(stop["files"]) for stop in stopped)},
        "actions": ACTIONS,
        "series": [_series(series) for series in preview.series],
        "stopped": stopped,
    }


def as_json(content: Mapping[str, Any]) -> str:
    """Return the structure as JSON."""
    return json.dumps(content, indent=2) + "\n"


def as_text(content: Mapping[str, Any]) -> str:
    """Return the structure for a terminal; long values are cut, control characters written out."""
    files = content["files"]
    lines = [f"scripts: {', '.join(map(_printable, content['scripts'])) or 'none'}"]
    lines += [line for series in content["series"] for line in _series_lines(series)]
    lines += [line for stop in content["stopped"] for line in _stop_lines(stop)]
    lines += ["", f"{_counted(files['previewed'], 'file')} previewed, {files['stopped']:,} not"]
    return "\n".join(lines) + "\n"


def as_html(content: Mapping[str, Any]) -> str:
    """Return the structure as one page that needs nothing else."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - only this format needs it

    templates = PackageLoader("inbox_pipeline.cli", "templates")
    environment = Environment(loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["counted"] = _counted
    return environment.get_template("preview.html").render(content)


def place_lines(name: str, line: int, column: int, source: str) -> list[str]:
    """Return a place in a script as people look for it: name, line and column, and the line with a caret below."""
    return [f"{name}:{line}:{column}", f"    {source.expandtabs(1)}", f"    {' ' * (column - 1)}^"]


def _series(series: Series) -> dict[str, Any]:
    heading, tables = series.heading, series.tables
    return {
        "number": heading.number,
        "description": heading.description,
        "modality": heading.modality,
        **heading.variables,
        "files": sum(table.files for table in tables),
        "tables": [_table(table) for table in tables],
    }


def _table(table: Table) -> dict[str, Any]:
    least, most = table.unchanged
    return {
        "files": table.files,
        "example": table.example,
        "unchanged": {"least": least, "most": most},
        "rows": [_row(row) for row in table.rows],
        "no_effect": _sentences(table.no_effect),
        "warnings": _sentences(table.warnings),
    }


def _row(row: Row) -> dict[str, Any]:
    cause = row.cause
    return {
        "tag": row.path,
        "name": row.name,
        "before": row.before.example,
        "before_values": row.before.distinct,
        "after": row.after.example,
        "after_values": row.after.distinct,
        "changes": row.changes,
        "action": cause.action,
        "script": cause.script,
        "line": cause.line,
        "source": cause.source,
    }


def _sentences(counter: Counter[str]) -> list[dict[str, Any]]:
    return [{"sentence": sentence, "files": files} for sentence, files in counter.items()]


def _stop(stop: Stop, names: Sequence[str]) -> dict[str, Any]:
    place = stop.place
    return {
        "reason": stop.reason,
        "disposition": stop.disposition,
        "sentence": stop.sentence,
        "detail": stop.detail,
        "place": {"line": place.line, "column": place.column, "source": place.source_line} if place else None,
        "files": list(names),
    }


def _series_lines(series: Mapping[str, Any]) -> Iterator[str]:
    facts = (series["description"], series["modality"], _counted(series["files"], "file"))
    seen = ", ".join(f"{name}={series[name]}" for name in ("project", "subject", "session"))
    yield ""
    yield _printable(" | ".join([f"Series {series['number'] or '?'}", *filter(None, facts), seen]))
    for table in series["tables"]:
        yield from _table_lines(table, len(series["tables"]) > 1)


def _table_lines(table: Mapping[str, Any], several: bool) -> Iterator[str]:
    if several:
        yield f"  {_counted(table['files'], 'file')}, such as {_printable(table['example'])}"
    if table["rows"]:
        lines = [COLUMNS, *(_cells(row) for row in table["rows"])]
        widths = [max(len(line[number]) for line in lines) for number in range(len(COLUMNS))]
        for line in lines:
            yield ("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))).rstrip()
    least, most = table["unchanged"].values()
    yield f"  {least:,}{'' if least == most else f' to {most:,}'} elements unchanged"
    for kind in ("no_effect", "warnings"):
        for each in table[kind]:
            word = "no effect" if kind == "no_effect" else "warning"
            yield _printable(f"  {word}: {each['sentence']} ({_counted(each['files'], 'file')})")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    line = f"{row['script']}:{row['line']}  {row['source'].strip()}" if row["line"] else ""
    values = (_value(row[side], row[f"{side}_values"]) for side in ("before", "after"))
    return tuple(map(_printable, (row["tag"], row["name"], *values, row["action"], line)))


def _value(text: str | None, distinct: int) -> str:
    shown = _ABSENT if text is None else text or _EMPTY
    shown = shown if len(shown) <= WIDEST else f"{shown[: WIDEST - 4]} ..."
    return shown if distinct == 1 else f"{shown} [{distinct:,} values]"


def _stop_lines(stop: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"{stop['disposition']}: {stop['sentence']} [{stop['reason']}]"
    if stop["detail"]:
        yield _printable(f"  {stop['detail']}")
    if stop["place"]:
        place = stop["place"]
        name = stop["detail"].partition(", line ")[0]
        yield from (_printable(f"  {line}") for line in place_lines(name, **place))
    yield from (_printable(f"  {name}") for name in stop["files"])


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _printable(text: str) -> str:
    """A text without anything that a terminal would obey."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
