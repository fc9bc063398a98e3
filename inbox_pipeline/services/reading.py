"""Reading archived files for people: those of one generation of a session, whole, whatever commits do meanwhile.

Belongs here: opening a session's folder as the generation that the catalog tells of. Does not belong here: who may read
it (`browse.py`), and how the bytes are sent (`web`).

A commit that gives a session a new generation exchanges the folder and then changes the rows (docs/durability.md). A
folder that was opened stays the generation that it was, wherever it is moved. It is the one of the rows if these are
still the same after it was opened and no commit is under way. One that stays under way, because its worker died, is not
waited for longer than a few seconds: then the bytes decide.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from sqlalchemy.engine import RowMapping

from inbox_pipeline.errors import Unavailable
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import commits, holdings, views
from inbox_pipeline.store.catalog.views import Wanted
from inbox_pipeline.store.reading import OpenFolder

PATIENCE_SECONDS = 5.0
LOOK_SECONDS = 0.05
ARCHIVED = "ARCHIVED"


@dataclass(frozen=True)
class OpenFiles:
    """Files of a session, with `scan_label` and `scan_type`, and the open folder that they are read from."""

    folder: OpenFolder
    session: RowMapping
    rows: Sequence[RowMapping]


def open_files(
    site: Site,
    session_id: int,
    scan_ids: Sequence[int],
    name: str | None = None,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> OpenFiles:
    """Open the files of some scans of a session, or the one of a name.

    Args:
        site: the site.
        session_id: the session.
        scan_ids: its scans.
        name: of the file, without folders; None for all.
        patience_seconds: for how long a commit that is under way is waited for.

    Raises:
        Rejected: `not_found`, when the session is no longer archived, or has no such file.
        Unavailable: `session_away`, when the files are neither the former nor the new ones.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        session, rows = _known(site, session_id, scan_ids, name)
        late = time.monotonic() > deadline
        folder = _opened(site, session)
        if folder is not None:
            with ExitStack() as unless_right:
                unless_right.enter_context(folder)
                if _settled(site, session) or (late and _all_held(folder, rows)):
                    unless_right.pop_all()
                    return OpenFiles(folder, session, rows)
        if late:
            raise away()
        time.sleep(LOOK_SECONDS)


def open_waiting(site: Site, session: RowMapping, scan_label: str | None = None) -> OpenFiles:
    """Open the files of a prearchive session, or of one of its scans; the folder stays open wherever it is moved.

    Raises:
        Rejected: `not_found`, when it has no such scan.
        Unavailable: `session_away`, when the folder is not at its place.
    """
    with site.catalog.read() as connection:
        scans = views.scans_seen(connection, session["id"], Wanted()).rows
        chosen = [scan["id"] for scan in scans if scan_label in (None, scan["label"])]
        rows = views.files_seen(connection, session["id"], chosen, Wanted()).rows
    if not rows:
        raise refusal("not_found")
    try:
        folder = OpenFolder(site.settings.prearchive_path / session["path"])
    except OSError:
        raise away() from None
    return OpenFiles(folder, session, rows)


def _known(
    site: Site, session_id: int, scan_ids: Sequence[int], name: str | None
) -> tuple[RowMapping, Sequence[RowMapping]]:
    """Return the session as it is known now, and the files."""
    with site.catalog.read() as connection:
        session = commits.session(connection, session_id)
        named = Wanted({} if name is None else {"path": [f"*/{name}"]})
        rows = views.files_seen(connection, session_id, scan_ids, named).rows
    wanted = [row for row in rows if name in (None, row["path"].rpartition("/")[2])]
    if session["state"] != ARCHIVED or not wanted:
        raise refusal("not_found")
    return session, wanted


def _opened(site: Site, session: RowMapping) -> OpenFolder | None:
    try:
        return OpenFolder(site.settings.archive_path / session["path"])
    except OSError:
        return None


def _settled(site: Site, session: RowMapping) -> bool:
    with site.catalog.read() as connection:
        return holdings.unchanged(connection, session)


def _all_held(folder: OpenFolder, rows: Sequence[RowMapping]) -> bool:
    return all(folder.holds(row["path"], row["sha256"]) for row in rows)


def away() -> Unavailable:
    """Return the refusal for files that are not at their place."""
    told = refusal("session_away")
    return Unavailable(told.code, told.sentence, told.hint)
