"""The tree of commands: what loads with it, what every command has, how errors end, and its page in the docs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from inbox_pipeline.cli import exits, main
from inbox_pipeline.cli.app import COMMANDS
from inbox_pipeline.cli.reference import leaves, reference
from inbox_pipeline.errors import Cancelled, Rejected, Unavailable
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline_tests.cli.conftest import Run

HEAVY = ("pydicom", "numpy", "pandas", "sqlalchemy", "dagster", "fastapi", "httpx", "pydantic")
HELP = "import sys; from inbox_pipeline.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"


def all_leaves() -> list[tuple[click.Command, str]]:
    return [(command, ctx.command_path) for command, ctx in leaves(main, click.Context(main, info_name="x"))]


def test_the_overview_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert loaded.isdisjoint(HEAVY)


def test_the_overview_says_of_each_command_what_the_command_says() -> None:
    ctx = click.Context(main, info_name="x")
    for name, (_, line) in COMMANDS.items():
        command = main.get_command(ctx, name)
        assert command is not None
        assert (command.help or "").split("\n", maxsplit=1)[0] == line


@pytest.mark.parametrize(("command", "path"), all_leaves(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_takes_home_and_every_list_writes_json(command: click.Command, path: str) -> None:
    options = {option for parameter in command.params for option in parameter.opts}
    assert "--home" in options
    if path.endswith((" list", " show")):
        assert "--json" in options
    if path.endswith(" create"):
        assert "--if-missing" in options
    assert command.help


def test_the_page_of_the_documentation_is_this_help() -> None:
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    assert page.read_text(encoding="utf-8") == reference(), "run python -m inbox_pipeline.cli.reference > docs/cli.md"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (refusal("path_not_found"), 7),
        (refusal("request_not_found"), 7),
        (refusal("session_exists"), 7),
        (Rejected("secret_malformed", "It is malformed."), 7),
        (refusal("login_failed"), 6),
        (refusal("forbidden"), 6),
        (Unavailable("server_unreachable", "It does not answer."), 6),
        (Cancelled("cancelled", "It was cancelled."), 4),
    ],
)
def test_errors_lead_to_the_documented_codes(error: Rejected, code: int) -> None:
    assert exits.of_error(error) == code


def test_outcomes_lead_to_the_documented_codes() -> None:
    found = {outcome: exits.of_outcome(outcome) for outcome in ("complete", "partial", "failed", "cancelled")}
    assert found == {"complete": 0, "partial": 3, "failed": 4, "cancelled": 4}


def test_wrong_usage_is_two(run: Run) -> None:
    for arguments in (["frob"], ["import"], ["status", "x"], ["status", "0"], ["user", "create", "ann"], ["up", "--y"]):
        assert run(*arguments).exit_code == 2


def test_an_error_is_one_line_on_stderr_with_its_code(run: Run) -> None:
    done = run("user", "list", "--home", "nowhere")
    assert (done.exit_code, done.stdout) == (7, "")
    assert done.stderr.startswith("error: There is no catalog here yet. Run `inbox-pipeline init`.")
    assert done.stderr.endswith("[not_initialised]\n")
    assert done.stderr.count("\n") == 1


def test_a_file_in_the_way_is_told_without_its_path(run: Run, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("a file where HOME should be")
    done = run("init", "--home", tmp_path / "canary" / "home")
    assert done.exit_code == exits.FAILED
    assert done.stderr.startswith("error: The system refused a file or folder (ENOTDIR")
    assert "canary" not in done.output
    assert done.stderr.count("\n") == 1
