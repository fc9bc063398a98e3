"""What is proved of a request's files: sound imports pass, and each breach is counted by its check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from inbox_pipeline.services import dciodvfy, projects, scripts, steps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.care import Care
from inbox_pipeline.services.checks import SENTENCES, Result, run_checks
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog import requests as rows_of
from inbox_pipeline.store.staging import Staging
from inbox_pipeline_tests.data_for_tests import instance, save, session_folder
from inbox_pipeline_tests.services.identifying import PLANTED, basic, visit
from inbox_pipeline_tests.services.importing import imported


def nothing() -> None:
    """Stop nothing."""


@pytest.fixture(autouse=True)
def _without_dciodvfy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dciodvfy, "checker", lambda: None)


@pytest.fixture
def request_id(site: Site, admin: Account) -> int:
    """Two patients, one of them with two studies, imported under policy basic."""
    basic(site)
    root = site.settings.inbox_path / "P" / "all"
    for study in (1, 2):
        visit(root / str(study), study)
    visit(root / "3", 3, PatientID="MRN0000999", PatientName="ANOTHER^PERSON")
    answer = imported(site, admin, root)
    assert answer["outcome"] == "complete"
    return int(answer["id"])


def checks(site: Site, request_id: int) -> dict[str, Result]:
    staging = Staging(site.settings.staging_path, request_id, "checks")
    staging.take_over()
    with Care(site, staging) as care:
        found = run_checks(site, request_id, care, nothing)
    staging.remove()
    return {result["name"]: result for result in found}


def kept(site: Site, request_id: int) -> list[Result]:
    with site.catalog.read() as connection:
        row = rows_of.get(connection, request_id)
    assert row is not None
    return list(row["checks"])


def test_a_sound_import_passes_all_and_keeps_counts_alone(site: Site, request_id: int) -> None:
    found = checks(site, request_id)
    assert [found[name] for name in found] == kept(site, request_id)
    assert found.keys() | {"conformance"} == SENTENCES.keys()
    assert {name: result["failed"] for name, result in found.items()} == dict.fromkeys(found, 0)
    assert found["identifiers_absent"]["checked"] == found["markers_present"]["checked"] == 18
    assert found["patients_apart"]["checked"] == 2
    assert found["references_resolve"]["checked"] > 40
    assert found["intervals_kept"]["checked"] >= 18
    assert not any(word in str(kept(site, request_id)).encode() for word in PLANTED)


def test_under_policy_none_only_identifiers_are_told(site: Site, admin: Account) -> None:
    projects.set_project(site, "admin", "P", policy="none")
    answer = imported(site, admin, visit(site.settings.inbox_path / "P" / "visit"))
    found = checks(site, answer["id"])
    assert found.keys() == {"identifiers_absent"}
    assert (found["identifiers_absent"]["checked"], found["identifiers_absent"]["failed"]) == (6, 6)


def change(site: Site, edit: Callable[[Dataset], object], name: str = "") -> None:
    """Change archived files behind the system's back."""
    for path in site.settings.archive_path.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        if name in (dataset.Modality, ""):
            edit(dataset)
            dataset.save_as(path)


def one_file(site: Site, edit: Callable[[Dataset], object]) -> None:
    path = next(path for path in sorted(site.settings.archive_path.rglob("*.dcm")))
    dataset = pydicom.dcmread(path)
    edit(dataset)
    dataset.save_as(path)


def lost_reference(dataset: Dataset) -> None:
    dataset.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "2.25.1"


def test_each_breach_is_counted_by_its_check(site: Site, request_id: int) -> None:
    change(site, lost_reference, "SR")
    assert checks(site, request_id)["references_resolve"]["failed"] == 3
    one_file(site, lambda dataset: setattr(dataset, "StudyDate", "20200101"))
    assert checks(site, request_id)["intervals_kept"]["failed"] == 1
    one_file(site, lambda dataset: delattr(dataset, "DeidentificationMethodCodeSequence"))
    assert checks(site, request_id)["markers_present"]["failed"] == 1
    change(site, lambda dataset: setattr(dataset, "PatientID", "ALL"))
    assert checks(site, request_id)["patients_apart"]["failed"] == 1


