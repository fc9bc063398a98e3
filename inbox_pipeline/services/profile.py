"""A de-identification policy at work on files: what is gathered before the scripts, cleaned after them, and verified.

Belongs here: the order in which the parts of `deid` see one file. Does not belong here: what they decide, the scripts
(`recipe.py`), bytes and files (`rewriting.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.cleaner import Cleaner, Instance, Kept
from inbox_pipeline.deid.descriptors import Descriptors
from inbox_pipeline.deid.folding import fold
from inbox_pipeline.deid.identifiers import IdentifierCollector, Identifiers, Kind
from inbox_pipeline.deid.identifying import KEPT_IN_THE_OPEN, sort_of
from inbox_pipeline.deid.leaves import leaves
from inbox_pipeline.deid.options import MODIFIED_DATES
from inbox_pipeline.deid.policy import META_REMOVED, Actions, Policy
from inbox_pipeline.deid.pseudonyms import Patient, Pseudonyms
from inbox_pipeline.deid.table import vr_of
from inbox_pipeline.deid.verify import META_LAYOUT, Finding, Region, Run, Verifier
from inbox_pipeline.dicom.cleaning import RootElement, Treated
from inbox_pipeline.dicom.elements import Layout
from inbox_pipeline.dicom.nested import IMPLICIT, encoded
from inbox_pipeline.dicom.text import decode
from inbox_pipeline.script import Change
from inbox_pipeline.services.policies import PolicyChoice

if TYPE_CHECKING:
    from pydicom import Dataset

_CHARSET, _SOP_CLASS, _PATIENT_ID, _ISSUER, _STUDY = 0x00080005, 0x00080016, 0x00100020, 0x00100021, 0x0020000D
_FRAME_END = 132
_PASSING = frozenset({"recode", "create"})
"""Actions of a script's change that say nothing of the element's value."""
_DIRECT = frozenset({Kind.NAME, Kind.ID, Kind.PHONE, Kind.ADDRESS, Kind.BIRTH_DATE})
LARGEST_SEARCHED = 1 << 16
"""Sequences longer than this are not searched for identifiers to look for: they repeat what the root says."""


@dataclass(frozen=True)
class Words:
    """Cleans text of one patient's identifiers."""

    identifiers: Identifiers

    def clean(self, text: str) -> str:
        """Return a free text without identifiers and without words that nobody knows."""
        return Descriptors.clean(text, self.identifiers)

    def without_identifiers(self, text: str) -> str:
        """Return a text of a published list as it is, unless one of the patient's identifiers stands in it."""
        found = next(self.identifiers.hits(fold(text), cleaning=True), None)
        return text if found is None else self.clean(text)


class Profile:
    """A policy with a project's pseudonyms; remembers from file to file.

    Policy `none` cleans nothing: identifiers that are left are counted, and hold the file where they are strict.
    """

    def __init__(self, choice: PolicyChoice, pseudonyms: Pseudonyms) -> None:
        self.cleans = choice.basic
        self.holds = choice.basic or choice.strict_identifiers
        self.policy = Policy.of(choice.options if choice.basic else ())
        self.pseudonyms = pseudonyms
        self.cleaner = Cleaner(self.policy, pseudonyms)
        self.shifts = choice.basic and MODIFIED_DATES in choice.options


