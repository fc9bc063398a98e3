"""A deleted scan on its way from its session to the trash, and back: one folder, and the rows that follow it.

Belongs here: what a session and such a part of it consist of, the renames, going on with interrupted ones. Does not
belong here: who may delete or restore what (`deletion.py`), the rows (`store/catalog/parts.py`).

The first transaction says what goes and locks the session's label, the last one moves the rows and lets the label go.
In between the folder goes by way of staging, so that it is in the trash whole or not at all. Whoever dies meanwhile
leaves it to the reconcile sensor. Two that do it at once look where the folder is in the order in which it moves.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from inbox_pipeline.services.commit_rows import kinds_of
from inbox_pipeline.services.ending import retell
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import archive, trash
from inbox_pipeline.store.catalog import commits, merges, parts, withdrawals
from inbox_pipeline.store.filesystem import fsync_directory, make_directories, remove_tree


def manifest_of(site: Site, session: RowMapping, files: Sequence[RowMapping]) -> str:
    """Return the manifest's digest of these files of an archived session, of which only scan catalogs are read.

    Args:
        site: the site.
        session: the session.
        files: its instances, with `path`, `sha256` and `scan_label`.

    Raises:
        OSError: a scan's catalog XML cannot be read; one that is not there counts as one that has changed.
    """
    folder = site.settings.archive_path / session["path"]
    names = {archive.scan_catalog_path(file["scan_label"]) for file in files}
    catalogs = [(name, _digest(folder / name)) for name in names]
    return archive.manifest_digest([*((file["path"], file["sha256"]) for file in files), *catalogs])


def take_out(site: Site, part: RowMapping) -> None:
    """Move a scan's folder to the trash, wherever an earlier try got to, and say so.

    Raises:
        OSError: the trash, staging or the archive cannot be written.
    """
    with site.catalog.read() as connection:
        session = commits.session(connection, part["part_of"])
    source, wrapper = site.settings.archive_path / session["path"] / _scan(part), _wrapper(site, part)
    name = trash.entry_name(trash.stem(part["id"]), part["withdrawn_at"])
    entry = site.settings.trash_path / name
    with suppress(FileNotFoundError):  # somebody else moves it
        if not entry.exists():
            _wrap(source, wrapper / _scan(part), site.settings.staging_path)
            trash.put(wrapper, site.settings.trash_path, trash.stem(part["id"]), part["withdrawn_at"])
    on_its_way = source.exists() or (wrapper / _scan(part)).exists()
    if on_its_way and not entry.exists():
        return
    remove_tree(wrapper)
    with site.catalog.write() as connection:
        if parts.end_split(connection, part, name):
            _settle(site, connection, session, part)


def put_in(site: Site, part: RowMapping) -> None:
    """Move a scan's folder back into its session, wherever an earlier try got to, and say so.

    If something else lies there by now, the scan stays in the trash.

    Raises:
        OSError: the trash, staging or the archive cannot be written.
    """
    with site.catalog.read() as connection:
        session = commits.session(connection, part["part_of"])
    root, target = site.settings.archive_path, f"{session['path']}/{_scan(part)}"
    entry, wrapper = site.settings.trash_path / part["path"], _wrapper(site, part)
    with suppress(FileNotFoundError, FileExistsError):  # somebody else moves it, or something else lies there
        if not os.path.lexists(root / target) and not wrapper.exists():
            trash.take_back(entry, site.settings.staging_path, wrapper.name, site.settings.staging_path)
        archive.show_session(wrapper / _scan(part), root, target)
    there = os.path.lexists(root / target)
    left = (wrapper / _scan(part)).exists()
    if left and not there:
        return
    if left or (entry.exists() and not _is_same(root / target, entry / _scan(part))):
        _give_up(site, part, entry, wrapper)
        return
    remove_tree(wrapper)
    trash.drop(entry)
    with site.catalog.write() as connection:
        if parts.end_join(connection, part):
            _settle(site, connection, session, part)


def _scan(part: RowMapping) -> str:
    return archive.scan_folder(part["part_scan"])


def _wrapper(site: Site, part: RowMapping) -> Path:
    return site.settings.staging_path / f"part-{part['id']}"


def _wrap(source: Path, target: Path, staging: Path) -> None:
    """Move a scan's folder into staging, if an earlier try has not. Raises FileNotFoundError: it is not there."""
    if not target.exists():
        make_directories(target.parent, above=staging)
        source.rename(target)
    fsync_directory(target.parent)
    fsync_directory(source.parent)


def _give_up(site: Site, part: RowMapping, entry: Path, wrapper: Path) -> None:
    if wrapper.exists() and not entry.exists():
        trash.put(wrapper, site.settings.trash_path, trash.stem(part["id"]), part["withdrawn_at"])
    remove_tree(wrapper)
    with site.catalog.write() as connection:
        parts.take_back(connection, part)


def _is_same(one: Path, other: Path) -> bool:
    return archive.holds(one, archive.manifest_digest(archive.read_manifest(other)))


def _digest(catalog: Path) -> str:
    try:
        return archive.file_sha256(catalog)
    except FileNotFoundError:
        return ""


def _settle(site: Site, connection: Connection, session: RowMapping, part: RowMapping) -> None:
    """Let a session be what its rows are now, and its requests say so."""
    kinds: Counter[str] = Counter()
    for modality, files in merges.scan_modalities(connection, session["id"]):
        kinds[modality] += files
    values: dict[str, Any] = kinds_of(kinds)
    digest = manifest_of(site, session, merges.members(connection, session["id"]))
    merges.update_session(connection, session["id"], manifest_digest=digest, **values)
    for request_id in withdrawals.requests_of(connection, part):
        retell(connection, request_id)
