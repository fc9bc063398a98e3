"""The nightly reading as Dagster shows it: metadata, an asset check, and a place in the queue that is given back."""

from __future__ import annotations

import datetime as dt
import time
from unittest.mock import patch

import dagster as dg

from inbox_pipeline.pipeline import reconcile
from inbox_pipeline.pipeline.build import build_defs
from inbox_pipeline.pipeline.fixity import fixity, fixity_nightly
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.importing import imported


def evaluation(resource: SiteResource, instance: dg.DagsterInstance) -> dg.AssetCheckEvaluation:
    job = build_defs(site=resource).resolve_job_def("fixity")
    result = job.execute_in_process(instance=instance)
    assert result.success
    (found,) = result.get_asset_check_evaluations()
    return found


def test_a_difference_is_an_error_of_the_asset_check(
    site: Site, admin: Account, resource: SiteResource, instance: dg.DagsterInstance
) -> None:
    imported(site, admin, session_folder(site.settings.inbox_path / "P" / "visit"))
    next(site.settings.archive_path.rglob("*.dcm")).unlink()
    found = evaluation(resource, instance)
    assert (found.check_name, found.passed, found.severity) == ("fixity", False, dg.AssetCheckSeverity.ERROR)
    assert found.description == "1 session, 3 files read again; not as the catalog says: 1."
    differences = found.metadata["differences"]
    assert isinstance(differences, dg.TableMetadataValue)
    (record,) = differences.records
    assert record.data == {"session": "INBOX_E00001", "difference": "file_missing", "count": 1}


def test_an_archive_in_order_passes(
    site: Site, admin: Account, resource: SiteResource, instance: dg.DagsterInstance
) -> None:
    imported(site, admin, session_folder(site.settings.inbox_path / "P" / "visit"))
    found = evaluation(resource, instance)
    assert (found.passed, found.metadata["files"].value) == (True, 4)


def test_the_schedule_starts_a_part_every_half_hour_of_the_night() -> None:
    assert fixity_nightly.cron_schedule == "*/30 0-5 * * *"
    (asked,) = fixity_nightly.evaluate_tick(dg.build_schedule_context()).run_requests or []
    assert asked.run_key is None


def test_a_reading_that_died_gives_its_place_back(site: Site, instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(fixity, status=dg.DagsterRunStatus.STARTED)
    for longest, after in ((dt.timedelta(hours=3), "STARTED"), (dt.timedelta(0), "FAILURE")):
        time.sleep(0.01)
        with patch.object(reconcile, "LONGEST_READING", longest):
            reconcile.Reconciler(site, instance, {}).run()
        again = instance.get_run_by_id(run.run_id)
        assert again is not None
        assert again.status.value == after
