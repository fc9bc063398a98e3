"""What Dagster writes on a process's standard error while it executes a run.

Belongs here: the console logger of the job. Does not belong here: the event log, which Dagster keeps in its storage.
"""

import logging

import dagster as dg


@dg.logger(description="Dagster's own event lines stay in its event log; none reach the console.")
def quiet(_context: dg.InitLoggerContext) -> logging.Logger:
    """Return a logger that writes nothing: every line is in the run's event log already."""
    logger = logging.Logger("inbox_pipeline.run")
    logger.addHandler(logging.NullHandler())
    return logger
