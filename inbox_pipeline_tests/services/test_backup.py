"""A backup made as docs/operations.md says, restored under another HOME, is what the catalog says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from inbox_pipeline.services import linking, projects, undo
from inbox_pipeline.services.accounts import Account, authenticate
from inbox_pipeline.services.site import Site, open_site
from inbox_pipeline.services.verify import verify
from inbox_pipeline.settings import read_settings
from inbox_pipeline_tests.data_for_tests import session_folder
from inbox_pipeline_tests.services.importing import imported

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
COMMANDS = f"""
python3() {{ {sys.executable} "$@"; }}
inbox-pipeline() {{ {sys.executable} -m inbox_pipeline.cli "$@"; }}
"""


def commands(heading: str) -> str:
    """The commands that the page gives under a heading."""
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return block


def run(heading: str, folders: dict[str, Path]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PAGE.parents[1])}
    environment |= {name: str(path) for name, path in folders.items()}
    script = COMMANDS + commands(heading)
    return subprocess.run(["bash", "-euc", script], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def folders(site: Site, tmp_path: Path) -> dict[str, Path]:
    names = {"BACKUP": tmp_path / "backup", "VAULT": tmp_path / "vault", "NEW": tmp_path / "new"}
    return {"SITE": site.settings.home, **names}


@pytest.fixture
def used(site: Site, admin: Account) -> Site:
    """A site with sessions in the archive, the prearchive and the trash, and a linking table."""
    inbox = site.settings.inbox_path
    for name, code in (("M", 0), ("L", 4)):
        projects.create_project(site, "admin", name)
        projects.set_project(site, "admin", name, prearchive_code=code)
    projects.set_project(site, "admin", "L", policy="basic", linking_table=True)
    imported(site, admin, session_folder(inbox / "P" / "kept"))
    imported(site, admin, session_folder(inbox / "M" / "waits", study=2), PROJECT_ID="M")
    imported(site, admin, session_folder(inbox / "L" / "linked", study=3), PROJECT_ID="L")
    undo.undo(site, admin, imported(site, admin, session_folder(inbox / "P" / "undone", study=4, PatientID="F4"))["id"])
    return site


def test_a_backup_restored_under_another_home_verifies(used: Site, admin: Account, folders: dict[str, Path]) -> None:
    before = verify(used)
    links = linking.linked(used, "admin", "L")
    assert before.sessions == 4
    assert links
    for heading in ("Backup", "Restore"):
        done = run(heading, folders)
        assert done.returncode == 0, done.stderr
    assert "4 sessions, " in done.stdout
    assert "no differences" in done.stdout
    restored = open_site(read_settings({}, home=folders["NEW"]))
    after = verify(restored)
    assert (after.sessions, after.files, after.bytes, after.differences) == (4, before.files, before.bytes, [])
    assert authenticate(restored, "admin", "a good password").admin
    assert linking.linked(restored, "admin", "L") == links
    undo.restore(restored, admin, 4)
    assert verify(restored).differences == []


def test_what_tells_who_a_pseudonym_is_lies_apart(used: Site, folders: dict[str, Path]) -> None:
    assert run("Backup", folders).returncode == 0
    secret = used.settings.secret_file.read_bytes()
    for path in folders["BACKUP"].rglob("*"):
        assert not path.is_file() or secret.strip() not in path.read_bytes()
    assert {path.name for path in folders["BACKUP"].iterdir()} == {"archive", "catalog.db", "prearchive", "trash"}
    assert (folders["VAULT"] / "secret.key").read_bytes() == secret
    assert [path.stat().st_mode & 0o077 for path in (folders["VAULT"] / "linking").iterdir()] == [0]


def test_a_bit_that_flipped_in_the_backup_is_found_by_the_restore(used: Site, folders: dict[str, Path]) -> None:
    assert run("Backup", folders).returncode == 0
    path = next((folders["BACKUP"] / "archive").rglob("*.dcm"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    done = run("Restore", folders)
    assert done.returncode == 5
    assert "file_changed" in done.stdout


def test_without_the_key_nothing_opens(used: Site, folders: dict[str, Path]) -> None:
    assert run("Backup", folders).returncode == 0
    (folders["VAULT"] / "secret.key").write_text("ab" * 32 + "\n")
    assert "secret_changed" in run("Restore", folders).stderr