class ProfilePass:
    """One file under a profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.cleans, self.holds = profile.cleans, profile.holds
        self._instance: Instance | None = None
        self._identifiers = IdentifierCollector().freeze()

    def look(self, roots: Iterable[RootElement], layout: Layout) -> None:
        """Gather what must be known of the original: whose it is, and what says so."""
        known: dict[int, bytes] = {}
        collector = IdentifierCollector()
        elements = list(roots)
        charset = next((root.value() for root in elements if root.tag == _CHARSET), b"")
        for root in elements:
            if root.tag in (_SOP_CLASS, _PATIENT_ID, _ISSUER, _STUDY):
                known[root.tag] = root.value()
        actions = self._profile.policy.actions(decode(known.get(_SOP_CLASS, b""), b""))
        for root in elements:
            _gather(collector, root, layout, charset, actions)
        patient = Patient(*(decode(known.get(tag, b""), charset) for tag in (_PATIENT_ID, _ISSUER, _STUDY)))
        self._instance = Instance(patient, decode(known.get(_SOP_CLASS, b""), b""), charset, layout)
        self._identifiers = self._looked_for(collector, patient)

    def _looked_for(self, collector: IdentifierCollector, patient: Patient) -> Identifiers:
        """Under policy `none`, only what names the patient: UIDs and dates stay by design, places and machines, too."""
        if self.cleans:
            return collector.freeze(self._profile.pseudonyms.days(patient) if self._profile.shifts else None)
        return collector.freeze().narrowed(lambda one: one.kind in _DIRECT, uids=False)

    def is_identifier(self, text: str) -> bool:
        """Return whether a folded text is one of the original's identifiers, whole, in any spelling."""
        known = (*self._identifiers.patterned, *self._identifiers.days)
        return text in self._identifiers.uids or any(one.pattern.fullmatch(text) for one in known)

    def strip_meta(self, dataset: Dataset) -> None:
        """Take out of the file meta information what names machines and senders."""
        for tag in META_REMOVED.intersection(map(int, dataset.file_meta.keys())):
            del dataset.file_meta[tag]

    def clean(
        self, roots: Iterable[RootElement], layout: Layout, changes: Collection[Change], charset: bytes
    ) -> Treated:
        """Treat the root elements as scripts have left them.

        Args:
            roots: the elements.
            layout: of what is written.
            changes: what scripts have decided on, and references that followed; these stay.
            charset: (0008,0005) as scripts left it.
        """
        assert self._instance is not None, "look comes first"  # noqa: S101
        instance = self._instance._replace(layout=layout, charset=charset)
        return self._profile.cleaner.changes(roots, instance, Words(self._identifiers), _kept(changes))

    def replaced(self, new_uids: Mapping[str, str]) -> dict[str, str]:
        """Return what stands for each original UID: what scripts made of it, else its pseudonym."""
        return {uid: new_uids.get(uid) or self._profile.pseudonyms.uid(uid) for uid in self._identifiers.uids}

    def residuals(self, runs: Iterable[bytes], layout: Layout) -> list[Finding]:
        """Return where an output still holds one of the original's identifiers; `runs` are all its bytes but pixels."""
        return Verifier(self._identifiers).residuals(_regions(runs, layout))


def _gather(
    collector: IdentifierCollector, root: RootElement, layout: Layout, charset: bytes, actions: Actions
) -> None:
    """Gather from an element that the policy does not keep, or that must be known because it is kept."""
    vr = vr_of(root.tag) if not root.tag >> 16 & 1 else "UN"
    if vr == "SQ":
        value = root.value()
        if len(value) <= LARGEST_SEARCHED:
            _gather_nested(collector, root.tag, value, IMPLICIT if root.vr == b"UN" else layout, charset, actions)
    elif sort_of(root.tag, vr) is not None and _counts(root.tag, actions.at_root(root.tag)):
        collector.add(root.tag, vr, decode(root.value(), charset, name=vr == "PN"))


def _counts(tag: int, action: Action) -> bool:
    return action is not Action.KEEP or tag in KEPT_IN_THE_OPEN


def _gather_nested(
    collector: IdentifierCollector, tag: int, value: bytes, layout: Layout, charset: bytes, actions: Actions
) -> None:
    for leaf in leaves(encoded(tag, b"SQ", value, layout), layout):
        if len(leaf.path) < 2 or sort_of(leaf.path[-1], leaf.vr) is None:
            continue
        if _counts(leaf.path[-1], actions.within(leaf.path[-2], leaf.path[-1])):
            collector.add(leaf.path[-1], leaf.vr, decode(leaf.value, charset, name=leaf.vr == "PN"))


def _regions(runs: Iterable[bytes], layout: Layout) -> Iterable[Run]:
    """The parts of an output: its frame comes first, then elements, each run beginning with one."""
    frame, *rest = runs
    yield Run(Region.PREAMBLE, frame[:128])
    yield Run(Region.META, frame[_FRAME_END:], META_LAYOUT)
    yield from (Run(Region.HEADER, run, layout) for run in rest if run)


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
