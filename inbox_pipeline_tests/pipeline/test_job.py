"""The job in this process, with the real services on a real site."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from inbox_pipeline.pipeline.build import build_defs
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.services import projects, queue, requests
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.data_for_tests import instance as dicom
from inbox_pipeline_tests.data_for_tests import save, session_folder
from inbox_pipeline_tests.pipeline.conftest import Execute, File
from inbox_pipeline_tests.services.identifying import PLANTED, basic, visit

STEPS = ["scan", "validate", "anonymize", "archive"]


@pytest.fixture
def folder(site: Site) -> Path:
    return session_folder(site.settings.inbox_path / "P" / "visit")


def stored(instance: dg.DagsterInstance, run_id: str) -> str:
    """Everything Dagster keeps about a run, as text."""
    run = instance.get_run_by_id(run_id)
    events = [dg.serialize_value(entry) for entry in instance.all_logs(run_id)]
    return "\n".join([dg.serialize_value(run), *events])


def test_definitions_load_and_are_sound() -> None:
    dg.Definitions.validate_loadable(build_defs())


def test_a_request_becomes_an_archived_session(
    site: Site, admin: Account, folder: Path, execute: Execute, file: File
) -> None:
    request_id = file(folder)
    result = execute(request_id)
    assert result.success
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["outcome"], answer["dagster_run_id"]) == ("Completed", "complete", result.run_id)
    assert result.dagster_run.tags["inbox/request_id"] == str(request_id)


def test_each_step_shows_counts_tables_and_the_verdict(site: Site, folder: Path, execute: Execute, file: File) -> None:
    site.settings.address_file.write_text(json.dumps({"url": "http://127.0.0.1:1234"}))
    request_id = file(folder)
    result = execute(request_id)
    shown = {
        event.step_key: event.step_output_data.metadata
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.STEP_OUTPUT
    }
    assert list(shown) == STEPS
    assert shown["scan"]["pending: waiting"].value == 3
    assert shown["archive"]["archived: archived"].value == 3
    assert shown["archive"]["outcome"].value == "complete"
    assert shown["archive"]["verdict"].value.startswith("Complete: 3 of 3 files")
    assert shown["archive"]["request"].value == f"http://127.0.0.1:1234/xapi/dicom/{request_id}"
    series = shown["anonymize"]["series"]
    assert isinstance(series, dg.TableMetadataValue)
    assert [record.data["files"] for record in series.records] == [3]


def test_dagster_stores_no_value_of_a_patient(
    site: Site, folder: Path, execute: Execute, file: File, instance: dg.DagsterInstance
) -> None:
    canary = session_folder(
        site.settings.inbox_path / "P" / "CANARYPATH",
        PatientName="CANARYNAME",
        PatientID="CANARYID",
        SeriesDescription="CANARYSERIES",
        StudyDescription="CANARYSTUDY",
    )
    whole = save(dicom(number=9, PatientID="CANARYID"), canary / "CANARYFILE.dcm").read_bytes()
    (canary / "CANARYCUT.dcm").write_bytes(whole[:-50])
    result = execute(file(canary, SUBJECT_ID="CANARYSUBJECT", EXPT_LABEL="CANARYLABEL"))
    assert result.success
    assert "CANARY" not in stored(instance, result.run_id)


def test_a_failed_run_shows_the_sentence_and_no_original_exception(
    site: Site, admin: Account, execute: Execute, file: File, instance: dg.DagsterInstance
) -> None:
    folder = site.settings.inbox_path / "P" / "notes"
    folder.mkdir()
    (folder / "note.txt").write_text("hello")
    request_id = file(folder)
    result = execute(request_id)
    assert not result.success
    verdict = requests.request_json(site, request_id, admin)["verdict"]
    failure = next(event for event in result.all_events if event.is_step_failure)
    data = failure.step_failure_data
    assert data.user_failure_data.description == verdict
    assert data.user_failure_data.metadata["not_dicom: not_dicom"].value == 1
    assert instance.get_run_by_id(result.run_id).tags["inbox/outcome"] == "failed"
    assert data.error.message.strip().endswith(verdict)
    assert data.error.cause is None
    assert data.error.context is None


def test_an_unexpected_exception_leaves_only_its_kind_and_place(
    site: Site,
    admin: Account,
    folder: Path,
    execute: Execute,
    file: File,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        try:
            raise KeyError("CANARYVALUE")
        except KeyError as error:
            raise ValueError("CANARYVALUE in a message") from error

    monkeypatch.setattr("inbox_pipeline.services.steps.validate", broken)
    request_id = file(folder)
    result = execute(request_id)
    assert not result.success
    text = stored(instance, result.run_id)
    assert "CANARYVALUE in" not in text
    assert "ValueError at test_job.py" in text
    assert requests.request_json(site, request_id, admin)["outcome"] == "failed"


def test_a_fault_outside_the_services_leaves_only_its_kind_and_place(
    folder: Path, execute: Execute, file: File, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("CANARYVALUE in a message")

    monkeypatch.setattr("inbox_pipeline.pipeline.ops.show", broken)
    result = execute(file(folder))
    assert not result.success
    assert "CANARYVALUE in" not in stored(instance, result.run_id)


def test_a_cancelled_request_ends_its_run_canceled(
    site: Site,
    admin: Account,
    folder: Path,
    execute: Execute,
    file: File,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from inbox_pipeline.services import steps

    real = steps.validate

    def cancelled_meanwhile(site: Site, request_id: int, check: object) -> None:
        queue.cancel_run(site, request_id)
        real(site, request_id, check)

    monkeypatch.setattr("inbox_pipeline.services.steps.validate", cancelled_meanwhile)
    request_id = file(folder)
    result = execute(request_id)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELED
    assert f"Request {request_id} was cancelled" in stored(instance, result.run_id)
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["outcome"]) == ("Failed", "cancelled")
    assert not list(site.settings.staging_path.iterdir())


def test_a_run_that_has_to_wait_for_space_says_so_and_changes_nothing(
    site: Site, admin: Account, folder: Path, execute: Execute, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inbox_pipeline.services import guards

    monkeypatch.setattr(guards, "MARGIN", 1 << 60)
    request_id = file(folder)
    result = execute(request_id)
    failure = result.failure_data_for_node("scan")
    assert failure is not None
    assert failure.user_failure_data is not None
    metadata = failure.user_failure_data.metadata
    assert metadata["reason"].value == "space_for_staging"
    assert metadata["another attempt follows"].value is True
    assert {"free", "needed"} <= metadata.keys()
    assert "goes on by itself" in (failure.user_failure_data.description or "")
    answer = requests.request_json(site, request_id, admin)
    assert (answer["status"], answer["phase"], answer["reason"]) == ("Queued", "waiting", "space_for_staging")
    assert [path for path in site.settings.staging_path.rglob("*") if path.is_file()] == []


def test_a_second_run_of_a_completed_request_fails_and_changes_nothing(
    site: Site, admin: Account, folder: Path, execute: Execute, file: File
) -> None:
    request_id = file(folder)
    assert execute(request_id).success
    before = requests.request_json(site, request_id, admin)
    again = execute(request_id)
    assert not again.success
    failure = next(event for event in again.all_events if event.is_step_failure)
    assert "completed already; nothing was changed" in failure.step_failure_data.user_failure_data.description
    assert requests.request_json(site, request_id, admin) == before


@pytest.mark.parametrize("step", STEPS)
def test_a_run_of_one_step_does_the_unfinished_ones_before_it(
    site: Site, admin: Account, folder: Path, execute: Execute, file: File, step: str
) -> None:
    request_id = file(folder)
    assert execute(request_id, op_selection=[step]).success
    assert requests.request_json(site, request_id, admin)["outcome"] == ("complete" if step == "archive" else None)


def test_a_site_without_catalog_is_named_in_the_failure(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    job = build_defs(site=SiteResource(home=str(tmp_path / "nothing"))).resolve_job_def("import_request")
    result = job.execute_in_process(run_config={"request_id": 1}, instance=instance, raise_on_error=False)
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "inbox-pipeline init" in failure.step_failure_data.user_failure_data.description
    assert not (tmp_path / "nothing").exists()


def test_what_is_proved_of_the_files_is_shown_as_asset_checks(
    site: Site, execute: Execute, file: File, instance: dg.DagsterInstance
) -> None:
    basic(site)
    result = execute(file(visit(site.settings.inbox_path / "P" / "visit")))
    assert result.success
    shown = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    assert shown.keys() >= {
        "identifiers_absent",
        "references_resolve",
        "patients_apart",
        "intervals_kept",
        "markers_present",
    }
    assert all(evaluation.passed for name, evaluation in shown.items() if name != "conformance")
    assert shown["references_resolve"].metadata["checked"].value > 10
    assert shown["identifiers_absent"].metadata["checked"].value == 6
    assert not any(word.decode() in stored(instance, result.run_id) for word in PLANTED)


def test_identifiers_left_under_policy_none_are_a_failed_check_and_a_complete_import(
    site: Site, admin: Account, execute: Execute, file: File
) -> None:
    projects.set_project(site, "admin", "P", policy="none")
    request_id = file(visit(site.settings.inbox_path / "P" / "visit"))
    result = execute(request_id)
    assert result.success
    (shown,) = result.get_asset_check_evaluations()
    assert (shown.check_name, shown.passed, shown.severity) == (
        "identifiers_absent",
        False,
        dg.AssetCheckSeverity.WARN,
    )
    assert requests.request_json(site, request_id, admin)["outcome"] == "complete"
