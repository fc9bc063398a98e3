"""What a new site needs before anyone can use it: its script in force and its first administrator.

Belongs here: the steps of `init` and of the start of `up`, each safe to repeat. Does not belong here: folders, secret
and tables (`services/site.py`), and processes.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import sqlalchemy as sa

from inbox_pipeline.services.accounts import create_user, list_users
from inbox_pipeline.services.credentials import refuse_weak
from inbox_pipeline.services.guards import keep_reserves
from inbox_pipeline.services.scripts import ensure_default_script
from inbox_pipeline.services.site import Site, init_site
from inbox_pipeline.settings import Settings
from inbox_pipeline.store.catalog import schema
from inbox_pipeline.store.catalog.vitals import PREFIX
from inbox_pipeline.store.filesystem import fsync_directory

ADMIN = "admin"
PASSWORD_BYTES = 18


def prepare_site(settings: Settings) -> Site:
    """Make or open a site and see that it has a script and an administrator.

    Raises:
        Rejected: as `init_site` and `create_user`.
        Unavailable: `catalog_unavailable`.
    """
    site = init_site(settings)
    ensure_default_script(site)
    ensure_admin(site)
    keep_reserves(site)
    return site


def ensure_admin(site: Site) -> None:
    """Create the administrator `admin` if the site has no administrator yet.

    The password is the setting's, else a new one; it is written to HOME's password file (mode 0600) before the account
    exists, so that a crash in between leaves a file that the next call uses, and never an account nobody can enter.

    Raises:
        Rejected: `password_weak`.
    """
    if any(user["admin"] for user in list_users(site)):
        return
    given = site.settings.admin_password
    wanted = given.get_secret_value() if given else secrets.token_urlsafe(PASSWORD_BYTES)
    refuse_weak(ADMIN, wanted)
    password = _written_once(site.settings.admin_password_file, wanted)
    create_user(site, "system", ADMIN, password, admin=True, if_missing=True)


def forget_heartbeats(site: Site) -> None:
    """Drop the heartbeats of processes that an earlier start left, so that readiness speaks of the present ones."""
    with site.catalog.write() as connection:
        connection.execute(sa.delete(schema.site).where(schema.site.c.name.startswith(PREFIX, autoescape=True)))


def _written_once(path: Path, password: str) -> str:
    """Write the password durably if the file is missing, and return the one that the file holds."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(partial, path)
    except FileExistsError:
        return path.read_text().rstrip("\n")
    finally:
        partial.unlink()
    fsync_directory(path.parent)
    return password
