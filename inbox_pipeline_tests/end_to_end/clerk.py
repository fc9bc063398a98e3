"""Somebody who deletes, restores, relabels, moves and archives sessions over HTTP while others import.

Belongs here: what is asked for, and what was answered. Does not belong here: imports and kills (`siege.py`), what must
hold in the end.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import sqlalchemy as sa

from inbox_pipeline.services.deletion import ARCHIVED, list_deleted
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import scans, sessions
from inbox_pipeline_tests.server_for_tests import Server

PAUSE_SECONDS = 0.5
RIGHT = (200, 201, 301, 302, 404, 409, 503)
"""What may be answered: done, or somebody else was faster, is at work, or the storage is not there."""
CUT_OFF = "cut off"


class Clerk:
    """Works in a thread of its own, one deed after the other, drawn by chance.

    Args:
        server: asked over HTTP and by commands; it may be killed and started again at any moment.
        site: its site, to look things up.
        projects: those between which sessions are moved.
        chance: what is left to chance.
    """

    def __init__(self, server: Server, site: Site, projects: list[str], chance: random.Random) -> None:
        self.answers: Counter[str] = Counter()
        """By deed and status, `cut off` where there was no answer."""
        self._server, self._site, self._projects, self._chance = server, site, projects, chance
        self._deeds: dict[str, Callable[[httpx.Client], int | None]] = {
            "delete a session": self._delete,
            "delete a scan": self._delete_scan,
            "restore": self._restore,
            "relabel": self._relabel,
            "move": self._move,
            "archive": self._archive,
        }
        self._given = 0
        self._ended = threading.Event()
        self._thread = ThreadPoolExecutor(1, "clerk")
        self._working: Future[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._working = self._thread.submit(self._work)

    def stop(self) -> None:
        """End after the deed in hand, if begun. Raises what went wrong within the clerk itself."""
        self._ended.set()
        if self._working is not None:
            self._working.result()

    @property
    def wrong(self) -> list[str]:
        """The answers that must not be."""
        right = {f"{deed}: {status}" for deed in self._deeds for status in (*RIGHT, CUT_OFF)}
        return sorted(self.answers.keys() - right)

    def _work(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            self._do(self._chance.choice(sorted(self._deeds)))

    def _do(self, deed: str) -> None:
        if not self._server.ready:
            return
        try:
            with self._server.client() as client:
                status = self._deeds[deed](client)
        except (httpx.TransportError, KeyError):  # the server is being killed, or started
            status = None
        self.answers[f"{deed}: {status or CUT_OFF}"] += 1

    def _session(self) -> Any:
        """Return one of the archived sessions; None if there is none."""
        with self._site.catalog.read() as connection:
            found = connection.execute(sa.select(sessions).where(sessions.c.state == ARCHIVED)).mappings().all()
        return self._chance.choice(found) if found else None

    def _label(self) -> str:
        self._given += 1
        return f"L{self._given:04d}"

    def _delete(self, client: httpx.Client) -> int:
        session = self._session()
        if session is None:
            return 404
        address = f"/data/experiments/{session['accession']}"
        return client.delete(address, params={"removeFiles": "true"}).status_code

    def _delete_scan(self, client: httpx.Client) -> int:
        session = self._session()
        if session is None:
            return 404
        with self._site.catalog.read() as connection:
            query = sa.select(scans.c.label).where(scans.c.session_id == session["id"]).order_by(scans.c.id)
            labels = list(connection.execute(query).scalars())
        address = f"/data/experiments/{session['accession']}/scans/{self._chance.choice(labels or ['1'])}"
        return client.delete(address, params={"removeFiles": "true"}).status_code

    def _restore(self, _client: httpx.Client) -> int:
        deleted = [(each, str(row["id"])) for each in self._projects for row in list_deleted(self._site, each)]
        if not deleted:
            return 404
        done = self._server.command("trash", "restore", *self._chance.choice(deleted), check=False)
        return 200 if done.returncode == 0 else 409 if "error:" in done.stderr else 500

    def _relabel(self, client: httpx.Client) -> int:
        session = self._session()
        if session is None:
            return 404
        return client.put(f"/data/experiments/{session['accession']}", params={"label": self._label()}).status_code

    def _move(self, client: httpx.Client) -> int:
        session = self._session()
        if session is None:
            return 404
        other = self._chance.choice([each for each in self._projects if each != session["project_id"]])
        asked = {"primary": "true", "label": self._label()}
        return client.put(f"/data/experiments/{session['accession']}/projects/{other}", params=asked).status_code

    def _archive(self, client: httpx.Client) -> int:
        answer = client.get("/data/prearchive/projects", params={"format": "json"})
        if answer.status_code != 200:
            return answer.status_code
        ready = [row["url"] for row in answer.json()["ResultSet"]["Result"] if row["status"] == "READY"]
        if not ready:
            return 404
        return client.post("/data/services/archive", data={"src": self._chance.choice(ready)}).status_code
