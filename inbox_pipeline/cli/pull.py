"""`script pull`: the anonymization scripts of an existing XNAT, copied to the server over HTTP.

Belongs here: which scripts are copied, and what became of each. Does not belong here: HTTP itself (`client.py`). The
source is only read; a script that does not compile is reported and not copied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from inbox_pipeline.cli import exits, options
from inbox_pipeline.errors import Rejected

if TYPE_CHECKING:
    from inbox_pipeline.client import Client

PASSWORD = "INBOX_PIPELINE_PULL_PASSWORD"  # noqa: S105 - the name of a variable
GOOD = frozenset({"copied", "to copy", "unchanged", "none"})
"""What can become of a script without anything left to do; `none`: the source has no script there."""
MOVED = GOOD - {"none"}
UNAUTHORISED = frozenset({401, 403})


@dataclass(frozen=True)
class Pulled:
    """What became of the script of one project, or of the site (None)."""

    project: str | None
    status: str
    enabled: bool | None = None
    reason: str | None = None
    line: int | None = None
    column: int | None = None
    unauthorised: bool = False


@click.command()
@click.option("--from", "source_url", required=True, metavar="URL", help="Address of the XNAT to copy from.")
@click.option("--user", metavar="U", envvar="INBOX_PIPELINE_PULL_USER", show_envvar=True, help="Login there.")
@click.option("--password-stdin", is_flag=True, help=f"Read its password from standard input, not from {PASSWORD}.")
@click.option("--project", "projects", metavar="P", multiple=True, help="Copy this project's script too; repeatable.")
@click.option("--all-projects", is_flag=True, help="Copy the script of every project that the login may see.")
@click.option("--insecure", is_flag=True, help="Do not check the certificate of the XNAT.")
@click.option("--dry-run", is_flag=True, help="Only say what would be copied.")
@options.json_option
@options.home_option
def pull(
    source_url: str,
    user: str | None,
    password_stdin: bool,
    projects: tuple[str, ...],
    all_projects: bool,
    insecure: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Copy the site's and projects' scripts from an existing XNAT, switched on or off as there.

    The XNAT is only read. Each script is checked first; one that does not compile is reported and left out.
    """
    from inbox_pipeline.client import Client, Server  # noqa: PLC0415 - httpx costs a tenth of a second

    _require_plain(source_url)
    if not user:
        raise click.UsageError("Give --user, or set INBOX_PIPELINE_PULL_USER.")
    password = options.password_from_stdin(True) if password_stdin else os.environ.get(PASSWORD, "")
    server = Server(source_url.rstrip("/"), user, password, local=False, named_by="--from", verify=not insecure)
    with Client(server) as source, options.client() as target:
        wanted = [None, *dict.fromkeys([*projects, *(_all_projects(source) if all_projects else ())])]
        rows = list(_pulled(source, target, wanted, dry_run, (lambda _: None) if as_json else _tell))
    if as_json:
        options.write_json({"from": server.url, "dry_run": dry_run, "scripts": [asdict(row) for row in rows]})
    click.get_current_context().exit(_exit_code(rows))


def _require_plain(url: str) -> None:
    """Refuse an address that is none, or that holds a password, which would be shown."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        plain = False
    if not plain or parts.query or parts.fragment:
        raise click.UsageError("--from takes an address as https://xnat.example.org, without user and password.")


def _pulled(
    source: Client, target: Client, wanted: Sequence[str | None], dry_run: bool, tell: Callable[[Pulled], None]
) -> Iterator[Pulled]:
    """Copy one script after the other; a refusal by either server is about that script alone.

    Raises:
        Rejected: 401 from either server.
        Unavailable: either server is away.
    """
    for project in wanted:
        try:
            row = _pull(source, target, project, dry_run)
        except Rejected as error:
            status = error.data.get("status")
            if status == 401:
                raise
            row = Pulled(project, "refused", reason=str(error), unauthorised=status in UNAUTHORISED)
        tell(row)
        yield row


def _pull(source: Client, target: Client, project: str | None, dry_run: bool) -> Pulled:
    with _at_source():
        text, enabled = source.script(project), source.script_enabled(project)
    if not text.strip():
        return Pulled(project, "none")
    fault = target.check_script(text)["error"]
    if fault is not None:
        reason = fault.get("message", fault["sentence"])
        return Pulled(project, "invalid", enabled, reason, fault.get("line"), fault.get("column"))
    here = _here(target, project)
    if here is None:
        hint = f"The project does not exist here; make it with `inbox-pipeline project create {project}`."
        return Pulled(project, "skipped", enabled, hint)
    if here == (text.removeprefix("\ufeff"), enabled):
        return Pulled(project, "unchanged", enabled)
    if dry_run:
        return Pulled(project, "to copy", enabled)
    target.put_script(project, text)
    target.enable_script(project, enabled)
    return Pulled(project, "copied", enabled)


@contextmanager
def _at_source() -> Iterator[None]:
    """Say of a refusal that it came from the XNAT."""
    try:
        yield
    except Rejected as error:
        raise Rejected(error.code, f"At --from: {error.sentence}", error.hint, error.data) from None


def _all_projects(source: Client) -> list[str]:
    with _at_source():
        return source.projects()


def _here(target: Client, project: str | None) -> tuple[str, bool] | None:
    """Return the script that a scope has here and whether it is on, None for a project that does not exist."""
    try:
        return target.script(project), target.script_enabled(project)
    except Rejected as error:
        if error.code == "project_not_found":
            return None
        raise


def _tell(row: Pulled) -> None:
    """Write one line about a script."""
    scope = "site" if row.project is None else f"project {row.project}"
    switch = "" if row.enabled is None else f", switched {'on' if row.enabled else 'off'}"
    place = "" if row.line is None else f" at line {row.line}, column {row.column}"
    reason = "" if row.reason is None else f": {row.reason}"
    click.echo(f"{scope}: {row.status}{place or switch}{reason}", err=row.status not in GOOD)


def _exit_code(rows: Sequence[Pulled]) -> int:
    bad = [row for row in rows if row.status not in GOOD]
    if not bad:
        return exits.COMPLETE
    if any(row.status in MOVED for row in rows):
        return exits.PARTIAL
    return exits.UNREACHABLE if all(row.unauthorised for row in bad) else exits.REFUSED
