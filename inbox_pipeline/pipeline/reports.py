"""A step's report as Dagster metadata: numbers, a table per series, the sessions, a link to the request.

Belongs here: the form that an operator sees on the run page. Does not belong here: what a report holds
(`services/steps.py`), nor any value that came from a patient's file.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from inbox_pipeline.pipeline.tags import OUTCOME_TAG
from inbox_pipeline.services.checks import Result, sentence_of
from inbox_pipeline.services.steps import StepReport
from inbox_pipeline.settings import Settings

ASSET = dg.AssetKey("archived_session")
BROKEN_PROMISES = frozenset({"references_resolve", "patients_apart", "markers_present", "uids_consistent"})
"""Checks whose failure is a fault of ours; the others may be what a script, or policy none, was asked to do."""


def show(context: dg.OpExecutionContext, settings: Settings, request_id: int, report: StepReport) -> None:
    """Attach a report to the op's output, and write its sentence as the op's one log line.

    The outcome becomes a tag of the run, so that a partial one is seen in the list of runs.

    Raises:
        dg.Failure: the step ended the request as Failed; the failure carries the report.
    """
    metadata = as_metadata(report, request_url(settings, request_id))
    outcome = report.facts.get("outcome")
    if outcome:
        context.instance.add_run_tags(context.run_id, {OUTCOME_TAG: str(outcome)})
    if report.facts.get("status") == "Failed":
        raise dg.Failure(description=report.sentence, metadata=metadata, allow_retries=False)
    context.log.info(report.sentence)
    for check in report.checks:
        context.log_event(as_evaluation(check))
    context.add_output_metadata(metadata)


def as_evaluation(check: Result) -> dg.AssetCheckEvaluation:
    """Return a check of what a request has committed, as the asset check that Dagster shows."""
    return dg.AssetCheckEvaluation(
        asset_key=ASSET,
        check_name=check["name"],
        passed=not check["failed"],
        severity=dg.AssetCheckSeverity.ERROR if check["name"] in BROKEN_PROMISES else dg.AssetCheckSeverity.WARN,
        description=sentence_of(check),
        metadata={name: check[name] for name in ("checked", "failed", "unchecked")},
    )


def as_metadata(report: StepReport, url: str | None) -> dict[str, Any]:
    """Return a report as metadata, in the order in which it is read: sentence, facts, tables, link."""
    shown: dict[str, Any] = {"verdict": report.sentence, **report.facts}
    if report.series:
        shown["series"] = table(report.series)
    if report.sessions:
        shown["sessions"] = table(report.sessions)
    if url:
        shown["request"] = dg.MetadataValue.url(url)
    return shown


def table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Return rows of equal keys as a table; a value that a table cannot hold is shown as text."""
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in rows]
    columns = [dg.TableColumn(name, _column_type([row[name] for row in rows])) for name in rows[0]]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))


def request_url(settings: Settings, request_id: int) -> str | None:
    """Return the address of a request on the web server that a running `up` recorded in HOME, or None."""
    try:
        address = json.loads(settings.address_file.read_text())["url"]
    except (OSError, ValueError, KeyError):
        return None
    return f"{address}/xapi/dicom/{request_id}"


def _cell(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else ("" if value is None else str(value))


def _column_type(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int}:
        return "int"
    return "float" if kinds and kinds <= {int, float} else "string"
