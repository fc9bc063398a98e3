"""Conformance cases: data sets made from their description, and what must hold of the result.

Belongs here: the format of case files. Does not belong here: cases, assertions about the language.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom import Dataset, Sequence
from pydicom.dataset import FileMetaDataset

from inbox_pipeline.script import compile_script
from inbox_pipeline.script.edits import Edits
from inbox_pipeline.script.errors import ScriptError
from inbox_pipeline.script.levels import Root
from inbox_pipeline.script.places import one
from inbox_pipeline.script.tagpath import direct_path
from inbox_pipeline.script.values import element_from_text

Case = dict[str, Any]


def dataset_of(elements: dict[str, Any]) -> Dataset:
    """A data set from `{tag: {vr, value}}`; group 0002 goes into the file meta information."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    _fill(dataset, elements)
    return dataset


def _fill(dataset: Dataset, elements: dict[str, Any]) -> None:
    for name, element in elements.items():
        tag, vr, value = direct_path(name)[0][0], element["vr"], element["value"]
        holder = dataset.file_meta if tag >> 16 == 2 else dataset
        if vr == "SQ":
            holder.add_new(tag, "SQ", Sequence([_item(item) for item in value]))
        else:
            holder._dict[element_from_text(tag, vr, str(value)).tag] = element_from_text(tag, vr, str(value))


def _item(elements: dict[str, Any]) -> Dataset:
    item = Dataset()
    _fill(item, elements)
    return item


def add_pixels(dataset: Dataset, rows: list[list[int]]) -> None:
    """Native 8-bit pixel data under Explicit VR Little Endian."""
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 7, 0
    dataset.add_new(0x7FE00010, "OB", np.array(rows, np.uint8).tobytes())


def found_at(dataset: Dataset, path: str) -> Any:
    """The element at a path in direct notation, or None."""
    *parents, (tag, _) = direct_path(path)
    level: Any = dataset.file_meta if tag >> 16 == 2 else dataset
    for parent, item in parents:
        if parent not in level or len(level[parent].value) <= (item or 0):
            return None
        level = level[parent].value[item or 0]
    return level.get(tag, None)


def text_at(dataset: Dataset, path: str) -> str:
    """The text at a path, or the word absent."""
    element = found_at(dataset, path)
    if element is None:
        return "absent"
    value = element.value
    if isinstance(value, bytes):
        return value.decode().rstrip(" \0")
    if value is None:
        return ""
    values = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    return "\\".join(map(str, values)).rstrip(" \0")


def problems(case: Case) -> Iterator[str]:
    """What is wrong with the way a case runs."""
    dataset = dataset_of(case["input"])
    if "pixels" in case:
        add_pixels(dataset, case["pixels"])
    before = dataset_of(case["input"])
    try:
        lookup = "\n".join(case["lookup"]) if "lookup" in case else None
        script = compile_script(case["script"], lookup=lookup)
        outcome = script.apply(dataset, case.get("vars", {}), ignore_rejection=case.get("ignore_rejection", False))
    except ScriptError as error:
        if not case.get("error"):
            yield f"error: {error}"
        return
    if case.get("error"):
        yield "no error"
    if outcome.rejected != case.get("rejected", False):
        yield "rejected" if outcome.rejected else "not rejected"
    yield from _differences(case, before, dataset)


def _differences(case: Case, before: Dataset, after: Dataset) -> Iterator[str]:
    for path, wanted in case.get("expect", {}).items():
        got = text_at(after, path)
        if not _equal(got, str(wanted)):
            yield f"{path}: {got!r}, not {wanted!r}"
    for path, vr in case.get("expect_vr", {}).items():
        if vr != found_at(after, path).VR:
            yield f"{path} has VR {found_at(after, path).VR}"
    for path, count in case.get("expect_items", {}).items():
        if len(found_at(after, path).value) != count:
            yield f"{path} has {len(found_at(after, path).value)} items"
    for path, pattern in case.get("expect_match", {}).items():
        if not re.fullmatch(pattern, text_at(after, path)):
            yield f"{path} does not match"
    yield from _relations(case, after)
    yield from _pixels(case, after)
    yield from _unlisted(case, before, after)


def _relations(case: Case, after: Dataset) -> Iterator[str]:
    if len({text_at(after, path) for path in case.get("expect_same", [])}) > 1:
        yield "expect_same differs"
    different = case.get("expect_different", [])
    if len({text_at(after, path) for path in different}) != len(different):
        yield "expect_different is the same"


def _pixels(case: Case, after: Dataset) -> Iterator[str]:
    if "expect_pixels" in case and after.pixel_array.tolist() != case["expect_pixels"]:
        yield "pixels differ"


def _unlisted(case: Case, before: Dataset, after: Dataset) -> Iterator[str]:
    """Root elements that the case does not name and that are not what they were."""
    named = set(case.get("expect", {})) | set(case.get("expect_match", {})) | set(case.get("expect_same", []))
    roots = {direct_path(path)[0][0] for path in named}
    if "expect_pixels" in case:
        return
    for tag in {*map(int, before.keys()), *map(int, after.keys())} - roots:
        if before.get(tag) != after.get(tag):
            yield f"{tag:08X} changed without being named"


def _equal(got: str, wanted: str) -> bool:
    if got == wanted:
        return True
    try:
        return float(got) == float(wanted)
    except ValueError:
        return False


def script_text(dataset: Dataset, path: str) -> str | None:
    """The text at a path as scripts read it, without touching the data set."""
    from inbox_pipeline.script.tagpath import path_from_text

    spot = one(Root(dataset, Edits()), path_from_text(path))
    return None if spot is None else spot.level.text(spot.tag)
