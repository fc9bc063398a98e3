"""The two `dagster.yaml`, made from one template, and what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from inbox_pipeline.settings import Settings, read_settings
from inbox_pipeline.supervise.instance import home_instance, repository_instance, storage_url, workspace

ROOT = Path(__file__).parent.parent.parent
PLACES = {"storage", "local_artifact_storage", "run_launcher", "run_coordinator"}


def settings(tmp_path: Path, **given: str) -> Settings:
    return read_settings({f"INBOX_PIPELINE_{name}": value for name, value in given.items()}, home=tmp_path / "home")


def parsed(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def test_the_repositorys_file_is_the_template_filled_in() -> None:
    assert (ROOT / "dagster.yaml").read_text() == repository_instance()


def test_both_files_differ_only_in_where_and_how_runs_are_executed(tmp_path: Path) -> None:
    ours, homes = parsed(repository_instance()), parsed(home_instance(settings(tmp_path)))
    assert ours.keys() == homes.keys()
    assert {name for name in ours if ours[name] != homes[name]} <= PLACES
    assert ours["telemetry"] == ours["nux"] == {"enabled": False}
    for key in ("module", "class"):
        assert ours["run_coordinator"][key] == homes["run_coordinator"][key]


def test_the_settings_decide_how_many_requests_run_at_once(tmp_path: Path) -> None:
    chosen = settings(tmp_path, WORKERS="5", MAX_CONCURRENT_REQUESTS="3")
    assert parsed(home_instance(chosen))["run_coordinator"]["config"]["max_concurrent_runs"] == 3


def test_no_password_is_written_into_the_file(tmp_path: Path) -> None:
    chosen = settings(
        tmp_path,
        BROKER_URL="redis://:SECRETWORD@localhost/0",
        DATABASE_URL="postgresql+psycopg2://u:SECRETWORD@localhost/catalog",
    )
    text = home_instance(chosen)
    assert "SECRETWORD" not in text
    assert parsed(text)["run_launcher"]["config"]["broker"] == {"env": "INBOX_PIPELINE_BROKER_URL"}
    assert "broker_transport" not in text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql+psycopg2://u@h/c", "postgresql+psycopg2://u@h/c?options=-csearch_path%3Ddagster"),
        (
            "postgresql+psycopg2://u@h/c?sslmode=require",
            "postgresql+psycopg2://u@h/c?sslmode=require&options=-csearch_path%3Ddagster",
        ),
        ("sqlite:////x/catalog.db", None),
    ],
)
def test_dagsters_tables_lie_in_a_schema_of_their_own(tmp_path: Path, given: str, expected: str | None) -> None:
    assert storage_url(settings(tmp_path, DATABASE_URL=given)) == expected


def test_a_home_with_unusual_characters_is_quoted(tmp_path: Path) -> None:
    chosen = read_settings({}, home=tmp_path / 'a "quoted": home #1')
    assert parsed(home_instance(chosen))["storage"]["sqlite"]["base_dir"] == str(chosen.dagster_home)
    socket_path = chosen.dagster_home / "code.sock"
    location = parsed(workspace(socket_path))["load_from"][0]["grpc_server"]
    assert location["socket"] == str(socket_path)


@pytest.mark.parametrize("which", ["repository", "home"])
def test_dagster_loads_the_file_with_no_variable_set(which: str, tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    text = repository_instance() if which == "repository" else home_instance(chosen)
    chosen.dagster_home.mkdir(parents=True)
    (chosen.dagster_home / "dagster.yaml").write_text(text)
    code = "from dagster import DagsterInstance as D; print(type(D.get().run_launcher).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"DAGSTER_HOME": str(chosen.dagster_home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == ("LocalLauncher" if which == "repository" else "WorkerLauncher"), done.stderr
