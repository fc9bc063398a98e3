"""A patient of whom every file tells, and what to look for afterwards.

Belongs here: planted identifiers and readings that tests of policy basic share. Does not belong here: assertions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset, Sequence
from pydicom.dataset import FileDataset

from inbox_pipeline.services import projects
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.data_for_tests import save
from inbox_pipeline_tests.services.importing import item, related_folder

OPTIONS = (
    "retain-longitudinal-modified-dates,retain-patient-characteristics,clean-descriptors,"
    "clean-structured-content,retain-safe-private"
)
WHO: dict[str, Any] = {
    "PatientName": "OFARRELL^SIOBHAN^MAEVE",
    "PatientID": "MRN4471122",
    "IssuerOfPatientID": "STELSEWHERE",
    "OtherPatientIDs": "OLDMRN99887",
    "PatientBirthDate": "19500311",
    "PatientSex": "F",
    "PatientAge": "093Y",
    "PatientAddress": "17 GLENMALURE ROAD",
    "PatientTelephoneNumbers": "555-0142-7781",
    "AccessionNumber": "ACC5550123",
    "ReferringPhysicianName": "QUACKENBUSH^HIERONYMUS",
    "InstitutionName": "STELSEWHERE HOSPITAL",
    "StationName": "SCANNER07X",
    "ProtocolName": "T1 MPRAGE OFARRELL",
}
PLANTED = (
    b"OFARRELL", b"SIOBHAN", b"MAEVE", b"MRN4471122", b"OLDMRN99887", b"19500311", b"GLENMALURE", b"555-0142",
    b"ACC5550123", b"QUACKENBUSH", b"HIERONYMUS", b"STELSEWHERE", b"SCANNER07X", b"2.826.0.1.3680043.8.498.77",
    b"PRIVATEWORD", b"AETITLE9",
)  # fmt: skip


def identifying(dataset: FileDataset) -> FileDataset:
    """Plant identifiers in file meta, preamble, a private block and nested elements."""
    block = dataset.private_block(0x0029, "FAKE MAKER", create=True)
    block.add_new(1, "LO", "PRIVATEWORD OFARRELL")
    asked = item(RequestedProcedureDescription="MPRAGE SIOBHAN", RequestingPhysician="QUACKENBUSH^HIERONYMUS")
    dataset.RequestAttributesSequence = Sequence([asked])
    dataset.file_meta.SourceApplicationEntityTitle = "AETITLE9"
    dataset.preamble = b"OFARRELL".ljust(128, b"\0")
    return dataset


def visit(folder: Path, study: int = 1, **values: Any) -> Path:
    """One study whose objects refer to each other, of a patient of whom every file tells."""
    related_folder(folder, study, **{**WHO, **values})
    for path in folder.iterdir():
        save(identifying(pydicom.dcmread(path)), path)
    return folder


def basic(site: Site, project: str = "P", code: int = 4, options: str = OPTIONS) -> None:
    projects.set_project(site, "admin", project, policy="basic", options=options, prearchive_code=code)


def every_value(dataset: Dataset) -> Any:
    for element in dataset:
        if element.VR == "SQ":
            for below in element.value:
                yield from every_value(below)
        else:
            yield element


def uids(datasets: list[FileDataset]) -> set[str]:
    """All UIDs but those that the standard gives out."""
    found = {str(e.value) for dataset in datasets for e in every_value(dataset) if e.VR == "UI"}
    return {uid for uid in found if not uid.startswith("1.2.840.10008.")}


def originals(folder: Path) -> list[FileDataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]
