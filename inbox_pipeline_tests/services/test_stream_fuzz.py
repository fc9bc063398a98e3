"""The short form of the fuzzer of files: the same entry, mutations from a seed."""

from __future__ import annotations

import random

import pytest

from inbox_pipeline_tests.services.stream_fuzz import mutated, one_input, roads, seeds

SEEDS = list(seeds())


def test_every_seed_is_copied_edited_and_judged() -> None:
    ways = [one_input(data) for data in SEEDS]
    assert min(ways) >= len(roads()) - 1, "only policy basic may hold one of them"
    assert ways.count(len(roads())) > len(SEEDS) / 2


@pytest.mark.parametrize("seed", range(10))
def test_what_holds_of_any_file(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        one_input(mutated(chance.choice(SEEDS), chance))
