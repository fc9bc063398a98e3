"""Canaries in every element, path and parameter: none may appear outside the trees and the columns named here."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom import DataElement, Dataset, Sequence
from pydicom.datadict import DicomDictionary

from inbox_pipeline.services.site import open_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog.schema import metadata
from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.server_for_tests import Server, file_request, wait_for

pytestmark = pytest.mark.services

WORD = "ZQCANARY"
TEXT_VRS = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "PN": 64, "LT": 64, "ST": 64, "UT": 64, "UC": 64, "UR": 64, "AS": 4}
DATE, TIME, NUMBER = "19530713", "031459.265358", "48151623"
KEPT = {"SpecificCharacterSet", "Modality", "PhotometricInterpretation", "InstanceNumber"}
UID_SCRIPT = """version "6.1"
(0008,0018) := hashUID[(0008,0018)]
(0020,000D) := hashUID[(0020,000D)]
(0020,000E) := hashUID[(0020,000E)]
project != "Unassigned" ? (0008,1030) := project
(0010,0010) := subject
(0010,0020) := session
"""
TREES = ("inbox", "archive", "prearchive", "staging", "trash", "catalog.db")
LABEL_COLUMNS = {
    "requests": {"source_path", "parameters", "subject_label", "session_label", "resolution"},
    "requested_files": {"source_path"},
    "request_sessions": {"subject_label", "session_label", "intent_target"},
    "ledger": {"source_path", "subject_label", "session_label", "scan_label", "scan_label_asked", "archived_path"}
    | {"series_description", "study_date", "study_time"},
    "subjects": {"label", "label_key"},
    "sessions": {"subject_label", "label", "label_key", "path", "date", "time"},
    "scans": {"label", "series_description", "type"},
    "instances": {"path"},
    "session_locks": {"label_key"},
    "sweep_folders": {"source_path"},
}
"""Columns that hold source paths, request parameters and labels, paths or addresses made of labels, and what an archive
is browsed by: date, time and descriptions as archived."""


def planted(number: int) -> Dataset:
    """Return an instance with a canary in every text, date, time and number element of the dictionary, and below."""
    dataset = instance(number=number)
    for tag, entry in DicomDictionary.items():
        vr, keyword = entry[0], entry[4]
        if keyword and keyword not in KEPT and 0x00080000 <= tag < 0x7FE00000 and tag >> 16 != 0x0028:
            value = canary(vr, tag)
            if value is not None:
                dataset.add(DataElement(tag, vr, value))
    item = Dataset()
    item.PatientName, item.PatientID, item.StudyDate = f"{WORD}^NESTED", f"{WORD}NESTED", DATE
    dataset.RequestAttributesSequence = Sequence([item])
    block = dataset.private_block(0x0029, f"{WORD} CREATOR", create=True)
    block.add_new(1, "LO", f"{WORD}PRIVATE")
    block.add_new(2, "UN", f"{WORD}UNKNOWN".encode())
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.2.{NUMBER}.1", f"1.2.{NUMBER}.2"
    dataset.SOPInstanceUID = f"1.2.{NUMBER}.3.{number}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.SourceApplicationEntityTitle = f"{WORD}AE"
    return dataset


def canary(vr: str, tag: int) -> Any:
    if vr in TEXT_VRS:
        return f"{WORD}{tag:08X}"[: TEXT_VRS[vr]]
    return {"DA": DATE, "TM": TIME, "DT": DATE + "031459.265358", "IS": NUMBER, "DS": f"{NUMBER}.5"}.get(vr)


def fill(inbox: Path) -> Path:
    """Write good, truncated, unparsable and non-DICOM files with canaries in names and contents."""
    folder = inbox / "P" / f"{WORD}_FOLDER"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the canaries are no valid values, on purpose
        for number in (1, 2):
            save(planted(number), folder / f"{WORD}_{number}.dcm")
    whole = (folder / f"{WORD}_1.dcm").read_bytes()
    (folder / f"{WORD}_truncated.dcm").write_bytes(whole[:-50])
    (folder / f"{WORD}_broken.dcm").write_bytes(whole[:1200] + b"\xff" * 400 + whole[1600:])
    (folder / f"{WORD}.txt").write_text(f"{WORD} is not DICOM")
    return folder


def found_in(blob: bytes) -> list[str]:
    words = [WORD, WORD.lower(), DATE, NUMBER, TIME]
    return [word for word in words if word.encode() in blob or word.encode("utf-16-le") in blob]


def files_outside_the_trees(home: Path) -> Iterator[Path]:
    for path in home.rglob("*"):
        top = path.relative_to(home).parts[0]
        if path.is_file() and not top.startswith(TREES):
            yield path


def test_no_canary_leaves_the_trees_and_the_named_columns(tmp_path: Path) -> None:
    home = tmp_path / "home"
    script = tmp_path / "uids.das"
    script.write_text(UID_SCRIPT)
    failing = tmp_path / "failing.das"
    failing.write_text('version "6.1"\n(0008,1030) := substring[(0010,0010), 0, 9999]\n')
    with Server(home, tmp_path / "up.log") as server, server.client() as client:
        server.command("project", "create", "P", "--if-missing")
        server.command("site", "set", "--script", str(script))
        folder = fill(Path(server.ready["inbox_path"]))
        parameters = {"SOURCE": f"{WORD}SOURCE", "whatever": f"{WORD}PARAMETER"}
        first = wait_for(client, file_request(client, folder, **parameters))
        server.command("site", "set", "--script", str(failing))
        second = wait_for(client, file_request(client, folder, EXPT_LABEL=f"{WORD}LABEL", SUBJECT_ID=f"{WORD}SUBJECT"))
        for query in ({"path": f"/{WORD}"}, {"path": str(folder), "PROJECT_ID": WORD}, {"EXPT_LABEL": f"{WORD} /"}):
            assert client.post("/data/services/import", params={"import-handler": "inbox", **query}).status_code == 400
        assert client.get(f"/{WORD}/{DATE}").status_code == 404
        metrics = client.get("/metrics").content
    assert first["files"]["by_disposition"]["archived"] == 2, first["verdict"]
    assert second["files"]["by_reason"]["script_error"] == 2, second["verdict"]
    assert found_in(metrics) == []
    assert found_in((tmp_path / "up.log").read_bytes()) == []
    leaks = {str(path.relative_to(home)): found_in(path.read_bytes()) for path in files_outside_the_trees(home)}
    archived = next((home / "archive").rglob("*.dcm")).read_bytes()
    assert {WORD, DATE, NUMBER} <= set(found_in(archived)), "under policy none the canaries live on in the archive"
    assert any(name.startswith("dagster/") for name in leaks), "the search must have seen Dagster's storage"
    assert {name: words for name, words in leaks.items() if words} == {}
    search_catalog(home)


def search_catalog(home: Path) -> None:
    """Search every column of every table that is not named above."""
    site = open_site(read_settings({}, home=home))
    seen = 0
    with site.catalog.read() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(sa.select(table)).mappings():
                for name, value in row.items():
                    if name not in LABEL_COLUMNS.get(table.name, set()) and not isinstance(value, int | dt.datetime):
                        assert found_in(str(value).encode()) == [], f"{table.name}.{name}"
                        seen += 1
    assert seen > 100
