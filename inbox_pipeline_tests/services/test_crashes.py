"""An import that dies before any of its effects: a session whole or absent, nothing twice, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from inbox_pipeline.errors import Cancelled, Rejected
from inbox_pipeline.services import requests, steps
from inbox_pipeline.services.accounts import Account, get_account
from inbox_pipeline.services.site import Site, open_site
from inbox_pipeline.services.verify import verify
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store import filesystem, staging
from inbox_pipeline.store.catalog.schema import instances, session_locks
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.services.crashing import Crash, attempt, bury
from inbox_pipeline_tests.services.importing import file
from inbox_pipeline_tests.services.states import state_of

DURABILITY = Path(__file__).parent.parent.parent / "docs" / "durability.md"
WAYS = ("exchange", "two renames")
REPEATED = {"mkdir", "hardlink_to", "unlink", "rmdir"}
OLD, NEW = 3, 5


@pytest.fixture(autouse=True)
def _nothing_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process has written outlives it without that, and these tests end no machine."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    monkeypatch.setattr(staging, "sync_file_system", lambda _path: None)


@contextmanager
def by(way: str) -> Iterator[None]:
    """Let generations get into their place in one of the two ways."""
    if way == "exchange":
        yield
    else:
        with patch.object(filesystem, "exchange", lambda _one, _other: False):
            yield


def fresh_site(template: Path, folder: Path, copy: Callable[[str, str], object] = shutil.copy2) -> tuple[Site, Account]:
    """A copy of a site, whose database does not wait for the disk."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder, copy_function=copy)
    site = open_site(read_settings({}, home=folder))
    site.catalog.dispose()
    sa.event.listen(site.catalog.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    account = get_account(site, "admin")
    assert account is not None
    return site, account


def shown(site: Site) -> dict[str, int]:
    """The sessions that people see, with the number of their files; catalogs must fit."""
    found = {}
    for folder in site.settings.archive_path.glob("P/arc001/*"):
        files = {path.name for path in folder.rglob("*.dcm")}
        listed = {name for xml in folder.rglob("*.xml") for name in re.findall(r'URI="([^"]+)"', xml.read_text())}
        assert files == listed
        found[folder.name] = len(files)
    return found


def assert_settled(site: Site) -> None:
    assert verify(site).differences == []
    assert list(site.settings.staging_path.iterdir()) == []
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(session_locks)).all() == []
        uids = connection.execute(sa.select(instances.c.session_id, instances.c.sop_key)).all()
    assert len(uids) == len(set(uids))


def recovered(site: Site, request_id: int, run_id: str) -> None:
    """Let the next attempt finish what a dead one left; none is needed when the request has ended."""
    if bury(site, request_id):
        attempt(site, request_id, run_id, None)


def prepared(template: Path, home: Path, kind: str) -> int:
    """Keep a site with a request whose files are staged, for a new session or one that exists; return its number."""
    site, admin = fresh_site(template, home)
    inbox = site.settings.inbox_path / "P"
    if kind == "merge":
        attempt(site, file(site, admin, session_folder(inbox / "a", files=OLD)), "first", None)
    folder = session_folder(inbox / "b", files=NEW)
    request_id = file(site, admin, folder, cleanupAfterImport="true", overwrite="append")
    steps.run_step(site, request_id, "anonymize", run_id="run")
    site.catalog.dispose()
    home.rename(kept(home))
    return request_id


def kept(home: Path) -> Path:
    return home.with_name("kept")


def restored(home: Path) -> tuple[Site, Account]:
    """The site that was kept, as it was; sources are the same files, as the ledger knows them."""

    def copy(source: str, target: str) -> None:
        (os.link if "/inbox/" in source.removeprefix(str(kept(home))) else shutil.copy2)(source, target)

    return fresh_site(kept(home), home, copy)


