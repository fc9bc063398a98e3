"""`trash`: what was deleted from a project's archive, over HTTP.

Belongs here: the `trash` commands. Does not belong here: the sessions of a request that were undone (`imports.py`).
"""

from __future__ import annotations

import click

from inbox_pipeline.cli import options

COLUMNS = ["id", "accession", "session", "scan", "files", "deleted_at", "only_copies", "kept_until"]


@click.group()
def trash() -> None:
    """List what was deleted from the archive, and restore it.

    For the project's owners and administrators. What an undo has withdrawn comes back by `undo ID --restore`.
    """


@trash.command("list")
@click.argument("project")
@options.json_option
@options.home_option
def list_deleted(project: str, as_json: bool) -> None:
    """List the sessions and scans that were deleted from a project's archive, latest first.

    Each is kept until the time told; without end where it is the only copy of some files.
    """
    with options.client() as client:
        options.show_table(client.deleted(project), COLUMNS, as_json)


@trash.command()
@click.argument("project")
@click.argument("deleted_id", metavar="ID", type=click.IntRange(min=1))
@options.json_option
@options.home_option
def restore(project: str, deleted_id: int, as_json: bool) -> None:
    """Bring a deleted session or scan back as it was, by its number in the list."""
    with options.client() as client:
        row = client.restore_deleted(project, deleted_id)
    if as_json:
        options.write_json(row)
    else:
        scan = "" if row["scan"] is None else f" scan {row['scan']}"
        click.echo(f"{row['accession']}{scan} restored: {row['files']:,} files")
