"""`script`: looking at anonymization scripts, with neither server nor HOME.

Belongs here: the `script` commands. Does not belong here: the language (`inbox_pipeline.script`).
"""

from __future__ import annotations

from pathlib import Path

import click

from inbox_pipeline.cli import options
from inbox_pipeline.cli.preview import preview
from inbox_pipeline.errors import Rejected


@click.group()
def script() -> None:
    """Check anonymization scripts."""


script.add_command(preview)


@script.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.home_option
def check(file: Path) -> None:
    """Compile a script; a fault is shown with its line, column and place."""
    from inbox_pipeline.services.scripts import check_script  # noqa: PLC0415 - loads pydicom

    try:
        check_script(options.read_script(file))
    except Rejected as error:
        if "source" in error.data:
            _show_place(file, error)
        raise
    click.echo(f"{file}: compiles")


def _show_place(file: Path, error: Rejected) -> None:
    """Write the faulty line with a caret under the fault."""
    line, column, source = error.data["line"], error.data["column"], error.data["source"].expandtabs(1)
    click.echo(f"{file}:{line}:{column}", err=True)
    click.echo(f"    {source}\n    {' ' * (column - 1)}^", err=True)
