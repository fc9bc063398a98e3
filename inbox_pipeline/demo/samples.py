"""Five sample sessions as folders of files, the same bytes every time, some with deliberate faults.

Belongs here: which files there are, with what in their headers. Does not belong here: pixel values (`phantoms.py`) and
what the pipeline makes of the files (`outcomes.py`).

Every person is invented and marked as FAKE. Nothing is downloaded: other encodings come from pydicom's own test files.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from inbox_pipeline.demo.phantoms import HEAD, SIZE, TRUNK, Ellipsoid, volume

if TYPE_CHECKING:
    from pydicom import Dataset

PROJECT, BASIC_PROJECT = "DEMO", "DEMO_DEID"
"""One project as XNAT's are, and one with policy basic; both are folders of the inbox."""
CLEAN_MR, TWO_STUDIES, TWO_PATIENTS, DAMAGED = (
    f"{PROJECT}/1_clean_mr",
    f"{PROJECT}/2_ct_console_reboot",
    f"{PROJECT}/3_two_patients_one_study",
    f"{PROJECT}/4_damaged_copy",
)
TO_DEIDENTIFY = f"{BASIC_PROJECT}/5_the_clean_mr_again"
SEED = 20240229
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
MR_STORAGE, CT_STORAGE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"
ENCODED = ("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm")
"""Files in pydicom's wheel: RLE, JPEG 2000 and JPEG-LS, all lossless."""
TRUNCATED_SHARE = 0.6
MISSING_SLICE = 11


@dataclass(frozen=True)
class Study:
    """The level of patient and study in one sample."""

    name: str
    patient_name: str
    patient_id: str
    modality: str
    date: str
    time: str
    description: str
    manufacturer: str
    model: str
    private_creator: str
    syntax: str = EXPLICIT


@dataclass(frozen=True)
class Series:
    """The level of the series: how many slices of which bodies."""

    number: int
    description: str
    slices: int
    bodies: tuple[Ellipsoid, ...] = HEAD
    gain: float = 1.0


MR = Study(
    "mr",
    "FAKE^CLEAN",
    "FAKE-MR-001",
    "MR",
    "20240229",
    "081500",
    "FAKE head",
    "SIEMENS",
    "Phantom 3T",
    "SIEMENS CSA HEADER",
)
CT = Study(
    "ct-1",
    "FAKE^REBOOT",
    "FAKE-CT-002",
    "CT",
    "20240301",
    "101500",
    "FAKE chest",
    "GE MEDICAL SYSTEMS",
    "Phantom CT",
    "GEMS_IDEN_01",
    IMPLICIT,
)
CT_AFTER_REBOOT = replace(CT, name="ct-2", time="104200")
MIXED = replace(
    MR, name="mixed", patient_name="FAKE^FIRST", patient_id="FAKE-MIX-003A", time="120000", description="FAKE mixed up"
)
MIXED_OTHER = replace(MIXED, patient_name="FAKE^SECOND", patient_id="FAKE-MIX-003B")
COPIED = replace(
    MR,
    name="copied",
    patient_name="FAKE^DAMAGED",
    patient_id="FAKE-MR-004",
    time="143000",
    manufacturer="Philips Medical Systems",
    private_creator="Philips Imaging DD 001",
)


def sample_files() -> dict[str, bytes]:
    """Return every sample file's bytes by its path relative to the inbox."""
    return dict(_all_files())


def write_samples(folder: Path, samples: dict[str, bytes]) -> int:
    """Write the samples under `folder`, leaving files that are already there as they are; return how many were made."""
    made = 0
    for name, content in samples.items():
        path = folder / PurePosixPath(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            made += 1
    return made


def changed_sessions(folder: Path, samples: dict[str, bytes]) -> set[str]:
    """Return the sample folders whose files are not exactly as made; `folder` is the inbox."""
    present = (path for name in (PROJECT, BASIC_PROJECT) for path in (folder / name).rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): path.read_bytes() for path in present}
    names = {name for name in found.keys() | samples.keys() if found.get(name) != samples.get(name)}
    return {"/".join(PurePosixPath(name).parts[:2]) for name in names}


