"""Commands about import requests; they talk to a server by HTTP and to nothing else.

Belongs here: `import`, `plan`, `status`, `ledger`, `cancel`, `retry`, `undo`. Does not belong here: HTTP itself
(`client.py`) and following a request (`follow.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from inbox_pipeline.cli import exits, options
from inbox_pipeline.cli.follow import explained, follow

PATH_HELP = (
    "PATH is a folder or archive file under the inbox, on the server; a relative one starts at the working directory."
)


def absolute(path: str) -> str:
    """Return a path as it is sent: absolute, links left as they are."""
    return os.path.abspath(path)  # noqa: PTH100 - must not resolve `..` behind a link as Path.resolve does


@click.command("import", epilog=PATH_HELP)
@click.argument("path")
@click.option("--project", required=True, metavar="P", help="Destination project.")
@click.option("--subject", metavar="S", help="Subject label; from the headers when not given.")
@click.option("--session", metavar="E", help="Session label; from the headers when not given.")
@click.option("--cleanup", is_flag=True, help="Delete source files that are proven archived.")
@click.option("--overwrite", type=click.Choice(["none", "append", "delete"]), help="Add to an existing session.")
@click.option("--wait", is_flag=True, help="Follow the request to its end; the exit code is its outcome.")
@options.json_option
@options.home_option
def import_folder(
    path: str,
    project: str,
    subject: str | None,
    session: str | None,
    cleanup: bool,
    overwrite: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """File an import request on the server."""
    asked = {"path": absolute(path), "project": project, "subject": subject, "session": session}
    parameters = {name: value for name, value in {**asked, "overwrite": overwrite}.items() if value is not None}
    with options.client() as client:
        request = client.file_import({**parameters, "cleanupAfterImport": cleanup})
        if wait:
            request = follow(client, request)
    _report(request, as_json)
    if wait:
        click.get_current_context().exit(exits.of_outcome(request["outcome"]))


@click.command(epilog=PATH_HELP)
@click.argument("path")
@click.option("--project", required=True, metavar="P", help="Destination project.")
@click.option("--subject", metavar="S", help="Subject label; from the headers when not given.")
@click.option("--session", metavar="E", help="Session label; from the headers when not given.")
@click.option("--values", is_flag=True, help="Show what rules find under policy basic, too; for owners, audited.")
@options.json_option
@options.home_option
def plan(path: str, project: str, subject: str | None, session: str | None, values: bool, as_json: bool) -> None:
    """Say what an import would do, writing nothing."""
    asked = {"path": absolute(path), "project": project, "subject": subject, "session": session}
    with options.client() as client:
        planned = client.plan({name: value for name, value in asked.items() if value is not None} | _asking(values))
    if as_json:
        options.write_json(planned)
        return
    click.echo(f"{planned['files']['found']} files")
    _show_counts(planned["files"])
    for session_row in planned["sessions"]:
        _show_session(session_row)
    rest = [row for row in planned["rows"] if row["session"] is None]
    options.show_table(rest, ["source_path", "disposition", "reason"], False)


def _asking(values: bool) -> dict[str, bool]:
    return {"values": True} if values else {}


@click.command()
@click.argument("request_id", metavar="ID", type=click.IntRange(min=1))
@options.json_option
@options.home_option
def status(request_id: int, as_json: bool) -> None:
    """Show how an import request is doing."""
    with options.client() as client:
        _report(client.request(request_id), as_json)


@click.command()
@click.argument("request_id", metavar="ID", type=click.IntRange(min=1))
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl", "parquet"]), default="csv", show_default=True)
@options.home_option
def ledger(request_id: int, kind: str) -> None:
    """Write an import request's ledger: one row per file found."""
    with options.client() as client:
        if kind == "parquet":
            from inbox_pipeline.cli.parquet import write_parquet  # noqa: PLC0415 - loads pandas

            write_parquet(client.ledger(request_id, "jsonl"), sys.stdout.buffer)
            return
        for piece in client.ledger(request_id, kind):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


@click.command()
@click.argument("request_id", metavar="ID", type=click.IntRange(min=1))
@options.home_option
def cancel(request_id: int) -> None:
    """Cancel an import request."""
    with options.client() as client:
        client.cancel(request_id)
    click.echo(f"request {request_id}: cancel asked for")


@click.command()
@click.argument("request_id", metavar="ID", type=click.IntRange(min=1))
@options.home_option
def retry(request_id: int) -> None:
    """Import again what an ended request did not archive."""
    with options.client() as client:
        client.retry(request_id)
    click.echo(f"request {request_id}: queued again")


@click.command()
@click.argument("request_id", metavar="ID", type=click.IntRange(min=1))
@click.option("--restore", is_flag=True, help="Bring back what an undo has withdrawn.")
@options.json_option
@options.home_option
def undo(request_id: int, restore: bool, as_json: bool) -> None:
    """Withdraw an ended request's sessions to the trash, or restore them.

    For the project's owners and administrators. The trash is kept for 30 days, and without end where the sources were
    deleted after the import.
    """
    with options.client() as client:
        told = client.undo(request_id, restore=restore)
    if as_json:
        options.write_json(told)
    else:
        click.echo(f"request {request_id}: {told['sentence']}")


def _report(request: Mapping[str, Any], as_json: bool) -> None:
    """Write a request, as its JSON or as people read it."""
    if as_json:
        options.write_json(request)
        return
    click.echo(f"request {request['id']}: {request['status']}, {request['outcome'] or request['phase']}")
    if request["verdict"] or request["reason"]:
        click.echo(request["verdict"] or explained(request["reason"]))
    _show_counts(request["files"])
    for session in request["sessions"]:
        _show_session(session)


def _show_counts(files: Mapping[str, Any]) -> None:
    for reason, count in files["by_reason"].items():
        click.echo(f"  {count:>8,}  {reason}")


def _show_session(session: Mapping[str, Any]) -> None:
    reason = f" ({session['reason']})" if session["reason"] else ""
    where = f"  {session['uri']}" if session.get("uri") else ""
    names = f"{session['project']}/{session['subject']}/{session['session']}"
    click.echo(f"  {names}: {session['files']:,} files, {session['state']}{reason}{where}")
    for target, named in (session.get("identified") or {}).items():
        others = ", ".join(map(_rule, named["others"]))
        click.echo(f"    {target}: {_rule(named)}{f'; else {others}' if others else ''}")
    for finding in session.get("findings", []):
        scan = f" in scan {finding['scan']}" if "scan" in finding else ""
        click.echo(f"    {finding['code']}: {finding['count']}{scan}")


def _rule(named: Mapping[str, Any]) -> str:
    """Return a rule with its element, its line and what it gives, as far as these are told."""
    parts = [named["rule"], named.get("tag", ""), f"line {named['line']}" if "line" in named else ""]
    label = f' "{named["label"]}"' if "label" in named else ""
    return " ".join(part for part in parts if part) + label
