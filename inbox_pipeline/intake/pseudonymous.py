"""Labels under a policy that hides who the patient is (DESIGN section 3, Anonymization order).

Belongs here: which labels a pseudonym replaces, and what a given one must not be. Does not belong here: how pseudonyms
are made (`deid/pseudonyms.py`), the rules that find labels (`identify.py`), comparing labels (`deid/keyed.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from inbox_pipeline.deid.folding import fold
from inbox_pipeline.deid.identifier import Kind
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


@lru_cache(maxsize=1024)
def own_words(patient_id: str, patient_name: str, accession_number: str) -> tuple[tuple[Kind, str], ...]:
    """Return what a chosen label must not be, in any spelling, even where it is too common to be looked for in a text:
    ids, and words of the name alone and together; folded, without separators."""
    ids = [(Kind.ID, text) for value in (patient_id, accession_number) for text in _long_enough(_folded(value))]
    return (*ids, *((Kind.NAME, text) for text in _of_name(patient_name)))


def _of_name(patient_name: str) -> Iterator[str]:
    for group in patient_name.split("="):
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
    return _NOT_A_WORD.sub("", fold(text))
