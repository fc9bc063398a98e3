"""What holds for processes that rewrite files: rare collections of cycles, and freed memory that is not given back."""

from __future__ import annotations

import gc
import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from inbox_pipeline.errors import Rejected
from inbox_pipeline.script import DEFAULT_SITE_SCRIPT
from inbox_pipeline.services.anonymize_folder import Order, anonymize_folder
from inbox_pipeline.services.processes import collect_rarely, keep_freed_memory, rewriting_many
from inbox_pipeline_tests.data_for_tests import session_folder


def test_thresholds_come_back_even_after_a_fault() -> None:
    before = gc.get_threshold()
    with pytest.raises(KeyError), rewriting_many():
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


def faults_of_pixels(keep: bool) -> int:
    """Count the pages that the system had to give while the pixels of file after file came and went."""
    if keep:
        keep_freed_memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        held = [b"\1" * (700 << 10) for _ in range(3)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_memory_for_pixels_is_not_asked_for_anew_with_every_file() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as one, ProcessPoolExecutor(1, get_context("spawn")) as other:
        kept, given_back = one.submit(faults_of_pixels, True).result(), other.submit(faults_of_pixels, False).result()
    assert 4 * kept < given_back
