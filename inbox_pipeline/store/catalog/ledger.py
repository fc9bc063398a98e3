"""The ledger: one row per file found under a request's path.

Belongs here: writing rows in batches, reading and counting them. Does not belong here: which disposition a file gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.intake.merging import ARCHIVED_ALREADY
from inbox_pipeline.intake.reasons import FROM_ARCHIVE
from inbox_pipeline.intake.verdict import LOST
from inbox_pipeline.store.catalog.requests import utc_now
from inbox_pipeline.store.catalog.schema import ledger
from inbox_pipeline.store.fresh import FRESH

BATCH = 1000
COMMITTED = ("archived", "prearchived")


class Tally(NamedTuple):
    """How many files of a request, and of one of its sessions or none, have a disposition and reason."""

    session_number: int | None
    disposition: str
    reason: str
    files: int


def known_paths(connection: Connection, request_id: int) -> dict[str, RowMapping]:
    """Return the rows of a request by path digest: id, disposition, reason, staged name, deletion and stat values."""
    columns = (ledger.c.id, ledger.c.path_digest, ledger.c.disposition, ledger.c.staged_name, ledger.c.deleted_at)
    stat = (ledger.c.reason, ledger.c.bytes, ledger.c.mtime_ns, ledger.c.inode, ledger.c.source_path)
    query = sa.select(*columns, *stat).where(ledger.c.request_id == request_id)
    return {row["path_digest"]: row for row in connection.execute(query).mappings()}


def insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows; every row names the same columns."""
    if rows:
        connection.execute(sa.insert(ledger), list(rows))


def update_rows(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Change rows by `row_id`; every row names the same columns."""
    if rows:
        names = [name for name in rows[0] if name != "row_id"]
        statement = (
            sa.update(ledger)
            .where(ledger.c.id == sa.bindparam("row_id"))
            .values({name: sa.bindparam(f"new_{name}") for name in names})
        )
        values = [{"row_id": row["row_id"], **{f"new_{name}": row[name] for name in names}} for row in rows]
        connection.execute(statement, values)


def pending(connection: Connection, request_id: int) -> Sequence[RowMapping]:
    """Return the rows whose files are still to be imported, in path order."""
    here = (ledger.c.request_id == request_id) & (ledger.c.disposition == "pending")
    return connection.execute(sa.select(ledger).where(here).order_by(ledger.c.source_path)).mappings().all()


def bearers(connection: Connection, request_id: int) -> Sequence[RowMapping]:
    """Return the files of a request that others may refer to, in path order: their place, stat values and UIDs."""
    columns = (ledger.c.id, ledger.c.source_path, ledger.c.bytes, ledger.c.mtime_ns, ledger.c.inode)
    keys = (ledger.c.session_number, ledger.c.sop_key, ledger.c.series_key, ledger.c.study_key, ledger.c.frame_key)
    made = (ledger.c.sop_instance_uid, ledger.c.series_uid, ledger.c.study_uid)
    here = (ledger.c.request_id == request_id) & ledger.c.disposition.in_((*COMMITTED, "pending"))
    query = sa.select(*columns, *keys, *made).where(here & ledger.c.session_number.is_not(None))
    return connection.execute(query.order_by(ledger.c.source_path)).mappings().all()


def committed(connection: Connection, request_id: int) -> Sequence[RowMapping]:
    """Return the rows whose files a request has committed, in path order."""
    here = (ledger.c.request_id == request_id) & ledger.c.disposition.in_(COMMITTED)
    return connection.execute(sa.select(ledger).where(here).order_by(ledger.c.source_path)).mappings().all()


def with_reason(connection: Connection, request_id: int, reason: str) -> Sequence[RowMapping]:
    """Return the study and patient keys of the files that have a reason."""
    here = (ledger.c.request_id == request_id) & (ledger.c.reason == reason)
    return connection.execute(sa.select(ledger.c.study_key, ledger.c.patient_key).where(here)).mappings().all()


def staged(connection: Connection, request_id: int, number: int) -> Sequence[RowMapping]:
    """Return the staged rows of one of a request's sessions, by scan and name."""
    here = (ledger.c.request_id == request_id) & (ledger.c.session_number == number)
    query = sa.select(ledger).where(here & ledger.c.staged_name.is_not(None))
    return connection.execute(query.order_by(ledger.c.scan_label, ledger.c.staged_name)).mappings().all()


def committed_digests(connection: Connection, request_id: int) -> dict[str, str]:
    """Return the source digest by keyed SOP Instance UID of what the request has committed."""
    here = (ledger.c.request_id == request_id) & ledger.c.disposition.in_(COMMITTED)
    query = sa.select(ledger.c.sop_key, ledger.c.source_sha256).where(here)
    return {row.sop_key: row.source_sha256 for row in connection.execute(query)}


def rows(
    connection: Connection, request_id: int, after: bytes | None = None, limit: int = BATCH
) -> Sequence[RowMapping]:
    """Return up to `limit` rows of a request in path order, after a path."""
    query = sa.select(ledger).where(ledger.c.request_id == request_id).order_by(ledger.c.source_path).limit(limit)
    if after is not None:
        query = query.where(ledger.c.source_path > after)
    return connection.execute(query).mappings().all()


def counts(connection: Connection, request_id: int) -> dict[tuple[str, str], int]:
    """Return the number of a request's files by (disposition, reason)."""
    query = (
        sa.select(ledger.c.disposition, ledger.c.reason, sa.func.count())
        .where(ledger.c.request_id == request_id)
        .group_by(ledger.c.disposition, ledger.c.reason)
    )
    return {(disposition, reason): int(n) for disposition, reason, n in connection.execute(query)}


def total_bytes(connection: Connection, request_id: int) -> int:
    """Return the size of everything that a request found, in bytes."""
    query = sa.select(sa.func.coalesce(sa.func.sum(ledger.c.bytes), 0)).where(ledger.c.request_id == request_id)
    return int(connection.execute(query).scalar_one())


def unwritten(connection: Connection, request_ids: Sequence[int]) -> tuple[int, int]:
    """Return the number and the source bytes of the files that requests have still to import."""
    here = ledger.c.request_id.in_(request_ids) & (ledger.c.disposition == "pending") & ledger.c.staged_name.is_(None)
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(ledger.c.bytes), 0)).where(here)
    files, size = connection.execute(query).one()
    return int(files), int(size)


