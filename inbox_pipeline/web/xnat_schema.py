"""The part of XNAT's schema that is served here, as clients read it to build their classes.

Belongs here: names of types and elements, the XSD, and the searchable types. Does not belong here: what the types are
made of (`xnat_xsd.py`), which type a modality becomes (`dicom/sop_classes.py`), and documents (`xnat_items.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from inbox_pipeline.dicom.sop_classes import (
    DEFAULT_SCAN_TYPE,
    DEFAULT_SESSION_TYPE,
    PET_MR_SESSION_TYPE,
    SCAN_TYPES,
    SCAN_TYPES_BY_SOP_CLASS,
    SESSION_TYPES,
)
from inbox_pipeline.web.tables import Table
from inbox_pipeline.web.xnat_xsd import TYPES, attributes, complex_type

XNAT_NAMESPACE = "http://nrg.wustl.edu/xnat"
SESSION_KINDS = sorted({*SESSION_TYPES.values(), PET_MR_SESSION_TYPE, DEFAULT_SESSION_TYPE})
SCAN_KINDS = sorted({*SCAN_TYPES.values(), *SCAN_TYPES_BY_SOP_CLASS.values(), DEFAULT_SCAN_TYPE})

_FRAME = """<?xml version="1.0" encoding="UTF-8"?>
<xs:schema targetNamespace="{namespace}" xmlns:xnat="{namespace}" xmlns:xdat="http://nrg.wustl.edu/xdat"\
 xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified" attributeFormDefault="unqualified">
{roots}
{types}
</xs:schema>
"""
_ROOT = '  <xs:element name="{name}" type="{type}"/>'
_STEM = re.compile(r"[a-z]+")
_WORDS = frozenset({"other", "seg", "project", "subject", "resource"})
_FIELDS = ("ID", "SESSION_ID", "PROJECT", "LABEL", "SUBJECT_ID", "SUBJECT_LABEL", "DATE", "INSERT_DATE", "INSERT_USER")
_FIELDS_OF = {
    "xnat:projectData": (
        *("ID", "NAME", "DESCRIPTION", "PROJECT_ACCESS", "PROJECT_OWNERS", "INSERT_DATE"),
        *("PROJ_MR_COUNT", "PROJ_CT_COUNT", "PROJ_PET_COUNT", "PROJ_UT_COUNT"),
    ),
    "xnat:subjectData": ("SUBJECT_ID", "SUBJECT_LABEL", "PROJECT", "INSERT_DATE", "INSERT_USER"),
}


def element_name(xsi_type: str) -> str:
    """Return the name of the element whose type that is, as XNAT has it: `MRSession` for `xnat:mrSessionData`."""
    local = xsi_type.partition(":")[2].removesuffix("Data")
    stem = _STEM.match(local)
    head = stem.group() if stem else ""
    return (head.capitalize() if head in _WORDS else head.upper()) + local[len(head) :]


def schema_document() -> str:
    """Return the XSD: each session and scan type that an import can make, and what they are made of."""
    roots = ["xnat:projectData", "xnat:subjectData", *SESSION_KINDS, *SCAN_KINDS, "xnat:resourceCatalog"]
    extensions = [
        complex_type("resource", "", attributes("URI", "format", "content"), "xnat:abstractResource"),
        complex_type("resourceCatalog", "", base="xnat:resource"),
        *(complex_type(_local(name), "", base="xnat:imageSessionData") for name in SESSION_KINDS),
        *(complex_type(_local(name), "", base="xnat:imageScanData") for name in SCAN_KINDS),
    ]
    named = (_ROOT.format(name=element_name(name), type=name) for name in roots)
    return _FRAME.format(namespace=XNAT_NAMESPACE, roots="\n".join(named), types="\n".join((*TYPES, *extensions)))


def _local(name: str) -> str:
    return name.partition(":")[2]


def searchable(counts: Iterable[tuple[str, int]]) -> Table:
    """Return the list of types of which there is something, with their numbers."""
    rows = [_searchable(xsi_type, count) for xsi_type, count in counts]
    return Table("Data-Types", ("ELEMENT_NAME", "SINGULAR", "PLURAL", "SECURED", "COUNT"), rows, len(rows))


def search_fields(xsi_type: str) -> Table:
    """Return the list of fields of a type by which it can be searched for or shown."""
    rows = [
        {"FIELD_ID": name, "HEADER": name.capitalize(), "TYPE": "string", "ELEMENT_NAME": xsi_type, "SUMMARY": ""}
        for name in _FIELDS_OF.get(xsi_type, _FIELDS)
    ]
    return Table("Fields", tuple(rows[0]), rows, len(rows))


def _searchable(xsi_type: str, count: int) -> dict[str, object]:
    name = element_name(xsi_type).replace("Session", " Session")
    numbers = {"SECURED": "true", "COUNT": count}
    return {"ELEMENT_NAME": xsi_type, "SINGULAR": name, "PLURAL": f"{name}s", **numbers}
