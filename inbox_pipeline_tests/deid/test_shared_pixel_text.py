"""Drawn text in every real file beside the checkout that would be kept: none, and names drawn into them are found."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest

from inbox_pipeline.deid.pixel_search import Seen
from inbox_pipeline.deid.pixel_text import find_text
from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.rewrite import edited
from inbox_pipeline.script.edits import Edits
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.frames import is_native, native_frames
from inbox_pipeline.script.levels import Root
from inbox_pipeline.services.drawn_text import seen_in
from inbox_pipeline_tests.deid.test_shared_pixel_decisions import decision_of
from inbox_pipeline_tests.dicom.test_shared import files
from inbox_pipeline_tests.drawing import draw

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")]

SHOWS_TEXT = {"SC_MISC/OVERLAYS/cplx_p02.dcm", "SC_MISC/OVERLAYS/ovly_p01.dcm", "SC_MISC/OVERLAYS/test16signed.dcm"}
"""Test patterns, which have lettering."""
NOISE = {"NEURO_PHILIPS/ACHIEVA_SEQREPLACE/MR.dcm"}


def planes_of(dataset: Any) -> list[Any]:
    root = Root(dataset, Edits())
    try:
        return [plane for frame in native_frames(root) for plane in frame] if is_native(root) else []
    except Failure:
        return []


def test_only_lettering_is_found_and_every_name_that_is_drawn() -> None:
    shows, looked, missed = set(), 0, set()
    for path, data, _ in files():
        seen: list[Seen | None] = []
        try:
            dataset = edited(BytesIO(data), lambda each, found=seen: found.append(looked_for(each)))
        except NotReadable:
            continue
        if seen[0] is None:
            continue
        looked += 1
        if seen[0].places:
            shows.add(path)
        elif not all(map(name_is_found, planes_of(dataset)[:2])):
            missed.add(path)
    assert looked > 400
    assert shows - NOISE <= SHOWS_TEXT
    assert missed - NOISE == set()


def looked_for(dataset: Any) -> Seen | None:
    decision = decision_of(dataset)
    return seen_in(dataset) if decision.looks and decision.kind == "keep" else None


def name_is_found(plane: Any) -> bool:
    """Whether a name is found that is drawn in the plane's lightest value into a corner which is made dark."""
    samples = plane.samples.copy()
    if min(samples.shape) < 96 or samples.min() == samples.max():
        return True
    low, high = samples.min(), samples.max()
    samples[2:30, 2:90] = low
    box = draw(samples, "MARTIN 1347", high)
    mask = np.zeros(samples.shape, bool)
    for area in find_text(samples, soft=not plane.bare):
        mask[area.top : area.bottom, area.left : area.right] = True
    return bool(mask[box].all())
