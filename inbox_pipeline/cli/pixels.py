"""`pixels`: device rules for pixels, with neither server nor HOME.

Belongs here: the `pixels` commands. Does not belong here: the rules' format and meaning (`inbox_pipeline.deid`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inbox_pipeline.cli import exits, options
from inbox_pipeline.errors import Rejected

if TYPE_CHECKING:
    from inbox_pipeline.deid.pixel_rules import Rules
    from inbox_pipeline.deid.pixel_yaml import Fault

FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def pixels() -> None:
    """Check, convert and try out device rules for pixels."""


@pixels.command()
@click.argument("file", type=FILE)
@options.home_option
def check(file: Path) -> None:
    """Read rules; every fault is shown with its line."""
    click.echo(f"{file}: {len(_rules(file).rules):,} rules")


@pixels.command()
@click.argument("rules", type=FILE)
@click.argument("dicom", type=FILE, nargs=-1, required=True)
@click.option("--pass", "passing", metavar="KIND", multiple=True, help="A kind at risk that the policy lets pass.")
@options.json_option
@options.home_option
def explain(rules: Path, dicom: tuple[Path, ...], passing: tuple[str, ...], as_json: bool) -> None:
    """Say which rule fires for each file, and what would be done.

    Nothing is written, and no value of a file is shown.
    """
    from inbox_pipeline.deid.pixel_decision import PixelOptions  # noqa: PLC0415 - loads pydicom
    from inbox_pipeline.services.pixel_rules import explained  # noqa: PLC0415

    read, chosen = _rules(rules), PixelOptions.of(passing)
    rows = [explained(path, read, chosen) for path in dicom]
    columns = ["path", "kind", "rule", "reason", "detail", "rectangles", "findings"]
    options.show_table(rows if as_json else list(map(_shown, rows)), columns, as_json)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose lists are text."""
    areas = " ".join("({},{},{},{})".format(*area) for area in row["rectangles"])
    return row | {"rectangles": areas, "findings": " ".join(row["findings"])}


@pixels.command(name="import")
@click.argument("file", type=FILE)
@click.option(
    "--from",
    "source",
    type=click.Choice(["ctp", "deid"]),
    required=True,
    help="A script of CTP's DicomPixelAnonymizer, or a recipe of deid.",
)
@click.option("-o", "--output", type=FILE, metavar="OUT", help="Write there; a file that exists is replaced.")
@click.option("--partial", is_flag=True, help="Write what can be converted, and end with 3 if that is not all.")
@options.home_option
@click.pass_context
def convert(ctx: click.Context, file: Path, source: str, output: Path | None, partial: bool) -> None:
    """Convert another program's rules; lines that cannot be converted are shown.

    Nothing is written if one cannot, unless --partial is given: a rule that is missing may let pass what it would have
    blanked.
    """
    from inbox_pipeline.deid.pixel_ctp import import_ctp  # noqa: PLC0415 - loads pydicom
    from inbox_pipeline.deid.pixel_deid import import_deid  # noqa: PLC0415
    from inbox_pipeline.deid.pixel_writing import write_rules  # noqa: PLC0415

    text = options.read_text(file, "pixel_rules_unreadable", "The rules cannot be read")
    imported = {"ctp": import_ctp, "deid": import_deid}[source](text, file.name)
    _show_faults(file, imported.refused)
    if not imported.rules or (imported.refused and not partial):
        raise _not_converted(len(imported.refused))
    comments = [f"From {file.name} ({source}).", *(f"Not converted: {fault}" for fault in imported.refused)]
    written = write_rules(imported.rules, comments)
    if output is None:
        click.echo(written, nl=False)
    else:
        output.write_text(written, encoding="utf-8")
        click.echo(f"{output}: {len(imported.rules):,} rules", err=True)
    ctx.exit(exits.PARTIAL if imported.refused else exits.COMPLETE)


def _not_converted(count: int) -> Rejected:
    return Rejected(
        "pixel_rules_not_converted",
        f"{count:,} lines cannot be converted." if count else "There are no rules in it.",
        "Correct them, or give --partial to leave them out." if count else "Check the file and --from.",
        {"count": count},
    )


def _rules(path: Path) -> Rules:
    """Read rules, showing every fault. Raises Rejected."""
    from inbox_pipeline.deid.pixel_rules import read_rules  # noqa: PLC0415 - loads pydicom
    from inbox_pipeline.deid.pixel_yaml import Fault  # noqa: PLC0415

    try:
        return read_rules(options.read_text(path, "pixel_rules_unreadable", "The rules cannot be read"))
    except Rejected as error:
        _show_faults(path, [Fault(**fault) for fault in error.data.get("faults", [])])
        raise


def _show_faults(path: Path, faults: Iterable[Fault]) -> None:
    for fault in faults:
        click.echo(f"{path}:{fault.line}: {fault.message}", err=True)
