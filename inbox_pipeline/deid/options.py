"""The options of the Basic Application Level Confidentiality Profile (PS3.15 section E.3) and their codes (CID 7050).

Belongs here: names, codes, which may be combined. Does not belong here: what an option does to an element.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from inbox_pipeline.errors import Rejected


class Code(NamedTuple):
    """One code of CID 7050, De-identification Method (PS3.16); the scheme is DCM."""

    value: str
    meaning: str


SAFE_PRIVATE = "retain-safe-private"
UIDS = "retain-uids"
DEVICE = "retain-device-identity"
INSTITUTION = "retain-institution-identity"
PATIENT = "retain-patient-characteristics"
FULL_DATES = "retain-longitudinal-full-dates"
MODIFIED_DATES = "retain-longitudinal-modified-dates"
DESCRIPTORS = "clean-descriptors"
CONTENT = "clean-structured-content"
GRAPHICS = "clean-graphics"

BASIC_CODE = Code("113100", "Basic Application Confidentiality Profile")
PIXEL_CODE = Code("113101", "Clean Pixel Data Option")
FEATURES_CODE = Code("113102", "Clean Recognizable Visual Features Option")
OPTION_CODES = {
    GRAPHICS: Code("113103", "Clean Graphics Option"),
    CONTENT: Code("113104", "Clean Structured Content Option"),
    DESCRIPTORS: Code("113105", "Clean Descriptors Option"),
    FULL_DATES: Code("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    MODIFIED_DATES: Code("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    PATIENT: Code("113108", "Retain Patient Characteristics Option"),
    DEVICE: Code("113109", "Retain Device Identity Option"),
    UIDS: Code("113110", "Retain UIDs Option"),
    SAFE_PRIVATE: Code("113111", "Retain Safe Private Option"),
    INSTITUTION: Code("113112", "Retain Institution Identity Option"),
}
"""Every option that a policy may name; the two about pixels are claimed by whoever cleans pixels."""

CODES = (BASIC_CODE, PIXEL_CODE, FEATURES_CODE, *OPTION_CODES.values())
NEW_SITE_OPTIONS = (MODIFIED_DATES, PATIENT, DESCRIPTORS, CONTENT, SAFE_PRIVATE)
"""What a new site or project starts with."""


def checked(names: Iterable[str]) -> frozenset[str]:
    """Return the named options.

    Raises:
        Rejected: `parameter_invalid`, for a name that is none, and for full dates together with modified dates.
    """
    options = frozenset(names)
    if unknown := options - OPTION_CODES.keys():
        raise _refused(f"{len(unknown)} of the options named are not options of PS3.15.")
    if options >= {FULL_DATES, MODIFIED_DATES}:
        raise _refused(f"{FULL_DATES} and {MODIFIED_DATES} exclude each other.")
    return options


def _refused(sentence: str) -> Rejected:
    return Rejected("parameter_invalid", sentence, f"Choose from: {', '.join(OPTION_CODES)}.")
