"""Looking at the entries of a folder without a catalog, in this process or in several.

Belongs here: what such a process is given, and the order of the rows. Does not belong here: what an entry is
(`examine.py`), what follows from it (`folder_plan.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from inbox_pipeline.dicom.headers import Headers
from inbox_pipeline.services.examine import Asked, examine, open_folder
from inbox_pipeline.services.folder_plan import Row
from inbox_pipeline.services.folder_worker import KeyedPolicy
from inbox_pipeline.services.processes import copies, end_with_parent, helpers_context
from inbox_pipeline.store.inbox import Entry, Requested
from inbox_pipeline.store.secret import Secret

CHUNK_ENTRIES = 64


@dataclass(frozen=True)
class Look:
    """What every process is given once: the folder, labels asked for, keys, and a policy if one cleans."""

    source: bytes
    subject_label: str | None
    session_label: str | None
    grouping: Secret
    policy: KeyedPolicy | None

    def asked(self, headers: Headers) -> Asked:
        """Return what an examination must know; `headers` remembers from file to file."""
        profile = None if self.policy is None else self.policy.profile()
        return Asked(self.subject_label, self.session_label, self.grouping, profile, headers=headers)


def examined(look: Look, folder: Requested, covered: Iterable[Entry], jobs: int, headers: Headers) -> Iterator[Row]:
    """Yield the row of each entry, in order; several processes only where they begin with all that is loaded.

    What this process sees of headers is remembered in `headers`.
    """
    if jobs == 1 or not copies():
        asked = look.asked(headers)
        yield from (examine(folder, entry, asked) for entry in covered)
        return
    with ProcessPoolExecutor(jobs, helpers_context(), start, (look,)) as pool:
        yield from pool.map(examine_here, covered, chunksize=CHUNK_ENTRIES)


_here: tuple[Requested, Asked] | None = None


def start(look: Look) -> None:
    """Make this process ready for `examine_here`; a pool calls it once in each of its processes."""
    global _here  # noqa: PLW0603 - a process of a pool has nowhere else to keep what it was given
    end_with_parent()
    _here = (open_folder(look.source), look.asked(Headers()))


def examine_here(entry: Entry) -> Row:
    """Examine an entry in a process that was made ready."""
    assert _here is not None, "start has not been called in this process"  # noqa: S101
    folder, asked = _here
    return examine(folder, entry, asked)
