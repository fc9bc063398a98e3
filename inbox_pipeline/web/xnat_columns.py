"""The columns of XNAT's lists: what a row of the catalog shows in each, and what the query asks for.

Belongs here: XNAT's names, also as paths into its schema, filters, order and paging as parameters. Does not belong
here: the shapes of answers (`tables.py`) and routes.

A column that is asked for and not held is empty. A path is answered under its lower-case form, as XNAT does; what ends
in `subject_id` also under `subject_ID`, where `pyxnat` looks for it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.intake.remarks import USABLE
from inbox_pipeline.store.catalog.views import Page, Wanted
from inbox_pipeline.web.description import Options, query
from inbox_pipeline.web.parameters import Pairs, last
from inbox_pipeline.web.tables import Table

Cells = dict[str, Any]
Row = Mapping[Any, Any]

ANY_SCAN = "xnat:imagescandata"
RESOURCE, RESOURCE_TYPE = "DICOM", "xnat:resourceCatalog"
SUBJECT_TYPE, PROJECT_TYPE = "xnat:subjectData", "xnat:projectData"
EVERY_EXPERIMENT = frozenset({"xnat:experimentdata", "xnat:subjectassessordata", "xnat:imagesessiondata"})
"""Types of which every session here is one."""
_NUMBER = re.compile(r"[0-9]{1,9}")
_WINDOW = ("limit", "offset", "size", "page")
_DAY = r"(\d\d/\d\d/\d{4}|\d{4}-\d\d-\d\d)"
_DAYS = re.compile(rf"{_DAY}(?:\s*-\s*{_DAY})?", re.ASCII)
_SCAN_PATH = re.compile(r"xnat:\w*scandata/", re.IGNORECASE)
_BELOW = {"meta/insert_date": "insert_date", "meta/last_modified": "last_modified"} | {
    "meta/insert_user/login": "insert_user",
    "extension_item/element_name": "xsiType",
}


@dataclass(frozen=True)
class Kind:
    """A kind of list.

    `always` are the columns that XNAT adds to those asked for, `default` those of a list for which none are; `cells`
    makes all columns of a row that there are. `fields` are the catalog's by column: those in `filters` can be filtered
    by, all can be ordered by. `elsewhere` are columns by paths into other types.
    """

    title: str
    default: Sequence[str]
    always: Sequence[str]
    cells: Callable[[Row], Cells]
    fields: Mapping[str, str]
    filters: Sequence[str]
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    fixed: bool = False

    def names(self) -> dict[str, str]:
        """Return the names of all columns by their lower-case forms."""
        return {name.lower(): name for name in {*self.cells(_NOTHING), *self.fields}}


class _Nothing(dict[str, Any]):
    """A row of which every column is empty."""

    def __missing__(self, _name: str) -> None:
        return None


_NOTHING = _Nothing()


def moment(value: dt.datetime | None) -> str | None:
    """Return a moment as XNAT writes it in tables, in UTC."""
    return None if value is None else f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03d}"


def day(value: dt.date | None) -> str | None:
    """Return a date as XNAT writes it."""
    return None if value is None else value.isoformat()


def time_of_day(value: dt.time | None) -> str | None:
    """Return a time of day as XNAT writes it."""
    return None if value is None else value.strftime("%H:%M:%S")


def _project(row: Row) -> Cells:
    return {
        "ID": row["id"],
        "secondary_ID": row["id"],
        "name": row["title"] or row["id"],
        "description": "",
        "keywords": "",
        "pi_firstname": "",
        "pi_lastname": "",
        "insert_date": moment(row["created_at"]),
        "xsiType": PROJECT_TYPE,
        "URI": f"/data/projects/{row['id']}",
    }


def _subject(row: Row) -> Cells:
    return {
        "ID": row["accession"],
        "project": row["project_id"],
        "label": row["label"],
        "insert_date": moment(row["created_at"]),
        "insert_user": "",
        "last_modified": moment(row["created_at"]),
        "xsiType": SUBJECT_TYPE,
        "URI": f"/data/subjects/{row['accession']}",
    }


def _experiment(row: Row) -> Cells:
    created = moment(row["created_at"])
    return {
        "ID": row["accession"],
        "project": row["project_id"],
        "date": day(row["date"]),
        "time": time_of_day(row["time"]),
        "note": row["note"],
        "xsiType": row["xsi_type"],
        "label": row["label"],
        "modality": row["modality"],
        "UID": row["study_uid"],
        "studyInstanceUID": row["study_uid"],
        "subject_ID": row["subject_accession"],
        "subject_label": row["subject_label"],
        "subject_project": row["project_id"],
        "session_ID": row["accession"],
        "session_label": row["label"],
        "session_project": row["project_id"],
        "xnat:subjectassessordata/id": row["accession"],
        "insert_date": created,
        "last_modified": created,
        "insert_user": row["username"],
        "status": "active",
        "URI": f"/data/experiments/{row['accession']}",
    }


def scan_cells(row: Row, accession: str) -> Cells:
    """Return all columns of a scan of a session."""
    return {
        "xnat_imagescandata_id": row["id"],
        "ID": row["label"],
        "type": row["type"],
        "quality": row["quality"] or USABLE,
        "xsiType": row["xsi_type"],
        "note": row["note"],
        "series_description": row["series_description"],
        "UID": row["series_uid"],
        "modality": row["modality"],
        "frames": row["frames"],
        "URI": f"/data/experiments/{accession}/scans/{row['label']}",
    }


def resource_cells(row: Row) -> Cells:
    """Return all columns of a scan's resource of DICOM files, which has the scan's number."""
    return {
        "xnat_abstractresource_id": row["id"],
        "label": RESOURCE,
        "element_name": RESOURCE_TYPE,
        "category": "scans",
        "cat_id": row["label"],
        "cat_desc": row["type"],
        "file_count": row["files"],
        "file_size": row["bytes"],
        "tags": "",
        "content": "RAW",
        "format": "DICOM",
    }


def file_cells(row: Row, accession: str) -> Cells:
    """Return all columns of a file of a session."""
    name = (row["path"] or "").rpartition("/")[2]
    place = f"/data/experiments/{accession}/scans/{row['scan_label']}/resources/{row['scan_id']}"
    return {
        "Name": name,
        "Size": row["bytes"],
        "URI": f"{place}/files/{name}",
        "collection": RESOURCE,
        "file_tags": "",
        "file_format": "DICOM",
        "file_content": "RAW",
        "cat_ID": row["scan_id"],
        "digest": row["md5"],
    }


PROJECTS = Kind(
    "Projects",
    ("ID", "secondary_ID", "name", "description", "pi_firstname", "pi_lastname", "URI"),
    ("ID", "URI"),
    _project,
    {"ID": "id", "name": "title", "insert_date": "created_at"},
    ("ID", "name"),
)
SUBJECTS = Kind(
    "Subjects",
    ("ID", "project", "label", "insert_date", "insert_user", "URI"),
    ("ID", "URI"),
    _subject,
    {"ID": "accession", "project": "project_id", "label": "label", "insert_date": "created_at"},
    ("ID", "project", "label"),
    {"xnat:projectdata/id": "project"},
)
EXPERIMENTS = Kind(
    "Matching experiments",
    ("ID", "project", "date", "xsiType", "label", "insert_date", "xnat:subjectassessordata/id", "URI"),
    ("ID", "xsiType", "URI"),
    _experiment,
    {
        "ID": "accession",
        "project": "project_id",
        "label": "label",
        "subject_ID": "subject_accession",
        "subject_label": "subject_label",
        "modality": "modality",
        "UID": "study_uid",
        "studyInstanceUID": "study_uid",
        "xsiType": "xsi_type",
        "date": "date",
        "time": "time",
        "note": "note",
        "insert_date": "created_at",
        "insert_user": "username",
    },
    ("ID", "project", "label", "subject_ID", "subject_label", "modality", "UID", "studyInstanceUID", "insert_user"),
    {
        "xnat:subjectdata/id": "subject_ID",
        "xnat:subjectdata/label": "subject_label",
        "xnat:subjectdata/project": "subject_project",
        "xnat:projectdata/id": "project",
    },
)


def scans_of(accession: str) -> Kind:
    """Return the kind of list that a session's scans are."""
    return Kind(
        "Scans",
        ("xnat_imagescandata_id", "ID", "type", "quality", "xsiType", "note", "series_description", "URI"),
        ("ID", "URI"),
        lambda row: scan_cells(row, accession),
        {"ID": "label", "type": "type", "series_description": "series_description", "UID": "series_uid"}
        | {"modality": "modality", "frames": "frames", "xsiType": "xsi_type", "quality": "quality", "note": "note"},
        ("ID", "type", "series_description", "UID", "modality", "quality"),
    )


