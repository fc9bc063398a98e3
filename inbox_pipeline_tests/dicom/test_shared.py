"""Every real file beside the checkout: reading and rewriting against pydicom. Nothing here prints a patient's value."""

import csv
import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.filereader import read_dataset

from inbox_pipeline.dicom.codes import append_method_code
from inbox_pipeline.dicom.errors import NotReadable
from inbox_pipeline.dicom.header import Header, read_header
from inbox_pipeline.dicom.rewrite import Rewritten, rewrite

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")]

SHARED = Path(os.environ.get("INBOX_PIPELINE_SHARED", Path(__file__).parents[2].parent / "shared"))
ROOT = SHARED / "data" / "dicom"
UNREADABLE = {
    "ODD/BAD_VR/bad.dcm": "truncated",
    "ODD/GZIPPED/zipMR.gz": "not_dicom",
    "ODD/NO_META/no_meta.dcm": "not_dicom",
    "ODD/TRUNCATED/3gb-bulk-data-truncated": "truncated",
    "ODD/TRUNCATED/MR_truncated.dcm": "truncated",
    "ODD/TRUNCATED/emri_small_jpeg_2k_lossless_too_short.dcm": "truncated",
    "ODD/TRUNCATED/rtplan_truncated.dcm": "truncated",
}
"""Besides DICOMDIRs: cut files, a gzip file, a file with no data set, and one whose data set begins at offset 1."""
PIXELS = (0x7FE00010, 0x7FE00009, 0x7FE00008)
TOUCHED = {0x00081030, 0x00100010, 0x00100020, 0x00120064}
KEYWORDS = {
    "sop_class_uid": "SOPClassUID",
    "sop_instance_uid": "SOPInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_comments": "PatientComments",
    "study_comments": "StudyComments",
    "additional_patient_history": "AdditionalPatientHistory",
    "study_description": "StudyDescription",
    "series_description": "SeriesDescription",
    "accession_number": "AccessionNumber",
    "study_id": "StudyID",
    "modality": "Modality",
    "manufacturer": "Manufacturer",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "series_number": "SeriesNumber",
}
NUMBERS = {
    "instance_number": "InstanceNumber",
    "number_of_frames": "NumberOfFrames",
    "rows": "Rows",
    "columns": "Columns",
}


def files() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    with (ROOT / "MANIFEST.tsv").open(encoding="utf-8") as manifest:
        for row in csv.DictReader(manifest, delimiter="\t"):
            yield row["path"], (ROOT / row["path"]).read_bytes(), row


def parsed(data: bytes) -> Dataset:
    """pydicom's reading; where "DICM" stands in a data set without preamble it must be told."""
    if data[128:132] == b"DICM" and data[132:134] != b"\2\0":
        return read_dataset(BytesIO(data), False, True)
    return pydicom.dcmread(BytesIO(data), force=True)


def default_script(dataset: Dataset) -> None:
    dataset.StudyDescription, dataset.PatientName, dataset.PatientID = "PROJECT", "SUBJECT", "SESSION"
    append_method_code(dataset, "1", "XNAT DicomEdit 4 Script")


def text(dataset: Dataset, keyword: str) -> str | None:
    if keyword not in dataset:
        return None
    value = dataset[keyword].value
    values = value if isinstance(value, pydicom.multival.MultiValue) else [value]
    joined = "\\".join("" if each is None else str(each) for each in values)
    return joined.strip(" \0")


def number(dataset: Dataset, keyword: str) -> int | None:
    value = dataset.get(keyword)
    first = value[0] if isinstance(value, pydicom.multival.MultiValue) else value
    return int(first) if str(first).strip().lstrip("-").isdigit() else None


def differing_facts(header: Header, dataset: Dataset) -> list[str]:
    texts = [name for name, keyword in KEYWORDS.items() if getattr(header, name) != text(dataset, keyword)]
    return texts + [name for name, keyword in NUMBERS.items() if getattr(header, name) != number(dataset, keyword)]


