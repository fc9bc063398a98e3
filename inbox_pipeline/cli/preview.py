"""`script preview`: what anonymization scripts do to real files, before anything is imported.

Belongs here: the command's options and where its output goes. Does not belong here: the work (`services/preview.py`),
layout (`preview_views.py`).
"""

from __future__ import annotations

from pathlib import Path

import click

from inbox_pipeline.cli import exits, files, options, preview_views
from inbox_pipeline.errors import Rejected
from inbox_pipeline.store.private_file import replacing

FORMATS = {"text": preview_views.as_text, "json": preview_views.as_json, "html": preview_views.as_html}


@click.command()
@click.argument("file", metavar="F", type=click.Path(path_type=Path))
@click.argument("paths", metavar="DICOM...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--site-script", default="none", show_default=True, metavar="none|default|F", help="Applied first.")
@click.option(
    "--script", "scripts", metavar="F2", multiple=True, type=click.Path(path_type=Path), help="Apply F2 after F; again."
)
@options.context_options
@click.option("--strict-script", is_flag=True, help="Stop a file on which a line of a script had no effect.")
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="What to write."
)
@click.option("-o", "--output", metavar="OUT", type=click.Path(path_type=Path), help="Write to OUT, for you alone.")
@options.home_option
def preview(
    file: Path,
    paths: tuple[Path, ...],
    site_script: str,
    scripts: tuple[Path, ...],
    project: str | None,
    subject: str | None,
    session: str | None,
    secret_file: Path | None,
    strict_script: bool,
    form: str,
    output: Path | None,
) -> None:
    """Show what scripts do to real files: per tag before, after, and the line that did it.

    The output holds patients' values. Nothing else is written. Exit code 3: some files had script errors or could not
    be read; each is named.
    """
    from inbox_pipeline.services import preview as service  # noqa: PLC0415 - loads pydicom
    from inbox_pipeline.services.folder_plan import UNASSIGNED  # noqa: PLC0415 - as above

    site = [service.NamedScript(_site_name(site_script), text) for text in files.site_scripts(site_script)]
    named = [*site, *(service.NamedScript(path.name, options.read_script(path)) for path in (file, *scripts))]
    name = project or UNASSIGNED
    key = files.project_key(secret_file, name)
    try:
        made = service.preview(service.Order(named, paths, name, subject, session, key, strict_script))
    except Rejected as error:
        _show_place(error)
        raise
    _write(output, FORMATS[form](preview_views.structure(made, [script.name for script in named])))
    click.get_current_context().exit(exits.COMPLETE if made.whole else exits.PARTIAL)


def _site_name(chosen: str) -> str:
    return "default site script" if chosen == "default" else Path(chosen).name


def _show_place(error: Rejected) -> None:
    """Write the place of a fault that keeps a script from compiling."""
    if "script" in error.data:
        place = (error.data[name] for name in ("script", "line", "column", "source"))
        click.echo("\n".join(preview_views.place_lines(*place)), err=True)


def _write(output: Path | None, text: str) -> None:
    """Write to stdout or to a file that only its owner can read."""
    if output is None:
        click.echo(text.encode("utf-8", "backslashreplace"), nl=False)
        return
    with replacing(output) as file:
        file.write(text)
