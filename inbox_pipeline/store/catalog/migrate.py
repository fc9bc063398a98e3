"""Bringing the catalog's tables to this version's shape with Alembic.

Belongs here: upgrade, the question whether an upgrade is due. Does not belong here: the revisions (`store/migrations`).
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from inbox_pipeline.store.catalog.engine import Catalog

MIGRATIONS = Path(__file__).parent.parent / "migrations"


def alembic_config() -> Config:
    """Return Alembic's configuration, independent of the working directory."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def upgrade(catalog: Catalog) -> None:
    """Create or upgrade the tables, in one transaction."""
    config = alembic_config()
    with catalog.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_current(catalog: Catalog) -> bool:
    """Return whether the tables have this version's shape."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    with catalog.read() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head
