"""Digests of identifiers in the catalog: added while files are anonymized, looked up for a session, forgotten with it.

Belongs here: the queries on `identifier_digests`. Does not belong here: how digests are made and compared
(`deid/keyed.py`), what follows from them (`services/new_labels.py`). Nothing else reads this table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.engine import insert_if_absent
from inbox_pipeline.store.catalog.schema import (
    DELETED,
    identifier_digests,
    instances,
    ledger,
    request_sessions,
    sessions,
)


def add(connection: Connection, request_id: int, study_key: str, key_id: str, kinds: Mapping[str, str]) -> None:
    """Add digests, with the kind of each, to those of a study that a request imports; those that are there stay."""
    fixed = {"request_id": request_id, "study_key": study_key, "key_id": key_id}
    for digest in sorted(kinds):
        insert_if_absent(connection, identifier_digests, {**fixed, "digest": digest, "kind": kinds[digest]})


def origins(connection: Connection, session_id: int) -> Sequence[RowMapping]:
    """Return of each file of a session `request_id`, `study_key`, the other keys of its UIDs, and `digested`.

    They are those of the ledger row that it was imported by, null if there is none.
    """
    wanted = ("request_id", "study_key", "series_key", "sop_key", "frame_key", "digested")
    query = (
        sa.select(*(ledger.c[name] for name in wanted))
        .join_from(instances, ledger, instances.c.ledger_id == ledger.c.id, isouter=True)
        .where(instances.c.session_id == session_id)
    )
    return connection.execute(query).mappings().all()


def of_study(connection: Connection, request_id: int, study_key: str) -> Sequence[RowMapping]:
    """Return the digests of a study that a request has imported, with `kind` and `key_id`."""
    here = (identifier_digests.c.request_id == request_id) & (identifier_digests.c.study_key == study_key)
    return connection.execute(sa.select(identifier_digests).where(here)).mappings().all()


def forget_unused(connection: Connection, request_id: int) -> None:
    """Forget the digests of those studies of a request of which there is no session, or none any more."""
    of_request: sa.ColumnElement[Any] = request_sessions.c.request_id == request_id
    kept = (
        sa.select(request_sessions.c.study_key)
        .join_from(request_sessions, sessions, request_sessions.c.session_id == sessions.c.id)
        .where(of_request, sessions.c.state != DELETED)
    )
    unused = (identifier_digests.c.request_id == request_id) & identifier_digests.c.study_key.not_in(kept)
    connection.execute(sa.delete(identifier_digests).where(unused))
