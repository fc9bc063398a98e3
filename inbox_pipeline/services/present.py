"""What is in the archive already of the sessions that a request's files would join.

Belongs here: looking it up before any file is anonymized. Does not belong here: what follows from it
(`intake/copies.py`), and the same question under the label's lock (`generation.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.labels import same
from inbox_pipeline.intake.merging import ARCHIVED_ALREADY
from inbox_pipeline.intake.sessions import PlannedSession
from inbox_pipeline.services.destination import may_join, merge_of
from inbox_pipeline.store.catalog import commits, merges


@dataclass(frozen=True)
class Present:
    """By row, the archived instance of the same original UID; by compared label and study, the session's subject."""

    instances: Mapping[int, RowMapping]
    subjects: Mapping[tuple[str, str], str]

    def place(self, row: Mapping[str, Any] | RowMapping, verdict: str | None) -> dict[str, Any]:
        """Return where the instance that makes a file a duplicate lies, as columns of the ledger."""
        if verdict != ARCHIVED_ALREADY:
            return {"archived_path": row["archived_path"], "archived_sha256": row["archived_sha256"]}
        instance = self.instances[row["id"]]
        path = f"{instance['session_path']}/{instance['path']}"
        return {"archived_path": path, "archived_sha256": instance["sha256"]}

    def name_subjects(self, sessions: Sequence[PlannedSession]) -> None:
        """Give planned sessions the subject of the session that they join, unless the request names one."""
        for session in sessions:
            if session.subject_rule != "parameter":
                joined = (same(session.session_label), session.study_key)
                session.subject_label = self.subjects.get(joined, session.subject_label)


def present_in(connection: Connection, request: RowMapping, rows: Sequence[RowMapping]) -> Present:
    """Return what the sessions that a request may add to have of its files."""
    merge = merge_of(connection, request)
    wanted = {same(row["session_label"]) for row in rows}
    existing = commits.archived_sessions(connection, request["project_id"])
    joined = {s["label_key"]: s for s in existing if s["label_key"] in wanted and may_join(merge, s, request)}
    ids = [session["id"] for session in joined.values()]
    found = merges.archived_instances(connection, ids, {row["sop_key"] for row in rows})
    by_key = {(instance["session_id"], instance["sop_key"]): instance for instance in found}
    instances = {}
    for row in rows:
        session = joined.get(same(row["session_label"]))
        instance = by_key.get((session["id"], row["sop_key"])) if session else None
        if instance is not None:
            instances[row["id"]] = instance
    subjects = {
        (label, origin["study_key"]): session["subject_label"]
        for label, session in joined.items()
        for origin in merges.origins(connection, session["id"])
    }
    return Present(instances, subjects)
