"""The page `docs/cli.md`, made from the commands' own help.

Belongs here: walking the commands and laying out the page. Does not belong here: any text about a command.

Run as `python -m inbox_pipeline.cli.reference > docs/cli.md`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from inbox_pipeline.cli import exits
from inbox_pipeline.cli.app import main

PROGRAM = "inbox-pipeline"
WIDTH = 100
HEAD = f"""# Command line

`{PROGRAM} COMMAND --help` shows the same text. Nothing prompts; errors are one line on standard error with a stable
code in brackets. Client commands (`import`, `plan`, `status`, `ledger`, `cancel`, `retry`, `wait`, `script pull`) talk
to a server by HTTP: its address is `INBOX_PIPELINE_URL`, else the one that a running `up` recorded in HOME, else
`http://127.0.0.1:8080`; user and password are `INBOX_PIPELINE_USER` and `INBOX_PIPELINE_PASSWORD`, else, for an address
from HOME, `admin` and the password in `HOME/admin-password`. The others work on HOME, with or without a server.
"""


def reference() -> str:
    """Return the whole page, in Markdown."""
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in exits.MEANINGS.items())
    table = f"## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}\n"
    sections = [f"## {path}\n\n```\n{text}\n```\n" for path, text in _helps()]
    return "\n".join([HEAD, table, *sections])


def leaves(command: click.Command, ctx: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield every command below one that can be run, with its context."""
    if not isinstance(command, click.Group):
        yield command, ctx
        return
    for name in command.list_commands(ctx):
        child = command.get_command(ctx, name)
        if child is not None:
            yield from leaves(child, _context(child, name, ctx))


def _helps() -> Iterator[tuple[str, str]]:
    for command, ctx in leaves(main, _context(main, PROGRAM, None)):
        yield ctx.command_path, command.get_help(ctx).rstrip()


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    return click.Context(command, info_name=name, parent=parent, **settings)


if __name__ == "__main__":
    click.echo(reference(), nl=False)
