"""Fixtures of Dagster's room: an ephemeral instance, and runs of the real job on a throwaway site."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dagster as dg

    from inbox_pipeline.pipeline.build import build_defs
    from inbox_pipeline.pipeline.resources import SiteResource

from inbox_pipeline.services import requests
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site

Execute = Callable[..., dg.ExecuteInProcessResult]
File = Callable[..., int]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def resource(site: Site) -> SiteResource:
    return SiteResource(home=str(site.settings.home))


@pytest.fixture
def execute(resource: SiteResource, instance: dg.DagsterInstance) -> Execute:
    """Run the job in this process for a request; nothing is raised, the result tells."""
    job = build_defs(site=resource).resolve_job_def("import_request")

    def run(request_id: int, **options: Any) -> dg.ExecuteInProcessResult:
        return job.execute_in_process(
            run_config={"request_id": request_id}, instance=instance, raise_on_error=False, **options
        )

    return run


@pytest.fixture
def file(site: Site, admin: Account) -> File:
    """File a request for a folder, as the web process would; returns its number."""

    def filed(folder: Path, **parameters: str) -> int:
        pairs = [("path", str(folder)), ("PROJECT_ID", "P"), *parameters.items()]
        return requests.file_request(site, admin, pairs).request_id

    return filed