def points(seen: list[str]) -> list[int]:
    """The effects to crash before: all, but of a run of equal ones only the first two and the last."""
    return [
        at
        for at, name in enumerate(seen)
        if name not in REPEATED or seen[max(0, at - 2) : at + 2] != [name] * min(4, at + 2)
    ]


@pytest.mark.parametrize(("kind", "way"), [("new", "exchange"), ("merge", "exchange"), ("merge", "two renames")])
def test_a_commit_that_dies_anywhere_is_finished_by_the_next_attempt(
    site_template: Path, tmp_path: Path, kind: str, way: str
) -> None:
    with by(way):
        request_id = prepared(site_template, tmp_path / "home", kind)
        site, admin = restored(tmp_path / "home")
        seen = attempt(site, request_id, "run", None, since="archive").seen
        states: Counter[str] = Counter()
        for at in points(seen):
            site, admin = restored(tmp_path / "home")
            with pytest.raises(Crash):
                attempt(site, request_id, "run", at, since="archive")
            state = state_of(site, request_id)
            states[state] += 1
            now = {"intended": OLD, "away": None}.get(state, OLD if state in ("staged", "locked", "building") else NEW)
            expected = {} if now is None or (kind == "new" and now == OLD) else {"FAKE001": now}
            assert shown(site) == expected, (at, seen[at], state)
            recovered(site, request_id, "again")
            answer = requests.request_json(site, request_id, admin)
            assert (answer["outcome"], answer["cleanup"]) == ("complete", "done"), (at, seen[at], state)
            assert shown(site) == {"FAKE001": NEW}
            assert not list((site.settings.inbox_path / "P" / "b").iterdir())
            assert_settled(site)
            site.catalog.dispose()
    assert set(states) >= expected_states(kind, way) - {"ended"}


@pytest.mark.parametrize("way", WAYS)
def test_a_cancel_that_dies_anywhere_finishes_what_has_an_intent(site_template: Path, tmp_path: Path, way: str) -> None:
    with by(way):
        request_id = prepared(site_template, tmp_path / "home", "merge")
        site, admin = restored(tmp_path / "home")
        seen = attempt(site, request_id, "run", None, since="archive").seen
        intended = next(at for at, name in enumerate(seen) if name == "write_bytes") + 2
        for first in (0, intended):
            for at in range(0, 30, 5):
                site, admin = restored(tmp_path / "home")
                with pytest.raises(Crash):
                    attempt(site, request_id, "run", first, since="archive")
                assert state_of(site, request_id) == ("intended" if first else "staged")
                requests.cancel(site, admin, request_id)
                bury(site, request_id)
                with contextlib.suppress(Crash, Cancelled):
                    attempt(site, request_id, "stop", at)
                if bury(site, request_id):
                    with pytest.raises(Cancelled):
                        attempt(site, request_id, "again", None)
                    bury(site, request_id)
                assert requests.request_json(site, request_id, admin)["outcome"] == "cancelled"
                assert shown(site) == {"FAKE001": NEW if first else OLD}
                assert_settled(site)
                site.catalog.dispose()


def expected_states(kind: str, way: str) -> set[str]:
    table = DURABILITY.read_text(encoding="utf-8").split("| state |")[1].split("\n\n")[0]
    named = set(re.findall(r"^\| `([a-z ]+)` \|", table, re.MULTILINE))
    assert len(named) == 10
    other = {"away"} if way == "exchange" else {"exchanged"}
    return named - (other if kind == "merge" else {"away", "exchanged", "recorded"})


