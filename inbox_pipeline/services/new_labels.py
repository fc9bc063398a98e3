"""Other labels for sessions that were imported under policy `basic`: those that give the patient away are refused.

Belongs here: keeping digests of what identifies, and the one decision by them, for archiving as for renaming. Does not
belong here: labels at an import (`chosen_labels.py`), how labels and identifiers are compared (`deid/keyed.py`).

At an import identifiers are compared with a label as they stand in the files. Later only digests of them are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.deid.identifier import Kind
from inbox_pipeline.deid.keyed import Forms, digests_of, kinds_by_digest, uids_in
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.policies import BASIC
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import digests
from inbox_pipeline.store.secret import Secret

PURPOSE = "label-digests"
_UID_KEYS = ("study_key", "series_key", "sop_key", "frame_key")


def keep_digests(connection: Connection, secret: Secret, request_id: int, study_key: str, forms: Forms) -> None:
    """Keep digests of what labels of a study's sessions must neither be nor hold; never the values.

    Args:
        connection: the transaction that notes the files as staged.
        secret: the site's.
        request_id: the request that imports the study.
        study_key: the study.
        forms: what its files say of the patient.
    """
    made = digests_of(forms, secret.subkey(PURPOSE), _scope(request_id, study_key))
    kinds = {digest: kind.value for digest, kind in made.items()}
    digests.add(connection, request_id, study_key, secret.key_id, kinds)


def refuse_identifying(
    site: Site,
    connection: Connection,
    session: RowMapping | Mapping[str, Any],
    subject_label: str | None,
    session_label: str | None,
) -> None:
    """Refuse labels for a session of policy `basic` that are or hold one of its patient's own identifiers.

    Labels that it has already, and None, are not looked at.

    Args:
        site: the site.
        connection: a transaction.
        session: the session, in the prearchive or in the archive.
        subject_label: the subject's label that it is to get.
        session_label: the label that it is to get itself.

    Raises:
        Rejected: `label_identifies`; `label_unproven`, if of any of its files no digests were kept;
            `label_key_changed`, if they were made with another secret.
    """
    asked = (("subject", subject_label, session["subject_label"]), ("session", session_label, session["label"]))
    others = {which: label for which, label, own in asked if label not in (None, own)}
    if session["policy"] != BASIC or not others:
        return
    known = _Known(site, connection, int(session["id"]))
    for which, label in others.items():
        kinds = known.kinds_in(str(label))
        if kinds:
            kind = min(each.value for each in kinds)
            raise refusal("label_identifies", which=which, kind=kind)


class _Known:
    """What is kept of the patients of a session.

    Raises:
        Rejected: `label_unproven`, `label_key_changed`.
    """

    def __init__(self, site: Site, connection: Connection, session_id: int) -> None:
        origins = digests.origins(connection, session_id)
        if not origins or not all(origin["digested"] for origin in origins):
            raise refusal("label_unproven")
        self._secret = site.secret
        self._uid_keys = {origin[name] for origin in origins for name in _UID_KEYS}
        studies = sorted({(origin["request_id"], origin["study_key"]) for origin in origins})
        self._studies = {_scope(*study): digests.of_study(connection, *study) for study in studies}
        if any(row["key_id"] != site.secret.key_id for rows in self._studies.values() for row in rows):
            raise refusal("label_key_changed")

    def kinds_in(self, label: str) -> set[Kind]:
        """Return the kinds of the identifiers that a label is or holds."""
        key, found = self._secret.subkey(PURPOSE), set[Kind]()
        for scope, rows in self._studies.items():
            found |= kinds_by_digest(label, {row["digest"]: Kind(row["kind"]) for row in rows}, key, scope)
        if not self._uid_keys.isdisjoint(self._secret.digest("uid", uid) for uid in uids_in(label)):
            found.add(Kind.UID)
        return found


def _scope(request_id: int, study_key: str) -> str:
    """Return what the digests of a study belong to: those of two imports of one patient have nothing in common."""
    return f"{request_id}\x1f{study_key}"
