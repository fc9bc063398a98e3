"""Browsing the archive: what a user may see of it.

Belongs here: lists and single things as far as the user may read them, `not_found` for all else. Does not belong here:
statements (`store/catalog/views.py`), XNAT's columns and documents (`web`), and reading files (`reading.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import RowMapping

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.accounts import Account, reads_everything
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import views
from inbox_pipeline.store.catalog.views import Page, Wanted

EVERY = ("all", "*")
"""What stands for every scan in an address."""


def list_projects(site: Site, account: Account, wanted: Wanted) -> Page:
    """Return the projects that a user may read."""
    with site.catalog.read() as connection:
        return views.projects_seen(connection, reader_of(account), wanted)


def list_subjects(site: Site, account: Account, wanted: Wanted, project: str | None = None) -> Page:
    """Return the subjects of a project, or of all that the user may read."""
    with site.catalog.read() as connection:
        return views.subjects_seen(connection, reader_of(account), project, wanted)


def list_sessions(
    site: Site,
    account: Account,
    wanted: Wanted,
    project: str | None = None,
    subject: RowMapping | None = None,
    by_scan: bool = False,
) -> Page:
    """Return the archived sessions of a project and subject, or of all that the user may read.

    With `by_scan` there is a row for each scan of each session, with the scan's columns as `scan_...`.
    """
    seen = views.session_scans_seen if by_scan else views.sessions_seen
    subject_id = None if subject is None else subject["id"]
    with site.catalog.read() as connection:
        return seen(connection, reader_of(account), project, subject_id, wanted)


def find_project(site: Site, account: Account, project: str) -> RowMapping:
    """Return a project by its exact ID.

    Raises:
        Rejected: `project_not_found`.
    """
    with site.catalog.read() as connection:
        rows = views.projects_seen(connection, reader_of(account), Wanted({"id": [project]})).rows
    found = next((row for row in rows if row["id"] == project), None)
    if found is None:
        raise refusal("project_not_found")
    return found


def find_subject(site: Site, account: Account, name: str, project: str | None = None) -> RowMapping:
    """Return the subject of an accession id, else the only one of a label, that the user may see.

    Raises:
        Rejected: `not_found`.
    """
    with site.catalog.read() as connection:
        return _only(views.find_subjects(connection, reader_of(account), project, name))


def find_session(
    site: Site, account: Account, name: str, project: str | None = None, subject: RowMapping | None = None
) -> RowMapping:
    """Return the archived session of an accession id, else the only one of a label, that the user may see.

    Raises:
        Rejected: `not_found`.
    """
    subject_id = None if subject is None else subject["id"]
    with site.catalog.read() as connection:
        return _only(views.find_sessions(connection, reader_of(account), project, subject_id, name))


def list_scans(site: Site, session: RowMapping, wanted: Wanted) -> Page:
    """Return the scans of a session."""
    with site.catalog.read() as connection:
        return views.scans_seen(connection, session["id"], wanted)


def find_scan(site: Site, session: RowMapping, scan_id: str) -> RowMapping:
    """Return the scan of an ID.

    Raises:
        Rejected: `not_found`.
    """
    return _only([scan for scan in list_scans(site, session, Wanted()).rows if scan["label"] == scan_id])


def choose_scans(site: Site, session: RowMapping, names: str) -> Sequence[RowMapping]:
    """Return the scans that an address names: IDs or types separated by commas, or `ALL`.

    Raises:
        Rejected: `not_found`, when there is none.
    """
    every = list_scans(site, session, Wanted()).rows
    if names.casefold() in EVERY:
        return every
    asked = {name.strip() for name in [names, *names.split(",")]}
    chosen = [scan for scan in every if scan["label"] in asked or scan["type"] in asked]
    if not chosen:
        raise refusal("not_found")
    return chosen


def list_files(site: Site, session: RowMapping, scans: Sequence[RowMapping], wanted: Wanted) -> Page:
    """Return the files of some scans of a session, with the scan's label and type."""
    with site.catalog.read() as connection:
        return views.files_seen(connection, session["id"], [scan["id"] for scan in scans], wanted)


def count_types(site: Site, account: Account) -> dict[tuple[str, str], int]:
    """Return the numbers of archived sessions that a user may read, by project and type."""
    with site.catalog.read() as connection:
        return views.session_types(connection, reader_of(account))


def owners_by_project(site: Site, account: Account) -> dict[str, list[str]]:
    """Return the logins of the owners of the projects that a user may read, by project."""
    with site.catalog.read() as connection:
        return views.owners_seen(connection, reader_of(account))


def reader_of(account: Account) -> int | None:
    """Return whose memberships decide what the account may read; None where it may read every project."""
    return None if reads_everything(account) else account.id


def _only(found: Sequence[RowMapping]) -> RowMapping:
    if len(found) != 1:
        raise refusal("not_found")
    return found[0]
