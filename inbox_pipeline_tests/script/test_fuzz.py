"""The short form of the fuzzer: the same entry, bytes from a seed."""

import random
import warnings

import pytest

from inbox_pipeline_tests.script.fuzz import Choices, DataSets, Hang, frozen, one_input, script_text, time_limit


@pytest.mark.parametrize("seed", range(20))
def test_what_holds_of_any_script_on_any_data_set(seed: int) -> None:
    chance = random.Random(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about the values on purpose; scripts run without them
        for _ in range(40):
            one_input(chance.randbytes(chance.choice([60, 200, 600])))


def test_the_bytes_decide() -> None:
    data = random.Random(1).randbytes(300)
    assert script_text(Choices(data)) == script_text(Choices(data))
    assert frozen(DataSets(Choices(data)).root()) == frozen(DataSets(Choices(data)).root())
    assert len({script_text(Choices(bytes([2, number]) + data)) for number in range(50)}) >= 10


def test_a_hang_is_noticed() -> None:
    with pytest.raises(Hang), time_limit(0.05):
        while True:
            pass
