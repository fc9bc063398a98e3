"""XNAT's searches: a document that asks for fields of projects, subjects or sessions under conditions, and its table.

Belongs here: reading the documents that `pyxnat` and `xnatpy` send, and naming the columns as they look for them. Does
not belong here: conditions in SQL (`store/catalog/conditions.py`), stored searches, of which there are none.

A document is `xdat:bundle`, or `xdat:search`, with a root element, the fields to show, and conditions (`criteria`) in
sets. A field is named by XNAT's display field (`SUBJECT_LABEL`) or by its path (`xnat:mrSessionData/label`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import browse
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.conditions import COMPARISONS, Comparison, Condition, Joined
from inbox_pipeline.store.catalog.views import Page, Wanted
from inbox_pipeline.web.description import TABLE, body, query, refuses
from inbox_pipeline.web.identity import Known, Served
from inbox_pipeline.web.parameters import Query
from inbox_pipeline.web.tables import Table, table_answer
from inbox_pipeline.web.xnat_columns import (
    EVERY_EXPERIMENT,
    EXPERIMENTS,
    PROJECT_TYPE,
    PROJECTS,
    SUBJECT_TYPE,
    SUBJECTS,
    Kind,
    column_of,
    date_of,
    wanted_of,
)
from inbox_pipeline.web.xnat_manage import SETTINGS
from inbox_pipeline.web.xnat_schema import SESSION_KINDS

DEEPEST, MOST_CRITERIA = 16, 256
"""Sets within sets, and conditions, of one search."""
COUNTED = {f"proj_{kind}_count": f"xnat:{kind}SessionData" for kind in ("mr", "ct", "pet", "ut")}
"""Columns of projects: how many sessions of a type there are."""
SUBJECT_DISPLAY = {"subject_id": "ID", "subjectid": "ID", "subject_label": "label", "projects": "project"}
SESSION_DISPLAY = {"session_id": "ID", "expt_id": "ID", "session_label": "label", "projects": "project"}
PROJECT_DISPLAY = {"project_id": "ID", "project_name": "name"}
"""XNAT's display fields, as far as they are called otherwise than the columns of lists."""

router = APIRouter()
ASKED = {**body("text/xml"), **query("format", "sortBy", "sortOrder", "limit", "offset", "size", "page")}


@dataclass(frozen=True)
class Root:
    """What can be searched for: its kind of list, display fields, the fields shown when none are asked for, and those
    that clients make addresses of, which are always there. `list` returns what a user may see of it.
    """

    kind: Kind
    display: Mapping[str, str]
    default: Sequence[str]
    always: Sequence[str]
    list: Callable[[Site, Account, Wanted], Page]

    def column(self, name: str) -> str:
        """Return the column that a field stands for; an empty text for none."""
        local = name.rpartition("/")[2].lower()
        return self.display.get(local) or column_of(self.kind, name) or column_of(self.kind, local)


_ROOTS = {
    PROJECT_TYPE: Root(
        PROJECTS,
        PROJECT_DISPLAY,
        ("id", "name", "description", "project_access", "project_owners", "insert_date", *COUNTED),
        ("id",),
        browse.list_projects,
    ),
    SUBJECT_TYPE: Root(
        SUBJECTS,
        SUBJECT_DISPLAY,
        ("subject_id", "subject_label", "project", "insert_date", "insert_user"),
        ("project", "subjectid"),
        browse.list_subjects,
    ),
}
_SESSIONS = Root(
    EXPERIMENTS,
    SESSION_DISPLAY,
    ("label", "subject_label", "date", "modality", "insert_date", "insert_user"),
    ("session_id", "subject_id", "project"),
    browse.list_sessions,
)


@dataclass(frozen=True)
class Search:
    """A search as it is asked for: what of, the fields to show, and the condition."""

    xsi_type: str
    fields: Sequence[tuple[str, str]]
    condition: Condition

    @property
    def root(self) -> Root:
        """What is searched for."""
        return _ROOTS.get(self.xsi_type, _SESSIONS)


@refuses(400, 413)
async def search_document(request: Request) -> Search:
    """Return the search that a body states.

    Raises:
        Rejected: `search_invalid`.
        HTTPException: 413, above 64 KiB (`exchange.py`).
    """
    return read_search(await request.body())


@router.post("/data/search", responses=TABLE, openapi_extra=ASKED)
@router.post("/REST/search", responses=TABLE, openapi_extra=ASKED)
def search(
    request: Request, asked: Annotated[Search, Depends(search_document)], account: Known, site: Served, query: Query
) -> Response:
    """Answer a search with what the sender may read of it."""
    root = asked.root
    wanted = replace(wanted_of(root.kind, query), patterns={}, days=None, condition=_narrowed(asked))
    page = root.list(site, account, wanted)
    more = _about_projects(site, account, page) if root.kind is PROJECTS else {}
    return table_answer(request, query, found(asked, page, more))


