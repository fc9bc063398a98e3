"""Synthetic DICOM for the tests of this folder: every VR, nesting, private blocks, every layout."""

import zlib
from io import BytesIO

import pydicom
from pydicom import Dataset, Sequence
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

IMPLICIT, EXPLICIT, BIG = ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian
DEFLATED, RLE = DeflatedExplicitVRLittleEndian, RLELossless
SYNTAXES = (IMPLICIT, EXPLICIT, BIG, DEFLATED, RLE)
MR_CLASS = "1.2.840.10008.5.1.4.1.1.4"
PIXELS = bytes(range(256)) * 2


def item(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def instance(**more: object) -> Dataset:
    """A small MR instance with the elements a scan reads, a private block and nested sequences."""
    dataset = item(
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID=MR_CLASS,
        SOPInstanceUID="1.2.3.4.5",
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        StudyDate="20200102",
        StudyTime="101112",
        Modality="MR",
        AccessionNumber="A1",
        Manufacturer="Müller GmbH",
        StudyDescription="Knie links",
        SeriesDescription="t1",
        PatientName="Fälschung^Anna",
        PatientID="P-77",
        IssuerOfPatientID="",
        PatientComments="Project:X",
        StudyID="S1",
        SeriesNumber=3,
        InstanceNumber=17,
        NumberOfFrames="1",
        Rows=16,
        Columns=16,
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        SamplesPerPixel=1,
        PixelRepresentation=0,
        PhotometricInterpretation="MONOCHROME2",
    )
    inner = item(ReferencedSOPInstanceUID="1.2.9")
    dataset.ReferencedStudySequence = Sequence([item(ReferencedSOPClassUID="1.2", ReferencedSeriesSequence=[inner])])
    block = dataset.private_block(0x0029, "TEST CREATOR", create=True)
    block.add_new(0x01, "OB", bytes(range(32)))
    block.add_new(0x02, "SQ", [item(PatientName="Inner^Name")])
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset


def every_vr() -> Dataset:
    """One private element of each VR that a writer can encode, besides the usual instance."""
    dataset = instance()
    values: dict[str, object] = {
        "AE": "AET", "AS": "033Y", "AT": 0x00100010, "CS": "CODE", "DA": "20200101", "DS": "1.5", "DT": "20200101",
        "FD": 1.5, "FL": 2.5, "IS": "7", "LO": "long", "LT": "text", "OB": b"ab", "OD": b"\0" * 8, "OF": b"\0" * 4,
        "OL": b"\0" * 4, "OV": b"\0" * 8, "OW": b"\0\1", "PN": "A^B", "SH": "short", "SL": -3, "SS": -4, "ST": "st",
        "SV": -5, "TM": "1011", "UC": "uc", "UI": "1.2", "UL": 9, "UN": b"un", "UR": "http://x", "US": 8, "UT": "ut",
        "UV": 10,
    }  # fmt: skip
    block = dataset.private_block(0x0031, "EVERY VR", create=True)
    for offset, (vr, value) in enumerate(values.items()):
        block.add_new(offset, vr, value)
    return dataset


def undefined(dataset: Dataset) -> Dataset:
    """The same with all sequences and items of undefined length, at every depth."""
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for nested in element.value:
                nested.is_undefined_length_sequence_item = True
                undefined(nested)
    return dataset


def with_pixels(dataset: Dataset, syntax: str) -> Dataset:
    encapsulated = syntax == RLE
    value = encapsulate([PIXELS, PIXELS]) if encapsulated else PIXELS
    dataset.add_new(0x7FE00010, "OB" if encapsulated else "OW", value)
    dataset["PixelData"].is_undefined_length = encapsulated
    return dataset


def body(dataset: Dataset, syntax: str) -> bytes:
    """The encoded data set, not deflated."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax == IMPLICIT, syntax != BIG
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def meta(syntax: str | None, sop_class: str = MR_CLASS, **more: object) -> bytes:
    file_meta = FileMetaDataset()
    file_meta.MediaStorageSOPClassUID, file_meta.MediaStorageSOPInstanceUID = sop_class, "1.2.3.4.5"
    file_meta.ImplementationClassUID = "1.2.99"
    if syntax is not None:
        file_meta.TransferSyntaxUID = syntax
    for keyword, value in more.items():
        setattr(file_meta, keyword, value)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_file_meta_info(buffer, file_meta, enforce_standard=syntax is not None)
    return buffer.getvalue()


def framed(encoded: bytes, syntax: str, *, preamble: bytes = b"P" * 128) -> bytes:
    """Preamble, prefix and meta around an encoded data set, deflated if the syntax says so."""
    if syntax == DEFLATED:
        compress = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        encoded = compress.compress(encoded) + compress.flush()
        encoded += b"\0" * (len(encoded) & 1)
    return preamble + b"DICM" + meta(syntax) + encoded


def part10(dataset: Dataset, syntax: str = EXPLICIT) -> bytes:
    return framed(body(dataset, syntax), syntax)


def read(data: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(BytesIO(data), force=True)
