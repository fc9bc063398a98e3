"""Sets to measure on, made of noise in the shape of four kinds of series; the same bytes in every run.

Usage: python -m benchmarks._sets OUT [--scale F] [SET ...]

At scale 1: `ct-like` 1,000 slices of 526 KB, half of them implicit little endian; `mr-small` 2,000 of 200 to 300 KB
from four makers, one with 100 KB of private header; `tiny` 10,000 of 14 to 140 KB with 350 to 450 elements; `enhanced`
20 multi-frame files of 20 to 60 MB with a functional group per frame. A patient every 250 files, a series every 100.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset, Sequence
from pydicom.datadict import private_dictionary_VR
from pydicom.dataset import FileDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from inbox_pipeline_tests.data_for_tests import ROOT, instance

SERIES, PATIENT = 100, 250
MAKERS = {
    "SIEMENS": [(0x0019, "SIEMENS MR HEADER"), (0x0029, "SIEMENS CSA HEADER"), (0x0051, "SIEMENS MR HEADER")],
    "GE MEDICAL SYSTEMS": [(0x0019, "GEMS_ACQU_01"), (0x0021, "GEMS_RELA_01"), (0x0043, "GEMS_PARM_01")],
    "Philips Medical Systems": [(0x2001, "Philips Imaging DD 001"), (0x2005, "Philips MR Imaging DD 001")],
    "UIH": [(0x0065, "Image Private Header"), (0x0067, "Series Private Header")],
}
TEXTS = {
    "StudyDescription": "BRAIN^RESEARCH",
    "SeriesDescription": "t1_mprage_sag_p2_iso",
    "ProtocolName": "t1_mprage_sag_p2_iso",
    "InstitutionName": "General Hospital",
    "InstitutionAddress": "1 Main Street, Springfield",
    "ReferringPhysicianName": "Grey^Meredith",
    "OperatorsName": "Scan^Tech",
    "AccessionNumber": "A123456",
    "StudyID": "S77",
    "StationName": "AWP12345",
    "DeviceSerialNumber": "45678",
    "ManufacturerModelName": "Prisma",
    "SoftwareVersions": "syngo MR E11",
    "PatientBirthDate": "19610412",
    "PatientSex": "F",
    "PatientAge": "059Y",
    "PatientWeight": "71",
    "SeriesDate": "20200102",
    "AcquisitionDate": "20200102",
    "ContentDate": "20200102",
    "SeriesTime": "101112.5",
    "AcquisitionTime": "101113.5",
    "ContentTime": "101114.5",
    "PerformedProcedureStepStartDate": "20200102",
    "PerformedProcedureStepID": "P11",
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
    "SequenceName": "*tfl3d1_16ns",
    "ScanningSequence": "GR",
    "SequenceVariant": ["SK", "SP", "MP"],
    "ScanOptions": "IR",
    "MRAcquisitionType": "3D",
    "BodyPartExamined": "BRAIN",
    "PatientPosition": "HFS",
}
VALUES = {
    "LO": "research",
    "SH": "fast",
    "CS": "FAST",
    "IS": 7,
    "US": 7,
    "UL": 7,
    "SL": 7,
    "SS": 7,
    "OB": b"12",
    "UN": b"",
}
NUMBERS = ("SliceThickness", "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "ImagingFrequency", "SAR")


def scan(kind: str, n: int, chance: np.random.Generator, rows: int, columns: int, frames: int = 1) -> FileDataset:
    """One instance: numbers tell patient, series and instance; pixels are noise of 12 bits."""
    patient, series = n // PATIENT, n // SERIES
    modality = "CT" if kind == "ct-like" else "MR"
    dataset = instance(patient + 1, series + 1, n % SERIES + 1, modality, Rows=rows, Columns=columns, **TEXTS)
    dataset.PatientName, dataset.PatientID = f"Bench^Subject{patient:03d}", f"{kind.upper()}-{patient:03d}"
    dataset.FrameOfReferenceUID = f"{ROOT}.{patient + 1}.{series + 1}"
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-120.5, -120.5, n % SERIES]
    dataset.PixelSpacing, dataset.WindowCenter, dataset.WindowWidth = [0.9375, 0.9375], 400, 900
    for keyword in NUMBERS:
        setattr(dataset, keyword, round(float(chance.uniform(1, 900)), 3))
    dataset.ReferencedImageSequence = Sequence([reference(patient + 1, series + 1, each) for each in (1, 2, 3)])
    block = chance.integers(0, 4096, min(rows * columns, 1 << 16), dtype=np.uint16).tobytes()
    length = rows * columns * 2 * frames
    pixels = bytearray((block * (length // len(block) + 1))[:length])
    pixels[:4] = n.to_bytes(4, "little")
    dataset.PixelData = bytes(pixels)
    dataset["PixelData"].VR = "OW"
    return dataset


def reference(study: int, series: int, number: int) -> Dataset:
    """An item that names another instance."""
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    item.ReferencedSOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    return item


def known_vr(group: int, number: int, creator: str) -> str:
    """The VR that readers of implicit VR will take a private element to have, if it is one with a value here."""
    try:
        vr = private_dictionary_VR(group << 16 | 0x1000 | number, creator)
    except KeyError:
        vr = ""
    return vr if vr in VALUES or vr in ("DS", "FD", "FL") else ("UN" if vr else "DS")


def private(dataset: Dataset, maker: str, elements: int, chance: np.random.Generator, large: int = 0) -> None:
    """Add a maker's private blocks: `elements` small ones, and one of `large` bytes."""
    dataset.Manufacturer = maker
    blocks = MAKERS[maker]
    for group, creator in blocks:
        block = dataset.private_block(group, creator, create=True)
        for number in range(elements // len(blocks)):
            vr = known_vr(group, number, creator)
            block.add_new(number, vr, VALUES.get(vr, round(float(chance.uniform(1, 900)), 3)))
    if large:
        dataset.private_block(blocks[-1][0], blocks[-1][1], create=True).add_new(0xF0, "OB", chance.bytes(large))


def ct_like(n: int, chance: np.random.Generator) -> FileDataset:
    """A CT slice of 512 by 512, every other one implicit little endian."""
    dataset = scan("ct-like", n, chance, 512, 512)
    private(dataset, ("GE MEDICAL SYSTEMS", "Philips Medical Systems")[n // SERIES % 2], 60, chance)
    dataset.file_meta.TransferSyntaxUID = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)[n % 2]
    return dataset


def mr_small(n: int, chance: np.random.Generator) -> FileDataset:
    """A MR slice of one of four makers in turn, series by series."""
    maker = list(MAKERS)[n // SERIES % 4]
    rows, large = {"SIEMENS": (128, 100_000), "UIH": (384, 8_000)}.get(maker, (320, 0))
    dataset = scan("mr-small", n, chance, rows, 256, 3 if maker == "SIEMENS" else 1)
    private(dataset, maker, 150, chance, large)
    return dataset


def tiny(n: int, chance: np.random.Generator) -> FileDataset:
    """A small MR slice with a long header, at times a larger one."""
    dataset = scan("tiny", n, chance, 256 if n % 20 == 0 else 64, 256 if n % 20 == 0 else 64)
    private(dataset, list(MAKERS)[n // SERIES % 3], 280 + 20 * (n % 6), chance)
    return dataset


def enhanced(n: int, chance: np.random.Generator) -> FileDataset:
    """A multi-frame MR with a functional group of its own for each of 250 to 400 frames."""
    frames = 250 + 30 * (n % 6)
    dataset = scan("enhanced", n, chance, 256, 256 if n % 5 else 128, frames)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.NumberOfFrames = frames
    dataset.PerFrameFunctionalGroupsSequence = Sequence([group(number, chance) for number in range(frames)])
    private(dataset, "SIEMENS", 40, chance)
    return dataset


def group(number: int, chance: np.random.Generator) -> Dataset:
    """The functional groups of a frame."""
    frame, place, timing, outer = Dataset(), Dataset(), Dataset(), Dataset()
    frame.FrameAcquisitionDateTime = f"20200102{10 + number // 3600:02d}{number // 60 % 60:02d}{number % 60:02d}.5"
    frame.FrameReferenceDateTime = frame.FrameAcquisitionDateTime
    frame.StackID, frame.InStackPositionNumber, frame.DimensionIndexValues = "1", number + 1, [1, number + 1]
    frame.FrameComments = "motion corrected"
    place.ImagePositionPatient = [round(float(each), 4) for each in chance.uniform(-200, 200, 3)]
    timing.RepetitionTime, timing.FlipAngle = 5000.0, 90.0
    outer.FrameContentSequence, outer.PlanePositionSequence = Sequence([frame]), Sequence([place])
    outer.MRTimingAndRelatedParametersSequence = Sequence([timing])
    outer.private_block(0x0021, "SIEMENS MR SDI 02", create=True).add_new(0x5C, "OB", chance.bytes(20_000))
    return outer


SETS: dict[str, tuple[int, Callable[[int, np.random.Generator], FileDataset]]] = {
    "ct-like": (1000, ct_like),
    "mr-small": (2000, mr_small),
    "tiny": (10000, tiny),
    "enhanced": (20, enhanced),
}


def make(out: Path, name: str, scale: float) -> None:
    """Write one set, as <patient>/<series>/<number>.dcm."""
    count, one = SETS[name]
    chance = np.random.default_rng(1)
    for n in range(max(1, round(count * scale))):
        path = out / name / f"P{n // PATIENT:03d}" / f"S{n // SERIES:04d}" / f"{n % SERIES:05d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        one(n, chance).save_as(path, enforce_file_format=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--scale", type=float, default=1.0)
    given = parser.parse_args()
    for each in given.sets:
        make(given.out, each, given.scale)
