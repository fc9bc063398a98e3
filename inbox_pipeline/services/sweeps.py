"""Scheduled sweeps: quiet folders and archive files under `<inbox>/<PROJECT>/` become requests by themselves.

Belongs here: looking at the folders, asking the decision, filing the request. Does not belong here: the decision
(`intake/sweeps.py`) and the schedule (`pipeline/schedules.py`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.errors import Rejected
from inbox_pipeline.intake.requests import is_archive_file
from inbox_pipeline.intake.sweeps import Decision, SeenFile, decide
from inbox_pipeline.services.accounts import Account, get_account
from inbox_pipeline.services.examine import is_packed
from inbox_pipeline.services.requests import file_request
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import sweeps
from inbox_pipeline.store.catalog.requests import path_digest
from inbox_pipeline.store.inbox import FILE, Entry, InboxFolder
from inbox_pipeline.store.inbox_archive import archive_entry


@dataclass(frozen=True)
class SweepReport:
    """What a sweep of one project did: folders looked at, requests filed, and why none could be (a reason code)."""

    project_id: str
    folders: int
    request_ids: tuple[int, ...]
    refused: str | None = None


def sweep_all(site: Site, now: float) -> list[SweepReport]:
    """Look once at every project that has switched sweeps on, with the rights of its sweep user.

    Args:
        now: the clock, epoch seconds.
    """
    with site.catalog.read() as connection:
        projects = sweeps.swept_projects(connection)
    return [_sweep_project(site, project, now) for project in projects]


def _sweep_project(site: Site, project: RowMapping, now: float) -> SweepReport:
    account = get_account(site, project["sweep_user"] or "")
    if account is None:
        return SweepReport(project["id"], 0, (), "user_not_found")
    root = site.settings.inbox_path / project["id"]
    folders = _candidates(root)
    quiet = site.settings.quiet_seconds if project["quiet_seconds"] is None else project["quiet_seconds"]
    filed: list[int] = []
    refused = None
    for folder in folders:
        try:
            request_id = _sweep_folder(site, account, project["id"], folder, now, quiet)
        except Rejected as error:
            refused = error.code
        else:
            filed += [request_id] if request_id is not None else []
    return SweepReport(project["id"], len(folders), tuple(filed), refused)


def _candidates(root: Path) -> list[bytes]:
    """Return the direct child folders and archive files of a project's inbox folder, links left out, in byte order."""
    try:
        with os.scandir(os.fsencode(root)) as children:
            return sorted(child.path for child in children if _is_candidate(child))
    except OSError:
        return []


def _is_candidate(child: os.DirEntry[bytes]) -> bool:
    packed = is_archive_file(os.fsdecode(child.name)) and child.is_file(follow_symlinks=False)
    return packed or child.is_dir(follow_symlinks=False)


def _sweep_folder(site: Site, account: Account, project_id: str, folder: bytes, now: float, quiet: float) -> int | None:
    """Observe a folder and file a request for what is due; return the request's id, or None.

    The request names its files, so that one which arrives before the request's turn is asked for by a later sweep, and
    only by that. What is no file (links, pipes) goes with the folder's first request.

    Raises:
        Rejected: the sweep user may not file it.
    """
    found = _entries(folder)
    files = [SeenFile(e.source_path, e.size, e.mtime_ns, e.inode) for e in found if e.kind == FILE]
    decision, known = _decide(site, project_id, folder, files, now, quiet)
    request_id = None
    if decision.due:
        others = [] if known else [entry.source_path for entry in found if entry.kind != FILE]
        request_id = _file(site, account, project_id, folder, decision.due, others)
    with site.catalog.write() as connection:
        sweeps.remember(connection, project_id, path_digest(folder), folder, decision.observation)
    return request_id


def _file(
    site: Site, account: Account, project_id: str, folder: bytes, due: Sequence[SeenFile], others: Sequence[bytes]
) -> int:
    """File a request for files and remember in the same transaction that they were asked for; return its id."""

    def remember(connection: Connection, request_id: int) -> None:
        keyed = [(_file_key(folder, file), file) for file in due]
        sweeps.remember_asked(connection, project_id, keyed, request_id)

    parameters = [("path", os.fsdecode(folder)), ("PROJECT_ID", project_id)]
    only = [] if is_packed(folder) else [*(file.source_path for file in due), *others]
    filed = file_request(site, account, parameters, "sweep", only, remember)
    if filed.existing:
        with site.catalog.write() as connection:
            remember(connection, filed.request_id)
    return filed.request_id


def _decide(
    site: Site, project_id: str, folder: bytes, files: Sequence[SeenFile], now: float, quiet: float
) -> tuple[Decision, bool]:
    """Return the decision on a folder, and whether any of its files was asked for before."""
    keys = {_file_key(folder, file): file for file in files}
    with site.catalog.read() as connection:
        before = sweeps.last_observation(connection, project_id, path_digest(folder))
        asked = sweeps.asked_files(connection, project_id, list(keys))
    imported = {(keys[key].path_digest, signature) for key, signature in asked}
    return decide(before, files, imported, now, quiet), bool(asked)


def _entries(folder: bytes) -> list[Entry]:
    """Return what lies in a folder; of an archive file, the file itself under the path ""."""
    try:
        if is_packed(folder):
            return [archive_entry(folder)]
        with InboxFolder(folder) as opened:
            return list(opened.walk())
    except OSError:
        return []


def _file_key(folder: bytes, file: SeenFile) -> str:
    return path_digest(folder + b"/" + file.source_path)
