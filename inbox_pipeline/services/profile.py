"""A de-identification policy at work on files: what is gathered before the scripts, cleaned after them, and verified.

Belongs here: the order in which the parts of `deid` see one file. Does not belong here: what they decide, the scripts
(`recipe.py`), bytes and files (`rewriting.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.cleaner import Cleaner, Instance, Kept
from inbox_pipeline.deid.descriptors import Descriptors
from inbox_pipeline.deid.folding import fold
from inbox_pipeline.deid.identifier import Kind
from inbox_pipeline.deid.identifiers import NOTHING, IdentifierCollector, Identifiers, uids_in
from inbox_pipeline.deid.identifying import KEPT_IN_THE_OPEN, kind_of
from inbox_pipeline.deid.keyed import Forms, forms_of
from inbox_pipeline.deid.leaves import leaves
from inbox_pipeline.deid.options import MODIFIED_DATES
from inbox_pipeline.deid.pixel_decision import (
    BLANK,
    EXCLUDE,
    HOLD,
    KEEP,
    METHOD,
    RECOGNIZABLE_FEATURES,
    PixelDecision,
    PixelOptions,
    decide,
)
from inbox_pipeline.deid.pixel_facts import looked_at, read_facts
from inbox_pipeline.deid.pixel_risks import IMAGE_REASON
from inbox_pipeline.deid.pixel_rules import Rules
from inbox_pipeline.deid.policy import META_REMOVED, Actions, Policy
from inbox_pipeline.deid.pseudonyms import Patient, Pseudonyms
from inbox_pipeline.deid.table import vr_of
from inbox_pipeline.deid.verify import META_LAYOUT, Finding, Region, Run, Watch
from inbox_pipeline.dicom.elements import Layout
from inbox_pipeline.dicom.nested import IMPLICIT, encoded
from inbox_pipeline.dicom.stretches import Stretch, find
from inbox_pipeline.dicom.text import decode
from inbox_pipeline.intake.pseudonymous import own_words
from inbox_pipeline.script import Change
from inbox_pipeline.script.blanking import blank_pixels
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.services.policies import PolicyChoice
from inbox_pipeline.services.stopped import Stopped
from inbox_pipeline.services.text_in_pixels import is_installed, look, reader

if TYPE_CHECKING:
    from pydicom import Dataset

    from inbox_pipeline.deid.pixel_search import Seen
    from inbox_pipeline.script.frames import Stored

_CHARSET, _SOP_CLASS, _PATIENT_ID, _ISSUER, _STUDY = 0x00080005, 0x00080016, 0x00100020, 0x00100021, 0x0020000D
_NAME, _ACCESSION = 0x00100010, 0x00080050
_FRAME_END = 132
_OFFSET = re.compile(r"[+-][01][0-9][0-5][0-9]")
"""A value of (0008,0201) Timezone Offset From UTC."""
NO_RULES = Rules(())
_PASSING = frozenset({"recode", "create"})
"""Actions of a script's change that say nothing of the element's value."""
_DIRECT = frozenset({Kind.NAME, Kind.ID, Kind.PHONE, Kind.ADDRESS, Kind.BIRTH_DATE})
_KNOWN = (_CHARSET, _SOP_CLASS, _PATIENT_ID, _ISSUER, _STUDY, _NAME, _ACCESSION)
_NOBODY = IdentifierCollector()
"""What has been gathered from most stretches."""
_KINDS, _REMEMBERED = 64, 8192
"""Kinds of instances, and tags of each, whose answers are remembered."""
LARGEST_SEARCHED = 1 << 16
"""Sequences longer than this are not searched for identifiers to look for: they repeat what the root says."""


@dataclass(frozen=True)
class Words:
    """Cleans text of one patient's identifiers; UIDs, which differ from file to file, go whoever they belong to."""

    identifiers: Identifiers

    @classmethod
    def of(cls, identifiers: Identifiers) -> Words:
        """Return what is the same for all files that name their patient alike."""
        return cls(identifiers.narrowed(lambda _: True, uids=False))

    def clean(self, text: str) -> str:
        """Return a free text without identifiers and without words that nobody knows; an offset from UTC stays."""
        return text if _OFFSET.fullmatch(text) else Descriptors.clean(text, self.identifiers)

    def without_identifiers(self, text: str) -> str:
        """Return a text of a published list as it is, unless one of the patient's identifiers stands in it."""
        folded = fold(text)
        found = next(self.identifiers.hits(folded, cleaning=True), None)
        return text if found is None and not uids_in(folded) else self.clean(text)


class Profile:
    """A policy with a project's pseudonyms; remembers from file to file.

    Policy `none` cleans nothing: identifiers that are left are counted, and hold the file where they are strict.
    """

    def __init__(self, choice: PolicyChoice, pseudonyms: Pseudonyms, rules: Rules = NO_RULES) -> None:
        self.rules = rules
        self.cleans = choice.basic
        self.holds = choice.basic or choice.strict_identifiers
        self.policy = Policy.of(choice.options if choice.basic else ())
        self.pseudonyms = pseudonyms
        self.cleaner = Cleaner(self.policy, pseudonyms)
        looked = looked_at(rules.wanted) | {RECOGNIZABLE_FEATURES}
        self.wanted = looked if choice.basic else frozenset[int]()
        self.sources = lru_cache(maxsize=_KINDS)(lambda iod: Sources(self.policy.actions(iod)))
        self.watch = Watch()
        self.shifts = choice.basic and MODIFIED_DATES in choice.options