def _all_files() -> Iterator[tuple[str, bytes]]:
    yield from _clean_mr(CLEAN_MR)
    yield from _clean_mr(TO_DEIDENTIFY)
    yield from _two_studies()
    yield from _two_patients()
    yield from _damaged()


def _clean_mr(folder: str) -> Iterator[tuple[str, bytes]]:
    for series in (Series(1, "localizer", 3), Series(2, "t1_mprage", 16, gain=1.6), Series(3, "t2_tse", 12, gain=2.4)):
        for index, content in enumerate(_series_files(MR, series), 1):
            yield f"{folder}/{series.number:02d}_{series.description}/{index:04d}.dcm", content
    for index, name in enumerate(ENCODED, 1):
        yield f"{folder}/04_other_encodings/{index:04d}.dcm", _borrowed(name, MR, Series(4, "encodings", 3), index)


def _two_studies() -> Iterator[tuple[str, bytes]]:
    number = 0
    for study, series in ((CT, Series(1, "chest", 24, TRUNK)), (CT_AFTER_REBOOT, Series(1, "chest repeat", 10, TRUNK))):
        for content in _series_files(study, series):
            number += 1
            yield f"{TWO_STUDIES}/IM{number:05d}", content


def _two_patients() -> Iterator[tuple[str, bytes]]:
    for study, series in ((MIXED, Series(1, "first", 20)), (MIXED_OTHER, Series(2, "second", 12, gain=2.0))):
        for index, content in enumerate(_series_files(study, series), 1):
            yield f"{TWO_PATIENTS}/{series.number}-{index:03d}.dcm", content


def _damaged() -> Iterator[tuple[str, bytes]]:
    whole = Series(1, "t1", 20)
    for index, content in enumerate(_series_files(COPIED, whole), 1):
        if index != MISSING_SLICE:
            yield f"{DAMAGED}/t1/{index:04d}.dcm", content
    torn = Series(2, "t2", 16, gain=2.0)
    for index, content in enumerate(_series_files(COPIED, torn), 1):
        kept = len(content) if index < torn.slices else int(len(content) * TRUNCATED_SHARE)
        yield f"{DAMAGED}/t2/{index:04d}.dcm", content[:kept]
    yield f"{DAMAGED}/report.pdf", _pdf()


def _series_files(study: Study, series: Series) -> Iterator[bytes]:
    """Yield the Part 10 bytes of each slice."""
    stack = volume(series.bodies, series.slices, SEED + series.number, series.gain)
    for index, pixels in enumerate(stack, 1):
        dataset = _dataset(study, series, index)
        dataset.PixelData = pixels.astype("<u2").tobytes()
        yield _encode(dataset, study.syntax)


def _dataset(study: Study, series: Series, index: int) -> Dataset:
    """Return one slice's data set, without pixel data."""
    from pydicom import Dataset  # noqa: PLC0415 - costs half a second

    dataset = Dataset()
    dataset.update(_identity(study, series, index))
    dataset.update(_acquisition(study, series, index))
    _add_private(dataset, study)
    return dataset


def _identity(study: Study, series: Series, index: int) -> Any:
    """Return what says whose file this is and where it belongs."""
    from pydicom import Dataset  # noqa: PLC0415 - costs half a second

    part = Dataset()
    part.SpecificCharacterSet = "ISO_IR 100"
    part.SOPClassUID = MR_STORAGE if study.modality == "MR" else CT_STORAGE
    part.SOPInstanceUID = _uid("instance", study.name, series.number, index)
    part.StudyInstanceUID = _uid("study", study.name)
    part.SeriesInstanceUID = _uid("series", study.name, series.number)
    part.FrameOfReferenceUID = _uid("frame", study.name)
    part.PatientName, part.PatientID = study.patient_name, study.patient_id
    part.PatientBirthDate, part.PatientSex = "19000101", "O"
    part.InstitutionName, part.ReferringPhysicianName = "FAKE HOSPITAL", "FAKE^REFERRER"
    part.AccessionNumber, part.StudyID = f"FAKE{study.time}", "1"
    part.StudyDate = part.SeriesDate = study.date
    part.StudyTime = part.SeriesTime = study.time
    part.StudyDescription, part.SeriesDescription = study.description, series.description
    part.SeriesNumber, part.InstanceNumber = series.number, index
    return part


