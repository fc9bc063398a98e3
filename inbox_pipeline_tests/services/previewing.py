"""Comparing a preview with what was then done: what was foretold per file, an import, what the files say.

Belongs here: what several tests of previews need. Does not belong here: assertions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
import pytest

from inbox_pipeline.script.differences import Comparison, Difference, differences
from inbox_pipeline.services import preview_tables, requests, steps
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.keyed_uids import PURPOSE
from inbox_pipeline.services.recipe import Trace
from inbox_pipeline.services.site import Site

BOOKKEEPING = 0x00120064


@dataclass
class Spy:
    """What the preview found for each file, before tables hid which file it was."""

    comparisons: dict[str, Comparison] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)


def spy_on(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Return what is filled by previews from now on."""
    spied, add = Spy(), preview_tables.Series.add

    def noted(self: preview_tables.Series, name: str, comparison: Comparison, trace: Trace) -> None:
        spied.comparisons[name], spied.traces[name] = comparison, trace
        add(self, name, comparison, trace)

    monkeypatch.setattr(preview_tables.Series, "add", noted)
    return spied


def imported(
    site: Site, account: Account, folder: Path, project: str = "P", **parameters: str
) -> dict[str, dict[str, Any]]:
    """Import a folder; return its ledger by source path."""
    pairs = [("path", str(folder)), ("PROJECT_ID", project)]
    request_id = requests.file_request(site, account, pairs).request_id
    for step in steps.STEPS:
        steps.run_step(site, request_id, step, run_id=f"run-{request_id}")
    return {row["source_path"]: row for row in requests.ledger_rows(site, request_id, account)}


def key_of(site: Site, project: str = "P") -> bytes:
    return site.secret.subkey(PURPOSE, project)


def done(source: Path, written: Path) -> list[Difference]:
    """What is not in a written file as it was in its source, read from both files."""
    found = differences(pydicom.dcmread(source, force=True), pydicom.dcmread(written)).rows
    return [row for row in found if row.location[0] != BOOKKEEPING]


def foretold(comparison: Comparison) -> list[Difference]:
    return [row for row in comparison.rows if row.location[0] != BOOKKEEPING]
