"""Labels of subjects, sessions and scans: which are legal, and how values from a header become one.

Belongs here: XNAT's character rules (contract sections 2.3 and 2.5). Does not belong here: which value is used
(`identify.py`) and whether a label is taken (`sessions.py`).
"""

from __future__ import annotations

import hashlib
import re

MAX_LENGTH = 200
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")
_LEGAL = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_LENGTH}}}")
_SERIES_NUMBER = re.compile(r"[_-]?[0-9][0-9.]{0,31}")
_BLANK_NAME = re.compile(r"[\s^=]*")


def is_legal(label: str) -> bool:
    """Return whether an explicit label can be used as it is."""
    return _LEGAL.fullmatch(label) is not None


def fix(value: str) -> str:
    """Return `value` as a label: every illegal character becomes `_`; an overlong one ends in a digest of the whole."""
    label = _ILLEGAL.sub("_", value.strip())
    if len(label) <= MAX_LENGTH:
        return label
    return f"{label[: MAX_LENGTH - 17]}_{hashlib.sha256(value.encode('utf-8', 'replace')).hexdigest()[:16]}"


def is_blank_name(value: str | None) -> bool:
    """Return whether a Patient's Name is missing, empty or made of delimiters only."""
    return value is None or _BLANK_NAME.fullmatch(value) is not None


def same(label: str) -> str:
    """Return the form under which labels are compared, without case."""
    return label.casefold()


def scan_label(series_number: str | None, series_instance_uid: str) -> str:
    """Return the scan id that a series asks for: its number as it is written, else its UID made legal.

    Of several numbers the first counts, a leading `+` becomes `_`. Unlike XNAT, which takes any legal file name, text
    that is no number does not count: it may say anything about the patient.
    """
    number = re.sub(r"^\+", "_", (series_number or "").split("\\")[0].strip())
    if _SERIES_NUMBER.fullmatch(number):
        return number
    return re.sub(r"[^A-Za-z0-9_.-]", "_", series_instance_uid)[:64].lstrip(".-") or "NA"
