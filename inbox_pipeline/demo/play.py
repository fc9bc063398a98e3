"""What `demo` does once everything runs: import the samples over REST, compare, tell.

Belongs here: the demo's course and its words. Does not belong here: starting servers (`supervise`), the samples and
what is expected of them.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from inbox_pipeline.client import Client, Server
from inbox_pipeline.demo.outcomes import EXPECTED, Expected, differences
from inbox_pipeline.demo.samples import BASIC_PROJECT, DAMAGED, PROJECT, changed_sessions, sample_files, write_samples
from inbox_pipeline.errors import InboxError, Rejected
from inbox_pipeline.services.bootstrap import ADMIN
from inbox_pipeline.services.policies import BASIC, NONE
from inbox_pipeline.services.projects import create_project, set_project
from inbox_pipeline.services.site import open_site
from inbox_pipeline.settings import PREFIX, Settings, read_settings

DEMO_HOME = "inbox-demo"
ACTOR = "demo"
KEPT_SETTINGS = ("ADMIN_PASSWORD", "DAGSTER_PORT", "HOST", "PORT", "WORKERS")
"""Settings that the demo takes from the environment; none that could lead it to another site's data."""
POLL_SECONDS = 0.3
DEADLINE_SECONDS = 300.0
AS_EXPECTED = 0
NOT_AS_EXPECTED = 4

Request = Mapping[str, Any]


def demo_settings(environ: Mapping[str, str], home: Path, port: int | None) -> Settings:
    """Return the demo's settings: all under `home`, on the usual ports if those are free.

    Raises:
        Rejected: `settings_invalid`.
    """
    kept = {f"{PREFIX}{name}": environ[f"{PREFIX}{name}"] for name in KEPT_SETTINGS if f"{PREFIX}{name}" in environ}
    if port is not None:
        kept[f"{PREFIX}PORT"] = str(port)
    settings = read_settings(kept, home=home)
    free = {
        name: value if f"{PREFIX}{name.upper()}" in kept or _is_free(value) else 0
        for name, value in (("port", settings.port), ("dagster_port", settings.dagster_port))
    }
    return settings.model_copy(update=free)


class Demo:
    """One demo in one HOME.

    Args:
        settings: the demo's settings.
        once: end after the verdicts.
        say: writes a line for the person who watches.
    """

    def __init__(self, settings: Settings, once: bool, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._once = once
        self._say = say
        self._inbox = settings.inbox_path
        self._samples = sample_files()

    def make(self) -> None:
        """Make the sample files that are not there yet."""
        made = write_samples(self._inbox, self._samples)
        kept = len(self._samples) - made
        self._say(f"{made} sample files made{f', {kept} kept as they were' if kept else ''}: {self._inbox}")

    def play(self, ready: Mapping[str, Any]) -> int | None:
        """Import and tell; returns the exit code with which everything ends, or None to run on.

        Args:
            ready: what `up` says when requests are served.
        """
        started = time.monotonic()
        try:
            self._make_projects()
            requests = self._import(str(ready["url"]))
        except InboxError as error:
            self._say(f"error: {error} [{error.code}]")
            return NOT_AS_EXPECTED
        right = [self._tell(expected, requests.get(expected.folder)) for expected in EXPECTED]
        seconds = time.monotonic() - started
        self._say(f"\n{sum(right)} of {len(right)} sessions as expected, after {seconds:.0f} s.")
        if self._once:
            return AS_EXPECTED if all(right) else NOT_AS_EXPECTED
        self._say(self._farewell(ready, requests))
        return None

    def _make_projects(self) -> None:
        site = open_site(self._settings)
        for project, policy in ((PROJECT, NONE), (BASIC_PROJECT, BASIC)):
            create_project(site, ACTOR, project, title=f"The demo's sessions, policy {policy}", if_missing=True)
            set_project(site, ACTOR, project, policy=policy)

    def _import(self, url: str) -> dict[str, Request]:
        """File a request per sample folder and wait for all; a folder that was imported before is not filed again."""
        with Client(Server(url, ADMIN, self._password())) as client:
            numbers = {expected.folder: self._file(client, expected.folder) for expected in EXPECTED}
            deadline = time.monotonic() + DEADLINE_SECONDS
            ended: dict[str, Request] = {}
            while len(ended) < len(numbers) and time.monotonic() < deadline:
                for folder in numbers.keys() - ended.keys():
                    request = client.request(numbers[folder])
                    if request["outcome"] is not None:
                        ended[folder] = request
                time.sleep(POLL_SECONDS)
        return ended

    def _password(self) -> str:
        """Return the administrator's password.

        Raises:
            Rejected: `admin_password_unknown`.
        """
        try:
            return self._settings.admin_password_file.read_text(encoding="utf-8").rstrip("\n")
        except OSError:
            raise Rejected(
                "admin_password_unknown",
                "The administrator's password in this home was changed, so the demo cannot log in.",
                "Choose another folder with --home.",
            ) from None

    def _file(self, client: Client, folder: str) -> int:
        path = os.path.realpath(self._inbox / folder)
        if folder not in changed_sessions(self._inbox, self._samples):
            before = [r["id"] for r in client.requests() if r["sessionPath"] == path and r["outcome"] is not None]
            if before:
                return int(max(before))
        project = PurePosixPath(folder).parts[0]
        return client.xnat_import({"path": path, "PROJECT_ID": project, "cleanupAfterImport": "false"})

    def _tell(self, expected: Expected, request: Request | None) -> bool:
        """Say what became of one sample, and return whether it is what was expected."""
        self._say(f"\n{expected.folder}: {expected.story}")
        if request is None:
            self._say(f"  NOT AS EXPECTED: no verdict within {DEADLINE_SECONDS:.0f} s")
            return False
        self._say(f"  {request['verdict']}")
        for session in request["sessions"]:
            reason = f" ({session['reason']})" if session["reason"] else ""
            self._say(f"  {session['session']}: {session['files']} files, {session['state']}{reason}")
            for finding in session["findings"]:
                self._say(f"    found: {finding['code']}, {finding['count']}")
        wrong = differences(expected, request)
        for difference in wrong:
            self._say(f"  NOT AS EXPECTED: {difference}")
        return not wrong

    def _farewell(self, ready: Mapping[str, Any], requests: Mapping[str, Request]) -> str:
        home, number = self._settings.home, requests[DAMAGED]["id"] if DAMAGED in requests else 1
        return "\n".join(
            [
                f"\nThe server:   {ready['url']}",
                f"  log in as:  {ready['admin_user']}, password in {ready['admin_password_file']}",
                f"Dagster's UI: {ready['dagster_url']}",
                f"Look:         inbox-pipeline status {number} --home {home}",
                f"Every file:   inbox-pipeline ledger {number} --home {home}",
                f"Check:        inbox-pipeline verify --home {home}",
                f"Your own:     copy a folder to {self._inbox / BASIC_PROJECT} and run",
                f"              inbox-pipeline import FOLDER --project {BASIC_PROJECT} --wait --home {home}",
                "Ctrl-C stops everything.",
            ]
        )


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
