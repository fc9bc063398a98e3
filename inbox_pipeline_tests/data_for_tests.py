"""DICOM made for tests: the hierarchy as arguments, values marked as fake.

Belongs here: building instances, folders and sites' inboxes. Does not belong here: assertions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

ROOT = "1.2.826.0.1.3680043.8.498.77"
SOP_CLASSES = {"MR": MRImageStorage, "CT": CTImageStorage}


def instance(study: int = 1, series: int = 1, number: int = 1, modality: str = "MR", **values: Any) -> FileDataset:
    """Return one 16x16 instance; UIDs follow from the numbers, `values` set or replace elements by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SOP_CLASSES[modality]
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = f"{ROOT}.{study}"
    dataset.SeriesInstanceUID = f"{ROOT}.{study}.{series}"
    dataset.StudyDate, dataset.StudyTime = f"2020{1 + study // 28 % 12:02d}{1 + study % 28:02d}", "101010"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = modality, series, number
    dataset.PatientName, dataset.PatientID = "FAKE^PATIENT", "FAKE001"
    dataset.StudyDescription = "FAKE STUDY"
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    pixels = np.arange(256) * (study + 3 * series + 7 * number) % 65536
    dataset.PixelData = pixels.astype("<u2").tobytes()
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", meta.MediaStorageSOPInstanceUID)
    return dataset


def save(dataset: FileDataset, path: Path) -> Path:
    """Write an instance, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
    return path


def session_folder(folder: Path, files: int = 3, study: int = 1, **values: Any) -> Path:
    """Write one series of `files` instances into `folder`."""
    for number in range(1, files + 1):
        save(instance(study=study, number=number, **values), folder / f"s{study}-{number}.dcm")
    return folder