RESOURCES = Kind("Resources", tuple(resource_cells(_NOTHING)), (), resource_cells, {}, (), fixed=True)


def files_of(accession: str) -> Kind:
    """Return the kind of list that a session's files are."""
    columns = tuple(file_cells(_NOTHING, accession))
    fields = {"Name": "path", "URI": "path", "Size": "bytes", "digest": "md5"}
    return Kind("Files", columns, (), lambda row: file_cells(row, accession), fields, ("digest",), fixed=True)


def asked_of(kind: Kind) -> Options:
    """Return what describes the query of such a list."""
    columns = () if kind.fixed else ("columns",)
    more = ("xsiType", "date") if kind is EXPERIMENTS else ()
    return query("format", *columns, *kind.filters, *more, "sortBy", "sortOrder", *_WINDOW)


def wanted_of(kind: Kind, query: Pairs) -> Wanted:
    """Return which rows of a list a query asks for.

    Raises:
        Rejected: `parameter_invalid`, for a number or date that is none.
    """
    patterns: dict[str, Sequence[str]] = {}
    for name, value in query:
        column = column_of(kind, name)
        if column in kind.filters and value.strip():
            patterns[kind.fields[column]] = [_clean(part) for part in value.split(",")]
    if kind is EXPERIMENTS and (types := _types(query)):
        patterns["xsi_type"] = types
    days = _days(last(query, "date")) if "date" in kind.fields else None
    limit, offset = _window(query)
    return Wanted(patterns, days, list(_order(kind, query)), limit, offset)


