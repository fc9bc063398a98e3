"""Tables as they are sent, whatever their cells hold."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from lxml import etree
from starlette.requests import Request

from inbox_pipeline.web.tables import Table, cell, table_answer

CELLS = ["", "plain", 'a "b", c;\n<d>&amp;', "=1+1", "\x01\ufffex", "ä 日本", "]]>", "'"]


def answered(table: Table, form: str) -> bytes:
    request = Request({"type": "http", "headers": [], "path": "/data/x", "query_string": b""})
    return bytes(table_answer(request, [("format", form)], table).body)


@pytest.fixture
def table() -> Table:
    return Table("Things", ("ID", 'a"b'), [{"ID": value, 'a"b': number} for number, value in enumerate(CELLS)], 99)


def test_as_json_every_cell_is_a_text(table: Table) -> None:
    result = json.loads(answered(table, "json"))["ResultSet"]
    assert result["totalRecords"] == "99"
    assert [(row["ID"], row['a"b']) for row in result["Result"]] == [(v, str(n)) for n, v in enumerate(CELLS)]


def test_as_csv_every_cell_is_quoted(table: Table) -> None:
    rows = list(csv.reader(io.StringIO(answered(table, "csv").decode(), newline="")))
    assert rows[0] == ["ID", 'a"b']
    assert [row[0] for row in rows[1:]] == CELLS
    assert answered(Table("Nothing", ("ID", "URI"), [], 0), "csv") == b'"ID","URI"\n'


def test_as_xml_what_xml_cannot_hold_is_replaced(table: Table) -> None:
    root = etree.fromstring(answered(table, "xml"))
    texts = [row[0].text or "" for row in root.find("results/rows")]
    assert texts == ["\ufffd\ufffdx" if "\x01" in value else value for value in CELLS]


def test_as_html_nothing_is_markup(table: Table) -> None:
    assert b"<td>a &quot;b&quot;, c;\n&lt;d&gt;&amp;amp;</td>" in answered(table, "html")


@pytest.mark.parametrize(("value", "expected"), [(None, ""), (0, "0"), (True, "True"), ("x", "x")])
def test_cells(value: Any, expected: str) -> None:
    assert cell(value) == expected
