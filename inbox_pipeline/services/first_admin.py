"""The first administrator: made with a site, the password in a file that only the site's owner can read.

Belongs here: `ensure_first_admin`. Does not belong here: other users (`accounts.py`).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services.accounts import FIRST_ADMINISTRATOR, create_user, list_users
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.filesystem import fsync_directory

ACTOR = "system"


def ensure_first_admin(site: Site) -> bool:
    """Create the administrator `admin` when the site has no user yet; return whether it was created.

    The password is `INBOX_PIPELINE_ADMIN_PASSWORD`, else made of 128 random bits. It is durable in HOME/admin-password
    (mode 0600) before the user exists, so that a kill in between loses nothing: the next call takes it from there.

    Raises:
        Rejected: `password_weak`, when the setting is too short.
    """
    if list_users(site):
        return False
    path = site.settings.admin_password_file
    given = site.settings.admin_password
    if given is not None:
        path.unlink(missing_ok=True)
    if not path.exists():
        _write(path, given.get_secret_value() if given is not None else secrets.token_urlsafe(16))
    password = path.read_text(encoding="utf-8").rstrip("\n")
    try:
        create_user(site, ACTOR, FIRST_ADMINISTRATOR, password, admin=True, if_missing=True)
    except Rejected:
        path.unlink()
        raise
    return True


def _write(path: Path, password: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{password}\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    fsync_directory(path.parent)
