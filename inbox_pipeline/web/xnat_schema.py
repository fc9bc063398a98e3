"""The part of XNAT's schema that is served here, as clients read it to build their classes.

Belongs here: names of types and elements, the XSD, and the searchable types. Does not belong here: which type a
modality becomes (`dicom/sop_classes.py`), and documents (`xnat_items.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from inbox_pipeline.dicom.sop_classes import (
    DEFAULT_SCAN_TYPE,
    DEFAULT_SESSION_TYPE,
    PET_MR_SESSION_TYPE,
    SCAN_TYPES,
    SCAN_TYPES_BY_SOP_CLASS,
    SESSION_TYPES,
)
from inbox_pipeline.web.tables import Table

XNAT_NAMESPACE = "http://nrg.wustl.edu/xnat"
SESSION_KINDS = sorted({*SESSION_TYPES.values(), PET_MR_SESSION_TYPE, DEFAULT_SESSION_TYPE})
SCAN_KINDS = sorted({*SCAN_TYPES.values(), *SCAN_TYPES_BY_SOP_CLASS.values(), DEFAULT_SCAN_TYPE})

_FIXED = """<?xml version="1.0" encoding="UTF-8"?>
<xs:schema targetNamespace="{namespace}" xmlns:xnat="{namespace}" xmlns:xs="http://www.w3.org/2001/XMLSchema"\
 elementFormDefault="qualified" attributeFormDefault="unqualified">
{roots}
  <xs:complexType name="projectData">
    <xs:sequence>
      <xs:element name="name" type="xs:string" minOccurs="0"/>
      <xs:element name="description" type="xs:string" minOccurs="0"/>
      <xs:element name="resources" minOccurs="0">
        <xs:complexType>
          <xs:sequence>
            <xs:element name="resource" type="xnat:abstractResource" minOccurs="0" maxOccurs="unbounded"/>
          </xs:sequence>
        </xs:complexType>
      </xs:element>
    </xs:sequence>
    <xs:attribute name="ID" type="xs:string"/>
    <xs:attribute name="secondary_ID" type="xs:string"/>
  </xs:complexType>
  <xs:complexType name="subjectData">
    <xs:sequence>
      <xs:element name="resources" minOccurs="0">
        <xs:complexType>
          <xs:sequence>
            <xs:element name="resource" type="xnat:abstractResource" minOccurs="0" maxOccurs="unbounded"/>
          </xs:sequence>
        </xs:complexType>
      </xs:element>
      <xs:element name="experiments" minOccurs="0">
        <xs:complexType>
          <xs:sequence>
            <xs:element name="experiment" type="xnat:subjectAssessorData" minOccurs="0" maxOccurs="unbounded"/>
          </xs:sequence>
        </xs:complexType>
      </xs:element>
    </xs:sequence>
    <xs:attribute name="ID" type="xs:string"/>
    <xs:attribute name="project" type="xs:string"/>
    <xs:attribute name="label" type="xs:string"/>
  </xs:complexType>
  <xs:complexType name="experimentData">
    <xs:sequence>
      <xs:element name="date" type="xs:date" minOccurs="0"/>
      <xs:element name="time" type="xs:time" minOccurs="0"/>
      <xs:element name="resources" minOccurs="0">
        <xs:complexType>
          <xs:sequence>
            <xs:element name="resource" type="xnat:abstractResource" minOccurs="0" maxOccurs="unbounded"/>
          </xs:sequence>
        </xs:complexType>
      </xs:element>
    </xs:sequence>
    <xs:attribute name="ID" type="xs:string"/>
    <xs:attribute name="project" type="xs:string"/>
    <xs:attribute name="label" type="xs:string"/>
  </xs:complexType>
  <xs:complexType name="subjectAssessorData">
    <xs:complexContent>
      <xs:extension base="xnat:experimentData">
        <xs:sequence>
          <xs:element name="subject_ID" type="xs:string" minOccurs="0"/>
        </xs:sequence>
      </xs:extension>
    </xs:complexContent>
  </xs:complexType>
  <xs:complexType name="imageSessionData">
    <xs:complexContent>
      <xs:extension base="xnat:subjectAssessorData">
        <xs:sequence>
          <xs:element name="scans" minOccurs="0">
            <xs:complexType>
              <xs:sequence>
                <xs:element name="scan" type="xnat:imageScanData" minOccurs="0" maxOccurs="unbounded"/>
              </xs:sequence>
            </xs:complexType>
          </xs:element>
        </xs:sequence>
        <xs:attribute name="modality" type="xs:string"/>
        <xs:attribute name="UID" type="xs:string"/>
      </xs:extension>
    </xs:complexContent>
  </xs:complexType>
  <xs:complexType name="imageScanData">
    <xs:sequence>
      <xs:element name="image_session_ID" type="xs:string" minOccurs="0"/>
      <xs:element name="note" type="xs:string" minOccurs="0"/>
      <xs:element name="quality" type="xs:string" minOccurs="0"/>
      <xs:element name="series_description" type="xs:string" minOccurs="0"/>
      <xs:element name="modality" type="xs:string" minOccurs="0"/>
      <xs:element name="frames" type="xs:integer" minOccurs="0"/>
      <xs:element name="file" type="xnat:abstractResource" minOccurs="0" maxOccurs="unbounded"/>
    </xs:sequence>
    <xs:attribute name="ID" type="xs:string"/>
    <xs:attribute name="type" type="xs:string"/>
    <xs:attribute name="UID" type="xs:string"/>
  </xs:complexType>
  <xs:complexType name="abstractResource">
    <xs:attribute name="label" type="xs:string"/>
    <xs:attribute name="file_count" type="xs:integer"/>
    <xs:attribute name="file_size" type="xs:long"/>
  </xs:complexType>
{extensions}
</xs:schema>
"""
_ROOT = '  <xs:element name="{name}" type="{type}"/>'
_EXTENSION = """  <xs:complexType name="{name}">
    <xs:complexContent>
      <xs:extension base="{base}">{attributes}</xs:extension>
    </xs:complexContent>
  </xs:complexType>"""
_ATTRIBUTE = '<xs:attribute name="{}" type="xs:string"/>'
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
        _extension("xnat:resource", "xnat:abstractResource", ("URI", "format", "content")),
        _extension("xnat:resourceCatalog", "xnat:resource"),
        *(_extension(name, "xnat:imageSessionData") for name in SESSION_KINDS),
        *(_extension(name, "xnat:imageScanData") for name in SCAN_KINDS),
    ]
    named = (_ROOT.format(name=element_name(name), type=name) for name in roots)
    return _FIXED.format(namespace=XNAT_NAMESPACE, roots="\n".join(named), extensions="\n".join(extensions))


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


def _extension(name: str, base: str, attributes: Sequence[str] = ()) -> str:
    local = name.partition(":")[2]
    return _EXTENSION.format(name=local, base=base, attributes="".join(map(_ATTRIBUTE.format, attributes)))