class Sources:
    """Which elements of one kind of instance say who a patient is; remembers tag by tag."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._root_vr = lru_cache(maxsize=_REMEMBERED)(self._vr_at_root)
        self._counts = lru_cache(maxsize=_REMEMBERED)(self._counts_within)

    def collected(self, stretches: Iterable[Stretch], layout: Layout, charset: bytes) -> IdentifierCollector:
        """Gather from the elements that the policy does not keep, or that must be known because they are kept."""
        collector, key = IdentifierCollector(), (self, charset)
        for stretch in stretches:
            found: IdentifierCollector | None = stretch.notes.get(key)
            if found is None:
                found = stretch.notes[key] = self._collected(stretch, layout, charset) or _NOBODY
            if found:
                collector.add_all(found)
        return collector

    def _collected(self, stretch: Stretch, layout: Layout, charset: bytes) -> IdentifierCollector:
        if stretch.parts:
            return self.collected(stretch.parts, layout, charset)
        collector = IdentifierCollector()
        for root in stretch.roots:
            vr = self._root_vr(root.tag)
            if vr == "SQ":
                if root.length <= LARGEST_SEARCHED:
                    inner = IMPLICIT if root.vr == b"UN" else layout
                    self._collect_nested(collector, encoded(root.tag, b"SQ", root.value(), inner), inner, charset)
            elif vr:
                collector.add(root.tag, vr, decode(root.value(), charset, name=vr == "PN"))
        return collector

    def _collect_nested(self, collector: IdentifierCollector, element: bytes, layout: Layout, charset: bytes) -> None:
        for leaf in leaves(element, layout):
            if len(leaf.path) > 1 and self._counts(leaf.path[-2], leaf.path[-1], leaf.vr):
                collector.add(leaf.path[-1], leaf.vr, decode(leaf.value, charset, name=leaf.vr == "PN"))

    def _vr_at_root(self, tag: int) -> str:
        """Return the VR by which to read a root element, "" if it need not be read; private ones are `UN`."""
        vr = "UN" if tag >> 16 & 1 else vr_of(tag)
        return vr if vr == "SQ" or _counts(tag, vr, self._actions.at_root(tag)) else ""

    def _counts_within(self, parent: int, tag: int, vr: str) -> bool:
        return _counts(tag, vr, self._actions.within(parent, tag))


def _counts(tag: int, vr: str, action: Action) -> bool:
    """Whether an element may hold an identifier, or what a manufacturer's name may be as well."""
    if tag in KEPT_IN_THE_OPEN:
        return True
    return action not in (Action.KEEP, Action.TEXT) and kind_of(tag, vr) is not None