def test_read_header_agrees_with_pydicom_on_every_file() -> None:
    codes, differing, refused = Counter(), {}, {}
    for path, data, row in files():
        try:
            header = read_header(BytesIO(data), size=len(data))
        except NotReadable as error:
            codes[error.code] += 1
            refused[path] = error.code
            continue
        codes["read"] += 1
        if different := differing_facts(header, parsed(data)):
            differing[path] = different
        assert not row["sop_uid"] or header.sop_instance_uid == row["sop_uid"]
    sys.stdout.write(f"{dict(codes)}\n")
    assert differing == {}
    assert {path: code for path, code in refused.items() if code != "dicomdir"} == UNREADABLE
    assert all("DICOMDIR" in path for path, code in refused.items() if code == "dicomdir")
    assert sum(codes.values()) == 874


def rewritten() -> Iterator[tuple[str, bytes, bytes, Rewritten]]:
    for path, data, _ in files():
        dest = BytesIO()
        try:
            result = rewrite(BytesIO(data), dest, default_script)
        except NotReadable:
            continue
        yield path, data, dest.getvalue(), result


def raw_roots(dataset: Dataset) -> dict[int, object]:
    """Root elements besides the touched ones and group lengths, as bytes where pydicom leaves them so."""
    roots = {int(tag): e for tag, e in dataset.items() if tag not in TOUCHED | {0x00080005} and tag.element != 0}
    return {tag: e.value or b"" if e.is_raw else e for tag, e in roots.items()}


def test_the_default_script_changes_nothing_else_in_any_file() -> None:
    roads, different = Counter(), []
    for path, data, out, result in rewritten():
        roads[result.path_taken] += 1
        before, after = parsed(data), pydicom.dcmread(BytesIO(out))
        if raw_roots(before) != raw_roots(after):
            different.append(path)
        assert (after.StudyDescription, after.PatientName, after.PatientID) == ("PROJECT", "SUBJECT", "SESSION"), path
        assert after.DeidentificationMethodCodeSequence[-1].CodingSchemeDesignator == "XNAT"
        assert before.get("SpecificCharacterSet") == after.get("SpecificCharacterSet"), path
        pixels = next((before.get_item(tag) for tag in PIXELS if tag in before), None)
        assert result.pixel_sha256 == (pixels and hashlib.sha256(pixels.value).hexdigest()), path
    sys.stdout.write(f"{dict(roads)}\n")
    assert different == []
    assert sum(roads.values()) == 874 - 8 - len(UNREADABLE)
    assert roads["full"] < 40


def test_digests_of_every_file() -> None:
    for path, data, out, result in rewritten():
        assert result.source_sha256 == hashlib.sha256(data).hexdigest(), path
        assert result.output_sha256 == hashlib.sha256(out).hexdigest(), path
        assert result.output_md5 == hashlib.md5(out, usedforsecurity=False).hexdigest(), path


def test_what_is_written_reads_as_a_regular_file() -> None:
    for path, data, out, result in rewritten():
        before, after = read_header(BytesIO(data), size=len(data)), read_header(BytesIO(out), size=len(out))
        assert (after.regular, after.patient_id, after.study_description) == (True, "SESSION", "PROJECT"), path
        for name in {*KEYWORDS, *NUMBERS} - {"patient_id", "patient_name", "study_description"}:
            assert getattr(before, name) == getattr(after, name), (path, name)
        uids = (result.sop_instance_uid, result.study_instance_uid, result.series_instance_uid, result.modality)
        assert uids == (
            after.sop_instance_uid,
            after.study_instance_uid,
            after.series_instance_uid,
            after.modality,
        ), path


def test_reading_every_element_changes_no_byte_of_the_data_set() -> None:
    def read_all(dataset: Dataset) -> None:
        for element in dataset.iterall():
            assert element.tag is not None

    def untouched(dataset: Dataset) -> None:
        """No edit."""

    for path, data, _ in files():
        plain, looked = BytesIO(), BytesIO()
        try:
            rewrite(BytesIO(data), plain, untouched)
            rewrite(BytesIO(data), looked, read_all)
        except NotReadable:
            continue
        assert plain.getvalue() == looked.getvalue(), path
