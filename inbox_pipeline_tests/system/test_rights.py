"""Every route with every role and none, with the catalog on PostgreSQL: the tests of `web/test_rights.py` once more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inbox_pipeline.services.site import Site
from inbox_pipeline.settings import read_settings
from inbox_pipeline_tests.postgres_for_tests import Postgres
from inbox_pipeline_tests.web.conftest import app, people_and_projects  # noqa: F401 - a fixture
from inbox_pipeline_tests.web.test_rights import *  # noqa: F403 - the tests and their fixture

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def site(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    url = postgres.new_database("rights")
    home = tmp_path_factory.mktemp("site") / "home"
    yield from people_and_projects(read_settings({"INBOX_PIPELINE_DATABASE_URL": url}, home=home))
