"""Makes or upgrades the tables of Dagster's storage and of the embedded broker.

Run as `python -m inbox_pipeline.pipeline.storage`.

Belongs here: that one step. Does not belong here: the catalog, whose tables are `store/migrations`.

Dagster and kombu make their tables wherever they first look for them; two processes that do so at once on SQLite spoil
them. So this runs alone, before any other of their processes, on a new HOME and after each change of Dagster's version.
"""

from dagster import DagsterInstance

from inbox_pipeline.pipeline import broker
from inbox_pipeline.pipeline.launcher import WorkerLauncher


def main() -> int:
    """Make or upgrade the tables of the instance that `DAGSTER_HOME` names; returns the exit code."""
    with DagsterInstance.get() as instance:
        instance.upgrade(lambda _line: None)
        if isinstance(instance.run_launcher, WorkerLauncher):
            _prepare_broker(instance.run_launcher)
    return 0


def _prepare_broker(launcher: WorkerLauncher) -> None:
    """Make the embedded broker's tables; a broker that is a server of its own needs none."""
    with launcher.celery.connection_for_write() as connection:
        if isinstance(connection.transport, broker.Transport):
            connection.default_channel.queue_declare(launcher.default_queue)


if __name__ == "__main__":
    raise SystemExit(main())
