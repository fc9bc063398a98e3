"""The way of one file from the inbox to where it is written: read once, edited, checked against what was scanned.

Belongs here: what an import, the command `anonymize` and a preview do with one file, and what can go wrong with it.
Does not belong here: what is edited (`recipe.py`), which files, and where the result lies.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from inbox_pipeline.deid.keyed import Forms
from inbox_pipeline.dicom.errors import NotReadable, NotWritable, OverLimits
from inbox_pipeline.dicom.headers import Headers
from inbox_pipeline.dicom.rewrite import Rewritten, edited, rewrite
from inbox_pipeline.dicom.text import is_uid
from inbox_pipeline.errors import InboxError
from inbox_pipeline.services.maps import Pairs
from inbox_pipeline.services.recipe import Editor, Recipe, Trace
from inbox_pipeline.services.replacements import ROLES, Uids
from inbox_pipeline.services.stopped import Stopped
from inbox_pipeline.store.inbox import NotOpened, Requested

if TYPE_CHECKING:
    from sqlalchemy.engine import RowMapping

    from inbox_pipeline.script.references import NewUid

_READ_BYTES = 1 << 20
UNSETTLED_NS = 2_000_000_000
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was scanned: its path relative to the folder, size in bytes, modification time and inode."""

    path: bytes
    size: int
    mtime_ns: int
    inode: str

    @classmethod
    def of(cls, row: Mapping[str, Any] | RowMapping) -> Source:
        """Return the source that a ledger row tells of."""
        return cls(row["source_path"], row["bytes"], row["mtime_ns"], row["inode"])


@dataclass(frozen=True)
class Written:
    """A file that was written: digests and facts, the scripts' warnings, and what became of identifiers if asked."""

    result: Rewritten
    warnings: tuple[str, ...]
    identifiers: int = 0
    face: bool = False
    pairs: Pairs | None = None
    forms: Forms | None = None
    """What labels of the file's session must neither be nor hold, under a policy that hides who the patient is."""

    @property
    def uid(self) -> str:
        """The SOP Instance UID of the file as written."""
        return self.result.sop_instance_uid or ""


class TargetFailed(Exception):
    """What is written to does not accept it; `error` is the system's."""

    def __init__(self, error: OSError) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class Target:
    """A file that is written, whose errors are never taken for the source's."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        """Write all of `data`. Raises TargetFailed."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise TargetFailed(error) from None
        return len(data)


class Nowhere:
    """What a trial is written to: nothing is kept."""

    def write(self, data: bytes) -> int:
        """Take `data`."""
        return len(data)


