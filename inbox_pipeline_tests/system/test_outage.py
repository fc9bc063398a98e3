"""A few outages of `benchmarks/run kill --outages`: the database server stops and starts during imports."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from inbox_pipeline_tests.end_to_end.siege import Sessions, Siege, besiege, models_of
from inbox_pipeline_tests.postgres_for_tests import running_postgres

pytestmark = [pytest.mark.system, pytest.mark.services]


def test_imports_end_whole_when_the_database_server_is_away_for_a_while(tmp_path: Path) -> None:
    sessions = Sessions(models_of(None), random.Random(7), fewest=5, most=25)
    with running_postgres() as server:
        siege = Siege(tmp_path, 7, sessions, progress=(0.5, 2.0), tree_every=3, postgres=server)
        figures = besiege(siege, kills=3, sessions=3, outages=2)
    assert figures["killed"] == {"a worker": 2, "everything": 1, "the database": 2}
    assert figures["requests"] == {"complete": sum(figures["requests"].values())}
