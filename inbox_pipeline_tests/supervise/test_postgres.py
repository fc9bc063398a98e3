"""`up` with the catalog and Dagster's storage in one PostgreSQL database."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.pipeline.graphql import Ui
from inbox_pipeline_tests.server_for_tests import Server, file_request, wait_for
from inbox_pipeline_tests.system.conftest import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]  # fixtures of another folder
pytestmark = [pytest.mark.system, pytest.mark.services]


def test_requests_run_and_dagster_keeps_its_tables_apart(tmp_path: Path, postgres_url: str) -> None:
    home = tmp_path / "home"
    with Server(home, tmp_path / "up.log", INBOX_PIPELINE_DATABASE_URL=postgres_url) as server:
        server.command("project", "create", "P")
        with server.client() as client:
            folder = session_folder(home / "inbox" / "P" / "visit")
            answer = wait_for(client, file_request(client, folder))
        ui = Ui(server.ready["dagster_url"])
        try:
            assert ui.wait(answer["dagster_run_id"]) == "SUCCESS"
        finally:
            ui.client.close()
    assert answer["outcome"] == "complete"
    engine = sa.create_engine(postgres_url)
    inspector = sa.inspect(engine)
    assert {"runs", "event_logs", "alembic_version"} <= set(inspector.get_table_names("dagster"))
    assert "runs" not in inspector.get_table_names("public")
    assert {"requests", "alembic_version"} <= set(inspector.get_table_names("public"))
    engine.dispose()
    assert not (home / "dagster" / "history").exists()
