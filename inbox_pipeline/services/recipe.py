"""What is done to the elements of one session's files: scripts in order, then the references that follow.

Belongs here: the one edit that an import, the command `anonymize` and a preview make. Does not belong here: the
scripts' language (`script`), bytes and files (`rewriting.py`), which scripts are in force (`anonymize.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from inbox_pipeline.deid.keyed import Forms
from inbox_pipeline.dicom.changes import CHARSET
from inbox_pipeline.dicom.codes import DEIDENTIFICATION_METHOD_CODE_SEQUENCE, append_method_code
from inbox_pipeline.dicom.elements import Layout
from inbox_pipeline.dicom.rewrite import Edit, Rewritten
from inbox_pipeline.dicom.stretches import Stretch, find
from inbox_pipeline.dicom.text import decode
from inbox_pipeline.script import Change, Outcome, Script, ScriptError, UidProvider
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.references import FRAME_OF_REFERENCE, INSTANCE, SERIES, STUDY, NewUid, follow
from inbox_pipeline.services.keyed_uids import KeyedUids
from inbox_pipeline.services.maps import Pairs
from inbox_pipeline.services.profile import Profile, ProfilePass
from inbox_pipeline.services.stopped import Stopped

if TYPE_CHECKING:
    from pydicom import Dataset

    from inbox_pipeline.script.frames import Stored

LONGEST_DETAIL = 500
MOST_MADE = 512
"""Files that look different, and that are remembered."""
_PATIENT_ID = 0x00100020
_MAPPED = frozenset((_PATIENT_ID, INSTANCE, SERIES, STUDY, FRAME_OF_REFERENCE))


@dataclass(frozen=True)
class CodedScript:
    """A compiled script, the name by which people know it, and the id under which files record it (0: they do not)."""

    id: int
    name: str
    script: Script


@dataclass(frozen=True)
class Applied:
    """What one script did to a data set."""

    coded: CodedScript
    outcome: Outcome


@dataclass(frozen=True)
class Trace:
    """What a recipe did to a data set: per script, the references that followed, and what pixel rules have changed.

    `notes` tell of pixels that were blanked because they show text.
    """

    applied: tuple[Applied, ...]
    followed: tuple[Change, ...] = ()
    blanked: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def decided(self) -> list[Change]:
        """What scripts have set, deleted or kept, references that followed, and what blanking pixels has changed."""
        by_scripts = [change for each in self.applied for change in (*each.outcome.changes, *each.outcome.kept)]
        return [*by_scripts, *self.followed, *self.blanked]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The scripts' warnings, each with its script and line, and the notes; no values."""
        scripts = (f"{each.coded.name}, {warning}" for each in self.applied for warning in each.outcome.warnings)
        return (*scripts, *self.notes)

    @property
    def skipped(self) -> tuple[str, ...]:
        """The warnings about assignments that silently did nothing (dicomedit specification 2.4)."""
        return tuple(f"{each.coded.name}, {sentence}" for each in self.applied for sentence in each.outcome.skipped)


class _Made(NamedTuple):
    """What an editor made of a file, and what it then told."""

    trace: Trace
    shows_face: bool
    edit: Edit
    stored: Stored | None
    """How the pixels are stored in which no text was seen; None if they were not looked at."""


