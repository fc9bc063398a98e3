"""What is remembered from file to file changes nothing: each comes out as if it were the first one."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from inbox_pipeline.deid.options import NEW_SITE_OPTIONS
from inbox_pipeline.deid.pseudonyms import Keys
from inbox_pipeline.dicom import headers as headers_module
from inbox_pipeline.dicom.header import Header, read_header
from inbox_pipeline.dicom.headers import Headers
from inbox_pipeline.script import DEFAULT_SITE_SCRIPT, compile_script
from inbox_pipeline.services.folder_worker import KeyedPolicy
from inbox_pipeline.services.policies import BASIC, PolicyChoice
from inbox_pipeline.services.recipe import CodedScript, Editor, Recipe
from inbox_pipeline.services.rewriting import rewritten
from inbox_pipeline.store.secret import Secret
from inbox_pipeline_tests.dicom.builders import EXPLICIT, IMPLICIT, instance, item, part10, undefined, with_pixels
from inbox_pipeline_tests.services.stream_fuzz import REFUSALS, accepted

SCRIPTS = {
    "default": DEFAULT_SITE_SCRIPT,
    "reads": DEFAULT_SITE_SCRIPT + '(0008,103E) := concatenate[(0008,1030), "/", (0020,0013)]\n- (0020,4000)\n',
    "new": DEFAULT_SITE_SCRIPT + "(0008,0018) := newUID[]\n(0020,0012) ?= (0020,0013)\n",
    "meta": DEFAULT_SITE_SCRIPT + "(0008,1090) := (0002,0003)\n",
    "keeps": DEFAULT_SITE_SCRIPT + 'retainPrivateTags[(0029,{TEST CREATOR}01)]\n(0020,0011) := "4"\n',
}
KEYS = Keys.derived(Secret(bytes(32)).subkey, "P")
VARIABLES = {"project": "P", "subject": "S", "session": "S_MR1"}
CHOICES: dict[str, list[Any]] = {
    "SOPInstanceUID": ["1.2.3.4.5", "1.2.3.4.6", "1.2.826.1.7777.1.22", "2.25.99887766554433221100", ""],
    "InstanceNumber": [1, 2, 3, 1000],
    "PatientID": ["P-77", "P-78"],
    "PatientName": ["Fälschung^Anna", "Zork^Bob", "Knie^Eva"],
    "PatientBirthDate": ["19400102", "19630305"],
    "StudyDescription": ["Knie links", "Knie Zork", "of Fälschung, Anna", "1.2.826.1.7777.1.22", None],
    "SeriesDescription": ["t1", "t2 Eva", None],
    "AcquisitionDate": ["20200102", "20200103", None],
    "ImageComments": ["quiet", "bob zork", "19630305", None],
    "ImagePositionPatient": [[1, 2, 3], [1, 2, 4.5], None],
    "SpecificCharacterSet": ["ISO_IR 100", "ISO_IR 192"],
    "SOPClassUID": ["1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"],
    "BurnedInAnnotation": ["NO", "YES", None],
    "WindowCenter": [1, 2.5, None],
}
"""Values of elements, None for none; some stand in others, or are another patient's."""
CREATORS = ["TEST CREATOR", "GEMS_PARM_01", "SIEMENS CSA HEADER"]


def changed(edits: dict[str, int], creator: int, spread: bool) -> Dataset:
    """An instance with some choices made, a private block and, if spread, undefined lengths."""
    values = {name: CHOICES[name][number % len(CHOICES[name])] for name, number in edits.items()}
    dataset = instance(**{name: value for name, value in values.items() if value is not None})
    block = dataset.private_block(0x0043, CREATORS[creator], create=True)
    block.add_new(0x27, "SH", "Zork")
    block.add_new(0x39, "IS", "7")
    dataset.RequestAttributesSequence = [item(RequestedProcedureDescription=values.get("StudyDescription") or "Knie")]
    return undefined(dataset) if spread else dataset


files = st.builds(
    lambda edits, creator, spread, syntax: part10(with_pixels(changed(edits, creator, spread), syntax), syntax),
    st.dictionaries(st.sampled_from(sorted(CHOICES)), st.integers(0, 4), max_size=4),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from((EXPLICIT, IMPLICIT)),
)


def recipe(script: str) -> Recipe:
    """Site script and policy basic, with nothing remembered yet."""
    profile = KeyedPolicy(PolicyChoice(BASIC, NEW_SITE_OPTIONS), KEYS).profile()
    return Recipe([CodedScript(0, "script 1", compile_script(SCRIPTS[script]))], VARIABLES, profile=profile)


def outcome(data: bytes, by: Recipe, headers: Headers) -> tuple[object, ...]:
    """What is written and told of a file, or why it is not."""
    editor, out = Editor(by, bytes(32), lambda: hashlib.sha256(data).digest()), BytesIO()
    try:
        result = rewritten(BytesIO(data), out, editor, editor, len(data), headers=headers, pairs=True)
    except REFUSALS as refusal:
        return type(refusal), str(refusal), getattr(refusal, "detail", None)
    return out.getvalue(), result, editor.pairs(result), editor.trace.decided, editor.shows_face


@pytest.mark.parametrize("script", SCRIPTS)
@given(several=st.lists(files, min_size=2, max_size=5))
@settings(max_examples=25, deadline=None)
def test_a_file_comes_out_as_if_it_were_the_first(script: str, several: list[bytes]) -> None:
    by, headers = recipe(script), Headers()
    first = [outcome(data, recipe(script), Headers()) for data in several]
    for _ in range(4):
        assert [outcome(data, by, headers) for data in several] == first


@given(several=st.lists(files, min_size=2, max_size=5))
@settings(max_examples=50, deadline=None)
def test_a_scan_finds_what_it_finds_in_the_first(several: list[bytes]) -> None:
    headers = Headers()

    def found(data: bytes, known: Headers | None) -> Header | None:
        return accepted(lambda: read_header(BytesIO(data), size=len(data), headers=known))

    for data in several * 4:
        for cut in (data, data[:-700], data[:300], data + bytes(3)):
            assert found(cut, headers) == found(cut, None)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers_module, "REMEMBERED_BYTES", 20_000)
    headers = Headers()
    for number in range(300):
        data = part10(with_pixels(instance(SOPInstanceUID=f"1.2.3.{number}", StudyID=str(number)), EXPLICIT), EXPLICIT)
        read_header(BytesIO(data), size=len(data), headers=headers)
    (known,) = headers._known.values()
    assert sum(pattern.held for pattern in known.patterns) < 20_000
