"""XNAT's list answers: one table as JSON, CSV, XML or HTML.

Belongs here: the four shapes and the choice between them. Does not belong here: which columns and rows a list has.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.web.answers import json_answer, page, preferred, text
from inbox_pipeline.web.parameters import Pairs, last

JSON, CSV, XML, HTML = "application/json", "text/csv", "text/xml", "text/html"
OFFERS = (JSON, CSV, XML, HTML)
FORMATS = {"json": JSON, "csv": CSV, "xml": XML, "html": HTML}
_ALSO_XML = "application/xml"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Table:
    """A page of a list: what it is called, its columns, its rows, and how many rows there are on all pages."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    total: int

    def cells(self) -> Iterable[list[str]]:
        """Yield the rows as texts in the order of the columns."""
        for row in self.rows:
            yield [cell(row.get(name)) for name in self.columns]


def cell(value: Any) -> str:
    """Return a value as XNAT writes it in a table: nothing as an empty text."""
    return "" if value is None else str(value)


def asked_format(request: Request, query: Pairs) -> str:
    """Return the media type of the answer: what `format` names, else what the client prefers, else JSON."""
    named = FORMATS.get(last(query, "format").strip().lower())
    wanted = named or preferred(request, (*OFFERS, _ALSO_XML))
    return XML if wanted == _ALSO_XML else wanted


def table_answer(request: Request, query: Pairs, table: Table) -> Response:
    """Return a table in the form that is asked for."""
    return _SHAPES[asked_format(request, query)](table)


def xml_text(value: str) -> str:
    """Return a text as XML 1.0 can hold it: characters that it cannot become U+FFFD."""
    return _NOT_XML.sub("\ufffd", value)


def xml_answer(root: ET.Element) -> Response:
    """Return an XML document."""
    return text(ET.tostring(root, encoding="unicode", xml_declaration=False).join(_XML_FRAME), f"{XML}; charset=utf-8")


_XML_FRAME = ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")


def _as_json(table: Table) -> Response:
    rows = [dict(zip(table.columns, cells, strict=True)) for cells in table.cells()]
    return json_answer({"ResultSet": {"Result": rows, "totalRecords": str(table.total)}})


def _as_csv(table: Table) -> Response:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.cells())
    return text(out.getvalue(), f"{CSV}; charset=utf-8")


def _as_xml(table: Table) -> Response:
    root = ET.Element("ResultSet", {"title": table.title, "totalRecords": str(table.total)})
    results = ET.SubElement(root, "results")
    columns = ET.SubElement(results, "columns")
    for name in table.columns:
        ET.SubElement(columns, "column").text = xml_text(name)
    rows = ET.SubElement(results, "rows")
    for cells in table.cells():
        row = ET.SubElement(rows, "row")
        for content in cells:
            ET.SubElement(row, "cell").text = xml_text(content)
    return xml_answer(root)


def _as_html(table: Table) -> Response:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(content)}</td>" for content in cells) + "</tr>" for cells in table.cells()
    )
    return page(table.title, f"<table>\n<tr>{head}</tr>\n{body}\n</table>")


_SHAPES = {JSON: _as_json, CSV: _as_csv, XML: _as_xml, HTML: _as_html}