@dataclass(frozen=True)
class Recipe:
    """Scripts in order, the variables that they see, and whether an assignment without effect stops the file."""

    scripts: Sequence[CodedScript]
    variables: Mapping[str, str]
    strict: bool = False
    profile: Profile | None = None
    made: dict[Hashable, _Made] = field(default_factory=dict, repr=False, compare=False)
    """What was made of files that looked the same to the scripts."""

    def edit(self, dataset: Dataset, uids: UidProvider | None, new_uid: NewUid | None = None) -> Trace:
        """Edit a data set in place: the scripts, their record in (0012,0064), and the references that follow.

        Raises:
            Stopped: `script_error`, `script_rejected`, `script_no_effect`, `reference_error`.
        """
        trace = Trace(tuple(self._applied(coded, dataset, uids) for coded in self.scripts))
        if self.strict and trace.skipped:
            raise Stopped("script_no_effect", shortened(trace.skipped))
        if new_uid is None:
            return trace
        return Trace(trace.applied, _followed(dataset, new_uid, trace.applied))

    @cached_property
    def wanted(self) -> frozenset[int] | None:
        """Return the root elements that the scripts and pixel rules may look at or set; None if only the file tells."""
        looked = [coded.script.looks_at() for coded in self.scripts]
        known = [tags for tags in looked if tags is not None]
        if len(known) < len(looked):
            return None
        profile = frozenset[int]() if self.profile is None else self.profile.wanted
        return profile.union({DEIDENTIFICATION_METHOD_CODE_SEQUENCE}, *known)

    @cached_property
    def repeats(self) -> bool:
        """Whether the scripts do the same to all files that look the same to them."""
        return all(coded.script.repeats for coded in self.scripts)

    def may_replace(self, tag: int) -> bool:
        """Return whether one of the scripts may replace the value of the element with that tag."""
        return any(coded.script.may_assign(tag) for coded in self.scripts)

    def _applied(self, coded: CodedScript, dataset: Dataset, uids: UidProvider | None) -> Applied:
        try:
            outcome = coded.script.apply(dataset, self.variables, uids=uids)
        except ScriptError as error:
            detail = f"{coded.name}, line {error.line}: {error.message}"
            raise Stopped("script_error", detail, error) from None
        if outcome.rejected:
            raise Stopped("script_rejected", coded.name)
        if coded.id:
            generation = "4" if coded.script.language == "4.2" else "6"
            append_method_code(dataset, str(coded.id), f"XNAT DicomEdit {generation} Script")
        return Applied(coded, outcome)


