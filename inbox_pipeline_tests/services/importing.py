"""Imports in tests: studies whose objects refer to each other, a request from filing to its end, what came out.

Belongs here: what several tests of imports need. Does not belong here: assertions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset, Sequence
from pydicom.dataset import FileDataset

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import requests, steps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.data_for_tests import ROOT, instance, save, session_folder

SEG, RTSTRUCT, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.88.33"
FRAME = f"{ROOT}.9.9"
REFERENCES = {0x00081155, 0x0020000E, 0x0020000D, 0x00200052, 0x30060024}


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def derived(modality: str, sop_class: str, series: int, **values: Any) -> FileDataset:
    """An instance of the same study without pixel data, of another SOP class."""
    dataset = instance(series=series, modality="CT", **values)
    del dataset.PixelData
    dataset.Modality, dataset.SOPClassUID = modality, sop_class
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    return dataset


def instances_of(study: int) -> list[Dataset]:
    return [
        item(
            ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
            ReferencedSOPInstanceUID=f"{ROOT}.{study}.1.{number}",
        )
        for number in (1, 2, 3)
    ]


def segmentation(study: int = 1, **values: Any) -> FileDataset:
    source = item(ReferencedSOPInstanceUID=f"{ROOT}.{study}.1.2", ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    frame = item(DerivationImageSequence=Sequence([item(SourceImageSequence=Sequence([source]))]))
    series = item(SeriesInstanceUID=f"{ROOT}.{study}.1", ReferencedInstanceSequence=Sequence(instances_of(study)))
    return derived(
        "SEG",
        SEG,
        2,
        FrameOfReferenceUID=FRAME,
        ReferencedSeriesSequence=Sequence([series]),
        PerFrameFunctionalGroupsSequence=Sequence([frame]),
        study=study,
        **values,
    )


def structures(study: int = 1, **values: Any) -> FileDataset:
    series = item(SeriesInstanceUID=f"{ROOT}.{study}.1", ContourImageSequence=Sequence(instances_of(study)))
    inside = item(ReferencedSOPInstanceUID=f"{ROOT}.{study}", RTReferencedSeriesSequence=Sequence([series]))
    frame = item(FrameOfReferenceUID=FRAME, RTReferencedStudySequence=Sequence([inside]))
    return derived(
        "RTSTRUCT",
        RTSTRUCT,
        3,
        ReferencedFrameOfReferenceSequence=Sequence([frame]),
        StructureSetROISequence=Sequence([item(ROINumber=1, ReferencedFrameOfReferenceUID=FRAME)]),
        study=study,
        **values,
    )


def report(study: int = 1, **values: Any) -> FileDataset:
    series = item(SeriesInstanceUID=f"{ROOT}.{study}.1", ReferencedSOPSequence=Sequence(instances_of(study)))
    evidence = item(StudyInstanceUID=f"{ROOT}.{study}", ReferencedSeriesSequence=Sequence([series]))
    image = item(ValueType="IMAGE", ReferencedSOPSequence=Sequence(instances_of(study)[:1]))
    other = item(ValueType="UIDREF", UID="1.2.3.4")
    return derived(
        "SR",
        SR,
        4,
        CurrentRequestedProcedureEvidenceSequence=Sequence([evidence]),
        ContentSequence=Sequence([image, other]),
        study=study,
        **values,
    )


def file(site: Site, account: Account, folder: Path, **parameters: str) -> int:
    return requests.file_request(
        site, account, [("path", str(folder)), ("PROJECT_ID", "P"), *parameters.items()]
    ).request_id


def imported(site: Site, account: Account, folder: Path, **parameters: str) -> dict[str, Any]:
    request_id = file(site, account, folder, **parameters)
    with contextlib.suppress(Rejected):
        for step in steps.STEPS:
            steps.run_step(site, request_id, step, run_id=f"run-{request_id}")
    return requests.request_json(site, request_id, account)


def ledger(site: Site, account: Account, request_id: int) -> dict[str, dict[str, Any]]:
    return {row["source_path"]: row for row in requests.ledger_rows(site, request_id, account)}


def archived(site: Site) -> list[FileDataset]:
    return [pydicom.dcmread(path) for path in sorted(site.settings.archive_path.rglob("*.dcm"))]


def references(dataset: Dataset, root: bool = True) -> Iterator[tuple[int, str]]:
    for element in dataset:
        if element.VR == "SQ":
            for below in element.value:
                yield from references(below, root=False)
        elif element.tag in REFERENCES and not (root and element.tag in (0x0020000E, 0x0020000D)):
            yield int(element.tag), str(element.value)


def unresolved(datasets: list[FileDataset]) -> set[str]:
    """The references that lead to nothing among the data sets."""
    known = {str(dataset[tag].value) for dataset in datasets for tag in (0x00080018, 0x0020000D, 0x0020000E)}
    frames = {str(dataset.FrameOfReferenceUID) for dataset in datasets if dataset.Modality == "CT"}
    return {uid for dataset in datasets for tag, uid in references(dataset) if uid not in known | frames}


def related_folder(folder: Path, study: int = 1, **values: Any) -> Path:
    """Three CT slices, and a segmentation, structures and a report that refer to them; the report is read first."""
    session_folder(folder, study=study, modality="CT", FrameOfReferenceUID=FRAME, **values)
    for name, made in (
        ("a", report(study, **values)),
        ("t", segmentation(study, **values)),
        ("u", structures(study, **values)),
    ):
        save(made, folder / f"{name}.dcm")
    return folder
