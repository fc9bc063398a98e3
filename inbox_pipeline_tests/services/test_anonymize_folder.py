"""The anonymize step alone: what is written where, what is reported, and what ends it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner, Result

from inbox_pipeline.cli import main
from inbox_pipeline_tests.data_for_tests import ROOT, instance, save, session_folder

HASH_ALL = """version "6.3"
(0008,0018) := hashUID[(0008,0018)]
(0020,000D) := hashUID[(0020,000D)]
(0020,000E) := hashUID[(0020,000E)]
(0010,0010) := subject
(0010,0020) := session
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return session_folder(tmp_path / "in")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out"


def anonymize(source: Path, target: Path, *options: object) -> Result:
    """Run the command under policy none; policy basic has tests of its own."""
    arguments = ["anonymize", source, target, "--policy", "none"]
    arguments += ["--report", target.with_name("report.jsonl"), *options]
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def report(target: Path) -> dict[str, dict[str, object]]:
    lines = target.with_name("report.jsonl").read_text().splitlines()
    return {row["source_path"]: row for row in map(json.loads, lines)}


def tree(target: Path) -> list[str]:
    return sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())


def script(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "script.das"
    path.write_text(text)
    return path


def test_the_default_script_changes_its_tags_and_the_tree_is_by_subject_session_and_scan(
    source: Path, target: Path
) -> None:
    before = {path: path.read_bytes() for path in source.iterdir()}
    done = anonymize(source, target, "--project", "PX")
    assert (done.exit_code, done.stdout) == (0, "Complete: 3 of 3 files anonymized into 1 session.\n")
    assert tree(target) == [f"FAKE_PATIENT/FAKE001/1/{ROOT}.1.1.{n}.dcm" for n in (1, 2, 3)]
    for row in report(target).values():
        made = pydicom.dcmread(target / str(row["archived_path"]))
        original = pydicom.dcmread(source / str(row["source_path"]))
        assert (made.PatientName, made.PatientID, made.StudyDescription) == ("FAKE_PATIENT", "FAKE001", "PX")
        assert made.PixelData == original.PixelData
        assert (row["disposition"], row["project"], row["session"], row["scan"]) == ("archived", "PX", "FAKE001", "1")
    assert {path: path.read_bytes() for path in source.iterdir()} == before


def test_scripts_apply_in_order_and_labels_may_be_given(source: Path, target: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.das"
    second.write_text('version "6.3"\n(0010,0020) := concatenate["X", (0010,0020)]\n')
    options = ("--site-script", "none", "--script", script(tmp_path, HASH_ALL), "--script", second)
    done = anonymize(source, target, *options, "--subject", "S1", "--session", "E1")
    assert done.exit_code == 0
    for row in report(target).values():
        made = pydicom.dcmread(target / str(row["archived_path"]))
        assert (made.PatientName, made.PatientID, made.StudyDescription) == ("S1", "XE1", "FAKE STUDY")
        assert made.SOPInstanceUID == made.file_meta.MediaStorageSOPInstanceUID == row["sop_instance_uid"]
        assert str(row["archived_path"]) == f"S1/E1/1/{made.SOPInstanceUID}.dcm"
        assert not made.SOPInstanceUID.startswith(ROOT)


def test_every_file_found_has_one_row_and_one_reason(source: Path, target: Path) -> None:
    (source / "note.txt").write_text("not DICOM at all, and long enough to be looked at")
    (source / "empty").write_bytes(b"")
    whole = (source / "s1-3.dcm").read_bytes()
    (source / "s1-3.dcm").write_bytes(whole[:-100])
    (source / "copy.dcm").write_bytes((source / "s1-1.dcm").read_bytes())
    save(instance(number=2, PatientComments="another file, same UID"), source / "conflict.dcm")
    done = anonymize(source, target)
    assert done.exit_code == 3
    reasons = {name: row["reason"] for name, row in report(target).items()}
    assert sorted(map(str, reasons.values())) == [
        *("archived", "archived", "duplicate_in_request", "empty_file", "not_dicom", "sop_uid_conflict", "truncated"),
    ]
    assert done.stdout.startswith("Partial: 2 of 7 files anonymized into 1 session; ")
    assert len(tree(target)) == 2


def test_studies_that_ask_for_one_label_and_patients_in_one_study_are_never_merged(
    source: Path, target: Path, tmp_path: Path
) -> None:
    session_folder(source, study=2)
    assert anonymize(source, target).exit_code == 3
    held = {
        name for name, row in report(target).items() if (row["disposition"], row["reason"]) == ("held", "label_taken")
    }
    assert held == {"s2-1.dcm", "s2-2.dcm", "s2-3.dcm"}
    assert len(tree(target)) == 3
    mixed = session_folder(tmp_path / "mixed")
    save(instance(series=2, PatientID="FAKE002"), mixed / "other.dcm")
    other = tmp_path / "other-out" / "out"
    other.parent.mkdir()
    assert anonymize(mixed, other).exit_code == 4
    assert {row["reason"] for row in report(other).values()} == {"patient_conflict"}
    assert not other.exists()


def test_one_label_over_two_studies_writes_nothing(source: Path, target: Path) -> None:
    session_folder(source, study=2)
    done = anonymize(source, target, "--session", "E1")
    assert done.exit_code == 4
    assert {row["reason"] for row in report(target).values()} == {"several_studies_one_label"}
    assert not target.exists()


def test_several_processes_write_the_same_tree_as_one(source: Path, target: Path, tmp_path: Path) -> None:
    path = script(tmp_path, 'version "6.3"\n(0020,000D) := mapUID[(0020,000D), "1.2.3"]\n(0008,0070) := newUID[]\n')
    session_folder(source, study=1, files=40)
    assert anonymize(source, target, "--script", path, "--jobs", "2").exit_code == 0
    datasets = [pydicom.dcmread(target / name) for name in tree(target)]
    assert len(datasets) == 40
    studies = {dataset.StudyInstanceUID for dataset in datasets}
    assert len(studies) == 1
    assert studies.pop().startswith("1.2.3.")
    assert len({dataset.Manufacturer for dataset in datasets}) == 40


def test_a_script_that_fails_or_drops_a_file_holds_or_excludes_it(source: Path, target: Path, tmp_path: Path) -> None:
    drop = script(tmp_path, 'version "6.3"\n(0020,0013) = "2" ? reject[]\n')
    done = anonymize(source, target, "--script", drop)
    rows = report(target)
    assert (rows["s1-2.dcm"]["disposition"], rows["s1-2.dcm"]["reason"]) == ("excluded", "script_rejected")
    assert done.exit_code == 0
    assert len(tree(target)) == 2


def test_two_files_that_come_out_with_one_uid_are_not_written_over_each_other(
    source: Path, target: Path, tmp_path: Path
) -> None:
    same = script(tmp_path, 'version "6.3"\n(0008,0018) := "1.2.3.4"\n')
    assert anonymize(source, target, "--script", same).exit_code == 3
    assert tree(target) == ["FAKE_PATIENT/FAKE001/1/1.2.3.4.dcm"]
    assert [row["reason"] for row in report(target).values()] == ["archived", "sop_uid_conflict", "sop_uid_conflict"]


def test_refusals_come_before_any_byte(source: Path, target: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.das"
    bad.write_text('version "6.3"\n(0010,0010) := \n')
    for arguments, code in (
        ((source, target, "--policy", "basic", "--home", str(source.with_name("nohome"))), "secret_missing"),
        ((source, target, "--script", bad), "script_invalid"),
        ((source, target, "--site-script", bad), "script_invalid"),
        ((source, target, "--session", "a/b"), "session_label_illegal"),
        ((tmp_path / "gone", target), "path_not_found"),
        ((bad, target), "path_not_a_folder"),
        ((source, source / "out"), "folders_overlap"),
        ((source, source), "folders_overlap"),
        ((source, tmp_path), "folders_overlap"),
    ):
        done = anonymize(*arguments)
        assert (done.exit_code, done.stdout) == (7, ""), arguments
        assert f"[{code}]" in done.stderr
        assert not target.exists()


def test_a_target_that_cannot_be_written_is_not_the_sources_fault(source: Path, target: Path) -> None:
    target.mkdir()
    (target / "FAKE_PATIENT").write_text("in the way")
    done = anonymize(source, target)
    assert done.exit_code == 6
    assert done.stderr.endswith("[storage_failed]\n")


def test_running_again_gives_the_same_tree(source: Path, target: Path) -> None:
    anonymize(source, target)
    first = {name: (target / name).read_bytes() for name in tree(target)}
    os.utime(source / "s1-1.dcm")
    anonymize(source, target)
    assert {name: (target / name).read_bytes() for name in tree(target)} == first
