"""Staging: where a request's sessions grow until they are renamed whole into the archive or prearchive.

Belongs here: the folder of a request and token, its `.part` files, fencing by rename, the mark of the file that is
being worked on. Does not belong here: the archive tree (`archive.py`), and who holds the lease (`catalog/leases.py`).

The folder `staging/<request>.<token>/` belongs to the attempt that holds the token. A new attempt first renames the old
folder to its own token, after which every later write and rename of the old worker fails.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from inbox_pipeline.store.filesystem import fsync_directory, remove_tree, sync_file_system

PART = ".part"
FORMER = "former"
GONE = "gone."
MARK = "working-on"
MARK_LENGTH = 64
"""A mark is the digest of a path: 64 hexadecimal digits."""


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
        (self.path / MARK).unlink(missing_ok=True)
        for part in self.path.rglob(f"*{PART}"):
            part.unlink()

    def marks(self) -> dict[str, str]:
        """Return, by their tokens, the marks that older attempts left: each died at that file."""
        found = {}
        for older in sorted(self.root.glob(f"{self.request_id}.*")):
            mark = _read_mark(older / MARK) if older != self.path else ""
            if mark:
                found[older.name.partition(".")[2]] = mark
        return found

    def session_path(self, number: int) -> Path:
        """Return the folder of the request's session `number`."""
        return self.path / f"s{number}"

    def generation_path(self, number: int) -> Path:
        """Return the folder in which the next generation of an existing session grows."""
        return self.path / f"g{number}"

    def former_path(self, number: int) -> Path:
        """Return the folder of the generation that session `number` has replaced."""
        return self.path / f"{FORMER}{number}"

    def formers(self) -> dict[int, Path]:
        """Return the generations that have been replaced and not yet been put away, by session number."""
        return {int(path.name.removeprefix(FORMER)): path for path in self.path.glob(f"{FORMER}[0-9]*")}

    def begin_generation(self, number: int) -> Path:
        """Return an empty folder for a generation; what an interrupted attempt left there goes.

        Raises:
            FileNotFoundError: when another attempt has taken the folder over.
        """
        path = self.generation_path(number)
        remove_tree(path)
        path.mkdir(mode=0o750)
        return path

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
        """Delete the folder; done once every session is committed, or the request has ended.

        It is renamed first: what is half deleted is no attempt's to take over.
        """
        gone = self.root / f"{GONE}{self.path.name}"
        with suppress(FileNotFoundError):  # nothing was staged, or somebody else deletes it
            self.path.rename(gone)
        remove_tree(gone)


class Marker:
    """Says which file is being worked on, for whoever finds out that this process died at it.

    The mark is one small write into an open file, never synced: it outlives the process, not the machine, whose own
    end says nothing against a file.
    """

    def __init__(self, staging: Staging) -> None:
        self._path = staging.path / MARK
        self._file = self._path.open("wb", buffering=0)

    def close(self) -> None:
        """Take the mark away: this process has not died."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def set(self, path_digest: str = "") -> None:
        """Mark a file as being worked on, or none."""
        os.pwrite(self._file.fileno(), path_digest.ljust(MARK_LENGTH).encode(), 0)


def _read_mark(path: Path) -> str:
    """Return what a marker left, "" if it was at no file or the mark cannot be made out."""
    try:
        mark = path.read_bytes().decode("ascii", "replace").strip()
    except FileNotFoundError:
        return ""
    return mark if len(mark) == MARK_LENGTH and mark.isalnum() else ""


def folders(root: Path) -> dict[Path, int]:
    """Return the staging folders there are, with the number of their request."""
    names = {path: path.name.removeprefix(GONE).partition(".")[0] for path in root.iterdir()}
    return {path: int(name) for path, name in names.items() if name.isdigit()}


def replace_part(part: Path | str, final: Path | str) -> None:
    """Give a finished `.part` file its final name."""
    os.replace(part, final)  # noqa: PTH105 - paths as objects cost more than the call
