"""What follows the commit of a prearchive session: its import learns of its end, its former folder goes to the trash.

Belongs here: that, by the run that has archived the session, and for one that was given up after its commit. Does not
belong here: the work before the commit (`from_prearchive.py`), the rows of the commit (`store/catalog/prearchive.py`).

Neither is a condition of the request's end: the session is in the archive. A former folder that cannot be put away now
is `HANDED_OVER` in the catalog until it is; `verify` names it, the reconcile sensor tries again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.services.cleanup import clean_up
from inbox_pipeline.services.ending import end_request
from inbox_pipeline.services.relabelling import is_relabelling, settle_place
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import trash
from inbox_pipeline.store.catalog import ledger, prearchive, requests
from inbox_pipeline.store.catalog.leases import Lease
from inbox_pipeline.store.catalog.schema import DELETED, HANDED_OVER
from inbox_pipeline.store.filesystem import fsync_directory


def settle(site: Site, lease: Lease, check: Callable[[], None]) -> None:
    """After the commit: the import learns of its end, its sources are cleaned up if it asked for that, the former
    folder goes to the trash if that can be written.

    Raises:
        Unavailable: `lock_busy`.
        LeaseLost: another attempt has taken over.
    """
    with site.catalog.read() as connection:
        request = requests.get(connection, lease.request_id)
        former = prearchive.get(connection, request["prearchive_session_id"]) if request else None
    if request is not None and is_relabelling(request):
        with suppress(OSError):  # `verify` names it
            settle_place(site, request)
        return
    if former is None or former["state"] != HANDED_OVER:
        return
    state = clean_up(site, lease, check, of=former["request_id"])
    with site.catalog.write() as connection:
        _end_import(connection, former["request_id"], state)
    with suppress(OSError):  # the row says so until it has been done
        _put_away(site, former)


def settle_given_up(site: Site) -> list[int]:
    """Do the same for sessions whose archiving has ended without it, and return the requests that had archived them.

    No source is deleted any more: that is proven and done under a request's lease.

    Raises:
        OSError: a folder cannot be put away.
    """
    with site.catalog.read() as connection:
        left = prearchive.handed_over(connection)
    for former in left:
        with site.catalog.write() as connection:
            _end_import(connection, former["request_id"], None)
        _put_away(site, former)
    return sorted(former["archived_by"] for former in left)


def _end_import(connection: Connection, request_id: int, cleanup: str | None) -> None:
    """Give the import its verdict anew; without a cleanup state it keeps its own, if that can still come true."""
    maker = requests.get(connection, request_id)
    if maker is None or maker["status"] not in requests.FINAL or maker["before_undo"] is not None:
        return
    if cleanup is None:
        waits = any(disposition == "prearchived" for disposition, _ in ledger.counts(connection, request_id))
        cleanup = "partial" if maker["cleanup_state"] == "pending" and not waits else maker["cleanup_state"]
    end_request(connection, request_id, None, cleanup)


def _put_away(site: Site, former: RowMapping) -> None:
    """Move the former folder to the trash, if an earlier try has not done so, and say so. Raises OSError."""
    folder = site.settings.prearchive_path / former["path"]
    if folder.exists():
        trash.put(folder, site.settings.trash_path, f"reviewed-{former['id']}", dt.datetime.now(dt.UTC))
        fsync_directory(folder.parent)
    with site.catalog.write() as connection:
        prearchive.change(connection, former, state=DELETED)
