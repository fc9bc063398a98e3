"""Twenty requests at once into the same three sessions, with overlapping files (append).

Belongs here: filing them, running them in threads as workers would, and what must hold afterwards. Does not belong
here: which database.
"""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pydicom
import sqlalchemy as sa

from inbox_pipeline.errors import Unavailable
from inbox_pipeline.services import requests, steps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.verify import verify
from inbox_pipeline.store.catalog.schema import scans, session_locks, sessions, subjects
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.services.importing import file

REQUESTS, STUDIES, NUMBERS, EACH = 20, 3, 12, 5


def crowd(site: Site, account: Account, workers: int) -> None:
    """Run them all, and check that the sessions hold the union, once."""
    chance, wanted = random.Random(4), set()
    ids = []
    for number in range(REQUESTS):
        folder = site.settings.inbox_path / "P" / f"r{number}"
        for study in range(1, STUDIES + 1):
            for n in chance.sample(range(1, NUMBERS + 1), EACH):
                wanted.add((study, n))
                series = 1 + n % 2
                picture = instance(study, series, n, PatientID=f"FAKE{study}", PatientName="FAKE^ONE")
                save(picture, folder / f"{study}-{n}.dcm")
        ids.append(file(site, account, folder, overwrite="append"))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda request_id: _work(site, request_id), ids))
    answers = [requests.request_json(site, request_id, account) for request_id in ids]
    assert {answer["outcome"] for answer in answers} == {"complete"}
    became = sum((Counter(answer["files"]["by_reason"]) for answer in answers), Counter[str]())
    total = REQUESTS * STUDIES * EACH
    assert became == {"archived": len(wanted), "duplicate_archived": total - len(wanted)}
    assert {len(answer["sessions"]) for answer in answers} == {STUDIES}
    _assert_union(site, wanted)


def _work(site: Site, request_id: int) -> None:
    """Run a request as often as it is given back."""
    for number in range(100):
        try:
            for step in steps.STEPS:
                steps.run_step(site, request_id, step, run_id=f"{request_id}-{number}")
        except Unavailable:
            continue
        return


def _assert_union(site: Site, wanted: set[tuple[int, int]]) -> None:
    found = [pydicom.dcmread(path) for path in site.settings.archive_path.rglob("*.dcm")]
    held = Counter((int(str(each.StudyInstanceUID).rpartition(".")[2]), int(each.InstanceNumber)) for each in found)
    assert held == Counter(dict.fromkeys(wanted, 1))
    assert verify(site).differences == []
    assert list(site.settings.staging_path.iterdir()) == []
    with site.catalog.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(sessions)).scalar_one() == STUDIES
        assert connection.execute(sa.select(sa.func.count()).select_from(subjects)).scalar_one() == 1
        assert connection.execute(sa.select(sa.func.sum(scans.c.files))).scalar_one() == len(wanted)
        assert connection.execute(sa.select(session_locks)).all() == []
