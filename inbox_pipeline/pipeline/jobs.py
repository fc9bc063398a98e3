"""The job: four steps in a row, for one request.

Belongs here: the graph and its configuration. Does not belong here: the steps (`ops.py`).
"""

import dagster as dg

from inbox_pipeline.pipeline.logs import quiet
from inbox_pipeline.pipeline.ops import RequestConfig, anonymize, archive, scan, validate
from inbox_pipeline.pipeline.tags import JOB_NAME
from inbox_pipeline.services.steps import STEPS


@dg.config_mapping
def same_request(val: RequestConfig) -> dg.RunConfig:
    """Give every step the request that the run's configuration names once, and keep the console quiet."""
    ops = {step: RequestConfig(request_id=val.request_id) for step in STEPS}
    return dg.RunConfig(ops=ops, loggers={"console": {}})


@dg.job(
    name=JOB_NAME,
    config=same_request,
    executor_def=dg.in_process_executor,
    logger_defs={"console": quiet},
    description=(
        "Imports one requested folder: scan, validate, anonymize, archive. Configure `request_id` only. "
        "A run takes the request's lease as its next attempt, or fails with a sentence and changes nothing; "
        "terminating a run cancels its request."
    ),
)
def import_request() -> None:
    """Run the four steps of an import in order."""
    archive(after=anonymize(after=validate(after=scan())))
