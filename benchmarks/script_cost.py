"""What applying a script costs: `Script.apply` against the bare header read, on MR headers of 150 to 350 elements.

Usage: benchmarks/run script-cost [FOLDER ...]

The headers are made here, the same ones in every run: three makers' private blocks, sequences of defined and undefined
length. Every *.dcm below the folders that are given is measured too, a sample of each. Reading and applying take turns
on each file; figures are milliseconds and medians over the rounds.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence as Paths
from pathlib import Path
from typing import Any

from pydicom import Dataset, Sequence, dcmread

from benchmarks import _result
from inbox_pipeline.script import Script, compile_script
from inbox_pipeline_tests.data_for_tests import ROOT, instance, save

SCRIPT = Path(__file__).with_suffix(".das")
VARIABLES = {"project": "P", "subject": "S1", "session": "S1_MR1"}
ROUNDS = 60
SAMPLE = 12
LEAST_LINES = 60
SIZES = range(150, 351, 20)

BLOCKS = {
    "SIEMENS": [(0x0019, "SIEMENS MR HEADER"), (0x0029, "SIEMENS CSA HEADER"), (0x0051, "SIEMENS MR HEADER")],
    "GE MEDICAL SYSTEMS": [(0x0019, "GEMS_ACQU_01"), (0x0021, "GEMS_RELA_01"), (0x0043, "GEMS_PARM_01")],
    "Philips Medical Systems": [(0x2001, "Philips Imaging DD 001"), (0x2005, "Philips MR Imaging DD 001")],
}
TEXTS = """
    AccessionNumber InstitutionName InstitutionAddress ReferringPhysicianName StationName SeriesDescription
    InstitutionalDepartmentName PhysiciansOfRecord PerformingPhysicianName NameOfPhysiciansReadingStudy OperatorsName
    AdmittingDiagnosesDescription ManufacturerModelName DerivationDescription PatientSex OtherPatientIDs
    OtherPatientNames PatientBirthName PatientMotherBirthName PatientAddress EthnicGroup Occupation
    AdditionalPatientHistory PatientComments BodyPartExamined ScanningSequence SequenceVariant ScanOptions
    MRAcquisitionType SequenceName AngioFlag DeviceSerialNumber SoftwareVersions ProtocolName TransmitCoilName
    InPlanePhaseEncodingDirection VariableFlipAngleFlag PatientPosition StudyID ImageComments PositionReferenceIndicator
    RequestingPhysician RequestingService RequestedProcedureDescription StudyComments CurrentPatientLocation
    PerformedStationAETitle PerformedStationName PerformedLocation PerformedProcedureStepID
    PerformedProcedureStepDescription RequestedProcedureID RequestedProcedureLocation IssuerOfPatientID
"""
DATES = """
    SeriesDate AcquisitionDate ContentDate InstanceCreationDate PatientBirthDate DateOfLastCalibration
    PerformedProcedureStepStartDate PerformedProcedureStepEndDate
"""
TIMES = (
    "SeriesTime AcquisitionTime ContentTime InstanceCreationTime TimeOfLastCalibration PerformedProcedureStepStartTime"
)
DECIMALS = """
    SliceThickness RepetitionTime EchoTime NumberOfAverages ImagingFrequency MagneticFieldStrength SpacingBetweenSlices
    PercentSampling PercentPhaseFieldOfView PixelBandwidth FlipAngle SAR dBdt PatientWeight PatientSize
    WindowCenter WindowWidth RescaleIntercept RescaleSlope SliceLocation
"""
INTEGERS = """
    EchoNumbers NumberOfPhaseEncodingSteps EchoTrainLength AcquisitionNumber ImagesInAcquisition
    NumberOfTemporalPositions LowRRValue HighRRValue IntervalsAcquired SmallestImagePixelValue
    LargestImagePixelValue
"""


def header(maker: str, elements: int, seed: int) -> Dataset:
    """Return an MR instance with that many elements, those in sequences included."""
    chance = random.Random(seed)
    dataset = instance(study=seed, Manufacturer=maker, PatientAge="045Y", PatientSex="F", FrameOfReferenceUID=ROOT)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    for keyword in TEXTS.split():
        setattr(dataset, keyword, f"FAKE {keyword[:6]}"[: 4 + chance.randrange(6)].strip().upper())
    for keyword in DATES.split():
        setattr(dataset, keyword, f"20{chance.randrange(10, 30)}0{chance.randrange(1, 9)}1{chance.randrange(9)}")
    for keyword in TIMES.split():
        setattr(dataset, keyword, f"1{chance.randrange(9)}3015.{chance.randrange(10**5):06d}")
    for keyword in DECIMALS.split():
        setattr(dataset, keyword, f"{chance.uniform(0, 900):.5g}")
    for keyword in INTEGERS.split():
        setattr(dataset, keyword, chance.randrange(200))
    dataset.ImageType, dataset.AcquisitionDateTime = ["ORIGINAL", "PRIMARY", "M"], "20200501101010.12"
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-100.5, -90.25, 33.7]
    dataset.PixelSpacing, dataset.AcquisitionMatrix = [0.9, 0.9], [0, 256, 256, 0]
    add_sequences(dataset, chance)
    add_private(dataset, maker, elements - len(list(dataset.iterall())), chance)
    return dataset


def add_sequences(dataset: Dataset, chance: random.Random) -> None:
    """Add references, codes and a request, as scanners do."""
    dataset.ReferencedImageSequence = Sequence([reference(number) for number in range(1, 4)])
    dataset.ReferencedStudySequence = Sequence([reference(9)])
    dataset.ReferencedPerformedProcedureStepSequence = Sequence([reference(10)])
    dataset.ProcedureCodeSequence = Sequence([code("MR BRAIN")])
    step = Dataset()
    step.RequestedProcedureDescription, step.ScheduledProcedureStepDescription = "FAKE", "FAKE STEP"
    step.ScheduledProcedureStepID, step.ScheduledProtocolCodeSequence = "1", Sequence([code("BRAIN")])
    dataset.RequestAttributesSequence = Sequence([step])
    for keyword in ("ReferencedImageSequence", "RequestAttributesSequence"):
        dataset[keyword].is_undefined_length = chance.random() < 0.5


def reference(number: int) -> Dataset:
    """Return the item that names another instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", f"{ROOT}.{number}"
    return item


