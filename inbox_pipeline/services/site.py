"""Making and opening a site: its folders, secret and catalog, bound together in one `Site`.

Belongs here: `init_site`, `open_site` and the checks that every process makes at its start. Does not belong here: the
processes themselves.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services.policies import BASIC
from inbox_pipeline.settings import Settings
from inbox_pipeline.store.catalog import site as site_store
from inbox_pipeline.store.catalog.engine import Catalog
from inbox_pipeline.store.catalog.migrate import is_current, upgrade
from inbox_pipeline.store.filesystem import same_file_system
from inbox_pipeline.store.secret import Secret, new_secret, read_secret

INIT_HINT = "Run `inbox-pipeline init`."


@dataclass(frozen=True)
class Site:
    """A site's settings, catalog and secret: what every use case takes first."""

    settings: Settings
    catalog: Catalog
    secret: Secret


def open_site(settings: Settings) -> Site:
    """Open an existing site.

    Raises:
        Rejected: `not_initialised`, `catalog_outdated`, `secret_missing`, `secret_malformed`, `secret_exposed`,
            `secret_changed` or `staging_elsewhere`.
        Unavailable: `catalog_unavailable`.
    """
    catalog = Catalog(settings.database_url)
    if catalog.is_sqlite and not Path(catalog.url.database or "").exists():
        raise Rejected("not_initialised", "There is no catalog here yet.", INIT_HINT)
    if not _has_tables(catalog):
        raise Rejected("not_initialised", "The catalog is empty.", INIT_HINT)
    if not is_current(catalog):
        raise Rejected("catalog_outdated", "The catalog was made by another version.", INIT_HINT)
    secret = read_secret(settings.secret_file)
    with catalog.read() as connection:
        known = site_store.get_value(connection, "key_id")
    if known != secret.key_id:
        raise Rejected(
            "secret_changed",
            "The secret is not the one that this catalog was made with.",
            "Put the right secret.key back; without it, the catalog's digests cannot be matched.",
        )
    check_file_systems(settings)
    return Site(settings, catalog, secret)


def init_site(settings: Settings) -> Site:
    """Make a site's folders, catalog and secret where they are missing, and upgrade the catalog's tables.

    A secret is made only for an empty catalog. A new site begins with policy `basic`; one that was made before there
    was a policy has none on record, which means `none`.

    Raises:
        Rejected: as `open_site`.
    """
    _make_folders(settings)
    catalog = Catalog(settings.database_url)
    fresh = not _has_tables(catalog)
    upgrade(catalog)
    with catalog.read() as connection:
        known = site_store.get_value(connection, "key_id")
    if not known:
        secret = (
            read_secret(settings.secret_file) if settings.secret_file.exists() else new_secret(settings.secret_file)
        )
        with catalog.write() as connection:
            site_store.set_value(connection, "key_id", secret.key_id)
            site_store.set_value(connection, "site_prefix", "INBOX")
            site_store.set_value(connection, "policy", BASIC)
            site_store.record(connection, "system", "site.init", "site", key_id=secret.key_id, fresh=fresh)
    catalog.dispose()
    return open_site(settings)


def check_file_systems(settings: Settings) -> None:
    """Refuse a staging folder from which a rename into the archive or prearchive would be a copy.

    Raises:
        Rejected: `staging_elsewhere`.
    """
    if not same_file_system(settings.staging_path, settings.archive_path, settings.prearchive_path):
        raise Rejected(
            "staging_elsewhere",
            "Staging, archive and prearchive do not lie on one file system, so a session could not appear whole.",
            "Set INBOX_PIPELINE_STAGING_PATH, _ARCHIVE_PATH and _PREARCHIVE_PATH to folders on one file system.",
        )


def _make_folders(settings: Settings) -> None:
    """Create HOME and the trees, none of them readable by others."""
    for path in (
        settings.home,
        settings.dagster_home,
        settings.inbox_path,
        settings.prearchive_path,
        settings.archive_path,
        settings.staging_path,
        settings.trash_path,
    ):
        if not path.exists():
            path.mkdir(parents=True, mode=0o750)
    if not os.access(settings.archive_path, os.W_OK):
        raise Rejected("archive_not_writable", "The archive cannot be written.", "Let the server's user write to it.")


def _has_tables(catalog: Catalog) -> bool:
    with catalog.read() as connection:
        return sa.inspect(connection).has_table("site")
