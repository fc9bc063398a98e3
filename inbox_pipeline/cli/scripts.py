"""`script`: looking at anonymization scripts, with neither server nor HOME.

Belongs here: the `script` commands. Does not belong here: the language (`inbox_pipeline.script`), and `script pull`
(`pull.py`).
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from inbox_pipeline.cli import options
from inbox_pipeline.cli.preview import preview
from inbox_pipeline.cli.pull import pull
from inbox_pipeline.errors import Rejected

if TYPE_CHECKING:
    from inbox_pipeline.script import Advice, ScriptError, Server

STDIN = "-"
_NOT_COMPILED = "script_invalid"
_REFUSING = {"error": frozenset({"error"}), "warning": frozenset({"error", "warning"})}


@click.group()
def script() -> None:
    """Check, try, convert and copy anonymization scripts."""


script.add_command(preview)
script.add_command(pull)


@dataclass(frozen=True)
class Finding:
    """One thing that the checker says, as `--json` writes it; `source` is the line as it was typed."""

    file: str
    line: int
    column: int
    severity: str
    code: str
    sentence: str
    source: str


@script.command()
@click.argument("files", metavar="FILE...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--xnat-version", "release", metavar="V", help="Refuse what XNAT V, such as 1.8.6, does not have.")
@click.option("--strict", is_flag=True, help="Refuse on warnings too.")
@click.option("--notes", is_flag=True, help="Show notes too.")
@options.json_option
@options.home_option
def check(files: tuple[Path, ...], release: str | None, strict: bool, notes: bool, as_json: bool) -> None:
    """Say what is wrong with scripts, and where; - is stdin.

    A script without findings is answered with silence. Each finding is FILE:LINE:COLUMN, a severity, a sentence and a
    code, with the line it is about. An error fails whenever the script reaches it, a warning has another effect than it
    seems to have. Exit 0 unless a script does not compile or has an error, then 7.
    """
    xnat = None if release is None else _server(release)
    findings = [finding for file in files for finding in _findings(file, xnat)]
    shown = [finding for finding in findings if notes or finding.severity != "note"]
    if as_json:
        options.write_json([asdict(finding) for finding in shown])
    else:
        _show(shown)
    _refuse(findings, _REFUSING["warning" if strict else "error"])


def _server(release: str) -> Server:
    from inbox_pipeline.script import server  # noqa: PLC0415 - loads pydicom

    try:
        return server(release)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--xnat-version") from None


def _findings(file: Path, xnat: Server | None) -> list[Finding]:
    """Everything there is to say about one script, in the order of its lines."""
    from inbox_pipeline.script import ScriptError, compile_script  # noqa: PLC0415 - loads pydicom

    try:
        compiled = compile_script(_text(file))
    except ScriptError as error:
        return [_fault(file, error)]
    lacking = () if xnat is None else compiled.lacking(xnat)
    return [_said(file, each) for each in sorted({*compiled.advice, *lacking})]


def _text(file: Path) -> str:
    """The text of a script, of stdin if the file is `-`."""
    if str(file) != STDIN:
        return options.read_script(file)
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected("script_unreadable", "The script on stdin cannot be read.", "Give text in UTF-8.") from None


def _fault(file: Path, error: ScriptError) -> Finding:
    return Finding(str(file), error.line, error.column, "error", _NOT_COMPILED, error.message, error.source_line)


def _said(file: Path, advice: Advice) -> Finding:
    place = (advice.line, advice.column, advice.severity, advice.code, advice.sentence, advice.source_line)
    return Finding(str(file), *place)


def _show(findings: list[Finding], err: bool = False) -> None:
    """Write each finding with its line and a caret under the place."""
    for finding in findings:
        click.echo(f"{finding.file}:{finding.line}:{finding.column}: {_sentence(finding)}", err=err)
        click.echo(f"    {finding.source.expandtabs(1)}\n    {' ' * (finding.column - 1)}^", err=err)


def _sentence(finding: Finding) -> str:
    return f"{finding.severity}: {finding.sentence} [{finding.code}]"


def _refuse(findings: list[Finding], severities: frozenset[str]) -> None:
    """End with exit code 7 if a finding is too severe.

    Raises:
        Rejected: `script_invalid` if a script does not compile, else `script_faulty`.
    """
    severe = [finding for finding in findings if finding.severity in severities]
    if not severe:
        return
    first = next((finding for finding in severe if finding.code == _NOT_COMPILED), severe[0])
    code = _NOT_COMPILED if first.code == _NOT_COMPILED else "script_faulty"
    raise Rejected(code, _first(first), "Correct the places named.")


def _first(finding: Finding) -> str:
    return f"{finding.file}, line {finding.line}, column {finding.column}: {finding.sentence}."


@script.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="OUT", type=click.Path(path_type=Path, dir_okay=False), help="Write it there.")
@options.home_option
def convert(file: Path, output: Path | None) -> None:
    """Write a DicomEdit 4.2 script as DicomEdit 6; - is stdin.

    The new script does to root elements what the old one did, and states the lowest version that has what it uses.
    Notes on stderr say where the meaning changes; a script that DicomEdit 6 cannot say is refused by line.
    """
    from inbox_pipeline.script import ScriptError  # noqa: PLC0415 - loads pydicom
    from inbox_pipeline.script.convert import NotConvertible  # noqa: PLC0415 - as above
    from inbox_pipeline.script.convert import convert as converted  # noqa: PLC0415 - as above

    try:
        done = converted(_text(file))
    except ScriptError as error:
        _stop([_fault(file, error)])
    except NotConvertible as error:
        _stop([_said(file, each) for each in error.refusals])
    _show([_said(file, each) for each in done.notes], err=True)
    if output is None:
        click.echo(done.text, nl=False)
    else:
        _write(output, done.text)


def _stop(findings: list[Finding]) -> NoReturn:
    """Show findings on stderr and end.

    Raises:
        Rejected: `script_invalid` or `script_not_convertible`.
    """
    _show(findings, err=True)
    code = _NOT_COMPILED if findings[0].code == _NOT_COMPILED else "script_not_convertible"
    raise Rejected(code, _first(findings[0]), "Correct the places named.")


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        sentence = f"{output} cannot be written ({type(error).__name__})."
        raise Rejected("script_not_written", sentence, "Name a file that you may write.") from None
