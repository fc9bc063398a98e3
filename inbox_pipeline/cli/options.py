"""Options that several commands share, and what they lead to: settings, site, server.

Belongs here: `--home`, `--json`, `--if-missing`, on/off values, what scripts see, reading scripts. Does not belong
here: a command of its own.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from inbox_pipeline.errors import Rejected

if TYPE_CHECKING:
    from inbox_pipeline.client import Client
    from inbox_pipeline.services.site import Site
    from inbox_pipeline.settings import Settings

Function = TypeVar("Function", bound=Callable[..., Any])
HOME = "inbox_pipeline.home"
DEFAULT_HOME = "./inbox-home"

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON.")
if_missing_option = click.option("--if-missing", is_flag=True, help="Leave it as it is when it exists.")
ON_OFF = click.Choice(["on", "off"])
POLICY = click.Choice(["basic", "none"])


def _remember_home(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    ctx.meta[HOME] = value


home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    expose_value=False,
    callback=_remember_home,
    help="Folder with everything a site has.  [env: INBOX_PIPELINE_HOME; default: ./inbox-home]",
)

_CONTEXT = (
    click.option("--project", metavar="P", help="What scripts see as project.  [default: Unassigned]"),
    click.option("--subject", metavar="S", help="Subject label; from the headers when not given."),
    click.option("--session", metavar="E", help="Session label; from the headers when not given."),
    click.option(
        "--secret-file",
        metavar="F",
        type=click.Path(path_type=Path),
        help="Secret for new and mapped UIDs."
        "  [env: INBOX_PIPELINE_SECRET_FILE; default: HOME/secret.key if it exists]",
    ),
)


def context_options(command: Function) -> Function:
    """Give a command the options that say what scripts see and with which secret UIDs are made."""
    for option in reversed(_CONTEXT):
        command = option(command)
    return command


def chosen_home() -> Path | None:
    """Return what `--home` says, or None."""
    home: Path | None = click.get_current_context().meta.get(HOME)
    return home


def home() -> Path:
    """Return HOME as the settings have it, without loading them."""
    return chosen_home() or Path(os.environ.get("INBOX_PIPELINE_HOME") or DEFAULT_HOME)


def settings() -> Settings:
    """Return the settings, `--home` before the environment.

    Raises:
        Rejected: `settings_invalid`.
    """
    from inbox_pipeline.settings import read_settings  # noqa: PLC0415 - pydantic costs a tenth of a second

    return read_settings(home=chosen_home())


def site() -> Site:
    """Open HOME's catalog.

    Raises:
        Rejected: as `services.site.open_site`.
        Unavailable: `catalog_unavailable`.
    """
    from inbox_pipeline.services.site import open_site  # noqa: PLC0415 - SQLAlchemy costs a third of a second

    return open_site(settings())


def client() -> Client:
    """Return a client for the server that the environment or HOME names."""
    from inbox_pipeline.client import Client, find_server  # noqa: PLC0415 - httpx costs a tenth of a second

    return Client(find_server(settings(), os.environ))


def actor() -> str:
    """Return who works on HOME's catalog from this terminal, for the audit trail."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"cli:{name}"[:64]


def switch(value: str | None) -> bool | None:
    """Return `on` and `off` as booleans, and None as it is."""
    return None if value is None else value == "on"


def password_from_stdin(asked: bool) -> str:
    """Return the first line of stdin, without its end.

    Raises:
        click.UsageError: when `--password-stdin` was not given: nothing prompts.
    """
    if not asked:
        raise click.UsageError("Give --password-stdin and write the password to standard input.")
    return sys.stdin.readline().rstrip("\r\n")


def read_script(path: Path) -> str:
    """Return a script's text.

    Raises:
        Rejected: `script_unreadable`.
    """
    return read_text(path, "script_unreadable", "The script cannot be read")


def read_text(path: Path, code: str, sentence: str) -> str:
    """Return a file's text.

    Raises:
        Rejected: `code`, with the sentence and what the system said.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(code, f"{sentence} ({type(error).__name__}).", "Give a text file in UTF-8.") from None


def write_json(content: Any) -> None:
    """Write one JSON value to stdout."""
    click.echo(json.dumps(content, indent=2))


def show(members: Mapping[str, Any], as_json: bool) -> None:
    """Write one thing's members, as JSON or as lines."""
    if as_json:
        write_json(members)
        return
    width = max((len(name) for name in members), default=0)
    for name, value in members.items():
        click.echo(f"{name:<{width}}  {_shown(value)}".rstrip())


def show_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Write a list, as JSON with every member or as a table of the columns."""
    if as_json:
        write_json(list(rows))
        return
    lines = [list(columns), *([_shown(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    for line in lines:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _shown(value: Any) -> str:
    """Return a value as people read it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_shown(item)}" for name, item in value.items())
    return "" if value is None else str(value)
