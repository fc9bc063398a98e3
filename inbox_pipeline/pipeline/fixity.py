"""The nightly reading of the archive: a job of one op, and the schedule that starts it.

Belongs here: the clock, and the form in which findings are shown. Does not belong here: what is read and compared
(`services/fixity.py`).
"""

import datetime as dt

import dagster as dg

from inbox_pipeline.intake.verdict import plural
from inbox_pipeline.pipeline.failures import told_to_dagster
from inbox_pipeline.pipeline.logs import quiet
from inbox_pipeline.pipeline.reports import ASSET, table
from inbox_pipeline.pipeline.resources import SiteResource
from inbox_pipeline.pipeline.tags import FIXITY_JOB
from inbox_pipeline.services import fixity as service


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Reads sessions again and compares them with the catalog, those first that were not read for longest.",
)
def read_again(context: dg.OpExecutionContext, site: SiteResource) -> None:
    """Read a part of the archive."""

    def work() -> None:
        with site.opened() as opened:
            show(context, service.check_part(opened, dt.datetime.now(dt.UTC)))

    told_to_dagster(context, work)


@dg.job(
    name=FIXITY_JOB,
    executor_def=dg.in_process_executor,
    logger_defs={"console": quiet},
    config={"loggers": {"console": {}}},
    description=(
        "Reads a part of the archive again, for five minutes at most, and compares it with the catalog's digests. "
        "A difference is an error of the asset check `fixity`; `inbox-pipeline verify` names the files."
    ),
)
def fixity() -> None:
    """Read a part of the archive."""
    read_again()


@dg.schedule(
    job=fixity,
    cron_schedule="*/30 0-5 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        f"Reads the archive again, {service.PARTS_PER_NIGHT} parts a night of five minutes at most, all of it in "
        f"{service.CYCLE.days} days."
    ),
)
def fixity_nightly() -> dg.RunRequest:
    """Start the next part."""
    return dg.RunRequest()


def show(context: dg.OpExecutionContext, part: service.Part) -> None:
    """Attach what was found to the op's output, and as the asset check `fixity`."""
    read = part.read
    rows = list(service.by_kind(part))
    metadata = {"sessions": read.sessions, "files": read.files, "bytes": read.bytes, "damaged": len(part.damaged)}
    found = {"differences": table(rows)} if rows else {}
    counted = f"{read.sessions:,} {plural(read.sessions, 'session')}, {read.files:,} {plural(read.files, 'file')}"
    sentence = f"{counted} read again; not as the catalog says: {len(part.damaged):,}."
    context.log.info(sentence)
    context.log_event(
        dg.AssetCheckEvaluation(
            asset_key=ASSET,
            check_name="fixity",
            passed=not rows,
            severity=dg.AssetCheckSeverity.ERROR,
            description=sentence,
            metadata={**metadata, **found},
        )
    )
    context.add_output_metadata({**metadata, **found})