class Editor:
    """A recipe bound to one file, as `dicom.rewrite` takes it; remembers what it did in `trace`.

    Args:
        recipe: what to do.
        key: the project's key for new and mapped UIDs; None leaves them to chance, as XNAT does.
        source_digest: gives the SHA-256 of the whole source file; called only when a script asks for a new UID.
        new_uid: tells which UID of the source has been replaced by which.
    """

    def __init__(
        self, recipe: Recipe, key: bytes | None, source_digest: Callable[[], bytes], new_uid: NewUid | None = None
    ) -> None:
        self._recipe, self._new_uid, self._key = recipe, new_uid, key
        self._uids = None if key is None else KeyedUids(key, source_digest)
        self._pass = None if recipe.profile is None else ProfilePass(recipe.profile)
        self.wanted = recipe.wanted if new_uid is None else None
        """What `dicom.rewrite` need show; None for everything."""
        self.gave_way = False
        self.shows_face = False
        """Whether a profile left an image that may show a face."""
        self._source: Sequence[Stretch] = ()
        self.identifiers_left = 0
        self.trace = Trace(())

    @property
    def cleans(self) -> bool:
        """Whether a profile cleans what the scripts leave."""
        return self._pass is not None and self._pass.cleans

    @property
    def watches(self) -> bool:
        """Whether the output is searched for identifiers."""
        return self._pass is not None

    @property
    def label_forms(self) -> Forms | None:
        """What a label of the source's session must neither be nor hold, if a profile cleans it."""
        return self._pass.label_forms if self._pass is not None and self.cleans else None

    def look(self, stretches: Sequence[Stretch], layout: Layout) -> None:
        """See the elements of the source before any edit."""
        self._source = stretches
        if self._pass is not None:
            self._pass.look(stretches, layout)

    def pairs(self, result: Rewritten) -> Pairs:
        """Return which identifier of the source, seen by `look`, became which in what was written."""
        made = {
            INSTANCE: result.sop_instance_uid,
            SERIES: result.series_instance_uid,
            STUDY: result.study_instance_uid,
            FRAME_OF_REFERENCE: result.frame_of_reference_uid,
        }
        roots = (find(self._source, tag) for tag in _MAPPED)
        old = {root.tag: decode(root.value(), b"") for root in roots if root is not None}
        uids = {old[tag]: new for tag, new in made.items() if new and old.get(tag)}
        patients = {old[_PATIENT_ID]: result.patient_id or ""} if old.get(_PATIENT_ID) else {}
        return Pairs({**({} if self._pass is None else self._pass.replaced(uids)), **uids}, patients)

    def __call__(self, dataset: Dataset) -> None:
        """Edit the data set in place. Raises Stopped."""
        cleaning = self._pass if self._pass is not None and self._pass.cleans else None
        if cleaning is not None:
            cleaning.decide_on_pixels(dataset)
            if cleaning.blanks and self.wanted is not None and not self.gave_way:
                self.gave_way = True
                return
        self.trace = self._recipe.edit(dataset, self._uids, self._new_uid)
        if cleaning is not None:
            altered = any(change.action == "pixels" for change in self.trace.decided)
            self.trace = replace(self.trace, blanked=cleaning.treat_pixels(dataset, altered), notes=cleaning.notes)
            cleaning.strip_meta(dataset)
            self.shows_face = cleaning.shows_face

    def recall(self, seen: Hashable, pixels: Callable[[], bytes | None]) -> Edit | None:
        """Return what was made of a file that looked the same, as if made again; None if that is unknown.

        Pixels in which text was looked for are looked at in every file.
        """
        made = self._recipe.made.get((self._key, seen))
        if made is None or (made.stored is not None and _may_show_text(pixels(), made.stored)):
            return None
        self.trace, self.shows_face = made.trace, made.shows_face
        return made.edit

    def remember(self, seen: Hashable, edit: Edit) -> None:
        """Take note of what was made just now; not of what differs with every file."""
        made = self._recipe.made
        if not self._recipe.repeats or self._new_uid is not None:
            return
        if len(made) >= MOST_MADE:
            made.clear()
        made[self._key, seen] = _Made(
            self.trace, self.shows_face, edit, None if self._pass is None else self._pass.stored
        )

    def clean(self, stretches: Sequence[Stretch], layout: Layout) -> list[Stretch]:
        """Treat, as bytes, what the scripts have not decided on."""
        if self._pass is None:
            return list(stretches)
        root = find(stretches, CHARSET)
        return self._pass.clean(stretches, layout, self.trace.decided, b"" if root is None else root.value())

    def inspect(self, frame: bytes, stretches: Sequence[Stretch], layout: Layout) -> None:
        """Judge what will be written. Raises Stopped: `identifier_found`, unless identifiers are only counted."""
        if self._pass is None:
            return
        found = self._pass.residuals(frame, stretches, layout)
        self.identifiers_left = len(found)
        if found and self._pass.holds:
            places = [f"{finding.place} ({finding.kind.value})" for finding in found]
            raise Stopped("identifier_found", shortened(places))


def _may_show_text(pixels: bytes | None, stored: Stored) -> bool:
    from inbox_pipeline.services.drawn_text import shows_text  # noqa: PLC0415 - loads numpy

    return pixels is None or shows_text(pixels, stored)


def shortened(sentences: Sequence[str]) -> str | None:
    """Return sentences as one ledger detail of bounded length; None for none."""
    text = "; ".join(sentences)
    return (text if len(text) <= LONGEST_DETAIL else f"{text[: LONGEST_DETAIL - 4]} ...") or None


def _followed(dataset: Dataset, new_uid: NewUid, applied: Sequence[Applied]) -> tuple[Change, ...]:
    touched = {change.location for each in applied for change in (*each.outcome.changes, *each.outcome.kept)}
    try:
        return follow(dataset, new_uid, touched)
    except Failure as failure:
        raise Stopped("reference_error", failure.tag) from None
