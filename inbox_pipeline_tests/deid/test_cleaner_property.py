"""The cleaner of bytes on generated data sets: equal to the slow reference, on every road, and nothing planted left."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence
from pydicom.datadict import DicomDictionary

from inbox_pipeline.deid.options import NEW_SITE_OPTIONS, OPTION_CODES
from inbox_pipeline.deid.policy import Policy
from inbox_pipeline.deid.table import attributes, safe_private
from inbox_pipeline.dicom import rewrite as rewriting
from inbox_pipeline.dicom.errors import NotReadable, NotWritable
from inbox_pipeline.dicom.quiet import quiet
from inbox_pipeline.dicom.rewrite import rewrite

from ..dicom.builders import BIG, EXPLICIT, IMPLICIT, SYNTAXES, instance, part10, read, undefined, with_pixels
from .reference import Reference, bound, normal

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")

VALUES: dict[str, list[Any]] = {
    "AE": ["AET1", ""],
    "AS": ["093Y", "045Y", "100M", "old", "", "045Y\\095Y"],
    "AT": [0x00100010],
    "CS": ["ORIGINAL\\PRIMARY", "YES", ""],
    "DA": ["20200229", "2020.02.29", "19991231-20000101", "yesterday", "", "20200101\\20210101"],
    "DS": ["1.5", "1\\2\\3", ""],
    "DT": ["20200229101112.5+0100", "2020", "now", ""],
    "FD": [1.5],
    "FL": [2.5],
    "IS": ["7", ""],
    "LO": ["Zork^Anna knee", "AB12 left", "T1", ""],
    "LT": ["seen by Zork, MR99", ""],
    "OB": [b"ab", b""],
    "OD": [b"\0" * 8],
    "OF": [b"\0" * 4],
    "OL": [b"\0" * 4],
    "OV": [b"\0" * 8],
    "OW": [b"\0\1"],
    "PN": ["Zork^Anna", "Zorkmüller^Eva", "", "A^B\\C^D"],
    "SH": ["Zork1", "S2", ""],
    "SL": [-3],
    "SS": [-4],
    "ST": ["Zork street", ""],
    "SV": [-5],
    "TM": ["1011", "101112.5", "noon", ""],
    "UC": ["Zork uc"],
    "UI": ["1.2.3.4.5", "1.2.840.10008.5.1.4.1.1.4", "1.2.3\\1.2.4", ""],
    "UL": [9],
    "UN": [b"Zork"],
    "UR": ["http://Zork"],
    "US": [8],
    "UT": ["Zork ut", ""],
    "UV": [10],
}
FIXED = {0x00080005, 0x00080016, 0x00100020, 0x00100021, 0x0020000D, 0x00120064}
KNOWN = {
    tag: vr
    for tag, (vr, *_) in DicomDictionary.items()
    if vr in VALUES and tag >> 16 >= 8 and tag not in FIXED and tag >> 16 < 0x7FE0 and not tag >> 16 & 1
}
LISTED = [tag for row in attributes() if (tag := row.tag) in KNOWN]
OTHERS = sorted(KNOWN.keys() - set(LISTED))
SEQUENCES = [tag for tag, (vr, *_) in DicomDictionary.items() if vr == "SQ" and tag >> 16 >= 8 and tag not in FIXED]
SEQUENCES = (
    [0x0040A730] * 60 + [tag for tag in SEQUENCES if not 0x52 <= tag >> 24 < 0x70] + [0x0040A043, 0x00081140] * 20
)
SAFE = [*sorted({creator for _, creator, _ in safe_private()})[:20], "NOBODY KNOWS"]
DISPUTED = {(0x01F1, "ELSCINT1", 0x26), (0x2001, "Philips Imaging DD 001", 0x55)}
"""Where pydicom's private dictionary names a VR of another width than the table does."""
SAFE_PLACES = sorted(
    place
    for place, vr in safe_private().items()
    if place[1] in SAFE and vr in {*VALUES, "SQ"} and place not in DISPUTED
)


@st.composite
def tree_items(draw: st.DrawFn, depth: int) -> Dataset:
    """An item that may be one of a content tree or a code."""
    dataset = draw(levels(depth))
    if draw(st.booleans()):
        dataset.add_new(
            0x0040A040, "CS", draw(st.sampled_from(["TEXT", "PNAME", "DATE", "UIDREF", "CODE", "CONTAINER"]))
        )
        dataset.add_new(0x0040A160, "UT", draw(st.sampled_from(["Zork said", "AB12", "plain"])))
        dataset.add_new(0x0040A123, "PN", "Zork^Reader")
        concept = Dataset()
        concept.CodeValue, concept.CodingSchemeDesignator = draw(
            st.sampled_from([("121106", "DCM"), ("121008", "DCM"), ("121031", "DCM"), ("121033", "DCM"), ("Z", "99Z")])
        )
        concept.CodeMeaning = "Zork meaning"
        dataset.add_new(0x0040A043, "SQ", Sequence([concept]))
    return dataset


@st.composite
def levels(draw: st.DrawFn, depth: int = 2) -> Dataset:
    dataset = Dataset()
    for tag in draw(st.lists(st.sampled_from(LISTED) | st.sampled_from(OTHERS), max_size=6)):
        vr = KNOWN[tag]
        dataset.add_new(tag, vr, draw(st.sampled_from(VALUES[vr])))
    if depth:
        for tag in draw(st.lists(st.sampled_from(SEQUENCES), max_size=3)):
            items = draw(st.lists(tree_items(depth - 1), max_size=3))
            dataset.add_new(tag, "SQ", Sequence(items))
        for group, creator, element in draw(st.lists(st.sampled_from(SAFE_PLACES), max_size=2)):
            vr = safe_private()[group, creator, element]
            block = dataset.private_block(group, draw(st.sampled_from([creator, "NOBODY KNOWS"])), create=True)
            if vr == "SQ":
                block.add_new(element, vr, draw(st.lists(levels(depth - 1), max_size=2)))
            else:
                block.add_new(element, vr, draw(st.sampled_from(VALUES[vr])))
            if draw(st.booleans()):
                block.add_new(0xEE, "SQ", draw(st.lists(levels(depth - 1), max_size=2)))
    return dataset