def code(meaning: str) -> Dataset:
    """Return the item that holds a code."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1234", "99FAKE", meaning
    return item


def add_private(dataset: Dataset, maker: str, count: int, chance: random.Random) -> None:
    """Add private elements of many VRs until `count` elements have come."""
    blocks = [dataset.private_block(group, creator, create=True) for group, creator in BLOCKS[maker]]
    for number in range(count - len(blocks)):
        vr, value = chance.choice(
            [
                ("LO", "FAKE PRIVATE"),
                ("PN", "FAKE^PATIENT"),
                ("IS", chance.randrange(1000)),
                ("DS", f"{chance.uniform(0, 9):.6g}"),
                ("US", chance.randrange(1000)),
                ("FL", chance.uniform(0, 1)),
                ("FD", [chance.uniform(0, 1), chance.uniform(0, 1)]),
                ("SH", "FAKE"),
                ("OB", chance.randbytes(64)),
                ("UN", b"12345678"),
            ]
        )
        blocks[number % len(blocks)].add_new(number // len(blocks), vr, value)


def made(folder: Path) -> list[Path]:
    """Write the headers, with pixel data behind them as in real files."""
    makers = list(BLOCKS)
    return [
        save(header(makers[number % 3], size, number), folder / f"{number}.dcm") for number, size in enumerate(SIZES)
    ]


def sample(folder: Path) -> list[Path]:
    """Return files of a folder, evenly spread."""
    files = sorted(path for path in folder.rglob("*.dcm") if path.is_file())
    return files[:: max(1, len(files) // SAMPLE)][:SAMPLE]


def read(path: Path) -> Dataset:
    """The bare header read."""
    return dcmread(path, stop_before_pixels=True)


def turn(path: Path, script: Script) -> tuple[float, float]:
    """Return the seconds of one read and of one application to what was read."""
    began = time.perf_counter()
    dataset = read(path)
    between = time.perf_counter()
    script.apply(dataset, VARIABLES)
    return between - began, time.perf_counter() - between


def lines_in_effect(path: Path, script: Script) -> int:
    """Return how many lines of the script change this file."""
    return len({change.line for change in script.apply(read(path), VARIABLES).changes})


def figures_of(paths: Paths[Path], script: Script) -> dict[str, Any]:
    """Measure files in turns; return medians, and the spread of the ratio over files and over rounds."""
    lines = [lines_in_effect(path, script) for path in paths]
    assert min(lines) >= LEAST_LINES, lines
    turns = {path: [turn(path, script) for _ in range(ROUNDS)] for path in paths}
    reads = [statistics.median(each[0] for each in turns[path]) for path in paths]
    applies = [statistics.median(each[1] for each in turns[path]) for path in paths]
    ratios = [apply / read for apply, read in zip(applies, reads, strict=True)]
    rounds = [
        sum(turns[path][number][1] for path in paths) / sum(turns[path][number][0] for path in paths)
        for number in range(ROUNDS)
    ]
    return {
        "files": len(paths),
        "elements": spread([len(list(read(path).iterall())) for path in paths]),
        "lines_in_effect": spread(lines),
        "read_ms": spread([1000 * each for each in reads]),
        "apply_ms": spread([1000 * each for each in applies]),
        "ratio": round(sum(applies) / sum(reads), 2),
        "ratio_by_file": spread(ratios),
        "ratio_by_round": spread(rounds),
    }


def spread(values: Paths[float]) -> dict[str, float]:
    """Least, median and most of some values."""
    return {
        "least": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "most": round(max(values), 3),
    }


def measure(folders: Paths[Path]) -> dict[str, Any]:
    """Measure the headers that are made here, and samples of real ones."""
    text = SCRIPT.read_text("utf-8")
    script = compile_script(text)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        groups = {"made": made(Path(name)), **{folder.name: sample(folder) for folder in folders}}
        return {
            "script_lines": len(text.splitlines()),
            "rounds": ROUNDS,
            **{group: figures_of(paths, script) for group, paths in groups.items()},
        }


if __name__ == "__main__":
    figures = measure([Path(argument) for argument in sys.argv[1:]])
    _result.write("script-cost", figures)
    assert figures["made"]["ratio"] <= 3
