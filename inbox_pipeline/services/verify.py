"""Re-reading the archive: every byte against the catalog's digests, and the trees against the catalog both ways.

Belongs here: finding and naming differences. Does not belong here: mending them, and how they are shown (`cli`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import RowMapping

from inbox_pipeline.intake.prearchive import MOVING
from inbox_pipeline.services.prearchive_moves import next_place
from inbox_pipeline.services.projects import show_project
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.undo import place_of
from inbox_pipeline.store.archive import file_sha256, manifest_digest, scan_catalog_name
from inbox_pipeline.store.catalog import holdings, prearchive, relabelled
from inbox_pipeline.store.catalog.schema import HANDED_OVER, RESTORING, WITHDRAWING, WITHDRAWN

ARCHIVED = "ARCHIVED"
ON_THE_WAY = (WITHDRAWING, RESTORING, HANDED_OVER, MOVING)
SESSION_DEPTH = 3
"""Both trees keep a session's folder three levels down: project, arc or timestamp folder, session."""

KINDS = {
    "session_missing": "the catalog knows this session, its folder is gone",
    "file_missing": "the catalog knows this file, it is gone",
    "file_changed": "its bytes are not those that were archived",
    "file_unreadable": "it cannot be read",
    "file_unknown": "the catalog does not know this file",
    "session_unknown": "the catalog does not know this folder",
    "session_left": "its session is in the archive; this folder could not be put into the trash yet",
    "catalog_xml_changed": "a scan's catalog XML is not the one that was written",
}
"""What a difference can be."""


@dataclass(frozen=True)
class Difference:
    """One place where catalog and disk disagree; `path` is relative to `tree` (`archive`, `prearchive`, `trash`)."""

    kind: str
    tree: str
    path: str


@dataclass
class Verification:
    """What was compared: sessions, files read and their bytes, and every difference found."""

    sessions: int = 0
    files: int = 0
    bytes: int = 0
    differences: list[Difference] = field(default_factory=list)


def verify(site: Site, project_id: str | None = None) -> Verification:
    """Compare the archive and prearchive with the catalog, of one project or of all (None); nothing is changed.

    Withdrawn sessions are compared where they lie in the trash. Sessions that are being committed meanwhile, given a
    new generation, withdrawn, restored or moved, or taken over from the prearchive are left out.

    Raises:
        Rejected: `project_not_found`.
        Unavailable: `catalog_unavailable`.
    """
    project = None if project_id is None else str(show_project(site, project_id)["id"])
    seen = {tree: set(_session_folders(_roots(site)[tree], project)) for tree in ("archive", "prearchive")}
    with site.catalog.read() as connection:
        coming = holdings.coming_targets(connection)
        known = holdings.kept_sessions(connection, project)
        left = seen["prearchive"] & {session["path"] for session in prearchive.handed_over(connection)}
        leaving = [Path(os.fsdecode(path)) for path in relabelled.former_places(connection)]
    result = Verification()
    result.differences += [Difference("session_left", "prearchive", path) for path in sorted(left)]
    for session in known:
        for paths in seen.values():
            paths -= {session["path"], place_of(session), next_place(session) or ""}
        if session["state"] in ON_THE_WAY:
            continue
        found = compare_session(site, session, result)
        with site.catalog.read() as connection:
            if found and holdings.unchanged(connection, session):
                result.differences += found
    for tree, paths in seen.items():
        paths -= {str(path.relative_to(_roots(site)["archive"])) for path in leaving}
        there = sorted(path for path in paths - coming if os.path.lexists(_roots(site)[tree] / path))
        result.differences += [Difference("session_unknown", tree, path) for path in there]
    return result


def tree_of(session: RowMapping) -> str:
    """Return the tree in which a session lies: `archive`, `prearchive` or, withdrawn by an undo, `trash`."""
    return {ARCHIVED: "archive", WITHDRAWN: "trash"}.get(session["state"], "prearchive")


def _roots(site: Site) -> dict[str, Path]:
    settings = site.settings
    return {"archive": settings.archive_path, "prearchive": settings.prearchive_path, "trash": settings.trash_path}


def _session_folders(root: Path, project: str | None) -> Iterator[str]:
    """Yield what lies where sessions lie, and any file above that, relative to the tree's root."""
    level = [root] if project is None else [root / project]
    for depth in range(0 if project is None else 1, SESSION_DEPTH):
        children = sorted(child for folder in level if folder.is_dir() for child in folder.iterdir())
        if depth == SESSION_DEPTH - 1:
            yield from (str(child.relative_to(root)) for child in children)
        else:
            yield from (str(child.relative_to(root)) for child in children if not child.is_dir())
        level = [child for child in children if child.is_dir() and not child.is_symlink()]


def compare_session(site: Site, session: RowMapping, result: Verification) -> list[Difference]:
    """Read a session's files and return where they are not what the catalog says; count in `result` what was read.

    Raises:
        Unavailable: `catalog_unavailable`.
    """
    tree = tree_of(session)
    folder = _roots(site)[tree] / session["path"]
    result.sessions += 1
    if not folder.is_dir() or folder.is_symlink():
        return [Difference("session_missing", tree, session["path"])]
    with site.catalog.read() as connection:
        digests = holdings.instance_digests(connection, session["id"])
    catalogs = _catalog_names(digests)
    read: dict[str, str] = {}
    found: list[Difference] = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            name = str(path.relative_to(folder))
            kind = _compare_file(path, name, digests, catalogs, read, result)
            if kind:
                found.append(Difference(kind, tree, f"{session['path']}/{name}"))
    missing = sorted((digests.keys() | catalogs) - read.keys() - _names(found, session["path"]))
    found += [Difference("file_missing", tree, f"{session['path']}/{name}") for name in missing]
    if not found and manifest_digest(read.items()) != session["manifest_digest"]:
        found.append(Difference("catalog_xml_changed", tree, session["path"]))
    return found


def _compare_file(
    path: Path, name: str, digests: dict[str, str], catalogs: set[str], read: dict[str, str], result: Verification
) -> str | None:
    """Read one file, note its digest, and return the kind of difference, or None."""
    if path.is_symlink() or not path.is_file() or name not in digests.keys() | catalogs:
        return "file_unknown"
    try:
        sha256, size = file_sha256(path), path.stat().st_size
    except OSError:
        return "file_unreadable"
    read[name] = sha256
    result.files += 1
    result.bytes += size
    return "file_changed" if digests.get(name, sha256) != sha256 else None


def _catalog_names(digests: dict[str, str]) -> set[str]:
    """Return the catalog XML files, one per scan, of a session with these instances."""
    folders = {name.rpartition("/")[0] for name in digests}
    return {f"{folder}/{scan_catalog_name(folder.split('/')[1])}" for folder in folders}


def _names(differences: list[Difference], session_path: str) -> set[str]:
    return {difference.path.removeprefix(f"{session_path}/") for difference in differences}