def _about_projects(site: Site, account: Account, page: Page) -> dict[str, dict[str, Any]]:
    """What a search tells of projects beside the columns of their list, by project."""
    counts, owners = browse.count_types(site, account), browse.owners_by_project(site, account)
    return {
        row["id"]: {name: counts.get((row["id"], xsi_type)) for name, xsi_type in COUNTED.items()}
        | {"project_owners": " <br/> ".join(owners.get(row["id"], ())), "project_access": SETTINGS["accessibility"]}
        for row in page.rows
    }


def read_search(document: bytes) -> Search:
    """Return the search that a document states.

    Raises:
        Rejected: `search_invalid`, with what is wrong.
    """
    top = _parsed(document)
    xsi_type = _text(top, "root_element_name")
    known = {name.lower(): name for name in (*_ROOTS, *SESSION_KINDS)} | {name: name for name in EVERY_EXPERIMENT}
    if xsi_type.lower() not in known:
        raise _invalid("its root_element_name is neither a project's, a subject's nor a session's type")
    asked = Search(known[xsi_type.lower()], [], Joined(True, ()))
    fields = [
        (_text(each, "element_name") or xsi_type, _text(each, "field_ID")) for each in _named(top, "search_field")
    ]
    sets = [_joined(each, asked.root, DEEPEST) for each in _named(top, "search_where")]
    if sum(1 for each in top.iter() if _local(each) == "criteria") > MOST_CRITERIA:
        raise _invalid(f"it has more than {MOST_CRITERIA} conditions")
    return replace(asked, fields=fields, condition=Joined(True, sets))


def found(asked: Search, page: Page, more: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the table of a search: a column for each field that was asked for, then those that are always there.

    `more` are cells of projects that their lists do not have, by header. Columns are called as XNAT calls them: the
    field in lower case, with its type before it if that is not the root's.
    """
    root, names = asked.root, dict(_headers(asked))
    rows = []
    for row in page.rows:
        cells = root.kind.cells(row)
        beside = more.get(row["id"], {})
        rows.append({header: beside.get(header, cells.get(column)) for header, column in names.items()})
    return Table("Search", list(names), rows, page.total)


def _headers(asked: Search) -> Iterator[tuple[str, str]]:
    root = asked.root
    for xsi_type, name in asked.fields or [(asked.xsi_type, name) for name in root.default]:
        element, _, local = name.rpartition("/")
        own = (element or xsi_type).lower() == asked.xsi_type.lower()
        prefix = "" if own else f"{(element or xsi_type).lower().replace(':', '_')}_"
        yield prefix + local.lower(), root.column(local if own else f"{element or xsi_type}/{local}")
    yield from ((name, root.column(name)) for name in root.always)


def _narrowed(asked: Search) -> Condition:
    """The condition, and that the session is of the type searched for, unless every session is."""
    if asked.root is not _SESSIONS or asked.xsi_type in EVERY_EXPERIMENT:
        return asked.condition
    return Joined(True, (Comparison("xsi_type", "=", asked.xsi_type), asked.condition))


def _joined(element: ET.Element, root: Root, deepest: int) -> Joined:
    """A `search_where` or `child_set`: conditions and further sets, joined by its `method`."""
    method = element.get("method", "AND").strip().upper()
    if method not in ("AND", "OR"):
        raise _invalid("a set of conditions has a method other than AND and OR")
    if not deepest:
        raise _invalid(f"its sets of conditions are nested deeper than {DEEPEST}")
    parts: list[Condition] = []
    for each in element:
        if _local(each) == "criteria":
            parts.append(_criterion(each, root))
        elif _local(each) == "child_set":
            parts.append(_joined(each, root, deepest - 1))
    return Joined(method == "AND" or not parts, parts)


def _criterion(element: ET.Element, root: Root) -> Condition:
    name, sign = _text(element, "schema_field"), " ".join(_text(element, "comparison_type").upper().split())
    column = root.kind.fields.get(root.column(name))
    if column is None:
        raise _invalid(f"there is no field to be searched by that is called {name[:64]!r}")
    if sign not in COMPARISONS:
        raise _invalid(f"a condition compares by none of {', '.join(COMPARISONS)}")
    text = _text(element, "value")
    return Comparison(column, sign, _value(column, text) if sign in COMPARISONS[:6] else text)


def _value(column: str, text: str) -> Any:
    """A value as the catalog has it: dates and times are no texts."""
    try:
        if column in ("date", "created_at"):
            return date_of(text)
        return dt.time.fromisoformat(text) if column == "time" else text
    except ValueError:
        raise _invalid("a value is no date or time (MM/DD/YYYY, YYYY-MM-DD, HH:MM:SS)") from None


def _parsed(document: bytes) -> ET.Element:
    """The root of a document that declares no entities, which could grow without end."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(document, True)
        return ET.fromstring(document)  # noqa: S314 - without a document type it has no entities of its own
    except (expat.ExpatError, ET.ParseError, LookupError, ValueError):
        raise _invalid("it is no XML") from None


def _refuse_doctype(*_: object) -> None:
    raise _invalid("it has a document type")


def _named(element: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in element if _local(each) == name]


def _text(element: ET.Element, name: str) -> str:
    return next((each.text or "" for each in _named(element, name)), "").strip()


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _invalid(fault: str) -> Rejected:
    return refusal("search_invalid", fault=fault)
