"""One folder with everything in it: the same verdict everywhere, and only what was archived leaves the source."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.data import get_testdata_file

from inbox_pipeline_tests.data_for_tests import instance, save
from inbox_pipeline_tests.server_for_tests import Server

pytestmark = pytest.mark.services

RUN_EVENTS = """
query Events($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { __typename
  ... on ExecutionStepOutputEvent { stepKey metadataEntries { label ... on TextMetadataEntry { text } } } } } } }
"""


def fill(folder: Path) -> None:
    """Write one good file with a copy, a conflict of two, a truncated one, a text and a DICOMDIR."""
    good = save(instance(number=1), folder / "good.dcm")
    (folder / "good-copy.dcm").write_bytes(good.read_bytes())
    save(instance(number=1, StudyDescription="ANOTHER"), folder / "sub" / "conflicting.dcm")
    (folder / "truncated.dcm").write_bytes(save(instance(number=2), folder / "whole.dcm").read_bytes()[:-40])
    (folder / "whole.dcm").unlink()
    (folder / "readme.txt").write_text("not DICOM")
    shutil.copy(str(get_testdata_file("DICOMDIR")), folder / "DICOMDIR")


def dagster_verdict(server: Server, run_id: str) -> str:
    """Return the verdict that the run's last op shows."""
    answer = httpx.post(
        f"{server.ready['dagster_url']}/graphql", json={"query": RUN_EVENTS, "variables": {"id": run_id}}, timeout=30
    ).json()
    shown = [
        entry["text"]
        for event in answer["data"]["logsForRun"]["events"]
        if event["__typename"] == "ExecutionStepOutputEvent" and event["stepKey"] == "archive"
        for entry in event["metadataEntries"]
        if entry["label"] == "verdict"
    ]
    assert len(shown) == 1
    return str(shown[0])


def test_partial_success_never_looks_like_success(tmp_path: Path) -> None:
    with Server(tmp_path / "home", tmp_path / "up.log") as server:
        server.command("project", "create", "P", "--if-missing")
        folder = Path(server.ready["inbox_path"]) / "P" / "mixed"
        fill(folder)
        done = server.command("import", str(folder), "--project", "P", "--cleanup", "--wait", "--json", check=False)
        assert done.returncode == 3, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        rows = server.command("ledger", str(answer["id"]), "--format", "jsonl").stdout.splitlines()
        status = server.command("status", str(answer["id"])).stdout
        from_dagster = dagster_verdict(server, answer["dagster_run_id"])
        with server.client() as client:
            own_api = client.get(f"/api/v1/requests/{answer['id']}").json()
    reasons = {row["source_path"]: (row["disposition"], row["reason"]) for row in map(json.loads, rows)}
    assert reasons == {
        "DICOMDIR": ("not_dicom", "dicomdir"),
        "good-copy.dcm": ("archived", "archived"),
        "good.dcm": ("duplicate", "duplicate_in_request"),
        "readme.txt": ("not_dicom", "not_dicom"),
        "sub/conflicting.dcm": ("rejected", "sop_uid_conflict"),
        "truncated.dcm": ("rejected", "truncated"),
    }
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {"DICOMDIR", "readme.txt", "sub/conflicting.dcm", "truncated.dcm"}
    assert (answer["status"], answer["outcome"], answer["cleanup"]) == ("Completed", "partial", "done")
    assert answer["verdict"] in status
    assert from_dagster == answer["verdict"] == own_api["verdict"]
