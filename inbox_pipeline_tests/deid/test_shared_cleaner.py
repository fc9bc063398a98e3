"""Every real file beside the checkout: the cleaner against the slow reference, on both roads. Prints no value."""

from __future__ import annotations

import sys
from collections import Counter
from io import BytesIO

import pydicom
import pytest

from inbox_pipeline.deid.policy import Policy
from inbox_pipeline.dicom import rewrite as rewriting
from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.quiet import quiet
from inbox_pipeline.dicom.rewrite import Rewritten, rewrite

from ..dicom.test_shared import UNREADABLE, files, parsed
from .reference import Reference, bound, normal

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")]


def nothing(dataset: pydicom.Dataset) -> None:
    """No edit."""


def cleaned(policy: Policy, data: bytes) -> tuple[pydicom.Dataset, Rewritten]:
    dest = BytesIO()
    result = rewrite(BytesIO(data), dest, nothing, clean=bound(policy, parsed(data)))
    return pydicom.dcmread(BytesIO(dest.getvalue())), result


@pytest.mark.parametrize("policy", [Policy.of_a_new_site(), Policy.of([])], ids=["new-site", "basic"])
def test_every_file_is_cleaned_as_the_reference_does_it(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    roads, different = Counter[str](), []
    for path, data, _ in files():
        with quiet():
            try:
                first, result = cleaned(policy, data)
            except NotReadable:
                roads["refused"] += 1
                continue
            roads[result.path_taken] += 1
            with monkeypatch.context() as patch:
                patch.setattr(rewriting, "is_ordinary", lambda *_: False)
                second, _ = cleaned(policy, data)
            expected = normal(Reference(policy, parsed(data)).cleaned())
            different += [path] * (normal(first) != expected or normal(second) != expected)
    sys.stdout.write(f"{dict(roads)}\n")
    assert different == []
    assert roads["refused"] == 8 + len(UNREADABLE)
    assert roads["full"] < 40
