"""What the default decides about every real file beside the checkout, and ultrasound blanked as it says."""

import sys
from collections import Counter
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from inbox_pipeline.deid.pixel_decision import METHOD, PixelDecision, PixelOptions, decide
from inbox_pipeline.deid.pixel_facts import read_facts
from inbox_pipeline.deid.pixel_rules import Rules
from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.rewrite import edited, rewrite
from inbox_pipeline.script.blanking import blank_pixels
from inbox_pipeline.script.errors import Failure
from inbox_pipeline_tests.dicom.test_shared import files

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")]

MAY_BE_HELD = {
    "Secondary Capture Image Storage": "SC_ CODECS CHARSETS NM_HEART ODD",
    "Ultrasound Image Storage": "CARDIO_US ODD",
    "Ultrasound Multi-frame Image Storage": "CARDIO_US",
    "Encapsulated PDF Storage": "REPORTS_PDF",
    "CT Image Storage": "ODD/BAD_VR/explicit_VR-UN.dcm",
}
"""Class names and the beginnings of paths; the CT image says that it is digitized video."""

NOT_DECODED = {"CARDIO_US/ECHO_JXL/will-jxl.dcm"}
"""No codec here knows JPEG XL."""


def decision_of(dataset: Dataset) -> PixelDecision:
    return decide(read_facts(dataset), Rules(), PixelOptions())


def test_at_most_a_tenth_is_held_and_only_kinds_at_risk() -> None:
    kinds: Counter[str] = Counter()
    held: list[tuple[str, str]] = []
    for path, data, row in files():
        decisions: list[PixelDecision] = []
        try:
            edited(BytesIO(data), lambda dataset, found=decisions: found.append(decision_of(dataset)))
        except NotReadable:
            continue
        kinds[decisions[0].kind] += 1
        if decisions[0].kind == "hold":
            held.append((row["sop_class"], path))
    sys.stdout.write(f"{kinds}\n")
    assert kinds["hold"] <= sum(kinds.values()) / 10
    others = [path for name, path in held if not path.startswith(tuple(MAY_BE_HELD.get(name, "-").split()))]
    assert others == []


def test_ultrasound_keeps_its_regions_and_nothing_else() -> None:
    done, not_decoded = [], set()
    for path, data, row in files():
        if row["modality"] != "US" or not data.count(b"DICM", 128, 132):
            continue
        facts: dict[str, Any] = {}

        def edit(dataset: Dataset, facts: dict[str, Any] = facts) -> None:
            decision = facts["decision"] = decision_of(dataset)
            facts["changes"] = blank_pixels(dataset, decision.rectangles, METHOD) if decision.rectangles else ()

        dest = BytesIO()
        try:
            rewrite(BytesIO(data), dest, edit)
        except Failure:
            not_decoded.add(path)
            continue
        if facts["decision"].kind != "blank":
            continue
        after = pydicom.dcmread(BytesIO(dest.getvalue()))
        assert (after.BurnedInAnnotation, METHOD in after.DeidentificationMethod) == ("NO", True)
        check(pydicom.dcmread(BytesIO(data)), after, facts["decision"], path)
        done.append(path)
    assert len(done) >= 8
    assert not_decoded == NOT_DECODED


def check(before: Dataset, after: Dataset, decision: PixelDecision, path: str) -> None:
    outside = np.zeros((after.Rows, after.Columns), bool)
    for area in decision.rectangles:
        outside[area.top : area.bottom, area.left : area.right] = True
    for item in before.SequenceOfUltrasoundRegions:
        left, top = item.RegionLocationMinX0, item.RegionLocationMinY0
        assert not outside[top : item.RegionLocationMaxY1 + 1, left : item.RegionLocationMaxX1 + 1].any(), path
    samples = after.pixel_array.reshape(-1, after.Rows, after.Columns, after.SamplesPerPixel)
    if after.PhotometricInterpretation != "YBR_FULL_422":
        expected = np.array([0, 128, 128] if after.PhotometricInterpretation.startswith("YBR") else 0)
        assert (samples[:, outside] == expected).all(), path
    assert samples[:, ~outside].any(), path
