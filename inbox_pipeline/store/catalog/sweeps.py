"""What the sweeps remember: the last look at each folder, and the files they have asked to import.

Belongs here: the `sweep_folders` and `sweep_files` tables. Does not belong here: the decision (`intake/sweeps.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.sweeps import Observation, SeenFile
from inbox_pipeline.store.catalog.schema import projects, sweep_files, sweep_folders


def swept_projects(connection: Connection) -> Sequence[RowMapping]:
    """Return the projects that have switched sweeps on."""
    return connection.execute(sa.select(projects).where(projects.c.sweep).order_by(projects.c.id)).mappings().all()


def last_observation(connection: Connection, project_id: str, path_digest: str) -> Observation | None:
    """Return what was last seen of a folder, or None."""
    here = (sweep_folders.c.project_id == project_id) & (sweep_folders.c.path_digest == path_digest)
    row = connection.execute(sa.select(sweep_folders).where(here)).mappings().one_or_none()
    return Observation(row["fingerprint"], row["observed_at"], row["unchanged_since"]) if row else None


def remember(connection: Connection, project_id: str, path_digest: str, path: bytes, seen: Observation) -> None:
    """Record what was seen of a folder."""
    here = (sweep_folders.c.project_id == project_id) & (sweep_folders.c.path_digest == path_digest)
    values = {
        "fingerprint": seen.fingerprint,
        "observed_at": seen.observed_at,
        "unchanged_since": seen.unchanged_since,
    }
    if not connection.execute(sa.update(sweep_folders).where(here).values(values)).rowcount:
        key = {"project_id": project_id, "path_digest": path_digest, "source_path": path}
        connection.execute(sa.insert(sweep_folders).values(**key, **values))


def asked_files(connection: Connection, project_id: str, keys: Sequence[str]) -> set[tuple[str, str]]:
    """Return the (path digest, signature) pairs, among `keys`, of files that a sweep has asked to import."""
    found: set[tuple[str, str]] = set()
    for start in range(0, len(keys), 500):
        here = sweep_files.c.path_digest.in_(keys[start : start + 500]) & (sweep_files.c.project_id == project_id)
        query = sa.select(sweep_files.c.path_digest, sweep_files.c.signature).where(here)
        found.update((digest, signature) for digest, signature in connection.execute(query))
    return found


def remember_asked(
    connection: Connection, project_id: str, files: Sequence[tuple[str, SeenFile]], request_id: int
) -> None:
    """Record that files, by the digest of their whole path, were asked for by a request."""
    keys = [key for key, _ in files]
    for start in range(0, len(keys), 500):
        here = sweep_files.c.path_digest.in_(keys[start : start + 500]) & (sweep_files.c.project_id == project_id)
        connection.execute(sa.delete(sweep_files).where(here))
    rows = [
        {"project_id": project_id, "path_digest": key, "signature": file.signature, "request_id": request_id}
        for key, file in files
    ]
    if rows:
        connection.execute(sa.insert(sweep_files), rows)
