"""Commands about a HOME and what runs on it: `demo`, `up`, `init`, `wait`, `doctor`.

Belongs here: their options and what they print. Does not belong here: processes (`supervise`) and the demo's work
(`demo`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from inbox_pipeline.cli import exits, options
from inbox_pipeline.errors import InboxError, Unavailable

POLL_SECONDS = 0.25
WAIT_SECONDS = 120.0
PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--port", type=PORT, metavar="N", help="Port of the web server.  [default: 8080, or a free one]")
@click.option("--once", is_flag=True, help="Stop after the verdicts; 0 only if all are as expected, else 4.")
@click.option("--make-only", is_flag=True, help="Make the sample files and start nothing.")
@options.home_option
def demo(port: int | None, once: bool, make_only: bool) -> None:
    """Make sample sessions, start everything, import them, show the verdicts.

    Everything lies under --home, here ./inbox-demo if not given; sample files that are there already are kept as they
    are. It runs on until Ctrl-C.
    """
    from inbox_pipeline.demo import play  # noqa: PLC0415 - loads pydicom
    from inbox_pipeline.supervise.up import run_up  # noqa: PLC0415 - loads SQLAlchemy

    settings = play.demo_settings(os.environ, options.chosen_home() or Path(play.DEMO_HOME), port)
    show = play.Demo(settings, once, click.echo)
    show.make()
    if not make_only:
        click.get_current_context().exit(run_up(settings, json_line=False, on_ready=show.play))


@click.command()
@click.option("--host", metavar="H", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=PORT, metavar="N", help="Port of the web server; 0 takes a free one.  [default: 8080]")
@options.json_option
@options.home_option
def up(host: str | None, port: int | None, as_json: bool) -> None:
    """Start web server, Dagster and workers of a HOME, and keep them running.

    One line on standard output says when a request would be served; SIGTERM or Ctrl-C stops everything.
    """
    from inbox_pipeline.settings import PREFIX, read_settings  # noqa: PLC0415 - loads pydantic
    from inbox_pipeline.supervise.up import run_up  # noqa: PLC0415 - loads SQLAlchemy

    given = {"HOST": host, "PORT": None if port is None else str(port)}
    changed = {f"{PREFIX}{name}": value for name, value in given.items() if value is not None}
    settings = read_settings({**os.environ, **changed}, home=options.chosen_home())
    click.get_current_context().exit(run_up(settings, json_line=as_json))


@click.command()
@options.json_option
@options.home_option
def init(as_json: bool) -> None:
    """Make a HOME: folders, catalog, secret, first administrator.

    What exists stays; a catalog of an older version is brought up to date.
    """
    from inbox_pipeline.services.bootstrap import ADMIN, prepare_site  # noqa: PLC0415 - loads SQLAlchemy

    settings = prepare_site(options.settings()).settings
    password_file = settings.admin_password_file
    made = {
        "home": str(settings.home),
        "inbox_path": str(settings.inbox_path),
        "archive_path": str(settings.archive_path),
        "admin_user": ADMIN,
        "admin_password_file": str(password_file) if password_file.exists() else None,
    }
    options.show(made, as_json)


@click.command()
@click.option("--timeout", type=click.FloatRange(min=0), default=WAIT_SECONDS, show_default=True, metavar="S")
@options.home_option
def wait(timeout: float) -> None:
    """Wait until the server would serve an import."""
    deadline = time.monotonic() + timeout
    while (problem := _problem()) is not None:
        if time.monotonic() >= deadline:
            raise Unavailable("wait_timed_out", f"Not ready after {timeout:g} s: {problem}.", "See `doctor`.")
        time.sleep(POLL_SECONDS)
    click.echo("ready")


@click.command()
@options.json_option
@options.home_option
def doctor(as_json: bool) -> None:
    """Say whether HOME and what runs on it are in order."""
    from inbox_pipeline.cli.checkup import examine  # noqa: PLC0415 - loads SQLAlchemy

    checks = examine(options.settings())
    options.show_table(checks, ["check", "state", "detail"], as_json)
    if any(check["state"] == "wrong" for check in checks):
        click.get_current_context().exit(exits.FAILED)


def _problem() -> str | None:
    """Return why the server is not ready, or None; its address is looked up again each time."""
    try:
        with options.client() as client:
            failing = client.failing()
    except Unavailable as error:
        return error.sentence.rstrip(".")
    except InboxError as error:
        return error.code
    return ", ".join(f"{name}: {problem}" for name, problem in failing.items()) or None
