"""What holds for processes that rewrite files: the collector of cycles is asked to look rarely, and only meanwhile."""

from __future__ import annotations

import gc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from inbox_pipeline.errors import Rejected
from inbox_pipeline.script import DEFAULT_SITE_SCRIPT
from inbox_pipeline.services.anonymize_folder import Order, anonymize_folder
from inbox_pipeline.services.processes import collect_rarely, collecting_rarely
from inbox_pipeline_tests.data_for_tests import session_folder


def test_thresholds_come_back_even_after_a_fault() -> None:
    before = gc.get_threshold()
    with pytest.raises(KeyError), collecting_rarely():
        assert gc.get_threshold()[0] > before[0]
        raise KeyError
    assert gc.get_threshold() == before


def test_a_folder_is_anonymized_with_rare_collections_and_none_is_rare_afterwards(tmp_path: Path) -> None:
    before, meanwhile = gc.get_threshold(), set()
    order = Order(session_folder(tmp_path / "in"), tmp_path / "out", (DEFAULT_SITE_SCRIPT,))
    done = anonymize_folder(order, lambda done, total: meanwhile.add(gc.get_threshold()))
    assert (done.outcome, len(done.rows)) == ("complete", 3)
    assert len(meanwhile) == 1
    assert meanwhile.pop()[0] > before[0]
    assert gc.get_threshold() == before
    with pytest.raises(Rejected, match="script"):
        anonymize_folder(Order(order.source, tmp_path / "out", ("no script",)))
    assert gc.get_threshold() == before


def test_a_helper_that_was_started_afresh_asks_for_it_itself() -> None:
    with ProcessPoolExecutor(1, get_context("spawn"), collect_rarely) as pool:
        assert pool.submit(gc.get_threshold).result()[0] > gc.get_threshold()[0]