@st.composite
def data_sets(draw: st.DrawFn) -> Dataset:
    with quiet():
        dataset = instance()
        for element in draw(levels()):
            dataset[element.tag] = element
        return dataset


def policies() -> st.SearchStrategy[Policy]:
    dates = ["retain-longitudinal-full-dates", "retain-longitudinal-modified-dates"]
    others = st.sets(st.sampled_from([name for name in OPTION_CODES if name not in dates]))
    free = st.builds(lambda names, date: Policy.of([*names, date]), others, st.sampled_from(dates))
    return st.just(Policy.of(NEW_SITE_OPTIONS)) | st.just(Policy.of([])) | free


def nothing(dataset: Dataset) -> None:
    """No edit."""


def cleaned(policy: Policy, data: bytes, known: bytes | None = None) -> bytes:
    """The output; `known` is the file that tells the patient, if not the same."""
    with quiet():
        clean = bound(policy, read(known or data))
    dest = BytesIO()
    rewrite(BytesIO(data), dest, nothing, clean=clean)
    return dest.getvalue()


def both_roads(policy: Policy, data: bytes) -> tuple[bytes, bytes]:
    fast = cleaned(policy, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewriting, "is_ordinary", lambda *_: False)
        return fast, cleaned(policy, data)


@given(dataset=data_sets(), policy=policies(), syntax=st.sampled_from(SYNTAXES), open_ended=st.booleans())
@settings(max_examples=150)
def test_the_cleaner_does_what_the_reference_does(
    dataset: Dataset, policy: Policy, syntax: str, open_ended: bool
) -> None:
    with quiet():
        shaped = undefined(dataset) if open_ended else dataset
        data = part10(with_pixels(shaped, syntax), syntax)
    fast, full = both_roads(policy, data)
    with quiet():
        expected = normal(Reference(policy, read(data)).cleaned())
        assert normal(read(fast)) == expected
        assert normal(read(full)) == expected


PLANTED = b"Zork"
PLANTS = [
    "PatientName",
    "PatientID",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientComments",
    "StudyInstanceUID",
]
PLANT_UID = b"1.2.77.31415926"
PLANT_DATE = b"19631122"


def planted() -> Dataset:
    """Identifiers at the root, in items, in private data and in a content tree, all of them told by their texts."""
    dataset = instance(PatientName="Zork^Anna", PatientID="Zork77", PatientBirthDate=PLANT_DATE.decode())
    dataset.StudyInstanceUID, dataset.StudyDate = PLANT_UID.decode(), PLANT_DATE.decode()
    dataset.Manufacturer, dataset.StudyDescription = "GE", "knee Zork"
    inner = Dataset()
    inner.PatientName, inner.ReferencedSOPInstanceUID, inner.StudyDate = "Zork", PLANT_UID.decode(), PLANT_DATE.decode()
    outer = Dataset()
    outer.RequestingPhysician, outer.ReferencedSOPSequence = "Zork", Sequence([inner])
    dataset.RequestAttributesSequence = Sequence([outer, inner])
    dataset.private_block(0x0029, "TEST CREATOR").add_new(0x10, "SQ", Sequence([outer]))
    text = Dataset()
    text.ValueType, text.TextValue = "TEXT", "Zork"
    dataset.ContentSequence = Sequence([text])
    return dataset


BASES = [
    part10(with_pixels(shape(planted()), syntax), syntax)
    for syntax in (IMPLICIT, EXPLICIT, BIG)
    for shape in (lambda dataset: dataset, undefined)
]
HEADERS = [
    base.index(b"\x08\x00\x05\x00") if b"\x08\x00\x05\x00" in base else base.index(b"\0\x08\0\x05") for base in BASES
]
VRS = [vr.encode() for vr in VALUES] + [b"SQ"]


@given(st.data())
@settings(max_examples=400)
def test_mutations_are_refused_or_leave_nothing_planted(draw: st.DataObject) -> None:
    which = draw.draw(st.integers(0, len(BASES) - 1))
    data = bytearray(BASES[which])
    spots = [at for at in range(HEADERS[which], len(data) - 1) if bytes(data[at : at + 2]) in VRS]
    kind = draw.draw(st.sampled_from(["vr", "un", "length", "cut", "trail"]))
    if kind in {"vr", "un"} and spots:
        at = draw.draw(st.sampled_from(spots))
        data[at : at + 2] = b"UN" if kind == "un" else draw.draw(st.sampled_from(VRS))
    elif kind == "length":
        data[draw.draw(st.integers(HEADERS[which], len(data) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    elif kind == "cut":
        del data[draw.draw(st.integers(HEADERS[which], len(data) - 1)) :]
    else:
        data += b"\x10\x00\x10\x00PN\x04\x00Zork"
    try:
        out = cleaned(Policy.of_a_new_site(), bytes(data), BASES[which])
    except (NotReadable, NotWritable) as error:
        assert "Zork" not in str(error)
    else:
        assert_nothing_planted(out, changed_bit=kind == "length")


def assert_nothing_planted(out: bytes, *, changed_bit: bool) -> None:
    """A changed bit may turn an identifying tag into one that is kept, or end the data set before its identifiers."""
    if not changed_bit:
        assert PLANTED not in out
        assert PLANT_UID not in out
        assert PLANT_DATE not in out
