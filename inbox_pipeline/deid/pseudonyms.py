"""What stands for UIDs, patients, sessions and dates: functions of a value and a key, the same on every machine.

Belongs here: HMAC-SHA-256 over unambiguous messages, and the forms that its output takes. Does not belong here: the
secret (functions take keys derived from it, one per purpose and project), which element gets which value.

Without the key nothing here can be recomputed, not even for a value that can be guessed; two projects' keys have
nothing in common, so their pseudonyms cannot be linked.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from inbox_pipeline.deid.dummies import dummy_text
from inbox_pipeline.deid.table import standard_uids

MOST_DAYS = 365
REMEMBERED_UIDS = 65_536
REMEMBERED_PATIENTS = 1024
PATIENT_ID = 0x00100020
_PADDING = " \0"
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letters that read like digits; case carries nothing, as labels are compared without it."""
_LABEL_CHARACTERS = 12
_DUMMY_CHARACTERS = 8


class Patient(NamedTuple):
    """Whose file it is: the original PatientID, its issuer, and the Study Instance UID for when the first is blank.

    A file with neither belongs to nobody that can be told apart: it must not come here.
    """

    patient_id: str
    issuer: str
    study_instance_uid: str

    @property
    def identity(self) -> tuple[str, ...]:
        """What two files of one patient share. Blanks around values and ways to compose characters do not count."""
        patient_id = _normal(self.patient_id)
        if patient_id:
            return "id", patient_id, _normal(self.issuer)
        return "study", _normal(self.study_instance_uid)


@dataclass(frozen=True, repr=False)
class Keys:
    """The 32-byte keys of a project, one per purpose: who learns one cannot tell another."""

    uids: bytes
    subjects: bytes
    sessions: bytes
    dates: bytes
    values: bytes

    @classmethod
    def derived(cls, subkey: Callable[[str, str], bytes], project: str) -> Keys:
        """Return a project's keys.

        Args:
            subkey: derives a key from a purpose and a scope, as the secret does.
            project: the project's id.
        """
        return cls(*(subkey(f"deid-{field.name}", project) for field in fields(cls)))


class Pseudonyms:
    """A project's pseudonyms, with the last ones remembered."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._uid = lru_cache(REMEMBERED_UIDS)(self._new_uid)
        self.subject = lru_cache(REMEMBERED_PATIENTS)(self._subject)
        """The label of a patient: `P-` and 60 bits as twelve characters; it tells nothing of name or id."""
        self.days = lru_cache(REMEMBERED_PATIENTS)(self._days)
        """By how many days a patient's dates are moved back: 1 to 365, for all of the patient's files alike."""

    def uid(self, text: str) -> str:
        r"""Return what stands for a UID, or for several separated by ``\``.

        The form is `2.25.` and a UUID of version 8 (PS3.5 section B.2, RFC 9562). Blank stays blank, and standard UIDs
        stay: SOP classes, transfer syntaxes, well-known frames of reference, coding schemes.
        """
        return "\\".join(map(self._uid, text.split("\\"))) if "\\" in text else self._uid(text)

    def session(self, study_instance_uid: str) -> str:
        """Return the label of a study: `S-` and 60 bits as twelve characters."""
        return _label("S", _digest(self._keys.sessions, _normal(study_instance_uid)))

    def dummy(self, tag: int, vr: str, original: str, patient: Patient) -> str:
        """Return a legal value for the VR that says nothing of the original.

        Names and identifiers of short VRs are consistent: equal originals give equal values within a project. The
        PatientID is the subject's pseudonym, so that patients stay apart.
        """
        if tag == PATIENT_ID:
            return self.subject(patient)
        if vr == "UI":
            return self.uid(original)
        return dummy_text(vr, _characters(_digest(self._keys.values, vr, _normal(original)), _DUMMY_CHARACTERS))

    def _subject(self, patient: Patient) -> str:
        return _label("P", _digest(self._keys.subjects, *patient.identity))

    def _days(self, patient: Patient) -> int:
        return 1 + int.from_bytes(_digest(self._keys.dates, *patient.identity)[:8], "big") % MOST_DAYS

    def _new_uid(self, text: str) -> str:
        uid = text.strip(_PADDING)
        if not uid or uid in standard_uids():
            return uid
        number = int.from_bytes(_digest(self._keys.uids, uid)[:16], "big")
        version, variant = 0xF << 76, 0x3 << 62
        return f"2.25.{number & ~version & ~variant | 0x8 << 76 | 0x2 << 62}"


def _digest(key: bytes, *parts: str) -> bytes:
    """Return HMAC-SHA-256 of the parts, each with its length before it, so that no two lists give one message."""
    encoded = [part.encode("utf-8", "surrogateescape") for part in parts]
    return hmac.digest(key, b"".join(len(part).to_bytes(8, "big") + part for part in encoded), sha256)


def _label(prefix: str, digest: bytes) -> str:
    characters = _characters(digest, _LABEL_CHARACTERS)
    half = _LABEL_CHARACTERS // 2
    return f"{prefix}-{characters[:half]}-{characters[half:]}"


def _characters(digest: bytes, count: int) -> str:
    number = int.from_bytes(digest, "big")
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(count))


def _normal(value: str) -> str:
    return unicodedata.normalize("NFC", value.strip(_PADDING))
