"""What may lie below an undecoded sequence: never less than decoding finds, and all of it where bytes are sound."""

import random
import warnings
from collections.abc import Iterable, Iterator

import pytest
from pydicom import Dataset, Sequence
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag

from inbox_pipeline.script import compile_script
from inbox_pipeline.script.below import reach_of
from inbox_pipeline_tests.script.fuzz import Choices, DataSets

TAG = BaseTag(0x00081140)


def raw(data: bytes | None, little: bool = True, implicit: bool = False) -> RawDataElement:
    return RawDataElement(TAG, None if implicit else "SQ", len(data or b""), data, 0, implicit, little)


def tags_below(items: Iterable[Dataset]) -> Iterator[int]:
    """All tags; elements that are no sequences stay undecoded."""
    for item in items:
        for tag, entry in item._dict.items():
            yield int(tag)
            if entry.VR == "SQ":
                decoded = convert_raw_data_element(entry) if isinstance(entry, RawDataElement) else entry
                yield from tags_below(decoded.value or ())


def tags_found(element: RawDataElement) -> set[int]:
    """The tags below a sequence; none if pydicom cannot decode it."""
    try:
        return set(tags_below(convert_raw_data_element(element).value or ()))
    except Exception:  # noqa: BLE001 - pydicom raises anything on bad values
        return set()


@pytest.mark.parametrize("seed", range(30))
def test_never_less_than_what_decoding_finds(seed: int) -> None:
    chance, answered = random.Random(seed), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(60):
            little, implicit = chance.random() < 0.7, chance.random() < 0.3
            data = DataSets(Choices(chance.randbytes(400)))._encoded(3, little, implicit)
            element = raw(data, little, implicit)
            reach = reach_of(element)
            if reach is not None:
                found = tags_found(element)
                answered += bool(found)
                assert found <= reach
    assert answered


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
def test_sound_bytes_are_walked_whole(little: bool, implicit: bool, undefined: bool) -> None:
    item, inner = Dataset(), Dataset()
    inner.PatientID, inner.CodeValue = "P", ""
    item.ReferencedSeriesSequence, item.Rows = Sequence([inner, Dataset()]), 4
    item["ReferencedSeriesSequence"].is_undefined_length = item.is_undefined_length_sequence_item = undefined
    outer = Dataset()
    outer.ReferencedImageSequence = Sequence([item, Dataset()])
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = little, implicit
    write_data_element(buffer, outer["ReferencedImageSequence"], ["ascii"])
    data = buffer.getvalue()[8 if implicit else 12 :]
    assert reach_of(raw(data, little, implicit)) == {0x00081115, 0x00100020, 0x00080100, 0x00280010}


UNCLEAR = [
    b"\xfe\xff\x00\xe0\x08\x00\x00\x00\x10\x00\x20\x00??\x00\x00",
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    b"\xfe\xff\x00\xe0\x0a\x00\x00\x00\x10\x00\x20\x00LO\x08\x00P1",
    b"\x10\x00\x20\x00\x00\x00\x00\x00",
    b"\xfe\xff\x00",
]


@pytest.mark.parametrize("data", UNCLEAR)
def test_what_is_not_plain_is_unknown(data: bytes) -> None:
    assert reach_of(raw(data)) is None


def test_bytes_that_are_elsewhere_are_unknown() -> None:
    assert reach_of(raw(None)) == frozenset()
    assert reach_of(RawDataElement(TAG, "SQ", 10, None, 0, False, True)) is None


def test_what_was_added_below_is_found() -> None:
    dataset = Dataset()
    dataset.ReferencedImageSequence = Sequence([Dataset()])
    compile_script(
        'version "6.6"\n-*/(0008,1155)\n(0008,1140)[0]/(0008,1115)[0]/(0008,1155) := "1.2"\n*/(0008,1155) ?= "1.3"'
    ).apply(dataset, {})
    assert dataset.ReferencedImageSequence[0].ReferencedSeriesSequence[0].ReferencedSOPInstanceUID == "1.3"
