"""Running commands: in this process on a site of one's own, or as a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inbox_pipeline.cli import main
from inbox_pipeline.services.site import Site

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder, in this process."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def _run(*arguments: object, stdin: str | bytes = "") -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)

    return _run


@pytest.fixture
def on(run: Run, site: Site) -> Run:
    """Run a command on the site's HOME."""
    return lambda *arguments, stdin="": run(*arguments, "--home", site.settings.home, stdin=stdin)
