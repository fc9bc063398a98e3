"""The four ops: each takes its request's number, calls the service of its step, and shows what it reports.

Belongs here: names, order and descriptions for the operator's window. Does not belong here: any work on files or rows;
what the operator sees of a report (`reports.py`) and of a failure (`failures.py`).
"""

import dagster as dg
from pydantic import Field

from inbox_pipeline.pipeline.failures import told_to_dagster
from inbox_pipeline.pipeline.reports import show
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.pipeline.tags import REQUEST_TAG
from inbox_pipeline.services.steps import run_step

AFTER = {"after": dg.In(dg.Nothing)}
DONE = dg.Out(dg.Nothing)


class RequestConfig(dg.Config):
    """What a run needs to know."""

    request_id: int = Field(description="Number of the import request, as its status page and REST answer show it.")


@dg.op(out=DONE, description="Walks the requested folder, reads headers, writes one ledger row per file.")
def scan(context: dg.OpExecutionContext, config: RequestConfig, site: SiteResource) -> None:
    """Find every file."""
    perform(context, site, config.request_id)


@dg.op(ins=AFTER, out=DONE, description="Decides which session and scan each file belongs to; changes no file.")
def validate(context: dg.OpExecutionContext, config: RequestConfig, site: SiteResource) -> None:
    """Plan the sessions."""
    perform(context, site, config.request_id)


@dg.op(ins=AFTER, out=DONE, description="Rewrites each file into staging under the anonymization scripts.")
def anonymize(context: dg.OpExecutionContext, config: RequestConfig, site: SiteResource) -> None:
    """Write the anonymized files."""
    perform(context, site, config.request_id)


@dg.op(ins=AFTER, out=DONE, description="Commits each session whole to archive or prearchive; then cleans up.")
def archive(context: dg.OpExecutionContext, config: RequestConfig, site: SiteResource) -> None:
    """Make the sessions appear."""
    perform(context, site, config.request_id)


def perform(context: dg.OpExecutionContext, resource: SiteResource, request_id: int) -> None:
    """Run the service of the op's own name for a request and attach its report.

    Raises:
        dg.Failure: the step did not succeed; its description is a sentence for people.
        dg.DagsterExecutionInterruptedError: the request was cancelled; the run ends CANCELED.
    """
    if REQUEST_TAG not in context.run.tags:
        context.instance.add_run_tags(context.run_id, {REQUEST_TAG: str(request_id)})

    def work() -> None:
        with resource.opened() as site:
            report = run_step(site, request_id, context.op.name, run_id=context.run_id)
            show(context, site.settings, request_id, report)

    told_to_dagster(context, work)
