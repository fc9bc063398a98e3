"""The tree of commands, loaded one at a time, and the one place where errors become lines and exit codes.

Belongs here: the table of commands and the group classes. Does not belong here: any command.

Only click loads with this module: `inbox-pipeline --help` must not wait for libraries that it does not need.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from inbox_pipeline.cli import exits
from inbox_pipeline.errors import InboxError

EXIT_CODES = "\n".join(f"  {code}  {meaning}" for code, meaning in exits.MEANINGS.items())

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("server:demo", "Make sample sessions, start everything, import them, show the verdicts."),
    "up": ("server:up", "Start web server, Dagster and workers of a HOME, and keep them running."),
    "init": ("server:init", "Make a HOME: folders, catalog, secret, first administrator."),
    "wait": ("server:wait", "Wait until the server would serve an import."),
    "doctor": ("server:doctor", "Say whether HOME and what runs on it are in order."),
    "import": ("imports:import_folder", "File an import request on the server."),
    "plan": ("imports:plan", "Say what an import would do, writing nothing."),
    "status": ("imports:status", "Show how an import request is doing."),
    "ledger": ("imports:ledger", "Write an import request's ledger: one row per file found."),
    "cancel": ("imports:cancel", "Cancel an import request."),
    "retry": ("imports:retry", "Import again what an ended request did not archive."),
    "undo": ("imports:undo", "Withdraw an ended request's sessions to the trash, or restore them."),
    "trash": ("trash:trash", "List what was deleted from the archive, and restore it."),
    "verify": ("files:verify", "Re-read the archive and compare it with the catalog, both ways."),
    "anonymize": ("files:anonymize", "Anonymize a folder or an archive file without a server."),
    "script": ("scripts:script", "Check, try, convert and copy anonymization scripts."),
    "pixels": ("pixels:pixels", "Check, convert and try out device rules for pixels."),
    "user": ("users:user", "Create and change users."),
    "audit": ("audit:audit", "Show who changed what, newest first."),
    "project": ("projects:project", "Create and change projects."),
    "site": ("projects:site", "Show and change the site's settings."),
    "secret": ("files:secret", "Make secrets."),
}
"""Each command's place in this package, and its line in the overview (a test compares it with the command's own)."""


class Tree(click.Group):
    """The top of the tree: loads a command's module when the command is asked for, and ends errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"inbox_pipeline.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without loading any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error becomes one line on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except InboxError as error:
            click.echo(f"error: {error} [{error.code}]", err=True)
            ctx.exit(exits.of_error(error))
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except OSError as error:
            reason = f"{errno.errorcode.get(error.errno or 0, 'unknown')}: {os.strerror(error.errno or 0)}"
            click.echo(f"error: The system refused a file or folder ({reason}). [system_error]", err=True)
            ctx.exit(exits.FAILED)
        except Exception as error:  # noqa: BLE001 - a traceback could show values read from files
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            click.echo(f"error: An unexpected fault of kind {kind} stopped the work. [internal_error]", err=True)
            ctx.exit(exits.FAILED)


@click.group(
    cls=Tree, epilog=f"\b\nExit codes:\n{EXIT_CODES}", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="inbox-pipeline", prog_name="inbox-pipeline")
def main() -> None:
    """Import folders of DICOM into an anonymized, checked, catalogued archive.

    Every command takes --home DIR (or INBOX_PIPELINE_HOME; default ./inbox-home). Nothing prompts.
    """
