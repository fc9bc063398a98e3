"""Staging: where a request's sessions grow until they are renamed whole into the archive or prearchive.

Belongs here: the folder of a request and token, its `.part` files, fencing by rename. Does not belong here: the archive
tree (`archive.py`), and who holds the lease (`catalog/leases.py`).

The folder `staging/<request>.<token>/` belongs to the attempt that holds the token. A new attempt first renames the old
folder to its own token, after which every later write and rename of the old worker fails.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from inbox_pipeline.store.filesystem import fsync_directory, sync_file_system

PART = ".part"


class Staging:
    """The staging folder of one attempt.

    Args:
        root: the site's staging folder.
        request_id: the request.
        token: the attempt's lease token.
    """

    def __init__(self, root: Path, request_id: int, token: str) -> None:
        self.root = root
        self.request_id = request_id
        self.path = root / f"{request_id}.{token}"

    def take_over(self) -> None:
        """Make the request's folder this attempt's: rename the older attempt's, or create it; drop unfinished files."""
        for older in sorted(self.root.glob(f"{self.request_id}.*")):
            if older != self.path and not self.path.exists():
                older.rename(self.path)
        if not self.path.exists():
            self.path.mkdir(mode=0o750)
        fsync_directory(self.root)
        for part in self.path.rglob(f"*{PART}"):
            part.unlink()

    def session_path(self, number: int) -> Path:
        """Return the folder of the request's session `number`."""
        return self.path / f"s{number}"

    def scan_path(self, number: int, scan_label: str) -> Path:
        """Return the folder for a scan's files, created when it is missing.

        Raises:
            FileNotFoundError: when another attempt has taken the folder over.
        """
        path = self.session_path(number) / "SCANS" / scan_label / "DICOM"
        if not path.exists():
            if not self.path.exists():
                raise FileNotFoundError(self.path)
            path.mkdir(parents=True, mode=0o750)
        return path

    def files(self, number: int) -> set[str]:
        """Return the files of a session, relative to its folder."""
        base = self.session_path(number)
        return {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()}

    def drop(self, number: int, names: set[str]) -> None:
        """Delete files of a session that the ledger does not know: leftovers of a killed attempt."""
        for name in names:
            (self.session_path(number) / name).unlink()

    def sync(self) -> None:
        """Make everything staged durable."""
        sync_file_system(self.path)

    def remove(self) -> None:
        """Delete the folder; done once every session is committed, or the request has ended."""
        if self.path.exists():
            shutil.rmtree(self.path)


def replace_part(part: Path | str, final: Path | str) -> None:
    """Give a finished `.part` file its final name."""
    os.replace(part, final)  # noqa: PTH105 - paths as objects cost more than the call
