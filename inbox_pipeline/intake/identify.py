"""Which subject and session a file belongs to: XNAT's rules in their exact precedence (contract section 2.3).

Belongs here: the rules from header values to labels, with the name of the rule that fired. Does not belong here:
grouping files into sessions (`sessions.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from inbox_pipeline.intake.labels import fix, is_blank_name

FALLBACK_SESSION = "dicom_upload"
TRUE_WORDS = frozenset({"t", "true"})
FALSE_WORDS = frozenset({"f", "false"})


class IdentifyingHeader(Protocol):
    """The header values that the rules read; None means missing."""

    @property
    def patient_comments(self) -> str | None:
        """(0010,4000)."""

    @property
    def study_comments(self) -> str | None:
        """(0032,4000)."""

    @property
    def additional_patient_history(self) -> str | None:
        """(0010,21B0)."""

    @property
    def patient_name(self) -> str | None:
        """(0010,0010)."""

    @property
    def patient_id(self) -> str | None:
        """(0010,0020)."""


@dataclass(frozen=True)
class Identity:
    """Where a file goes, and which rule said so. `auto_archive` is None when the header does not say."""

    subject_label: str
    session_label: str
    subject_rule: str
    session_rule: str
    auto_archive: bool | None


def identify(header: IdentifyingHeader, subject: str | None = None, session: str | None = None) -> Identity:
    """Return the labels of one file.

    Args:
        header: the file's identifying values.
        subject: SUBJECT_ID of the request, used as given.
        session: EXPT_LABEL of the request, used as given.
    """
    session_label, session_rule = _first(_session_candidates(header, session))
    subject_label, subject_rule = _first([*_subject_candidates(header, subject), (session_label, "session_label")])
    return Identity(subject_label, session_label, subject_rule, session_rule, _auto_archive(header))


def assignment(keyword: str, text: str | None) -> str | None:
    """Return the value of the last `keyword: value` in a comment, or None.

    The keyword is matched without case, after the start, white space, a comma or a semicolon; the value is a run of
    word characters and hyphens before white space, a comma, a semicolon or the end. The last may begin within the value
    of the one before it, as in `Subject: Subject : S1`.
    """
    if not text:
        return None
    pattern = rf"(?<![^\s,;])(?={keyword}\s*:\s*([\w-]+)(?![^\s,;]))"
    found = re.findall(pattern, text, re.IGNORECASE | re.ASCII)
    return found[-1] if found else None


def _comments(header: IdentifyingHeader) -> list[tuple[str | None, str]]:
    """Return the three comment elements in the order in which they are asked."""
    return [
        (header.patient_comments, "patient_comments"),
        (header.study_comments, "study_comments"),
        (header.additional_patient_history, "additional_patient_history"),
    ]


def _from_comments(keyword: str, header: IdentifyingHeader) -> Iterator[tuple[str, str]]:
    for text, rule in _comments(header):
        value = assignment(keyword, text)
        if value:
            yield fix(value), rule


def _session_candidates(header: IdentifyingHeader, explicit: str | None) -> Iterator[tuple[str, str]]:
    yield explicit or "", "parameter"
    yield from _from_comments("session", header)
    yield fix(header.patient_id or ""), "patient_id"
    yield FALLBACK_SESSION, "fallback"


def _subject_candidates(header: IdentifyingHeader, explicit: str | None) -> Iterator[tuple[str, str]]:
    yield explicit or "", "parameter"
    yield from _from_comments("subject", header)
    yield "" if is_blank_name(header.patient_name) else fix(header.patient_name or ""), "patient_name"


def _first(candidates: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> tuple[str, str]:
    """Return the first candidate that is not blank; the last one never is."""
    return next(candidate for candidate in candidates if candidate[0])


def _auto_archive(header: IdentifyingHeader) -> bool | None:
    for text, _ in _comments(header):
        word = (assignment("aa", text) or "").lower()
        if word in TRUE_WORDS | FALSE_WORDS:
            return word in TRUE_WORDS
    return None