class Imports(RuleBasedStateMachine):
    """Imports of overlapping files into two sessions, each of which may die anywhere, several times."""

    template: Path
    home: Path

    def __init__(self) -> None:
        super().__init__()
        self.site, self.admin = fresh_site(self.template, self.home)
        self.held: dict[int, dict[int, int]] = {}
        self.request: tuple[int, int, dict[int, int], str] | None = None
        self.runs = self.deaths = 0
        self.way = "exchange"

    def teardown(self) -> None:
        if self.request is not None:
            self.run(None)
        self.site.catalog.dispose()

    @precondition(lambda self: self.request is None)
    @rule(
        study=st.sampled_from([1, 2]),
        files=st.dictionaries(st.integers(1, 4), st.sampled_from([16, 8]), min_size=1),
        overwrite=st.sampled_from(["none", "append", "append", "delete"]),
        way=st.sampled_from(WAYS),
    )
    def ask(self, study: int, files: dict[int, int], overwrite: str, way: str) -> None:
        self.runs, self.deaths, self.way = self.runs + 1, 0, way
        folder = self.site.settings.inbox_path / "P" / f"r{self.runs}"
        for number, size in files.items():
            picture = instance(study, number=number, Rows=size, Columns=256 // size, PatientID=f"FAKE{study}")
            save(picture, folder / f"{number}.dcm")
        request_id = file(self.site, self.admin, folder, overwrite=overwrite, cleanupAfterImport="true")
        self.request = (request_id, study, files, overwrite)

    @precondition(lambda self: self.request is not None and self.deaths < 2)
    @rule(at=st.integers(0, 90))
    def die(self, at: int) -> None:
        """Let the request run, and die before an effect if it gets so far."""
        self.run(at)

    @precondition(lambda self: self.request is not None)
    @rule()
    def finish(self) -> None:
        self.run(None)

    def run(self, at: int | None) -> None:
        assert self.request is not None
        request_id, _, _, _ = self.request
        self.runs += 1
        try:
            with by(self.way):
                attempt(self.site, request_id, f"run{self.runs}", at)
        except Crash:
            self.deaths += 1
            if bury(self.site, request_id):
                return
        except Rejected:  # a verdict: no session has reached its destination
            pass
        self.judge()

    def judge(self) -> None:
        """Compare a request that has ended with what its files should have become."""
        assert self.request is not None
        request_id, study, files, overwrite = self.request
        self.request = None
        known = self.held.get(study)
        became: Counter[str] = Counter()
        for number, size in files.items():
            if known is None:
                became["archived"] += 1
            elif overwrite == "none":
                became["session_exists"] += 1
            elif known.get(number) == size:
                became["duplicate_archived"] += 1
            elif number in known and overwrite == "append":
                became["sop_uid_conflict"] += 1
            else:
                became["archived"] += 1
        if known is None:
            self.held[study] = dict(files)
        elif overwrite == "append":
            self.held[study] = {**files, **known}
        elif overwrite == "delete":
            known.update(files)
        answer = requests.request_json(self.site, request_id, self.admin)
        assert answer["files"]["by_reason"] == dict(became)
        left = {path.name for path in (self.site.settings.inbox_path / "P").glob("r*/*") if path.exists()}
        rows = list(requests.ledger_rows(self.site, request_id, self.admin))
        assert all((row["deleted_at"] is not None) == (row["disposition"] in ("archived", "duplicate")) for row in rows)
        assert {row["source_path"] for row in rows if row["deleted_at"] is None} <= left

    @invariant()
    def every_session_is_whole(self) -> None:
        """What people see is what the last ended request left, or what the running one adds."""
        counts = shown(self.site)
        for study, known in self.held.items():
            label = f"FAKE{study}"
            if label in counts:
                assert counts[label] >= len(known)
        if self.request is None:
            assert counts == {f"FAKE{study}": len(known) for study, known in self.held.items()}
            assert_settled(self.site)

    @invariant()
    def the_ledger_sums_up(self) -> None:
        for answer in requests.list_requests(self.site, self.admin, active=False):
            assert sum(answer["files"]["by_disposition"].values()) == answer["files"]["found"]


def test_imports_that_die_anywhere_end_as_if_they_had_not(site_template: Path, tmp_path: Path) -> None:
    machine = type("Machine", (Imports,), {"template": site_template, "home": tmp_path / "machine"})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=15,
            derandomize=True,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
