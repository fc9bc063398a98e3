"""How a step's errors end a Dagster run: a sentence first, and never the exception that caused it.

Belongs here: the translation of `errors.py` into Dagster's words. Does not belong here: what a failure means for the
request; services have written that before the error arrives here.

Dagster stores the message, traceback, cause and context of whatever an op raises. The original exception may hold
values read from a file, so a new one is raised outside the handler, where Python attaches neither cause nor context.
"""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from inbox_pipeline.errors import Cancelled, InboxError

ENDING = {dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED}


def told_to_dagster(context: dg.OpExecutionContext, work: Callable[[], None]) -> None:
    """Do the work, and raise Dagster's form of any error.

    Raises:
        dg.Failure: for any error, with the sentence as description.
        dg.DagsterExecutionInterruptedError: when the request was cancelled, or the run is being terminated.
    """
    try:
        work()
        return
    except dg.Failure:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, Dagster must not store it as it is
        ending = translated(context, error)
    raise ending


def translated(context: dg.OpExecutionContext, error: Exception) -> BaseException:
    """Return the exception that ends the op as the error asks."""
    run = context.instance.get_run_by_id(context.run_id)
    if run is not None and (isinstance(error, Cancelled) or run.status in ENDING):
        if run.status not in ENDING:
            context.instance.report_run_canceling(run)
        return dg.DagsterExecutionInterruptedError(_sentence(error))
    return dg.Failure(description=_sentence(error), metadata=_metadata(error), allow_retries=False)


def fault_sentence(error: Exception) -> str:
    """Say an unexpected exception's class, module and line: all of it that cannot hold a value."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
    return f"An unexpected fault of kind {kind} stopped the work."


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, InboxError) else fault_sentence(error)


def _metadata(error: Exception) -> dict[str, Any]:
    if not isinstance(error, InboxError):
        return {"reason": "internal_error"}
    ids = {name: value for name, value in error.data.items() if isinstance(value, int | float | bool)}
    return {"reason": error.code, "another attempt follows": error.retryable, **ids}