def tallies(connection: Connection, request_ids: Sequence[int]) -> dict[int, list[Tally]]:
    """Return the number of files of each of some requests by session, disposition and reason."""
    by = (ledger.c.request_id, ledger.c.session_number, ledger.c.disposition, ledger.c.reason)
    query = sa.select(*by, sa.func.count()).where(ledger.c.request_id.in_(request_ids)).group_by(*by)
    found: dict[int, list[Tally]] = {request_id: [] for request_id in request_ids}
    for request_id, *tally in connection.execute(query):
        found[request_id].append(Tally(*tally))
    return found


def commonest_loss(connection: Connection, request_id: int, session_number: int) -> str | None:
    """Return the reason that most of a session's rejected, held and failed files have, or None without any."""
    here = (ledger.c.request_id == request_id) & (ledger.c.session_number == session_number)
    query = (
        sa.select(ledger.c.reason)
        .where(here, ledger.c.disposition.in_(sorted(LOST)))
        .group_by(ledger.c.reason)
        .order_by(sa.func.count().desc(), ledger.c.reason)
    )
    return connection.execute(query.limit(1)).scalar_one_or_none()


def has_reason(connection: Connection, request_id: int, session_number: int, reason: str) -> bool:
    """Return whether any file of one of a request's sessions has a reason."""
    here = (ledger.c.request_id == request_id) & (ledger.c.session_number == session_number)
    found = sa.select(ledger.c.id).where(here, ledger.c.reason == reason).limit(1)
    return connection.execute(found).first() is not None


def series_table(connection: Connection, request_id: int) -> Sequence[RowMapping]:
    """Return a row per session and scan: files, source bytes, written bytes, dispositions; no header text."""
    by = (ledger.c.session_number, ledger.c.scan_label, ledger.c.modality, ledger.c.disposition)
    query = (
        sa.select(
            *by,
            sa.func.count().label("files"),
            sa.func.sum(ledger.c.bytes).label("bytes"),
            sa.func.coalesce(sa.func.sum(ledger.c.archived_bytes), 0).label("written"),
        )
        .where(ledger.c.request_id == request_id, ledger.c.session_number.is_not(None))
        .group_by(*by)
        .order_by(*by)
    )
    return connection.execute(query).mappings().all()


def close_pending(connection: Connection, request_id: int, reason: str, disposition: str = "failed") -> None:
    """Give every row that is still pending its final disposition."""
    here = (ledger.c.request_id == request_id) & (ledger.c.disposition == "pending")
    connection.execute(sa.update(ledger).where(here).values(disposition=disposition, reason=reason))


def reopen(connection: Connection, request_id: int) -> int:
    """Make every row that was neither committed, cleaned up nor deleted pending again; return how many there were.

    What was deleted from the archive can be restored: it is imported again by a request of its own alone.
    """
    here = (ledger.c.request_id == request_id) & ledger.c.disposition.not_in(COMMITTED)
    here &= ledger.c.reason.is_distinct_from(FROM_ARCHIVE)
    return connection.execute(sa.update(ledger).where(here, ledger.c.deleted_at.is_(None)).values(dict(FRESH))).rowcount


def deletable(connection: Connection, request_id: int) -> Sequence[RowMapping]:
    """Return the rows whose sources cleanup may look at: archived, and duplicates of what is archived."""
    found = (ledger.c.disposition == "archived") | (ledger.c.reason == ARCHIVED_ALREADY)
    archived = sa.select(ledger.c.sop_key).where(ledger.c.request_id == request_id, found).scalar_subquery()
    here = (ledger.c.request_id == request_id) & ledger.c.deleted_at.is_(None)
    wanted = (ledger.c.disposition == "archived") | (
        (ledger.c.disposition == "duplicate") & ledger.c.sop_key.in_(archived)
    )
    return connection.execute(sa.select(ledger).where(here & wanted).order_by(ledger.c.source_path)).mappings().all()


def mark_deleted(connection: Connection, row_ids: Iterable[int]) -> None:
    """Record that the sources of rows are gone."""
    update_rows(connection, [{"row_id": row_id, "deleted_at": utc_now()} for row_id in row_ids])
