"""Every real file beside the checkout: its own identifiers are found in it, and not where they are blanked.

Nothing here prints a value of a patient; descriptions are printed word by word, for a reviewer to judge the lists.
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import DataElement, Dataset
from pydicom.multival import MultiValue

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.descriptors import Descriptors
from inbox_pipeline.deid.folding import fold
from inbox_pipeline.deid.identifier import DATES
from inbox_pipeline.deid.identifiers import NOTHING, IdentifierCollector
from inbox_pipeline.deid.policy import Actions, Policy
from inbox_pipeline.deid.verify import Region, Run, Verifier
from inbox_pipeline.dicom.elements import Layout, root_elements
from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.preface import read_preface
from inbox_pipeline.dicom.window import Window

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")]

SHARED = Path(os.environ.get("INBOX_PIPELINE_SHARED", Path(__file__).parents[2].parent / "shared"))
ROOT = SHARED / "data" / "dicom"
POLICY = Policy.of_a_new_site()
PIXELS = frozenset({0x7FE00010, 0x7FE00009, 0x7FE00008})
LEAST_KEPT = 0.98


@lru_cache(maxsize=1)
def files() -> list[tuple[str, Dataset]]:
    with (ROOT / "MANIFEST.tsv").open(newline="") as manifest:
        rows = [row for row in csv.DictReader(manifest, delimiter="\t") if row["opens_pydicom"] == "ok"]
    return [(row["path"], pydicom.dcmread(ROOT / row["path"], force=True, stop_before_pixels=True)) for row in rows]


def text(element: DataElement) -> str:
    value = element.value
    return "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value or "")


def treated(dataset: Dataset, actions: Actions, parent: int | None = None) -> Iterator[tuple[DataElement, Action]]:
    """Every public element of a data set with its action, at any depth."""
    for tag in list(dataset.keys()):
        if tag.is_private:
            continue
        try:
            element = dataset[tag]
        except (ValueError, NotImplementedError, KeyError, TypeError):  # what pydicom cannot decode has no text to find
            continue
        yield element, actions.at_root(int(tag)) if parent is None else actions.within(parent, int(tag))
        if element.VR == "SQ":
            for inner in element.value:
                yield from treated(inner, actions, int(tag))


def collected(dataset: Dataset) -> IdentifierCollector:
    collector = IdentifierCollector()
    for element, action in treated(dataset, POLICY.actions(str(dataset.get("SOPClassUID", "")))):
        if element.VR != "SQ" and action not in {Action.KEEP, Action.TEXT}:
            collector.add(int(element.tag), element.VR, text(element))
    return collector


def header(path: str) -> tuple[bytes, Layout] | None:
    """The encoded elements before the pixel data; None for what is no plain data set."""
    data = (ROOT / path).read_bytes()
    window = Window(BytesIO(data), len(data))
    try:
        preface = read_preface(BytesIO(data), window, inflated_limit=1 << 24)
        end = preface.start
        for element in root_elements(preface.data_set, preface.start, preface.layout):
            if element.tag in PIXELS:
                break
            end = element.end
        return preface.data_set.whole(preface.start, end), preface.layout
    except NotReadable:
        return None


BLANK = bytes(ord("-") if (chr(byte).isalnum() and byte < 128) or byte > 127 else byte for byte in range(256))


def test_a_files_own_identifiers_are_found_in_it_and_not_in_blanks() -> None:
    counts: Counter[str] = Counter()
    unfound, alarms = [], []
    for path, dataset in files():
        encoded = header(path)
        if encoded is None:
            continue
        data, layout = encoded
        identifiers = collected(dataset).freeze()
        verifier = Verifier(identifiers)
        found = verifier.residuals([Run(Region.HEADER, data, layout)])
        counts["files"] += 1
        counts["findings"] += len(found)
        expected = {one.kind for one in (*identifiers.patterned, *identifiers.days) if not one.in_text}
        missing = expected - {finding.kind for finding in found}
        if missing:
            unfound.append((path, sorted(kind.value for kind in missing)))
        if verifier.residuals([Run(Region.TRAILING, data.translate(BLANK))]):
            alarms.append(path)
    sys.stdout.write(f"{dict(counts)}\n")
    assert counts["files"] > 800
    assert unfound == []
    assert alarms == []


def test_identifiers_of_other_patients_are_not_found() -> None:
    """A file of each folder against the others: what is found without a common UID, name or date is coincidence."""
    chosen = {Path(path).parts[:2]: (path, dataset) for path, dataset in files()}
    headers = {key: encoded for key, (path, _) in chosen.items() if (encoded := header(path)) is not None}
    gathered = {key: collected(chosen[key][1]).freeze() for key in headers}
    alarms: list[str] = []
    searches = 0
    for key, identifiers in gathered.items():
        verifier = Verifier(identifiers)
        for other, (data, layout) in headers.items():
            others = gathered[other]
            if identifiers.uids & others.uids or identifiers.patterned & others.patterned:
                continue
            searches += 1
            for place, kind in verifier.residuals([Run(Region.HEADER, data, layout)]):
                if kind not in DATES:
                    alarms.append(f"{kind.value} of {'/'.join(key)} at {place} of {'/'.join(other)}")
    sys.stdout.write(f"{searches} searches\n" + "\n".join(alarms) + "\n")
    assert searches > 3000
    assert len(alarms) < searches // 100


def test_descriptions_keep_their_words() -> None:
    seen: set[str] = set()
    dropped: Counter[str] = Counter()
    kept = total = 0
    for _, dataset in files():
        for element, action in treated(dataset, POLICY.actions(str(dataset.get("SOPClassUID", "")))):
            if action is Action.TEXT and element.VR != "SQ":
                seen.update(text(element).split("\\"))
    for description in sorted(seen):
        before = Counter(re.findall(r"[^\W_]+", description))
        after = Counter(re.findall(r"[^\W_]+", Descriptors.clean(description, NOTHING)))
        total += before.total()
        kept += (before & after).total()
        dropped.update(fold(word) for word in before - after)
    sys.stdout.write(f"{kept} of {total} words of {len(seen)} descriptions kept; dropped: {sorted(dropped)}\n")
    assert kept / total > LEAST_KEPT
