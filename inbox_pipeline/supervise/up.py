"""`up`: starts everything, says when it is ready, keeps it running, ends it.

Belongs here: the order of start and stop. Does not belong here: what the children do.

Order: web at once; Dagster's tables, where there are none; code server and workers; the daemon when the code server
answers, because a daemon that finds none waits a minute before it looks again, and Dagster's own UI with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from inbox_pipeline.services.bootstrap import ADMIN, forget_heartbeats, prepare_site
from inbox_pipeline.services.site import Site
from inbox_pipeline.settings import Settings
from inbox_pipeline.supervise import plan
from inbox_pipeline.supervise.children import Family, end_leftovers, write_text
from inbox_pipeline.supervise.home_lock import locked_home
from inbox_pipeline.supervise.instance import SCHEMA, home_instance, storage_url, workspace

TICK_SECONDS = 0.1
READY_WITHIN_SECONDS = 180.0
NOT_READY = 4

Ready = Mapping[str, Any]
OnReady = Callable[[Ready], int | None]


def run_up(settings: Settings, *, json_line: bool, on_ready: OnReady | None = None) -> int:
    """Run a site's processes until SIGTERM or SIGINT; returns the exit code.

    To be called in the main thread, before any other thread is started.

    Args:
        json_line: print the ready line as JSON.
        on_ready: called once in a thread of its own when requests are served; a number that it returns ends `up` with
            that exit code.

    Raises:
        Rejected: `home_in_use`, `port_taken`, or as `prepare_site`.
        Unavailable: `catalog_unavailable`.
    """
    with locked_home(settings):
        for pid in end_leftovers(_record_path(settings)):
            _say(f"ended process {pid}, left over from an earlier start")
        site = prepare_site(settings)
        forget_heartbeats(site)
        places = plan.choose_places(settings)
        write_instance(site, places)
        site.catalog.dispose()
        with _signals() as stop:
            return _Run(settings, places, stop, on_ready, json_line).work()


def write_instance(site: Site, places: plan.Places) -> None:
    """Write Dagster's files for this start, and make its schema where its storage needs one."""
    settings = site.settings
    write_text(settings.dagster_home / "dagster.yaml", home_instance(settings))
    write_text(places.workspace, workspace(places.code_socket))
    places.code_socket.unlink(missing_ok=True)
    (settings.home / "logs").mkdir(mode=0o750, exist_ok=True)
    if storage_url(settings):
        with site.catalog.write() as connection:
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))


class _Run:
    """One run of `up`, from the first child to the last."""

    def __init__(
        self, settings: Settings, places: plan.Places, stop: threading.Event, on_ready: OnReady | None, json_line: bool
    ) -> None:
        self.settings = settings
        self.places = places
        self.stop = stop
        self.on_ready = on_ready
        self.json_line = json_line
        self.code = 0
        children = plan.environment(settings, os.environ)
        self.family = Family(children, settings.home / "logs", _record_path(settings))

    def work(self) -> int:
        """Start, announce, watch and end."""
        try:
            if self._start():
                self._announce()
                self._watch()
        finally:
            self.settings.address_file.unlink(missing_ok=True)
            self.family.stop()
            plan.leave_places(self.settings, self.places)
        return self.code

    def _start(self) -> bool:
        """Start all children in order; return whether requests are served."""
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        self.family.add([plan.web(self.places)])
        if self._make_storage():
            self.family.add([plan.code_server(self.places), *plan.workers(self.settings)])
            if self._until(self.places.code_socket.exists, deadline):
                self.family.add([plan.daemon(self.places), plan.webserver(self.places)])
                if self._until(self._is_ready, deadline):
                    return True
        if not self.stop.is_set():
            _say(f"could not start; the reasons are in {self.settings.home / 'logs'}")
            self.code = NOT_READY
        return False

    def _make_storage(self) -> bool:
        """Make Dagster's tables, alone, if this HOME has none of its version; return whether they are there."""
        made, wanted = self.settings.dagster_home / "storage-version", version("dagster")
        if made.exists() and made.read_text() == wanted:
            return True
        self.family.add([plan.storage()])
        while (code := self.family.drop("storage")) is None and not self.stop.wait(TICK_SECONDS):
            continue
        if code == 0:
            write_text(made, wanted)
        return code == 0

    def _until(self, reached: Callable[[], bool], deadline: float) -> bool:
        """Tend the children until `reached`, a signal or the deadline; return whether it was reached."""
        while not self.stop.is_set() and time.monotonic() < deadline:
            if reached():
                return True
            self.family.tend(_say)
            self.stop.wait(TICK_SECONDS)
        return False

    def _is_ready(self) -> bool:
        """Return whether a request would be served, and the Dagster address that the ready line names answers."""
        return _answers(f"{self._url()}/readyz") and _answers(f"{self.places.dagster_url}/server_info")

    def _announce(self) -> None:
        """Record the address in HOME, print the one line on standard output, and let the caller begin."""
        ready = self._ready_line()
        write_text(self.settings.address_file, json.dumps(ready))
        sys.stdout.write((json.dumps(ready) if self.json_line else f"ready {ready['url']}") + "\n")
        sys.stdout.flush()
        if self.on_ready is not None:
            threading.Thread(target=self._call_back, args=(self.on_ready, ready), name="on-ready", daemon=True).start()

    def _call_back(self, on_ready: OnReady, ready: Ready) -> None:
        code: int | None = 1
        try:
            code = on_ready(ready)
        finally:
            if code is not None:
                self.code = code
                self.stop.set()

    def _watch(self) -> None:
        while not self.stop.wait(TICK_SECONDS):
            self.family.tend(_say)

    def _url(self) -> str:
        shown = {"0.0.0.0": plan.LOOPBACK, "::": "[::1]"}.get(self.settings.host, self.settings.host)  # noqa: S104 - compared
        return f"http://{f'[{shown}]' if ':' in shown and not shown.startswith('[') else shown}:{self.places.port}"

    def _ready_line(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "event": "ready",
            "url": self._url(),
            "dagster_url": self.places.dagster_url,
            "home": str(settings.home),
            "inbox_path": str(settings.inbox_path),
            "archive_path": str(settings.archive_path),
            "pid": os.getpid(),
            "admin_user": ADMIN,
            "admin_password_file": str(settings.admin_password_file),
        }


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and SIGINT set, and put the former handlers back afterwards."""
    stop = threading.Event()
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own http
            return bool(answer.status == 200)
    except OSError:
        return False


def _record_path(settings: Settings) -> Path:
    return settings.home / "dagster" / "processes.json"


def _say(sentence: str) -> None:
    sys.stderr.write(f"inbox-pipeline: {sentence}\n")
    sys.stderr.flush()
