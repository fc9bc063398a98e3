"""What one application of a script has done to a data set, and how to undo it.

Belongs here: the journal of replaced entries, the list of changes, warnings.
Does not belong here: deciding what to change.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag

from inbox_pipeline.script.errors import Failure

Entry = DataElement | RawDataElement
Location = tuple[int, ...]
"""Where an element or item lies: tag, item number, tag, ... from the root down."""

MAX_WORK = 50_000_000
"""How much one application may do, in units of about ten nanoseconds of work or one character of text."""

_CHANGE_WORK = 20
_PIXEL_TAGS = frozenset([0x7FE00008, 0x7FE00009, 0x7FE00010])


class Change(NamedTuple):
    """One change of one element.

    `action` is `set` (given a value; perhaps created), `delete`, `empty` (its value or item was emptied), `create` (a
    sequence, item or private creator made on the way), `recode` (same text, other character set), `pixels`, or, in
    `Outcome.kept`, `keep`. `line` is the line of the script that did it.
    """

    location: Location
    action: str
    line: int

    @property
    def path(self) -> str:
        """The concrete path, such as `(0040,0275)[0]/(0040,0007)`."""
        return path_text(self.location)

    @property
    def file_meta(self) -> bool:
        """Whether the element belongs to the file meta information (PS3.10 section 7.1)."""
        return self.location[0] >> 16 == 2


def path_text(location: Location) -> str:
    """A location as scripts write it."""
    text = ""
    for position, number in enumerate(location):
        if position % 2:
            text += f"[{number}]"
        else:
            text += f"{'/' if text else ''}({number >> 16:04X},{number & 0xFFFF:04X})"
    return text


class Edits:
    """The journal of one application. `line` is the line of the statement that runs."""

    def __init__(self) -> None:
        self.line = 0
        self._work_left = MAX_WORK
        self.changes: list[Change] = []
        self.kept: list[Change] = []
        self._sentences: dict[str, bool] = {}
        self._undo: list[tuple[Any, ...]] = []

    def record(self, location: Location, action: str) -> None:
        """Remember a change of the element or item at `location` by the statement that runs."""
        self.spend(_CHANGE_WORK)
        self.changes.append(Change(location, action, self.line))

    def spend(self, work: int) -> None:
        """Account for work, in the units of MAX_WORK. Raises Failure if the application has done too much.

        What is counted does not depend on the machine, so that equal scripts and data sets end equally everywhere.
        """
        self._work_left -= work
        if self._work_left < 0:
            raise Failure("the script does more work on this data set than one application may")

    def keep(self, location: Location) -> None:
        """Remember that the statement that runs asked for this element to stay as it is."""
        self.kept.append(Change(location, "keep", self.line))

    def warn(self, sentence: str) -> None:
        """Remember a sentence about the statement that runs; it must hold no element's value."""
        self._sentences.setdefault(f"line {self.line}: {sentence}", False)

    def no_effect(self, sentence: str) -> None:
        """Remember, as `warn` does, that the statement that runs silently left something as it was."""
        self._sentences[f"line {self.line}: {sentence}"] = True

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences, each once, in order."""
        return tuple(self._sentences)

    @property
    def skipped(self) -> tuple[str, ...]:
        """Those of the sentences that tell of a statement without effect."""
        return tuple(sentence for sentence, skipped in self._sentences.items() if skipped)

    def replace(self, dataset: Dataset, tag: BaseTag, before: Entry | None, entry: Entry | None) -> None:
        """Put an entry into a data set, or take it out if None, so that `undo` restores what was there `before`."""
        self._undo.append((put_entry, dataset, tag, before))
        put_entry(dataset, tag, entry)

    def did(self, undo: Callable[[], object]) -> None:
        """Remember how to undo something that was done otherwise."""
        self._undo.append((undo,))

    def undo(self) -> None:
        """Restore everything, last edit first, and forget the changes."""
        while self._undo:
            act, *arguments = self._undo.pop()
            act(*arguments)
        self.changes.clear()
        self.kept.clear()


def put_entry(dataset: Dataset, tag: BaseTag, entry: Entry | None) -> None:
    """Change one entry as pydicom's own methods do, but without their conversion of the entry's neighbours."""
    if entry is None:
        dataset._dict.pop(tag, None)
    else:
        dataset._dict[tag] = entry
    if tag in _PIXEL_TAGS:
        dataset._pixel_array, dataset._pixel_id = None, {}
    if dataset._private_blocks:
        dataset._private_blocks = {}