def test_what_a_script_takes_out_is_no_lost_reference(site: Site, admin: Account) -> None:
    basic(site)
    scripts.store_script(site, "admin", 'version "6.3"\n- (0040,A730)\n- (3006,0010)[0]\n', "P")
    answer = imported(site, admin, visit(site.settings.inbox_path / "P" / "visit"))
    found = checks(site, answer["id"])["references_resolve"]
    assert found["failed"] == 0
    assert found["unchecked"] >= 1


def test_a_source_that_is_gone_counts_as_not_checked(site: Site, request_id: int) -> None:
    next(path for path in (site.settings.inbox_path / "P" / "all").rglob("*.dcm")).unlink()
    assert {
        result["unchecked"] for name, result in checks(site, request_id).items() if name != "identifiers_absent"
    } == {1}


def test_a_folder_that_vanishes_after_the_commit_leaves_files_unchecked_and_the_import_as_it_is(
    site: Site, admin: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    basic(site)
    folder = visit(site.settings.inbox_path / "P" / "one", 1)
    commit = steps.commit_sessions

    def commit_and_lose(*arguments: Any) -> None:
        commit(*arguments)
        folder.rename(folder.with_name("moved"))

    monkeypatch.setattr(steps, "commit_sessions", commit_and_lose)
    answer = imported(site, admin, folder)
    assert (answer["status"], answer["outcome"]) == ("Completed", "complete")
    found = {result["name"]: result for result in kept(site, int(answer["id"]))}
    assert found["markers_present"]["checked"] == 0
    assert found["markers_present"]["unchecked"] == answer["files"]["by_disposition"]["archived"]


def test_of_a_large_request_a_sample_is_looked_at(site: Site, request_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inbox_pipeline.services.checks.ACROSS_FILES", 6)
    found = checks(site, request_id)
    assert (found["markers_present"]["checked"], found["markers_present"]["unchecked"]) == (6, 12)
    assert (found["identifiers_absent"]["checked"], found["references_resolve"]["failed"]) == (18, 0)


def program(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "dciodvfy"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def pair(tmp_path: Path) -> tuple[Path, Path]:
    return save(instance(), tmp_path / "a.dcm"), save(instance(PatientName=None), tmp_path / "b.dcm")


def test_kinds_of_errors_hold_no_values() -> None:
    assert dciodvfy.kind_of("Error - Missing attribute Type 2 Required Element=<PatientName> Module=<Patient>") == (
        "Error - Missing attribute Type # Required Element=[PatientName] Module=[Patient]"
    )
    for message in ("Error - Value <DOE^JANE> is wrong for attribute <PatientName>", "Error - cut off <DOE^JANE"):
        assert "DOE" not in dciodvfy.kind_of(message)
    assert dciodvfy.kind_of("Error - no 1.2.840.1") == dciodvfy.kind_of("Error - no 2.25.77")


def test_a_checker_that_aborts_or_hangs_or_does_not_know_the_class_gives_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = pair(tmp_path)
    monkeypatch.setattr(dciodvfy, "SECONDS", 0.2)
    with source.open("rb") as a, output.open("rb") as b:
        for text in ("kill -ABRT $$", "exec sleep 5", 'echo "Error - Information Object Not found" >&2'):
            assert dciodvfy.new_kinds(program(tmp_path, text), a, b) is None


def test_a_new_kind_of_error_is_counted_and_an_old_one_is_not(
    site: Site, admin: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in finds fault with whatever has been de-identified, and with the source's modality."""
    text = 'echo "Error - old" >&2; if grep -aq 113100 "$1"; then echo "Error - new <7>" >&2; fi'
    monkeypatch.setattr(dciodvfy, "checker", lambda: program(tmp_path, text))
    basic(site)
    answer = imported(site, admin, session_folder(site.settings.inbox_path / "P" / "s"))
    found = checks(site, answer["id"])["conformance"]
    assert (found["checked"], found["failed"], found["unchecked"]) == (1, 1, 0)
