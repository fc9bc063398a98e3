"""The names by which runs and requests find each other: job name, tags and run configuration.

Belongs here: writing and reading them. Does not belong here: anything that uses them. Tags hold ids only.
"""

from collections.abc import Mapping
from typing import Any

from dagster import DagsterRun

from inbox_pipeline.services.queue import Launch

JOB_NAME = "import_request"
FIXITY_JOB = "fixity"
REQUEST_TAG = "inbox/request_id"
PROJECT_TAG = "inbox/project"
ATTEMPT_TAG = "inbox/attempt"
OUTCOME_TAG = "inbox/outcome"


def launch_tags(launch: Launch) -> dict[str, str]:
    """Return the tags of a request's run."""
    return {
        REQUEST_TAG: str(launch.request_id),
        PROJECT_TAG: launch.project_id,
        ATTEMPT_TAG: str(launch.attempt),
    }


def run_config(request_id: int) -> dict[str, Any]:
    """Return the run configuration for a request."""
    return {"request_id": request_id}


def request_of(run: DagsterRun) -> int | None:
    """Return the request that a run was configured for, or None for a run of another job."""
    config: Mapping[str, Any] = run.run_config
    given = config.get("request_id") if run.job_name == JOB_NAME else None
    return given if isinstance(given, int) else None
