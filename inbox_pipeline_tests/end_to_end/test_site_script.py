"""A script such as sites have, of 120 lines, on real scanners' files: imported twice, and foretold by the preview.

Nothing here prints a patient's value.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from inbox_pipeline.services import scripts
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.preview import NamedScript, Order, preview
from inbox_pipeline.services.projects import create_project
from inbox_pipeline.services.site import Site
from inbox_pipeline_tests.services.previewing import done, foretold, imported, key_of, spy_on

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")]

SHARED = Path(os.environ.get("INBOX_PIPELINE_SHARED", Path(__file__).parents[2].parent / "shared"))
SCRIPT = (Path(__file__).parents[1] / "script" / "site_like.das").read_text("utf-8")
FOLDERS = ["NEURO_GE", "NEURO_PHILIPS", "NEURO_SIEMENS", "CARDIO_US", "ONCO_CT"]
SAMPLE = 40
WRITTEN = {"archived", "prearchived"}
NOT_WRITTEN = {
    "CARDIO_US/ECHO_JXL/will-jxl.dcm": "script_error",
    "CARDIO_US/ECHO_PALETTE_JLS/jpeg-ls-Palette.dcm": "sop_uid_conflict",
    "CARDIO_US/OB_2FRAME/OBXXXX1A_rle_2frame.dcm": "sop_uid_conflict",
    "CARDIO_US/PYDICOM_EXAMPLES/examples_palette.dcm": "sop_uid_conflict",
    "ONCO_CT/TINYCT_LABELMAP/sparse-labelmap-ppv5.dcm": "sop_uid_conflict",
}
"""JPEG XL cannot be decoded here, so its rectangle cannot be blacked out; some SOP Instance UIDs were given twice."""


def place(site: Site, project: str, name: str) -> Path:
    """Copy a folder of the reference data under a project's inbox."""
    folder = site.settings.inbox_path / project / name
    shutil.copytree(SHARED / "data" / "dicom" / name, folder)
    return folder


def results(ledger: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str, str | None]]:
    """What became of each source file: disposition, reason, and digest of what was written."""
    return {name: (row["disposition"], row["reason"], row["archived_sha256"]) for name, row in ledger.items()}


def written_files(site: Site, project: str) -> dict[str, Path]:
    """The files of a project in archive and prearchive, by their names."""
    trees = (site.settings.archive_path / project, site.settings.prearchive_path / project)
    return {path.name: path for tree in trees for path in tree.rglob("*.dcm")}


def test_the_script_is_one_that_the_checker_has_nothing_against() -> None:
    from inbox_pipeline.script import compile_script

    assert len(SCRIPT.splitlines()) >= 120
    assert compile_script(SCRIPT).advice == ()


@pytest.mark.parametrize("name", FOLDERS)
def test_two_requests_give_the_same_bytes_and_the_preview_foretells_them(
    site: Site, admin: Account, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    create_project(site, "admin", "Q")
    scripts.store_script(site, "admin", SCRIPT)
    folder = place(site, "P", name)
    spy = spy_on(monkeypatch)
    made = preview(Order([NamedScript("site_like.das", SCRIPT)], [folder], "P", key=key_of(site)))
    first = imported(site, admin, folder)
    second = imported(site, admin, place(site, "Q", name), "Q")

    assert results(first) == results(second)
    assert len(first) == sum(1 for path in folder.rglob("*") if path.is_file())
    lost = {f"{name}/{path}": row["reason"] for path, row in first.items() if row["disposition"] not in WRITTEN}
    assert lost == {path: reason for path, reason in NOT_WRITTEN.items() if path.startswith(f"{name}/")}
    assert {f"{name}/{path}": stop.reason for stop, paths in made.stopped.items() for path in paths} == lost

    files, kept = written_files(site, "P"), [path for path, row in first.items() if row["disposition"] in WRITTEN]
    assert set(kept) == spy.comparisons.keys()
    for path in sorted(kept)[:: max(1, len(kept) // SAMPLE)]:
        written = files[f"{first[path]['sop_instance_uid']}.dcm"]
        assert foretold(spy.comparisons[path]) == done(folder / path, written), path
        assert len(foretold(spy.comparisons[path])) > 20
