"""Which elements hold direct identifiers, by tag and VR.

Belongs here: the list of elements of PS3.15 Table E.1-1 that name a person, a case, a place or a machine. Does not
belong here: their values (`identifiers.py`), what is done to them (`policy.py`).

Free text (descriptions, comments), sizes, sexes, codes of sites of trials and the like are in the table and not here:
what they hold of a person is found by its name, number or date.
"""

from __future__ import annotations

from functools import lru_cache

from inbox_pipeline.deid.identifier import Kind

_BY_VR = {"PN": Kind.NAME, "UI": Kind.UID, "DA": Kind.DATE, "DT": Kind.DATE, "AE": Kind.DEVICE}

_TAGS = {
    Kind.NAME: """
        00100012 00880910
    """,
    Kind.ID: """
        00080050 00100020 00101000 00101090 00120040 00120042 00200010 00380010 00380060 00400009 00400253 0040050A
        00400512 00400551 004006FA 00401001 00402006 00402007 00402016 00402017 0050001B 22000005 40080040 40080200
    """,
    Kind.PHONE: """
        00080094 00102154 00102155 00401103 00401104 00402010 00402011 0040A354
    """,
    Kind.ADDRESS: """
        00080092 00101040 00401102 0040A353 00380400 0038001E
    """,
    Kind.INSTITUTION: """
        00080080 00080081 00081040 00102299 00321020 00380300 00400011 00400243 00401005 00402009 00404036 0040A027
        00120031 00120060 4008011A
    """,
    Kind.DEVICE: """
        00081010 00181000 00181004 00181005 00181007 00181008 00181010 00181011 0018700A 00400010 00400242 00160051
        00181009 00189367 00189371 30080105 300A00B2
    """,
    Kind.BIRTH_DATE: "00100030",
}
_OPEN = "00080060 00080070 00081090 00180015 00181020"
_KINDS = {int(tag, 16): kind for kind, tags in _TAGS.items() for tag in tags.split()}

KEPT_IN_THE_OPEN = frozenset(int(tag, 16) for tag in _OPEN.split())
"""Modality, manufacturer, model, body part, software: what these say is no secret elsewhere in the file."""


@lru_cache(maxsize=8192)
def kind_of(tag: int, vr: str) -> Kind | None:
    """Return how an element identifies; None if it does not."""
    return _KINDS.get(tag) or _BY_VR.get(vr)
