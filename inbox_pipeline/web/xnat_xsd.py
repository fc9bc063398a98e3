"""The types of XNAT's schema that every session and scan type here is made of, as XML Schema.

Belongs here: that text. Does not belong here: the types that extend these by modality, and who is given the schema
(`xnat_schema.py`).

Elements and attributes stand here if scripts ask for them, whether or not anything is held: clients make their classes
of these types, and what is not declared is an error in a script where XNAT has an empty value.
"""

from __future__ import annotations


def complex_type(name: str, elements: str, attributes: str = "", base: str = "") -> str:
    """Return a type of elements and attributes, one that extends another if there is a `base`."""
    content = f"<xs:sequence>{elements}</xs:sequence>{attributes}"
    if base:
        content = f'<xs:complexContent><xs:extension base="{base}">{content}</xs:extension></xs:complexContent>'
    return f'  <xs:complexType name="{name}">{content}</xs:complexType>'


def attributes(*names: str, kind: str = "string") -> str:
    """Return attributes of one simple type."""
    return "".join(f'<xs:attribute name="{name}" type="xs:{kind}"/>' for name in names)


def elements(*names: str, kind: str = "xs:string") -> str:
    """Return elements of one type, each of which may be there once."""
    return "".join(f'<xs:element name="{name}" type="{kind}" minOccurs="0"/>' for name in names)


def _nested(place: str, content: str) -> str:
    return (
        f'<xs:element name="{place}" minOccurs="0"><xs:complexType><xs:sequence>{content}</xs:sequence>'
        "</xs:complexType></xs:element>"
    )


def _many(name: str, kind: str) -> str:
    return f'<xs:element name="{name}" type="{kind}" minOccurs="0" maxOccurs="unbounded"/>'


def _named_texts(place: str, name: str) -> str:
    """Return a list of texts, each of which has a name."""
    return _nested(
        place,
        f'<xs:element name="{name}" minOccurs="0" maxOccurs="unbounded">'
        '<xs:annotation><xs:appinfo><xdat:element displayIdentifiers="name"/></xs:appinfo></xs:annotation>'
        '<xs:complexType><xs:simpleContent><xs:extension base="xs:string">'
        '<xs:attribute name="name" type="xs:string" use="required"/></xs:extension></xs:simpleContent>'
        "</xs:complexType></xs:element>",
    )


_RESOURCES = _nested("resources", _many("resource", "xnat:abstractResource"))
_FIELDS = _named_texts("fields", "field")
_DEMOGRAPHIC_TEXTS = ("dob", "gender", "handedness", "educationDesc", "race", "ethnicity")
_DEMOGRAPHIC_NUMBERS = ("yob", "age", "education", "ses")
_DEMOGRAPHIC_SIZES = ("gestational_age", "post_menstrual_age", "height", "weight", "birth_weight")

TYPES = (
    complex_type(
        "projectData",
        elements("name", "description", "keywords")
        + _nested("aliases", _many("alias", "xs:string"))
        + _RESOURCES
        + _many("studyProtocol", "xnat:abstractProtocol")
        + elements("PI", kind="xnat:investigatorData")
        + _FIELDS,
        attributes("ID", "secondary_ID"),
    ),
    complex_type(
        "subjectData",
        elements("investigator", kind="xnat:investigatorData")
        + elements("demographics", kind="xnat:abstractDemographicData")
        + _RESOURCES
        + _nested("experiments", _many("experiment", "xnat:subjectAssessorData"))
        + _FIELDS,
        attributes("ID", "project", "group", "src", "initials", "label"),
    ),
    complex_type("abstractDemographicData", ""),
    complex_type(
        "demographicData",
        elements(*_DEMOGRAPHIC_TEXTS)
        + elements(*_DEMOGRAPHIC_NUMBERS, kind="xs:integer")
        + elements(*_DEMOGRAPHIC_SIZES, kind="xs:float"),
        base="xnat:abstractDemographicData",
    ),
    complex_type("investigatorData", elements("title", "firstname", "lastname", "institution", "department", "email")),
    complex_type("abstractProtocol", "", attributes("ID", "name", "description")),
    complex_type(
        "experimentData",
        elements("date", kind="xs:date")
        + elements("time", kind="xs:time")
        + elements("note")
        + elements("investigator", kind="xnat:investigatorData")
        + elements("acquisition_site")
        + _RESOURCES
        + _FIELDS,
        attributes("ID", "project", "visit_id", "label"),
    ),
    complex_type("subjectAssessorData", elements("subject_ID"), base="xnat:experimentData"),
    complex_type("derivedData", elements("imageSession_ID"), base="xnat:experimentData"),
    complex_type("imageAssessorData", "", base="xnat:derivedData"),
    complex_type("reconstructedImageData", elements("image_session_ID", "baseScanType"), attributes("ID", "type")),
    complex_type(
        "imageSessionData",
        _nested("scans", _many("scan", "xnat:imageScanData"))
        + _nested("reconstructions", _many("reconstructedImage", "xnat:reconstructedImageData"))
        + _nested("assessors", _many("assessor", "xnat:imageAssessorData"))
        + elements("scanner", "operator", "dcmAccessionNumber", "dcmPatientId", "dcmPatientName", "session_type"),
        attributes("modality", "UID"),
        base="xnat:subjectAssessorData",
    ),
    complex_type(
        "imageScanData",
        elements("image_session_ID", "note", "quality", "condition", "series_description", "documentation")
        + elements("scanner", "modality")
        + elements("frames", kind="xs:integer")
        + elements("operator")
        + _many("file", "xnat:abstractResource")
        + _nested("parameters", _named_texts("addParam", "addField")),
        attributes("ID", "type", "UID"),
    ),
    complex_type(
        "abstractResource",
        "",
        attributes("label") + attributes("file_count", kind="integer") + attributes("file_size", kind="long"),
    ),
)
"""In the order in which clients can read them: each after the one that it extends."""
