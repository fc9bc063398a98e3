"""`audit`: who did what on HOME's catalog, whether or not a server runs.

Belongs here: the command and its options. Does not belong here: which lines there are (`services/audit.py`).
"""

from __future__ import annotations

import datetime as dt

import click

from inbox_pipeline.cli import options

COLUMNS = ["id", "at", "actor", "action", "object", "detail"]
TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.option("--actor", metavar="A", help="Only what this person did: a login, or cli:NAME.")
@click.option("--action", metavar="A", help="Only this action, as user.create, or all of a kind, as user.")
@click.option("--object", "target", metavar="O", help="Only what was done to this login, project, request or site.")
@click.option("--since", type=TIME, metavar="T", help="From this time on (UTC).")
@click.option("--until", type=TIME, metavar="T", help="Before this time (UTC).")
@click.option("--before", type=click.IntRange(min=1), metavar="ID", help="Below this id: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, metavar="N")
@options.json_option
@options.home_option
def audit(
    actor: str | None,
    action: str | None,
    target: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
    before: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show who changed what, newest first."""
    from inbox_pipeline.services.audit import Wanted, read_audit  # noqa: PLC0415 - loads SQLAlchemy

    wanted = Wanted(actor, action, target, _utc(since), _utc(until), before, limit)
    options.show_table(read_audit(options.site(), wanted), COLUMNS, as_json)


def _utc(moment: dt.datetime | None) -> dt.datetime | None:
    return None if moment is None else moment.replace(tzinfo=dt.UTC)
