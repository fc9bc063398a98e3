"""What an archived session holds, as an import that joins it asks, and the rows that its next generation changes.

Belongs here: reading and changing the rows of an existing session. Does not belong here: new sessions, locks
(`commits.py`), and which files join (`intake/merging.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.store.catalog.schema import instances, ledger, request_sessions, scans, sessions

BATCH = 500


def archived_session(connection: Connection, project_id: str, name: str) -> RowMapping | None:
    """Return the project's archived session of that label or accession id, matched without case, or None."""
    key = name.casefold()
    named = (sessions.c.label_key == key) | (sa.func.lower(sessions.c.accession) == key)
    here = (sessions.c.project_id == project_id) & (sessions.c.state == "ARCHIVED")
    return connection.execute(sa.select(sessions).where(here, named).order_by(sessions.c.id)).mappings().first()


def origins(connection: Connection, session_id: int) -> Sequence[RowMapping]:
    """Return the study and patient keys of whatever imports have gone into a session."""
    keys = sa.select(request_sessions.c.study_key, request_sessions.c.patient_key)
    return connection.execute(keys.where(request_sessions.c.session_id == session_id)).mappings().all()


def members(connection: Connection, session_id: int) -> Sequence[RowMapping]:
    """Return the instances of a session by path, with their scan's label and series and their original series' key."""
    query = (
        sa.select(instances, scans.c.label.label("scan_label"), scans.c.series_uid, ledger.c.series_key)
        .join_from(instances, scans, instances.c.scan_id == scans.c.id)
        .join(ledger, instances.c.ledger_id == ledger.c.id, isouter=True)
        .where(instances.c.session_id == session_id)
        .order_by(instances.c.path)
    )
    return connection.execute(query).mappings().all()


def archived_instances(
    connection: Connection, session_ids: Sequence[int], sop_keys: Collection[str]
) -> list[RowMapping]:
    """Return the instances of some sessions that have one of the keys, with `session_path`."""
    columns = (instances, sessions.c.path.label("session_path"))
    query = sa.select(*columns).join_from(instances, sessions, instances.c.session_id == sessions.c.id)
    found = connection.execute(query.where(instances.c.session_id.in_(session_ids))).mappings()
    return [row for row in found if row["sop_key"] in sop_keys]


def remove_instances(connection: Connection, session_id: int, sop_keys: Sequence[str]) -> None:
    """Remove the instances of a session that others replace."""
    for start in range(0, len(sop_keys), BATCH):
        some = instances.c.sop_key.in_(sop_keys[start : start + BATCH])
        connection.execute(sa.delete(instances).where(instances.c.session_id == session_id, some))


def scan_id(connection: Connection, session_id: int, label: str) -> int | None:
    """Return the scan of that label, or None."""
    here = (scans.c.session_id == session_id) & (scans.c.label == label)
    return connection.execute(sa.select(scans.c.id).where(here)).scalar_one_or_none()


def insert_instances(connection: Connection, session_id: int, scan: int, files: Sequence[Mapping[str, Any]]) -> None:
    """Add instances to a scan that exists."""
    rows = [{**file, "session_id": session_id, "scan_id": scan} for file in files]
    connection.execute(sa.insert(instances), rows)


def recount(connection: Connection, session_id: int) -> None:
    """Make the files, frames and bytes of a session's scans those of their instances; a scan without any goes."""
    of_scan = instances.c.scan_id == scans.c.id
    files = sa.select(sa.func.count()).select_from(instances).where(of_scan).scalar_subquery()
    size = sa.select(sa.func.coalesce(sa.func.sum(instances.c.bytes), 0)).where(of_scan).scalar_subquery()
    frames = sa.select(sa.func.sum(sa.func.coalesce(instances.c.frames, 1))).where(of_scan).scalar_subquery()
    here = scans.c.session_id == session_id
    connection.execute(sa.update(scans).where(here).values(files=files, bytes=size, frames=frames))
    connection.execute(sa.delete(scans).where(here, scans.c.files == 0))


def scan_modalities(connection: Connection, session_id: int) -> list[tuple[str, int]]:
    """Return the modality of each scan of a session with its number of files."""
    query = sa.select(scans.c.modality, scans.c.files).where(scans.c.session_id == session_id)
    return [(modality, int(files)) for modality, files in connection.execute(query)]


def update_session(connection: Connection, session_id: int, **values: Any) -> None:
    """Change an existing session's row."""
    connection.execute(sa.update(sessions).where(sessions.c.id == session_id).values(values))
