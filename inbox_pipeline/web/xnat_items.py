"""XNAT's documents: one project, subject, session, scan or resource as item JSON or as XML of its schema.

Belongs here: what such a document holds, and both forms of it. Does not belong here: lists (`xnat_columns.py`), the
schema itself (`xnat_schema.py`), and which things there are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import Response

from inbox_pipeline.intake.remarks import USABLE
from inbox_pipeline.store import archive
from inbox_pipeline.web.answers import json_answer, page
from inbox_pipeline.web.parameters import Pairs
from inbox_pipeline.web.tables import HTML, JSON, asked_format, xml_answer, xml_text
from inbox_pipeline.web.xnat_columns import PROJECT_TYPE, RESOURCE, RESOURCE_TYPE, SUBJECT_TYPE, day, time_of_day
from inbox_pipeline.web.xnat_schema import XNAT_NAMESPACE, element_name

XSI_NAMESPACE = "http://www.w3.org/2001/XMLSchema-instance"
ET.register_namespace("xnat", XNAT_NAMESPACE)
ET.register_namespace("xsi", XSI_NAMESPACE)

Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Item:
    """A document, or a part of one.

    `attributes` and `elements` are its values, in the order of the schema; those that are None are left out. `children`
    are its parts by their place, such as `scans/scan`; `since` is when it was made.
    """

    xsi_type: str
    attributes: Mapping[str, Any]
    elements: Mapping[str, Any]
    since: dt.datetime | None
    children: Mapping[str, Sequence[Item]]

    def values(self) -> dict[str, Any]:
        """Return all values that there are."""
        return {name: value for name, value in {**self.attributes, **self.elements}.items() if value is not None}


def project_item(row: Row) -> Item:
    """Return a project's document."""
    attributes = {"ID": row["id"], "secondary_ID": row["id"]}
    return Item(PROJECT_TYPE, attributes, {"name": row["title"] or row["id"]}, row["created_at"], {})


def subject_item(row: Row, experiments: Iterable[Row]) -> Item:
    """Return a subject's document, with its sessions but not their scans."""
    attributes = {"ID": row["accession"], "project": row["project_id"], "label": row["label"]}
    children = {"experiments/experiment": [session_item(session, []) for session in experiments]}
    return Item(SUBJECT_TYPE, attributes, {}, row["created_at"], children)


def session_item(row: Row, scans: Iterable[Row]) -> Item:
    """Return a session's document, with its scans."""
    attributes = {
        "ID": row["accession"],
        "project": row["project_id"],
        "label": row["label"],
        "modality": row["modality"],
        "UID": row["study_uid"],
    }
    elements = {
        "date": day(row["date"]),
        "time": time_of_day(row["time"]),
        "note": row["note"],
        "subject_ID": row["subject_accession"],
    }
    children = {"scans/scan": [scan_item(scan, row) for scan in scans]}
    return Item(row["xsi_type"], attributes, elements, row["created_at"], children)


def scan_item(row: Row, session: Row) -> Item:
    """Return a scan's document, with its resource."""
    elements = {
        "image_session_ID": session["accession"],
        "note": row["note"],
        "quality": row["quality"] or USABLE,
        "series_description": row["series_description"],
        "modality": row["modality"],
        "frames": row["frames"],
    }
    attributes = {"ID": row["label"], "type": row["type"], "UID": row["series_uid"]}
    return Item(row["xsi_type"], attributes, elements, session["created_at"], {"file": [resource_item(row, session)]})


def resource_item(row: Row, session: Row) -> Item:
    """Return the document of a scan's resource of DICOM files; its `URI` is the catalog's place in the archive."""
    attributes = {
        "label": RESOURCE,
        "URI": f"{session['path']}/{archive.scan_catalog_path(row['label'])}",
        "format": "DICOM",
        "content": "RAW",
        "file_count": row["files"],
        "file_size": row["bytes"],
        "xnat_abstractresource_id": row["id"],
    }
    return Item(RESOURCE_TYPE, attributes, {}, session["created_at"], {})


def item_answer(request: Request, query: Pairs, item: Item) -> Response:
    """Return a document as JSON, XML or a page, as it is asked for; there is none as CSV."""
    wanted = asked_format(request, query)
    if wanted == HTML:
        root = ET.tostring(_document(item), encoding="unicode")
        return page(element_name(item.xsi_type), f"<pre>{root.replace('&', '&amp;').replace('<', '&lt;')}</pre>")
    return json_answer({"items": [_members(item)]}) if wanted == JSON else xml_answer(_document(item))


def _members(item: Item) -> dict[str, Any]:
    """Return the members of an item in XNAT's JSON."""
    meta: dict[str, Any] = {"xsi:type": item.xsi_type, "isHistory": False}
    if item.since is not None:
        meta["start_date"] = f"{item.since:%a %b %d %H:%M:%S} UTC {item.since:%Y}"
    children = [
        {"field": place, "items": [_members(part) for part in parts]} for place, parts in item.children.items() if parts
    ]
    return {"children": children, "data_fields": item.values(), "meta": meta}


def _document(item: Item) -> ET.Element:
    root = ET.Element(_name(element_name(item.xsi_type)))
    _fill(root, item)
    return root


def _fill(element: ET.Element, item: Item) -> None:
    """Write the values and parts of an item into its element."""
    for name, value in item.attributes.items():
        if value is not None and name != "xnat_abstractresource_id":
            element.set(name, xml_text(str(value)))
    for name, value in item.elements.items():
        if value is not None:
            ET.SubElement(element, _name(name)).text = xml_text(str(value))
    for place, parts in item.children.items():
        if parts:
            _add_parts(element, place, parts)


def _add_parts(element: ET.Element, place: str, parts: Sequence[Item]) -> None:
    *around, name = place.split("/")
    for outer in around:
        element = ET.SubElement(element, _name(outer))
    for part in parts:
        inner = ET.SubElement(element, _name(name), {f"{{{XSI_NAMESPACE}}}type": part.xsi_type})
        _fill(inner, part)


def _name(local: str) -> str:
    return f"{{{XNAT_NAMESPACE}}}{local}"
