"""Labels under a policy that hides who the patient is (DESIGN section 3, Anonymization order).

Belongs here: which labels a pseudonym replaces, and whether a given one gives the patient away. Does not belong here:
how pseudonyms are made (`deid/pseudonyms.py`), the rules that find labels (`identify.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from inbox_pipeline.deid.pseudonyms import Patient, Pseudonyms
from inbox_pipeline.intake.identify import Candidate, Identity

PSEUDONYM = "pseudonym"
_SHORTEST = 3
_NOT_A_WORD = re.compile(r"[\W_]+")


class IdentifiedHeader(Protocol):
    """The header values that say who the patient is; None means missing."""

    @property
    def patient_id(self) -> str | None:
        """(0010,0020)."""

    @property
    def issuer_of_patient_id(self) -> str | None:
        """(0010,0021)."""

    @property
    def patient_name(self) -> str | None:
        """(0010,0010)."""

    @property
    def accession_number(self) -> str | None:
        """(0008,0050)."""

    @property
    def study_instance_uid(self) -> str | None:
        """(0020,000D)."""


def patient_of(header: IdentifiedHeader) -> Patient:
    """Return whose file it is."""
    return Patient(header.patient_id or "", header.issuer_of_patient_id or "", header.study_instance_uid or "")


def pseudonymous(identity: Identity, header: IdentifiedHeader, pseudonyms: Pseudonyms) -> Identity:
    """Return labels of which only those that a person chose stay; the others are pseudonyms of patient and study."""
    subject, session = identity.subject, identity.session
    if not subject.given:
        subject = Candidate(pseudonyms.subject(patient_of(header)), PSEUDONYM)
    if not session.given:
        session = Candidate(pseudonyms.session(header.study_instance_uid or ""), PSEUDONYM)
    return replace(identity, subject=subject, session=session)


def chosen_labels(identity: Identity) -> list[str]:
    """Return the labels that a person chose."""
    return [each.label for each in (identity.subject, identity.session) if each.given]


def gives_away(identity: Identity, header: IdentifiedHeader) -> bool:
    """Return whether a chosen label is one of that patient's own identifiers, in any spelling."""
    return not set(map(_folded, chosen_labels(identity))).isdisjoint(_identifiers(header))


def _identifiers(header: IdentifiedHeader) -> Iterator[str]:
    for text in (header.patient_id, header.accession_number):
        yield from _long_enough(_folded(text or ""))
    for group in (header.patient_name or "").split("="):
        words = [_folded(word) for word in re.split(r"[\^\s,]+", group)]
        yield from _long_enough("".join(words))
        yield from _long_enough("".join(reversed(words)))
        yield from _long_enough("".join(reversed(words[:2])))
        for word in words:
            yield from _long_enough(word)


def _long_enough(text: str) -> Iterator[str]:
    if len(text) >= _SHORTEST:
        yield text


def _folded(text: str) -> str:
    return _NOT_A_WORD.sub("", text).casefold()
