"""Which project, subject and session a file belongs to: XNAT's rules in their exact precedence (contract section 2.3).

Belongs here: the rules from header values to labels, with the name of the rule that fired and of those that would have.
Does not belong here: administrators' rules (`routing.py`), grouping files into sessions (`sessions.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from inbox_pipeline.intake.labels import fix, is_blank_name
from inbox_pipeline.intake.routing import NO_ROUTING, PROJECT, SESSION, SUBJECT, Routing

FALLBACK_SESSION = "dicom_upload"
PARAMETER, ROUTING = "parameter", "routing"
TRUE_WORDS = frozenset({"t", "true"})
FALSE_WORDS = frozenset({"f", "false"})
_PATIENT_COMMENTS, _STUDY_COMMENTS, _ADDITIONAL_PATIENT_HISTORY = 0x00104000, 0x00324000, 0x001021B0
_PATIENT_NAME, _PATIENT_ID, _STUDY_DESCRIPTION, _ACCESSION_NUMBER = 0x00100010, 0x00100020, 0x00081030, 0x00080050


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

    @property
    def study_description(self) -> str | None:
        """(0008,1030)."""

    @property
    def accession_number(self) -> str | None:
        """(0008,0050)."""

    @property
    def others(self) -> Mapping[int, str]:
        """The elements that administrators' rules read, by tag."""


@dataclass(frozen=True)
class Candidate:
    """A label, the rule that gives it, the element that it comes from and the line of an administrator's rule.

    `given` tells that a person chose it: who asked, who wrote a comment, or who wrote the administrator's rule, unless
    that reads an element that says who the patient is.
    """

    label: str
    rule: str
    tag: int | None = None
    line: int | None = None
    given: bool = False


@dataclass(frozen=True)
class Identity:
    """Where a file goes, and which rule said so. `auto_archive` is None when the header does not say."""

    subject: Candidate
    session: Candidate
    auto_archive: bool | None = None


def identify(
    header: IdentifyingHeader, subject: str | None = None, session: str | None = None, routing: Routing = NO_ROUTING
) -> Identity:
    """Return the labels of one file.

    Args:
        header: the file's identifying values.
        subject: SUBJECT_ID of the request, used as given.
        session: EXPT_LABEL of the request, used as given.
        routing: the administrators' rules.

    Raises:
        RuleTooSlow: one of them takes too long on this file.
    """
    of_session = next(session_candidates(header, session, routing))
    of_subject = next(subject_candidates(header, subject, of_session, routing))
    return Identity(of_subject, of_session, _auto_archive(header))


def session_candidates(header: IdentifyingHeader, explicit: str | None, routing: Routing) -> Iterator[Candidate]:
    """Yield what each rule for the session's label gives, the one that counts first; the last one always gives one.

    Args:
        header: the file's identifying values.
        explicit: EXPT_LABEL of the request.
        routing: the administrators' rules.

    Raises:
        RuleTooSlow: one of them takes too long on this file.
    """
    yield from _chosen(header, SESSION, explicit, routing)
    yield from _labelled(header.patient_id, "patient_id", _PATIENT_ID)
    yield Candidate(FALLBACK_SESSION, "fallback")


def subject_candidates(
    header: IdentifyingHeader, explicit: str | None, session: Candidate, routing: Routing
) -> Iterator[Candidate]:
    """Yield what each rule for the subject's label gives, as `session_candidates`; the last one is the session's."""
    yield from _chosen(header, SUBJECT, explicit, routing)
    if not is_blank_name(header.patient_name):
        yield from _labelled(header.patient_name, "patient_name", _PATIENT_NAME)
    yield Candidate(session.label, "session_label")


def project_candidates(
    header: IdentifyingHeader, explicit: str | None, known: Callable[[str], str | None], routing: Routing
) -> Iterator[Candidate]:
    """Yield the projects that the rules name, the one that counts first.

    Args:
        header: the file's identifying values.
        explicit: PROJECT_ID of the request; an inbox always has one.
        known: returns the ID of a project that whoever asks may use, None for any other text.
        routing: the administrators' rules.

    Raises:
        RuleTooSlow: one of them takes too long on this file.
    """
    if explicit:
        yield Candidate(explicit, PARAMETER, given=True)
    for candidate in _named_projects(header, routing):
        project_id = known(candidate.label)
        if project_id is not None:
            yield Candidate(project_id, candidate.rule, candidate.tag, candidate.line, candidate.given)


def _named_projects(header: IdentifyingHeader, routing: Routing) -> Iterator[Candidate]:
    for rule, value in routing.found(PROJECT, header.others):
        yield Candidate(value, ROUTING, rule.tag, rule.line, not rule.identifying)
    yield from _from_comments(PROJECT, header)
    yield Candidate((header.study_description or "").strip(), "study_description", _STUDY_DESCRIPTION)
    yield Candidate((header.accession_number or "").strip(), "accession_number", _ACCESSION_NUMBER)


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


def _comments(header: IdentifyingHeader) -> list[tuple[str | None, str, int]]:
    """Return the three comment elements in the order in which they are asked."""
    return [
        (header.patient_comments, "patient_comments", _PATIENT_COMMENTS),
        (header.study_comments, "study_comments", _STUDY_COMMENTS),
        (header.additional_patient_history, "additional_patient_history", _ADDITIONAL_PATIENT_HISTORY),
    ]


def _from_comments(keyword: str, header: IdentifyingHeader) -> Iterator[Candidate]:
    for text, rule, tag in _comments(header):
        value = assignment(keyword, text)
        if value:
            yield Candidate(fix(value), rule, tag, given=True)


def _chosen(header: IdentifyingHeader, target: str, explicit: str | None, routing: Routing) -> Iterator[Candidate]:
    """What the request says, the administrators' rules, the comments."""
    if explicit:
        yield Candidate(explicit, PARAMETER, given=True)
    for rule, value in routing.found(target, header.others):
        yield Candidate(fix(value), ROUTING, rule.tag, rule.line, not rule.identifying)
    yield from _from_comments(target, header)


def _labelled(value: str | None, rule: str, tag: int) -> Iterator[Candidate]:
    label = fix(value or "")
    if label:
        yield Candidate(label, rule, tag)


def _auto_archive(header: IdentifyingHeader) -> bool | None:
    for text, _, _ in _comments(header):
        word = (assignment("aa", text) or "").lower()
        if word in TRUE_WORDS | FALSE_WORDS:
            return word in TRUE_WORDS
    return None


def told(candidates: Iterable[Candidate], *, labels: bool) -> dict[str, object]:
    """Return which rule fired and which others would have, as it is shown; with `labels`, what each gives.

    Args:
        candidates: those of one target, the one that counts first.
        labels: whether labels may be shown.
    """
    first, *others = (_told(each, labels=labels) for each in candidates)
    return {**first, "others": others}


def _told(candidate: Candidate, *, labels: bool) -> dict[str, object]:
    shown: dict[str, object] = {"rule": candidate.rule}
    if candidate.tag is not None:
        shown["tag"] = f"({candidate.tag >> 16:04X},{candidate.tag & 0xFFFF:04X})"
    if candidate.line is not None:
        shown["line"] = candidate.line
    if labels:
        shown["label"] = candidate.label
    return shown