class ProfilePass:
    """One file under a profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._decision = PixelDecision(KEEP)
        self._annotated = False
        self._looks: list[Seen | None] = []
        self.stored: Stored | None = None
        """How the pixels are stored, if they have been looked at: those of another file must be, too."""
        self.cleans, self.holds = profile.cleans, profile.holds
        self._instance: Instance | None = None
        self._identifiers = NOTHING
        self._own_words: tuple[tuple[Kind, str], ...] = ()

    def look(self, stretches: Sequence[Stretch], layout: Layout) -> None:
        """Gather what must be known of the original: whose it is, and what says so."""
        roots = {tag: find(stretches, tag) for tag in _KNOWN}
        known = {tag: b"" if root is None else root.value() for tag, root in roots.items()}
        charset, iod = known[_CHARSET], decode(known[_SOP_CLASS], b"")
        collector = self._profile.sources(iod).collected(stretches, layout, charset)
        patient = Patient(*(decode(known[tag], charset) for tag in (_PATIENT_ID, _ISSUER, _STUDY)))
        self._instance = Instance(patient, iod, charset, layout)
        self._identifiers = self._looked_for(collector, patient)
        if self.cleans:
            name, accession = decode(known[_NAME], charset, name=True), decode(known[_ACCESSION], charset)
            self._own_words = own_words(patient.patient_id, name, accession)

    def _looked_for(self, collector: IdentifierCollector, patient: Patient) -> Identifiers:
        """Under policy `none`, only what names the patient: UIDs and dates stay by design, places and machines, too."""
        if self.cleans:
            return collector.freeze(self._profile.pseudonyms.days(patient) if self._profile.shifts else None)
        return collector.freeze().narrowed(lambda one: one.kind in _DIRECT, uids=False)

    def decide_on_pixels(self, dataset: Dataset) -> None:
        """Decide, from the original header and pixels, what is done about pixels and documents. Raises Stopped."""
        decision = decide(read_facts(dataset, self._profile.rules.wanted), self._profile.rules, PixelOptions())
        self._annotated = decision.looks and decision.kind == HOLD
        self._decision = decision.after_look(self._seen(dataset)) if decision.looks else decision
        if self._decision.kind == EXCLUDE:
            raise self._stop()

    def _seen(self, dataset: Dataset) -> Seen | None:
        """What looking at the pixels finds; an editor that gives way decides twice, and looks once."""
        from inbox_pipeline.services.drawn_text import seen_closely, seen_in, stored_in  # noqa: PLC0415 - loads numpy

        if not self._looks:
            self.stored = stored_in(dataset)
            self._looks.append(seen_closely(dataset) if self._annotated else seen_in(dataset))
        return self._looks[0]

    def treat_pixels(self, dataset: Dataset, altered: bool) -> tuple[Change, ...]:
        """Do what was decided on the data set that scripts have left; return what was changed. Raises Stopped.

        Args:
            dataset: edited in place.
            altered: whether a script has blanked pixels.
        """
        self._decision = self._decision.after_scripts(altered)
        if self._decision.kind == HOLD:
            raise self._stop()
        changes: tuple[Change, ...] = ()
        if self._decision.kind == BLANK:
            try:
                changes = blank_pixels(dataset, self._decision.rectangles, METHOD)
            except Failure as failure:
                raise Stopped("pixels_not_blanked", failure.message) from None
            self._read_again(dataset)
        for tag, values in self._decision.markers.items():
            dataset.add_new(tag, vr_of(tag), "\\".join(values))
            changes = (*changes, Change((tag,), "set", 0))
        return changes

    def _read_again(self, dataset: Dataset) -> None:
        """Have what released an annotated image confirmed by the extra `ocr`, if it is there. Raises Stopped."""
        if self._annotated and self._decision.blanks_text and is_installed() and look(dataset, reader()).boxes:
            raise Stopped(IMAGE_REASON, "text was blanked, and more was read in the pixels")

    @property
    def notes(self) -> tuple[str, ...]:
        """What is told of pixels that were blanked because they show text."""
        return () if self._decision.note is None else (self._decision.note,)

    @property
    def blanks(self) -> bool:
        """Whether pixels will be blanked, for which the whole data set is needed."""
        return self._decision.kind == BLANK

    @property
    def shows_face(self) -> bool:
        """Whether the image may show a face, which nothing here removes."""
        return self._decision.face

    def _stop(self) -> Stopped:
        return Stopped(self._decision.reason or "", self._decision.detail)

    @property
    def label_forms(self) -> Forms:
        """Return what a label of the original's session must neither be nor hold, UIDs left out."""
        return forms_of(self._identifiers, self._own_words)

    def has_uid(self, texts: Collection[str]) -> bool:
        """Return whether one of some UIDs is among the original's."""
        return not self._identifiers.uids.isdisjoint(texts)

    def strip_meta(self, dataset: Dataset) -> None:
        """Take out of the file meta information what names machines and senders."""
        for tag in META_REMOVED.intersection(map(int, dataset.file_meta.keys())):
            del dataset.file_meta[tag]

    def clean(
        self, stretches: Sequence[Stretch], layout: Layout, changes: Collection[Change], charset: bytes
    ) -> list[Stretch]:
        """Treat the root elements as scripts have left them.

        Args:
            stretches: the elements.
            layout: of what is written.
            changes: what scripts have decided on, and references that followed; these stay.
            charset: (0008,0005) as scripts left it.
        """
        assert self._instance is not None, "look comes first"  # noqa: S101
        instance = self._instance._replace(layout=layout, charset=charset)
        return self._profile.cleaner.cleaned(stretches, instance, Words.of(self._identifiers), _kept(changes))

    def replaced(self, new_uids: Mapping[str, str]) -> dict[str, str]:
        """Return what stands for each original UID: what scripts made of it, else its pseudonym."""
        return {uid: new_uids.get(uid) or self._profile.pseudonyms.uid(uid) for uid in self._identifiers.uids}

    def residuals(self, frame: bytes, stretches: Sequence[Stretch], layout: Layout) -> list[Finding]:
        """Return where an output still holds one of the original's identifiers, in all its bytes but pixels."""
        runs = Run(Region.PREAMBLE, frame[:128]), Run(Region.META, frame[_FRAME_END:], META_LAYOUT)
        return self._profile.watch.residuals(self._identifiers, runs, stretches, layout)


def _kept(changes: Iterable[Change]) -> Kept:
    """What scripts have decided on, as a cleaner takes it."""
    kept: dict[int, dict[int, object] | None] = {}
    for change in changes:
        if change.action not in _PASSING and not change.file_meta:
            _keep(kept, change.location)
    return kept  # type: ignore[return-value]  # nested as deep as the locations


def _keep(kept: dict[int, dict[int, object] | None], location: tuple[int, ...]) -> None:
    tag, *below = location
    if len(below) < 2:
        if not below:
            kept[tag] = None
        return
    items = kept.setdefault(tag, {})
    if items is not None:
        _keep(items.setdefault(below[0], {}), tuple(below[1:]))  # type: ignore[arg-type]  # as above
