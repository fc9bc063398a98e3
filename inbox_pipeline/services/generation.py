"""The next generation of an archived session: whole beside it in staging, then in its place (DESIGN section 3).

Belongs here: which files it is made of, building it from hard links, showing it, and going on with an interrupted one.
Does not belong here: the order of the commit (`commit.py`), its rows (`commit_rows.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import RowMapping

from inbox_pipeline.intake.merging import Held, Incoming, Series, judge_incoming, merged_scans
from inbox_pipeline.services.intent import Intent
from inbox_pipeline.services.site import Site
from inbox_pipeline.store import archive
from inbox_pipeline.store.filesystem import link_file
from inbox_pipeline.store.staging import Staging


@dataclass(frozen=True)
class Joining:
    """What becomes of a session's staged files in an archived one.

    `verdicts` are the reasons of those that stay out, `scans` the scan of each of the others, by row.
    """

    members: Sequence[RowMapping]
    rows: Sequence[RowMapping]
    verdicts: Mapping[int, str]
    scans: Mapping[int, str]

    @property
    def joined(self) -> list[RowMapping]:
        """The files that join."""
        return [row for row in self.rows if row["id"] in self.scans]

    @property
    def kept(self) -> list[RowMapping]:
        """The instances that stay as they are."""
        replaced = {row["sop_key"] for row in self.joined}
        return [member for member in self.members if member["sop_key"] not in replaced]

    def archived_as(self, row: RowMapping) -> RowMapping:
        """Return the instance of a file that the session has already."""
        return next(member for member in self.members if member["sop_key"] == row["sop_key"])


def join(members: Sequence[RowMapping], rows: Sequence[RowMapping], *, replaces: bool) -> Joining:
    """Decide which staged files join a session, and in which scans."""
    incoming = [Incoming(r["id"], r["sop_key"], r["source_sha256"], r["sop_instance_uid"]) for r in rows]
    held = [Held(m["sop_key"], m["source_sha256"], m["sop_instance_uid"]) for m in members]
    verdicts = judge_incoming(incoming, held, replaces=replaces)
    existing: dict[str, set[str]] = {}
    for member in members:
        existing.setdefault(member["scan_label"], set()).add(member["series_key"])
    joining = [row for row in rows if row["id"] not in verdicts]
    series = [Series(r["scan_label"], r["scan_label_asked"], r["series_key"], r["modality"]) for r in joining]
    placed = merged_scans(list(dict.fromkeys(series)), existing)
    return Joining(members, rows, verdicts, {row["id"]: placed[row["scan_label"]] for row in joining})


def build(current: Path, staging: Staging, number: int, joining: Joining) -> str:
    """Build the next generation of the session at `current` in staging, and return its manifest's digest.

    Nothing is durable yet.

    Raises:
        FileNotFoundError: when another attempt has taken the staging folder over.
    """
    generation = staging.begin_generation(number)
    manifest: dict[str, str] = {}
    for member in joining.kept:
        link_file(current / member["path"], generation / member["path"])
        manifest[member["path"]] = member["sha256"]
    for row in joining.joined:
        name = archive.file_path(joining.scans[row["id"]], row["staged_name"])
        staged = staging.session_path(number) / archive.file_path(row["scan_label"], row["staged_name"])
        link_file(staged, generation / name)
        manifest[name] = row["archived_sha256"]
    touched = _touched(joining)
    for label in sorted({member["scan_label"] for member in joining.kept} | set(joining.scans.values())):
        name = archive.scan_catalog_path(label)
        if label in touched:
            manifest[name] = archive.write_file(generation / name, _catalog(joining, label))
        else:
            link_file(current / name, generation / name)
            manifest[name] = archive.file_sha256(current / name)
    return archive.manifest_digest(manifest.items())


def show(site: Site, staging: Staging, number: int, intent: Intent, *, resumed: bool) -> bool:
    """Put a generation in its session's place (commit step 3); return False if neither has what was intended.

    Args:
        site: the site.
        staging: the staging folder.
        number: the session's number in its request.
        intent: the intent, durable.
        resumed: whether an interrupted commit may have got further.

    Raises:
        FileNotFoundError: when another attempt has taken the staging folder over.
    """
    generation, former = staging.generation_path(number), staging.former_path(number)
    final = intent.final_path(site)
    if not generation.exists():
        return archive.holds(final, intent.manifest_digest)
    if resumed and not former.exists() and archive.holds(final, intent.manifest_digest):
        archive.put_aside(generation, former)
    else:
        archive.exchange_session(generation, final, former)
    return True


def is_shown(site: Site, staging: Staging, number: int, intent: Intent) -> bool:
    """Return whether an interrupted commit has touched the session's place, so that it must be finished."""
    if not staging.generation_path(number).exists() or staging.former_path(number).exists():
        return True
    return archive.holds(intent.final_path(site), intent.manifest_digest)


def _touched(joining: Joining) -> set[str]:
    """Return the scans that gain or lose a file."""
    kept = {member["id"] for member in joining.kept}
    losing = {member["scan_label"] for member in joining.members if member["id"] not in kept}
    return losing | set(joining.scans.values())


def _catalog(joining: Joining, label: str) -> bytes:
    """Return the catalog XML of a scan."""
    kept = [member for member in joining.kept if member["scan_label"] == label]
    joined = [row for row in joining.joined if joining.scans[row["id"]] == label]
    series_uid = kept[0]["series_uid"] if kept else joined[0]["series_uid"]
    return archive.scan_catalog(series_uid, [*map(_kept_entry, kept), *catalog_entries(joined)])


def _kept_entry(member: RowMapping) -> archive.CatalogEntry:
    name = member["path"].rpartition("/")[2]
    uid, number = member["sop_instance_uid"], member["instance_number"]
    return archive.CatalogEntry(name, uid, number, member["md5"], member["bytes"])


def catalog_entries(rows: Iterable[RowMapping]) -> list[archive.CatalogEntry]:
    """Return how a scan's catalog XML lists staged files."""
    return [
        archive.CatalogEntry(
            row["staged_name"],
            row["sop_instance_uid"],
            row["instance_number"],
            row["archived_md5"],
            row["archived_bytes"],
        )
        for row in rows
    ]
