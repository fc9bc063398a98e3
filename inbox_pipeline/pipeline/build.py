"""Assembles the Dagster definitions, for production and tests alike.

Belongs here: the list of what exists. Does not belong here: any implementation, I/O or reading of the environment.
"""

import dagster as dg

from inbox_pipeline.pipeline.fixity import fixity, fixity_nightly
from inbox_pipeline.pipeline.jobs import import_request
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.pipeline.schedules import emptying, retention, sweeps
from inbox_pipeline.pipeline.sensors import queued_requests, reconcile


def build_defs(*, site: SiteResource | None = None) -> dg.Definitions:
    """Return the definitions; `site` replaces the resource that opens the site the environment names."""
    return dg.Definitions(
        jobs=[import_request, fixity],
        sensors=[queued_requests, reconcile],
        schedules=[sweeps, retention, emptying, fixity_nightly],
        resources={"site": site or SiteResource()},
    )
