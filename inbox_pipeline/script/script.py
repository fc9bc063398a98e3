"""Scripts as other rooms use them: compile once, apply to many data sets.

Belongs here: the choice of dialect, what an application gives back, the promise that an error changes nothing.
Does not belong here: grammar, evaluation.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from pydicom import Dataset

from inbox_pipeline.dicom.quiet import quiet
from inbox_pipeline.script.advice import Advice, Feature, Server, lacking
from inbox_pipeline.script.edits import Change, Edits
from inbox_pipeline.script.errors import Place, RunError
from inbox_pipeline.script.evaluate import Program6
from inbox_pipeline.script.evaluate import program as program6
from inbox_pipeline.script.functions.registry import Context, Rejected, Services, UidProvider
from inbox_pipeline.script.functions.uids import RememberedUids
from inbox_pipeline.script.legacy import Program42
from inbox_pipeline.script.legacy import program as program42
from inbox_pipeline.script.levels import Root
from inbox_pipeline.script.lookup import parse_lookup
from inbox_pipeline.script.reach import looks_at, may_assign
from inbox_pipeline.script.relabel import label_statements
from inbox_pipeline.script.source import Source

_DIFFERING = re.compile(r"newUID|getURL", re.IGNORECASE)
_VERSION_LINE = re.compile(r"^version\b", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What applying a script did.

    After a rejection the data set is as it was, and `changes` is empty. `kept` are elements that the script asked to
    stay as they are. `warnings` are sentences with line numbers and without values; `skipped` are those of them that
    tell of a statement which silently left something as it was (dicomedit specification 2.4).
    """

    rejected: bool
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    kept: tuple[Change, ...] = ()
    skipped: tuple[str, ...] = ()

    @cached_property
    def root_tags(self) -> frozenset[int]:
        """The tags of the root elements that were set, deleted, created or changed within."""
        return frozenset(change.location[0] for change in self.changes if not change.file_meta)

    @cached_property
    def file_meta_tags(self) -> frozenset[int]:
        """The tags of the elements of the file meta information that were changed."""
        return frozenset(change.location[0] for change in self.changes if change.file_meta)

    @cached_property
    def kept_root_tags(self) -> frozenset[int]:
        """The tags of the root elements that the script asked to stay, or in which it asked something to stay."""
        return frozenset(change.location[0] for change in self.kept)


class Script:
    """A compiled script. One object may be applied to any number of data sets, by one thread at a time.

    `digest` is the SHA-256 of the text in hexadecimal, `language` is "6.x" or "4.2", `version` the stated version.
    """

    def __init__(self, text: str, program: Program6 | Program42, services: Services) -> None:
        self.text = text
        self.digest = services.digest
        self.language = program.language
        self.version = program.version
        self._program = program
        self._services = services
        self._uids = RememberedUids()

    @cached_property
    def advice(self) -> tuple[Advice, ...]:
        """Sentences about what XNAT would refuse and what has another effect than it seems to have."""
        return self._program.advice

    def may_assign(self, tag: int) -> bool:
        """Whether the script may replace the value of a public element with that tag; told from its text alone."""
        return may_assign(self._program.statements, tag)

    def relabelling(self, labels: Collection[str]) -> "Script | None":
        """The part of the script that is run again when labels change; None if there is no telling.

        `labels` are the names of the variables that hold them. It may be a script without any effect.
        """
        statements = label_statements(self._program.statements, labels)
        if statements is None:
            return None
        return Script(self.text, self._program.with_only(statements), self._services)

    @cached_property
    def repeats(self) -> bool:
        """Whether the script does the same to data sets that are the same where it looks; told from its text alone.

        New UIDs differ, and what a server answers may.
        """
        return _DIFFERING.search(self.text) is None

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """What the script uses that later versions of the language brought; none of a 4.2 script."""
        return self._program.features

    def lacking(self, xnat: Server) -> tuple[Advice, ...]:
        """What an XNAT lacks of what the script states and uses: it would fail there."""
        return lacking(xnat, Source(self.text), self.version, self.features)

    def looks_at(self) -> frozenset[int] | None:
        """The root elements that are all it can read, change, create or remove, told from its text alone.

        None if only the data set can tell. Group 0002 is not among them. A change of the root's character set, which
        the script's values may bring about, concerns all text: it must then be applied to the whole data set.
        """
        return self._looks_at

    @cached_property
    def _looks_at(self) -> frozenset[int] | None:
        return looks_at(self._program.statements)

    def apply(
        self,
        dataset: Dataset,
        variables: Mapping[str, str],
        *,
        ignore_rejection: bool = False,
        uids: UidProvider | None = None,
    ) -> Outcome:
        """Edit a data set in place. Raises RunError, after which the data set is as it was.

        `variables` are supplied values such as project, subject and session. Without `uids`, new UIDs are random and
        mapped ones are remembered in this object.
        """
        edits = Edits()
        try:
            with quiet():
                context = Context(Root(dataset, edits), edits, self._services, uids or self._uids, ignore_rejection)
                self._program.run(context, variables)
        except Rejected:
            edits.undo()
            return Outcome(True, (), edits.warnings)
        except RecursionError:
            edits.undo()
            raise RunError("the data set is nested too deeply", Place(edits.line or 1, 1, "")) from None
        except BaseException:
            edits.undo()
            raise
        return Outcome(False, tuple(edits.changes), edits.warnings, tuple(edits.kept), edits.skipped)


def compile_script(text: str, *, lookup: str | None = None, fetch: Callable[[str], str] | None = None) -> Script:
    """Compile a script. Raises ScriptError with the place of the fault.

    `lookup` is the text of the table that the function lookup reads. `fetch` is what getURL calls with a URL for the
    text there; without it getURL fails when a script reaches it. A script of which no line begins with the word
    version is DicomEdit 4.2.
    """
    source = Source(text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    services = Services(digest, parse_lookup(lookup or ""), fetch)
    program = program6(source) if _VERSION_LINE.search(text.removeprefix("\ufeff")) else program42(source)
    return Script(text, program, services)