def shown(kind: Kind, query: Pairs, page: Page) -> Table:
    """Return a page of a list with the columns that a query asks for."""
    asked = [] if kind.fixed else [_clean(name) for name in last(query, "columns").split(",") if name.strip()]
    headers = dict(_headers(kind, asked))
    rows = [_row(kind, headers, row) for row in page.rows]
    return Table(kind.title, list(headers), rows, page.total)


def by_scan(query: Pairs) -> bool:
    """Return whether a list of experiments is asked for columns of their scans."""
    return any(_SCAN_PATH.match(name.strip()) for name in last(query, "columns").split(","))


def _row(kind: Kind, headers: Mapping[str, str], row: Row) -> Cells:
    cells = kind.cells(row)
    if kind is EXPERIMENTS and "scan_id" in row:
        cells |= _by_path(row)
    return {header: cells.get(header if _SCAN_PATH.match(name) else name) for header, name in headers.items()}


def _by_path(row: Row) -> Cells:
    """Return what paths into the schema, in lower case, lead to in the scan of a row; paths of other types are none."""
    scan = {key.removeprefix("scan_"): value for key, value in row.items() if key.startswith("scan_")}
    cells = scan_cells(scan, row["accession"])
    elements = (ANY_SCAN, str(scan["xsi_type"]).lower())
    return {f"{element}/{name.lower()}": value for element in elements for name, value in cells.items()}


def _headers(kind: Kind, asked: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the headers of a list and the columns that they show."""
    for name in asked or ["DEFAULT"]:
        if name.upper() == "DEFAULT":
            yield from ((each, each) for each in kind.default)
        elif _SCAN_PATH.match(name) and kind is EXPERIMENTS:
            yield name.lower(), name
        elif "/" in name:
            yield name.lower(), column_of(kind, name)
            if name.lower().endswith("/subject_id"):
                yield "subject_ID", "subject_ID"
        else:
            yield column_of(kind, name) or name, column_of(kind, name)
    yield from ((name, name) for name in kind.always)


def column_of(kind: Kind, name: str) -> str:
    """Return the column that a name or a path into the schema stands for; an empty text for none."""
    names = kind.names()
    known = names.get(name.lower())
    if known is not None or "/" not in name:
        return known or ""
    element, _, rest = name.partition("/")
    elsewhere = kind.elsewhere.get(f"{element}/{rest}".lower())
    return elsewhere or _BELOW.get(rest.lower()) or names.get(rest.lower(), "")


def _types(query: Pairs) -> list[str]:
    """Return the types that sessions are filtered by; none for a type of which every session is one."""
    asked = [part.strip() for part in last(query, "xsiType").split(",") if part.strip()]
    return [] if any(name.lower() in EVERY_EXPERIMENT for name in asked) else [_clean(name) for name in asked]


def _order(kind: Kind, query: Pairs) -> Iterator[str]:
    sign = "-" if last(query, "sortOrder").strip().lower() == "desc" else ""
    for name in last(query, "sortBy").split(","):
        column = column_of(kind, name.strip())
        if column in kind.fields:
            yield sign + kind.fields[column]


def _window(query: Pairs) -> tuple[int | None, int]:
    """Return how many rows to show at most, and how many to leave out before them."""
    size = _number(query, "size")
    limit = size if last(query, "limit").strip() in {"", "*"} else _number(query, "limit")
    page_number = _number(query, "page")
    if page_number and size:
        return size, (page_number - 1) * size
    return limit, _number(query, "offset") or 0


def _number(query: Pairs, name: str) -> int | None:
    value = last(query, name).strip()
    if not value:
        return None
    if not _NUMBER.fullmatch(value):
        raise refusal("parameter_invalid", name=name)
    return int(value)


def _days(value: str) -> tuple[dt.date, dt.date] | None:
    """Return the first and the last day of `MM/DD/YYYY` or `YYYY-MM-DD`, or of two of them with a hyphen between."""
    if not value.strip():
        return None
    match = _DAYS.fullmatch(value.strip())
    try:
        if match is None:
            raise ValueError
        first, end = (date_of(part) for part in (match[1], match[2] or match[1]))
    except ValueError:
        raise refusal("parameter_invalid", name="date") from None
    return first, end


def date_of(text: str) -> dt.date:
    """Return the day that `MM/DD/YYYY` or `YYYY-MM-DD` names. Raises ValueError."""
    return dt.datetime.strptime(text, "%m/%d/%Y" if "/" in text else "%Y-%m-%d").date()


def _clean(text: str) -> str:
    """Return a text that the database can be asked for, and that can be answered."""
    return text.strip().encode("utf-8", "replace").decode()
