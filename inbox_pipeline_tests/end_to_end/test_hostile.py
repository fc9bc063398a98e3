"""The adversarial folder of the reference data, imported without a server: each entry ends as it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.hostile import canaries_whole, compared, listing
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.projects import set_project
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.services.importing import imported, ledger

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")]

SHARED = Path(os.environ.get("INBOX_PIPELINE_SHARED", Path(__file__).parents[2].parent / "shared"))


def test_each_entry_of_a_hostile_folder_ends_as_it_should(site: Site, admin: Account) -> None:
    set_project(site, "admin", "P", policy="none")
    made = site.settings.inbox_path / "P" / "made"
    program = [sys.executable, str(SHARED / "tools" / "make_hostile.py"), str(SHARED / "data" / "dicom"), str(made)]
    subprocess.run(program, check=True, capture_output=True)
    expected, before = json.loads((made / "expected.json").read_bytes()), listing(made)
    answer = imported(site, admin, made / "inbox")
    rows = ledger(site, admin, answer["id"])
    result = compared(expected, rows, churned=False)
    assert result["wrong"] == result["rows that the generator does not name"] == []
    assert result["unambiguous as expected"] == result["unambiguous"] > 0
    assert answer["files"]["found"] == len(rows) == sum(answer["files"]["by_disposition"].values())
    assert "pending" not in answer["files"]["by_disposition"]
    assert listing(made) == before
    assert canaries_whole(made, expected)