class Rewriter:
    """Rewrites files of one folder.

    Args:
        folder: the folder that sources are relative to.
        key: the project's key for new and mapped UIDs; None leaves them to chance.
        new_uid: tells which UID of a source has been replaced by which; None when no script replaces any.
        headers: remembers headers from file to file.
    """

    def __init__(
        self, folder: Requested, key: bytes | None, new_uid: NewUid | None = None, headers: Headers | None = None
    ) -> None:
        self._folder, self._key, self.new_uid = folder, key, new_uid
        self._headers = headers or Headers()

    def write(
        self,
        source: Source,
        recipe: Recipe,
        target: Target,
        *,
        pairs: bool = False,
        md5: bool = True,
        forms: bool = False,
    ) -> Written:
        """Read a source once and write what the recipe makes of it; with `pairs`, tell what became of identifiers.

        Without `md5`, which takes as long as both SHA-256 together, the output has none. With `forms`, tell what
        a label must not hold.

        Raises:
            Stopped: the reason why there is no file; what was written so far is to be dropped.
            TargetFailed: the target does not accept what is written.
        """
        with_source = self._editor(recipe, self.new_uid)

        def work(stream: BinaryIO) -> Written:
            editor = with_source(stream)
            result = rewritten(stream, target, editor, editor, source.size, headers=self._headers, pairs=pairs, md5=md5)
            _require_read_once(stream, source, result)
            told = editor.pairs(result) if pairs else None
            facts = (editor.trace.warnings, editor.identifiers_left, editor.shows_face, told)
            return _identified(Written(result, *facts, editor.label_forms if forms else None))

        return self._opened(source, work)

    def look(self, source: Source, recipe: Recipe, *, follow: bool = True) -> tuple[Any, Editor]:
        """Return a source's data set as the recipe leaves it, and the editor that did it; nothing is written.

        Raises:
            Stopped: as `write`.
        """
        with_source = self._editor(recipe, self.new_uid if follow else None)

        def work(stream: BinaryIO) -> tuple[Any, Editor]:
            editor = with_source(stream)
            return edited(stream, editor, size=source.size), editor

        return self._opened(source, work)

    def trial(self, source: Source, recipe: Recipe, compare: Callable[[Any, Any, Trace], Result]) -> Result:
        """Do all that `write` does, to nowhere, and return what `compare` says.

        Args:
            compare: is given the data set as it was, the one that the recipe left, and what the recipe did; it must
                change neither.

        Raises:
            Stopped: as `write`.
        """
        with_source = self._editor(recipe, self.new_uid)

        def work(stream: BinaryIO) -> Result:
            editor, said = with_source(stream), []
            before = edited(stream, _left_alone, size=source.size)

            def edit(dataset: Any) -> None:
                editor(dataset)
                said.append(compare(before, dataset, editor.trace))

            result = rewritten(stream, Nowhere(), editor, edit, source.size)
            _identified(Written(result, editor.trace.warnings))
            return said[0]

        return self._opened(source, work)

    def uids(self, source: Source, recipe: Recipe) -> Uids:
        """Return the UIDs that a file will bear after its scripts; none if it cannot be edited."""
        try:
            dataset, _ = self.look(source, recipe, follow=False)
        except Stopped:
            return {}
        return {tag: str(dataset[tag].value) for tag in ROLES if tag in dataset}

    def _editor(self, recipe: Recipe, new_uid: NewUid | None) -> Callable[[BinaryIO], Editor]:
        return lambda stream: Editor(recipe, self._key, lambda: _sha256(stream), new_uid)

    def _opened(self, source: Source, work: Callable[[BinaryIO], Result]) -> Result:
        """Work on a source, which must be what was scanned before and after; whatever is wrong becomes a reason."""
        try:
            with self._folder.open(source.path) as stream:
                self._require_same(stream, source)
                result = work(stream)
                self._require_same(stream, source)
                return result
        except FileNotFoundError:
            raise Stopped("source_vanished") from None
        except (NotOpened, OverLimits) as fault:
            raise Stopped(fault.code) from None
        except OSError:
            raise Stopped("unreadable") from None
        except (NotReadable, NotWritable):
            raise Stopped("anonymize_error") from None
        except (InboxError, Stopped, TargetFailed):
            raise
        except Exception:  # noqa: BLE001 - whatever one hostile file provokes must not end the whole request
            raise Stopped("anonymize_error") from None

    def _require_same(self, stream: BinaryIO, source: Source) -> None:
        if self._folder.state(stream) != (source.size, source.mtime_ns, source.inode):
            raise Stopped("source_changed")


def _require_read_once(stream: BinaryIO, source: Source, result: Rewritten) -> None:
    """Require of a file that was written to just now that what was read is what is there.

    A clock ticks in milliseconds, so that a modification time cannot tell whether such a file has changed since.
    """
    settled = time.time_ns() - source.mtime_ns > UNSETTLED_NS
    if not settled and _sha256(stream).hex() != result.source_sha256:
        raise Stopped("source_changed")


def rewritten(
    stream: BinaryIO,
    target: Target | Nowhere,
    editor: Editor,
    edit: Callable[[Any], None],
    size: int,
    *,
    headers: Headers | None = None,
    pairs: bool = False,
    md5: bool = True,
) -> Rewritten:
    """Rewrite a stream with all that an editor asks for; `edit` is the editor, or calls it.

    Raises NotReadable, NotWritable, and what the editor raises.
    """
    return rewrite(
        stream,
        cast(BinaryIO, target),
        edit,
        size=size,
        headers=headers,
        look=editor.look if editor.watches or pairs else None,
        clean=editor.clean if editor.cleans else None,
        inspect=editor.inspect if editor.watches else None,
        zero_preamble=editor.cleans,
        md5=md5,
        pixel=False,
    )


def _left_alone(_dataset: Any) -> None:
    """Edit nothing."""


def _identified(written: Written) -> Written:
    """Return what was written if it can be filed by its UIDs. Raises Stopped."""
    if not can_be_filed(written.result):
        raise Stopped("missing_uid")
    return written


def can_be_filed(result: Rewritten) -> bool:
    """Return whether what was written has the UIDs by which files are filed."""
    return is_uid(result.sop_instance_uid) and bool(result.study_instance_uid and result.series_instance_uid)


def _sha256(stream: BinaryIO) -> bytes:
    """Return the SHA-256 of a whole file; the stream's position stays."""
    digest, at, handle = hashlib.sha256(), 0, stream.fileno()
    while block := os.pread(handle, _READ_BYTES, at):
        digest.update(block)
        at += len(block)
    return digest.digest()
