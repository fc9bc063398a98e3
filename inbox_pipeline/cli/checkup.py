"""What `doctor` looks at.

Belongs here: the list of checks and what each finds. Does not belong here: showing them.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable
from functools import partial

from inbox_pipeline.client import Client, find_server
from inbox_pipeline.errors import InboxError
from inbox_pipeline.services.compiling import check_script
from inbox_pipeline.services.fixity import standing
from inbox_pipeline.services.guards import Need, look
from inbox_pipeline.services.health import DAEMON, WORKER, readiness
from inbox_pipeline.services.projects import list_projects
from inbox_pipeline.services.scripts import active_script
from inbox_pipeline.services.site import Site, open_site
from inbox_pipeline.settings import Settings
from inbox_pipeline.store.filesystem import existing_parent

GOOD, WRONG, IDLE = "good", "wrong", "not running"
LEAST_FREE_BYTES = 1 << 30

Check = dict[str, str]


def examine(settings: Settings) -> list[Check]:
    """Return every check with its state: `good`, `wrong` or, for parts of a server that is not up, `not running`."""
    try:
        site = open_site(settings)
    except InboxError as error:
        return [_check("site", str(error), str(settings.home))]
    running = settings.address_file.exists()
    checks = [
        _check("site", None, str(settings.home)),
        _inbox(settings),
        _space(settings),
        _guards(site),
        _fixity(site),
    ]
    checks += _scripts(site)
    for name, problem in readiness(site).items():
        idle = problem is not None and name in (DAEMON, WORKER) and not running
        checks.append({"check": name, "state": IDLE, "detail": ""} if idle else _check(name, problem))
    return [*checks, _server(settings)]


def _check(name: str, problem: str | None, detail: str = "") -> Check:
    return {"check": name, "state": GOOD if problem is None else WRONG, "detail": problem or detail}


def _inbox(settings: Settings) -> Check:
    readable = os.access(settings.inbox_path, os.R_OK | os.X_OK)
    return _check("inbox", None if readable else "the inbox cannot be read", str(settings.inbox_path))


def _space(settings: Settings) -> Check:
    free = shutil.disk_usage(existing_parent(settings.archive_path)).free
    detail = f"{free / (1 << 30):,.1f} GiB free for the archive"
    return _check("space", None if free >= LEAST_FREE_BYTES else detail, detail)


def _guards(site: Site) -> Check:
    """Say what would keep every request from starting."""
    with site.catalog.read() as connection:
        hindrance = look(site, connection).hindrance(Need())
    return _check("guards", None if hindrance is None else str(hindrance))


def _fixity(site: Site) -> Check:
    """Say what the nightly readings of the archive have found."""
    found = standing(site, dt.datetime.now(dt.UTC))
    return _check("fixity", found.problem, f"the oldest reading is {found.oldest_days:,} days ago")


def _scripts(site: Site) -> list[Check]:
    """Compile every script in force: one that an older version accepted may not compile any more."""
    scopes: list[str | None] = [None, *(project["id"] for project in list_projects(site))]
    checks = []
    for scope in scopes:
        stored = active_script(site, scope)
        if stored is not None and stored.enabled:
            problem = _problem(partial(check_script, stored.text, stored.lookup))
            checks.append(_check(f"script of {scope or 'the site'}", problem))
    return checks


def _server(settings: Settings) -> Check:
    if not settings.address_file.exists():
        return {"check": "server", "state": IDLE, "detail": ""}
    server = find_server(settings, {})
    with Client(server) as client:
        failing: dict[str, str] = {}
        problem = _problem(lambda: failing.update(client.failing()))
    return _check("server", problem or "; ".join(failing.values()) or None, server.url)


def _problem(action: Callable[[], object]) -> str | None:
    try:
        action()
    except InboxError as error:
        return str(error)
    return None