def _acquisition(study: Study, series: Series, index: int) -> Any:
    """Return what says how the image was made and how its pixels are to be read."""
    from pydicom import Dataset  # noqa: PLC0415 - costs half a second

    part = Dataset()
    part.ImageType, part.Modality = ["ORIGINAL", "PRIMARY"], study.modality
    part.Manufacturer, part.ManufacturerModelName = study.manufacturer, study.model
    part.SliceThickness, part.PixelSpacing = "3", ["3.5", "3.5"]
    part.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    part.ImagePositionPatient = ["-112", "-112", str(3 * index)]
    if study.modality == "MR":
        part.ScanningSequence, part.RepetitionTime, part.EchoTime = "SE", str(500 * series.number), "12"
    else:
        part.KVP, part.RescaleIntercept, part.RescaleSlope = "120", "-1024", "1"
    part.SamplesPerPixel, part.PhotometricInterpretation = 1, "MONOCHROME2"
    part.Rows = part.Columns = SIZE
    part.BitsAllocated, part.BitsStored, part.HighBit, part.PixelRepresentation = 16, 12, 11, 0
    part.WindowCenter, part.WindowWidth = "1000", "2000"
    return part


def _add_private(dataset: Dataset, study: Study) -> None:
    """Add a block as the vendor's consoles write them: a text that names the patient, and bytes nobody documents."""
    group = 0x0029 if study.modality == "MR" else 0x0009
    block = dataset.private_block(group, study.private_creator, create=True)
    block.add_new(0x08, "LO", f"{study.patient_id} FAKE")
    block.add_new(0x10, "OB", hashlib.sha256(study.name.encode()).digest())


def _borrowed(name: str, study: Study, series: Series, index: int) -> bytes:
    """Return one of pydicom's own test files with the sample's identity; its compressed pixels stay as they are."""
    from pydicom import dcmread  # noqa: PLC0415 - costs half a second
    from pydicom.data import get_testdata_file  # noqa: PLC0415 - as above

    path = get_testdata_file(name, download=False)
    if path is None:
        raise FileNotFoundError(f"pydicom's own test file {name} is missing from its installation")
    borrowed = dcmread(str(path))
    syntax = str(borrowed.file_meta.TransferSyntaxUID)
    borrowed.pop(0xFFFCFFFC, None)
    borrowed.update(_identity(study, series, index))
    return _encode(borrowed, syntax)


def _encode(dataset: Dataset, syntax: str) -> bytes:
    """Return the Part 10 file, the same bytes whatever pydicom calls itself."""
    from pydicom import FileDataset  # noqa: PLC0415 - costs half a second
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415 - as above
    from pydicom.uid import UID  # noqa: PLC0415 - as above

    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID(_uid("implementation"))
    meta.ImplementationVersionName = "INBOX_DEMO"
    buffer = io.BytesIO()
    FileDataset(buffer, dataset, preamble=bytes(128), file_meta=meta).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _uid(*parts: object) -> str:
    """Return the UID that belongs to these words: `2.25.` and 128 bits of their digest (PS3.5 section B.2)."""
    words = "/".join(str(part) for part in (SEED, *parts))
    return f"2.25.{int.from_bytes(hashlib.sha256(words.encode()).digest()[:16], 'big')}"


def _pdf() -> bytes:
    """Return a small PDF, as people leave them beside the images."""
    body = b"BT /F1 12 Tf 20 100 Td (FAKE report: not a DICOM file) Tj ET"
    return b"\n".join(
        [
            b"%PDF-1.4",
            b"1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj",
            b"2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj",
            b"3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R>> endobj",
            b"4 0 obj <</Length %d>> stream" % len(body),
            body,
            b"endstream endobj",
            b"trailer <</Root 1 0 R>>",
            b"%%EOF\n",
        ]
    )
