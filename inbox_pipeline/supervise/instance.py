"""Writing Dagster's instance and workspace files for a HOME.

Belongs here: the one template of `dagster.yaml` and what fills it. Does not belong here: starting anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from inbox_pipeline.settings import PREFIX, Settings

TEMPLATE = Path(__file__).with_name("dagster_template.yaml")
SCHEMA = "dagster"
"""Schema of Dagster's own tables when the catalog is in PostgreSQL; both keep a table `alembic_version`."""

LOCAL_LAUNCHER = """\
run_launcher:
  module: inbox_pipeline.pipeline.launcher
  class: LocalLauncher"""

WORKER_LAUNCHER = """\
run_launcher:
  module: inbox_pipeline.pipeline.launcher
  class: WorkerLauncher
  config:
    broker: {broker}
    backend: "disabled://"
    config_source:
      {transport}task_ignore_result: true
      task_store_errors_even_if_ignored: false
      worker_prefetch_multiplier: 1
      worker_enable_remote_control: false
      worker_send_task_events: false
      worker_redirect_stdouts: false
      broker_connection_retry_on_startup: true"""

EMBEDDED = "broker_transport: inbox_pipeline.pipeline.broker:Transport\n      "

SQLITE_STORAGE = """\
storage:
  sqlite:
    base_dir: {base_dir}"""

POSTGRES_STORAGE = """\
storage:
  postgres:
    postgres_url:
      env: INBOX_PIPELINE_DAGSTER_STORAGE_URL
    should_autocreate_tables: true"""


def repository_instance() -> str:
    """Return the `dagster.yaml` of the repository's root, for `dagster dev` with no variable set."""
    base_dir = "./inbox-home/dagster"
    return _filled(SQLITE_STORAGE.format(base_dir=base_dir), base_dir, 2, LOCAL_LAUNCHER)


def home_instance(settings: Settings) -> str:
    """Return the `dagster.yaml` of a HOME as `up` runs it, with persistent workers."""
    base_dir = json.dumps(str(settings.dagster_home))
    storage = POSTGRES_STORAGE if storage_url(settings) else SQLITE_STORAGE.format(base_dir=base_dir)
    return _filled(storage, base_dir, settings.max_concurrent_requests, _worker_launcher(settings))


def storage_url(settings: Settings) -> str | None:
    """Return the URL of Dagster's storage when the catalog is in PostgreSQL (a schema of its own), else None."""
    if not settings.database_url.startswith("postgresql"):
        return None
    joint = "&" if "?" in settings.database_url else "?"
    return f"{settings.database_url}{joint}options=-csearch_path%3D{SCHEMA}"


def workspace(socket_path: Path) -> str:
    """Return the workspace that points at the code server shared by daemon and webserver."""
    return (
        "load_from:\n  - grpc_server:\n"
        f"      socket: {json.dumps(str(socket_path))}\n      location_name: inbox_pipeline\n"
    )


def _worker_launcher(settings: Settings) -> str:
    if settings.broker_url:
        return WORKER_LAUNCHER.format(broker=f"{{env: {PREFIX}BROKER_URL}}", transport="")
    return WORKER_LAUNCHER.format(broker=json.dumps(f"sqlite:///{settings.broker_path}"), transport=EMBEDDED)


def _filled(storage: str, base_dir: str, runs: int, launcher: str) -> str:
    text = Template(TEMPLATE.read_text())
    return text.substitute(storage=storage, base_dir=base_dir, max_concurrent_runs=runs, launcher=launcher)
