"""The profile carried out slowly on a pydicom data set: what the cleaner of bytes is compared with.

It shares with it what a policy and pseudonyms say, and nothing of how elements are walked, read or written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from pydicom import DataElement, Dataset, Sequence
from pydicom.datadict import dictionary_VR
from pydicom.multival import MultiValue
from pydicom.values import convert_SQ

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.cleaner import Cleaner, Instance
from inbox_pipeline.deid.dates import capped_age, shifted
from inbox_pipeline.deid.dummies import Item, dummy_bytes, dummy_item, dummy_text
from inbox_pipeline.deid.policy import METHOD_CODES, Policy
from inbox_pipeline.deid.pseudonyms import Keys, Patient, Pseudonyms
from inbox_pipeline.deid.table import vr_of
from inbox_pipeline.dicom.rewrite import Clean

CHARSET, CONTENT, CODE_MEANING, SCHEME, CODE = 0x00080005, 0x0040A730, 0x00080104, 0x00080102, 0x00080100
CONTENT_VALUES = {
    0x0040A120: "DATETIME",
    0x0040A121: "DATE",
    0x0040A122: "TIME",
    0x0040A123: "PNAME",
    0x0040A13A: "DATETIME",
    0x0040A160: "TEXT",
}
STANDARD_SCHEMES = {"DCM", "SCT", "SRT", "SNM3", "99SDM", "LN", "UCUM", "RADLEX", "FMA", "UMLS", "MDC", "I9C", "I10"}
STANDARD_SCHEMES |= {"NCIt", "ISO3166_1"}
NEVER_EMPTY = {CODE_MEANING, 0x0040A160}
BYTE_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
NUMBER_VRS = {"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"}
BY_ITEMS = {Action.ITEMS, Action.TREE, Action.KEEP, Action.UID, Action.SHIFT, Action.AGE}
NOTHING: Mapping[int, Any] = {}

PSEUDONYMS = Pseudonyms(Keys.derived(lambda purpose, scope: (purpose + scope).encode().ljust(32, b"k")[:32], "P1"))


class PlainWords:
    """Takes planted words out; free text loses those in capitals with a digit, too."""

    def clean(self, text: str) -> str:
        return re.sub(r"[A-Z]+[0-9]+", "", self.without_identifiers(text))

    def without_identifiers(self, text: str) -> str:
        return re.sub(r"Zork\w*", "", text)


WORDS = PlainWords()


def instance_of(dataset: Dataset, layout: Any) -> Instance:
    """What the cleaner must know, from a data set as it was read."""
    raw = dataset.get_item(CHARSET)
    charset = raw.value if raw is not None and isinstance(raw.value, bytes) else b""
    patient = Patient(*(plain(dataset, tag) for tag in (0x00100020, 0x00100021, 0x0020000D)))
    return Instance(patient, plain(dataset, 0x00080016), charset, layout)


def plain(dataset: Dataset, tag: int) -> str:
    return text_of(dataset[tag].value).strip(" \0") if tag in dataset else ""


def bound(policy: Policy, dataset: Dataset, kept: Mapping[int, Any] = NOTHING) -> Clean:
    """The cleaner as a rewrite takes it."""
    cleaner = Cleaner(policy, PSEUDONYMS)
    return lambda stretches, layout: cleaner.cleaned(stretches, instance_of(dataset, layout), WORDS, kept)


def text_of(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("latin-1").rstrip(" \0")
    if isinstance(value, (list, MultiValue)):
        return "\\".join(map(text_of, value))
    return str(value)


def public_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


class Reference:
    """A policy at work on one data set."""

    def __init__(self, policy: Policy, dataset: Dataset, kept: Mapping[int, Any] = NOTHING) -> None:
        instance = instance_of(dataset, None)
        self.policy, self.patient, self.sop_class = policy, instance.patient, instance.sop_class_uid
        self.actions, self.kept = policy.actions(self.sop_class), kept
        self.days = PSEUDONYMS.days(self.patient)
        self.result = deepcopy(dataset)

    def cleaned(self) -> Dataset:
        self.level(self.result, 0, self.kept, None)
        for tag, values in self.policy.markers().items():
            self.result.add_new(tag, vr_of(tag), list(values))
        present = list(self.result[METHOD_CODES].value or ()) if METHOD_CODES in self.result else []
        for code in self.policy.codes:
            item = Dataset()
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, "DCM", code.meaning
            present.append(item)
        self.result.add_new(METHOD_CODES, "SQ", Sequence(present))
        return self.result

    def level(
        self, dataset: Dataset, parent: int, kept: Mapping[int, Any], override: Action | None, tree: bool = False
    ) -> None:
        used = set()
        creators = {tag: plain(dataset, tag) for tag in map(int, dataset.keys()) if is_creator(tag)}
        for tag in sorted(map(int, dataset.keys())):
            within = kept.get(tag, NOTHING)
            block = tag & 0xFFFF0000 | tag >> 8 & 0xFF
            if within is None or within:
                used.add(tag if is_creator(tag) else block)
            if within is None or is_creator(tag):
                continue
            if tag >> 16 & 1:
                action = Action.REMOVE
                if block in creators:
                    action = self.actions.private(tag >> 16, creators[block], tag & 0xFF)
                if action is not Action.REMOVE:
                    used.add(block)
            else:
                action = self.public_action(dataset, tag, parent, override, tree)
            self.element(dataset, tag, parent, action, within)
        for tag in creators.keys() - used:
            del dataset[tag]

    def public_action(self, dataset: Dataset, tag: int, parent: int, override: Action | None, tree: bool) -> Action:
        if override is not None and tag in CONTENT_VALUES:
            kind = CONTENT_VALUES[tag]
            fits = {Action.TEXT: {"TEXT"}, Action.SHIFT: {"DATE", "DATETIME", "TIME"}}.get(override, set())
            if override in {Action.KEEP, Action.DUMMY, Action.REMOVE} or kind in fits:
                return override
            return self.policy.content_action("", "", kind)
        if tree and tag == CONTENT:
            return Action.TREE
        if not parent:
            return self.actions.at_root(tag)
        action = self.actions.within(parent, tag)
        private_code = tag == CODE_MEANING and plain(dataset, SCHEME) not in STANDARD_SCHEMES
        return Action.TEXT if action is Action.KEEP and private_code else action

    def element(self, dataset: Dataset, tag: int, parent: int, action: Action, kept: Mapping[int, Any]) -> None:
        if action is Action.REMOVE and not kept:
            del dataset[tag]
            return
        element = dataset[tag]
        items = sequence_of(dataset, element)
        if items is not None:
            self.sequence(dataset, tag, action, items, kept)
        elif action is not Action.KEEP and text_of(element.value):
            self.value(dataset, element, parent, action)

    def sequence(self, dataset: Dataset, tag: int, action: Action, items: list[Dataset], kept: Any) -> None:
        new = []
        if action is Action.DUMMY and not kept:
            new = [made_up(dummy_item(tag))]
        for number, item in enumerate(items):
            within = kept.get(number, NOTHING)
            if action not in BY_ITEMS and not within:
                continue
            tree = action is Action.TREE
            override = self.tree_action(item) if tree or 0x0040A040 in item else None
            if not tree and override is Action.REMOVE:
                override = Action.DUMMY
            if override is not Action.REMOVE or within:
                self.level(item, tag, within, override, tree)
                new.append(item)
        dataset[tag] = DataElement(tag, "SQ", Sequence(new))

    def tree_action(self, item: Dataset) -> Action:
        concept = (item[0x0040A043].value or [Dataset()])[0] if 0x0040A043 in item else Dataset()
        return self.policy.content_action(plain(concept, SCHEME), plain(concept, CODE), plain(item, 0x0040A040))

    def value(self, dataset: Dataset, element: DataElement, parent: int, action: Action) -> None:
        tag, text = int(element.tag), text_of(element.value)
        new: Any = self.text(action, tag, text)
        actions = Policy.of([]).actions(self.sop_class)
        basic = actions.within(parent, tag) if parent else actions.at_root(tag)
        if new is None and action not in {Action.EMPTY, Action.DUMMY}:
            action = basic
        if new is not None and not new.strip() and (basic is Action.DUMMY or tag in NEVER_EMPTY):
            new, action = None, Action.DUMMY
        if new is None and action is Action.EMPTY:
            new = ""
        elif new is None and action is Action.DUMMY:
            new = self.dummy(tag, element.VR, text)
        if new is None:
            del dataset[tag]
        else:
            dataset[tag] = DataElement(tag, element.VR if new != "" else "LO", new, already_converted=True)

    def text(self, action: Action, tag: int, text: str) -> str | None:
        if action is Action.UID:
            return PSEUDONYMS.uid(text)
        if action is Action.SHIFT:
            return shifted(text, {"DA": "DA", "TM": "TM"}.get(public_vr(tag), "DT"), self.days)
        if action is Action.AGE:
            return capped_age(text)
        return WORDS.clean(text) if action is Action.TEXT else None

    def dummy(self, tag: int, vr: str, text: str) -> Any:
        if vr in BYTE_VRS:
            return dummy_bytes(vr)
        if vr in NUMBER_VRS or " " in vr:
            return 0
        return PSEUDONYMS.dummy(tag, vr, text, self.patient) if vr != "PN" or tag == 0x00100020 else self.name(text)

    def name(self, text: str) -> str:
        return PSEUDONYMS.dummy(0x00100010, "PN", text, self.patient)


def is_creator(tag: int) -> bool:
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def sequence_of(dataset: Dataset, element: DataElement) -> list[Dataset] | None:
    """The items of an element that is a sequence, stated or not."""
    tag, value = int(element.tag), element.value
    if element.VR == "SQ":
        return list(value or ())
    begins = isinstance(value, bytes) and value[:4] in {b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"}
    is_sequence = begins and element.VR == "UN" if tag >> 16 & 1 else public_vr(tag) == "SQ"
    if not is_sequence:
        return None
    implicit, little = dataset.original_encoding
    return list(convert_SQ(value or b"", bool(implicit), little is not False, ["iso8859"], 0))


def made_up(item: Item) -> Dataset:
    dataset = Dataset()
    for tag, (vr, value) in item.items():
        dataset.add_new(tag, vr, value if isinstance(value, str) else Sequence([made_up(inner) for inner in value]))
    return dataset


def normal(dataset: Dataset) -> dict[str, Any]:
    """Elements as they mean, by tag: text without padding, items as the same again."""
    return {f"{int(tag):08X}": value for tag, value in _normal(dataset)}


def _normal(dataset: Dataset) -> Iterator[tuple[int, Any]]:
    for tag in sorted(dataset.keys()):
        if not tag & 0xFFFF:
            continue
        element = dataset[tag]
        items = sequence_of(dataset, element)
        if items is not None:
            yield tag, [normal(item) for item in items]
        else:
            parts = text_of(element.value).split("\\")
            yield tag, "\\".join(part.strip(" \0") for part in parts)


__all__ = ["PSEUDONYMS", "WORDS", "Reference", "bound", "dummy_text", "instance_of", "normal"]
