"""The profile at work: what a policy makes of the elements of one instance, on their bytes, without building objects.

Belongs here: carrying out each action at every depth, in sequences of any kind, and the markers. Does not belong here:
which action an element gets (`policy.py`), what text means (`descriptors.py`), files, pixel data, scripts.

Elements of a series repeat, so what was done to an element is remembered by its place and bytes, as long as patient,
kind of instance, character set and layout stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.blocks import Blocks
from inbox_pipeline.deid.dates import capped_age, shifted
from inbox_pipeline.deid.dummies import dummy_bytes, dummy_item
from inbox_pipeline.deid.pieces import code_item, dummy_elements, in_layout, padded, same_layout, value_of
from inbox_pipeline.deid.policy import METHOD_CODES, Actions, Policy
from inbox_pipeline.deid.pseudonyms import Patient, Pseudonyms
from inbox_pipeline.deid.table import vr_of
from inbox_pipeline.dicom.cleaning import RootElement
from inbox_pipeline.dicom.elements import UNDEFINED, Element, Layout
from inbox_pipeline.dicom.errors import Unparsable
from inbox_pipeline.dicom.nested import IMPLICIT, Item, elements_of, encoded, encoded_item, items_of
from inbox_pipeline.dicom.text import decode, encode

REMEMBERED = 20_000
"""Elements whose treatment is remembered; the memory is emptied when there are more."""
LARGEST_REMEMBERED = 1 << 16
DEEPEST = 100
_CHARSET = 0x00080005
_CONTENT, _CONCEPT, _VALUE_TYPE = 0x0040A730, 0x0040A043, 0x0040A040
_CODE_VALUE, _SCHEME = 0x00080100, 0x00080102
_CONTENT_VALUES = {
    0x0040A120: "DATETIME",
    0x0040A121: "DATE",
    0x0040A122: "TIME",
    0x0040A123: "PNAME",
    0x0040A13A: "DATETIME",
    0x0040A160: "TEXT",
}
"""The elements that hold the value of a content item, and the value types that they belong to (PS3.3 C.17.3)."""
_FITS = {Action.TEXT: ("TEXT",), Action.SHIFT: ("DATE", "DATETIME", "TIME")}
_CODE_MEANING = 0x00080104
_STANDARD_SCHEMES = frozenset(
    (
        "DCM",
        "SCT",
        "SRT",
        "SNM3",
        "99SDM",
        "LN",
        "UCUM",
        "RADLEX",
        "FMA",
        "UMLS",
        "MDC",
        "I9C",
        "I10",
        "NCIt",
        "ISO3166_1",
    )
)
"""Coding schemes whose meanings are taken from a published list (PS3.16 section 8)."""
_TEXT_VRS = frozenset((b"AE", b"CS", b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UR", b"UT"))
_NUL_PADDED = frozenset((b"UI", b"OB", b"UN"))

Kept: TypeAlias = Mapping[int, "KeptItems | None"]
"""What stays as it is: tags, each with None for the whole element, or with what stays within its items."""

KeptItems: TypeAlias = Mapping[int, Kept]
"""What stays within the items of a sequence, by their number."""


class Words(Protocol):
    """Cleans text of one patient's identifiers; pure, so that results can be remembered."""

    def clean(self, text: str) -> str:
        """Return a free text without identifiers and without words that nobody knows."""
        ...

    def without_identifiers(self, text: str) -> str:
        """Return a text without this patient's identifiers; every other word stays."""
        ...


Treated: TypeAlias = "bytes | None"
"""An element's new bytes with its header, or None if it is left out."""


class Instance(NamedTuple):
    """What must be known of the original instance before any element is treated."""

    patient: Patient
    sop_class_uid: str
    charset: bytes
    layout: Layout


class Cleaner:
    """A policy under one project's keys, at work on one instance after the other."""

    def __init__(self, policy: Policy, pseudonyms: Pseudonyms) -> None:
        self._policy = policy
        self._pseudonyms = pseudonyms
        self._memories: dict[tuple[Instance, Words], _Memory] = {}

    def changes(
        self, elements: Iterable[RootElement], instance: Instance, words: Words, kept: Kept
    ) -> dict[int, Treated]:
        """Return what becomes of the elements of an instance, without those that keep their bytes.

        Args:
            elements: the root elements, in order, as scripts left them.
            instance: facts of the original.
            words: cleans text of this patient's identifiers.
            kept: what scripts have decided on.

        Raises:
            Unparsable, Truncated: a sequence whose items had to be treated cannot be taken apart.
        """
        return _Pass(self._policy, self._pseudonyms, instance, words, self._memory(instance, words)).root(
            elements, kept
        )

    def _memory(self, instance: Instance, words: Words) -> _Memory:
        """Return what is remembered for this kind of instance and these identifiers; another patient's is dropped."""
        memory = self._memories.get((instance, words))
        if memory is None:
            if any(known.patient != instance.patient for known, _ in self._memories):
                self._memories.clear()
            memory = self._memories[instance, words] = _Memory()
        if len(memory.treated) > REMEMBERED:
            memory.treated.clear()
        return memory


class _Memory:
    """What was done to elements before: at which place, with which bytes."""

    def __init__(self) -> None:
        self.actions: dict[int, Action] = {}
        self.treated: dict[tuple[Any, ...], tuple[bool, Treated]] = {}


class _Place(NamedTuple):
    """Where elements stand: the tag of the sequence around them (0 at the root), layout and character set, depth.

    `scheme` is the coding scheme of an item that is a code.
    """

    parent: int
    layout: Layout
    charset: bytes
    depth: int
    scheme: str = ""


class _Pass:
    """One instance being treated."""

    def __init__(
        self, policy: Policy, pseudonyms: Pseudonyms, instance: Instance, words: Words, memory: _Memory
    ) -> None:
        self._policy = policy
        self._pseudonyms = pseudonyms
        self._instance = instance
        self._words = words
        self._memory = memory
        self._actions: Actions = policy.actions(instance.sop_class_uid)
        self._days = pseudonyms.days(instance.patient)

    def root(self, elements: Iterable[RootElement], kept: Kept) -> dict[int, Treated]:
        """Treat the root's elements, and write down what was done."""
        place = _Place(0, self._instance.layout, self._instance.charset, 0)
        known, changes = self._memory.actions, {}
        codes = RootElement(METHOD_CODES, b"SQ", bytes)
        blocks = Blocks(self._actions)
        for element in elements:
            tag = element.tag
            within = kept.get(tag, _NOTHING)
            if tag == METHOD_CODES:
                codes = element
            if within is None:
                blocks.keep(tag)
                continue
            if tag >> 16 & 1:
                action = blocks.action(tag, element.value)
            else:
                action = known.get(tag) or known.setdefault(tag, self._actions.at_root(tag))
            if action is Action.KEEP and element.vr != b"SQ":
                continue
            stays, treated = self._element(action, tag, element.vr, element.value, place, within)
            if not stays:
                changes[tag] = treated
        changes |= blocks.unused()
        return changes | self._markers(codes, changes, place)

    def _markers(self, codes: RootElement, changes: Mapping[int, Treated], place: _Place) -> dict[int, Treated]:
        """The elements that say what was done (PS3.15 section E.1.1, PS3.3 section C.12.1.1)."""
        layout = place.layout
        made: dict[int, Treated] = {
            tag: encoded(tag, vr_of(tag).encode(), padded(b"\\".join(v.encode() for v in values), b"CS"), layout)
            for tag, values in self._policy.markers().items()
        }
        before = changes.get(METHOD_CODES)
        present = value_of(before, layout) if before is not None else codes.value()
        items = b"".join(encoded_item(item.data, layout) for item in same_layout(items_of(present, layout), layout))
        added = b"".join(code_item(code, layout) for code in self._policy.codes)
        return made | {METHOD_CODES: encoded(METHOD_CODES, b"SQ", items + added, layout)}

    def _element(
        self,
        action: Action,
        tag: int,
        vr: bytes | None,
        value: Callable[[], bytes],
        place: _Place,
        kept: KeptItems,
    ) -> tuple[bool, Treated]:
        """Return whether an element stays as it is and, if not, its new bytes."""
        if action is Action.REMOVE:
            return False, None
        if kept:
            return self._treated(action, tag, vr, value(), place, kept)
        data = value()
        key = (action, place.parent, tag, vr, data, place.layout, place.charset)
        if len(data) > LARGEST_REMEMBERED:
            return self._treated(action, tag, vr, data, place, kept)
        known = self._memory.treated.get(key)
        if known is None:
            known = self._memory.treated[key] = self._treated(action, tag, vr, data, place, kept)
        return known

    def _treated(
        self,
        action: Action,
        tag: int,
        vr: bytes | None,
        data: bytes,
        place: _Place,
        kept: KeptItems,
    ) -> tuple[bool, Treated]:
        stated = _stated(tag, vr, action)
        if stated == b"SQ":
            return self._sequence(action, tag, vr, data, place, kept)
        if not data or (action is Action.KEEP and tag != _CODE_MEANING):
            return True, None
        value = self._value(action, tag, stated, data, place)
        if value is None:
            return False, None
        return value == data, None if value == data else encoded(tag, stated, value, place.layout)

    def _value(self, action: Action, tag: int, vr: bytes, data: bytes, place: _Place) -> bytes | None:
        """Return the new value of an element that is no sequence; None to leave the element out.

        A value that the action cannot treat gets the basic action.
        """
        if action is Action.EMPTY:
            return b""
        if action is Action.DUMMY:
            return self._dummy(tag, vr, data, place)
        text = decode(data, place.charset, name=vr == b"PN")
        new = self._text(action, tag, text)
        if new is not None:
            return data if new == text else padded(encode(new, place.charset), vr)
        basic = Policy.of(()).actions(self._instance.sop_class_uid)
        fallback = basic.within(place.parent, tag) if place.parent else basic.at_root(tag)
        return {Action.EMPTY: b"", Action.DUMMY: self._dummy(tag, vr, data, place)}.get(fallback)

    def _text(self, action: Action, tag: int, text: str) -> str | None:
        """Return the new text of an element; None for a value that the action cannot treat."""
        if action is Action.UID:
            return self._pseudonyms.uid(text)
        if action is Action.SHIFT:
            vr = vr_of(tag)
            return shifted(text, vr if vr in ("DA", "DT", "TM") else "DT", self._days)
        if action is Action.AGE:
            return capped_age(text)
        if action is Action.TEXT:
            return self._words.clean(text)
        return self._words.without_identifiers(text) if action is Action.KEEP else None

    def _dummy(self, tag: int, vr: bytes, data: bytes, place: _Place) -> bytes:
        if vr not in _TEXT_VRS and vr not in (b"AS", b"DA", b"DS", b"DT", b"IS", b"TM", b"UI"):
            return dummy_bytes(vr.decode())
        original = decode(data, place.charset, name=vr == b"PN")
        text = self._pseudonyms.dummy(tag, vr.decode(), original, self._instance.patient)
        return padded(text.encode(), vr)

    def _sequence(
        self,
        action: Action,
        tag: int,
        vr: bytes | None,
        data: bytes,
        place: _Place,
        kept: KeptItems,
    ) -> tuple[bool, Treated]:
        """Treat a sequence; one that a file states as UN is laid out implicitly (PS3.5 section 6.2.2)."""
        layout = IMPLICIT if vr == b"UN" else place.layout
        if action in (Action.EMPTY, Action.GRAPHICS, Action.TEXT):
            return False, encoded(tag, b"SQ", b"", place.layout)
        if action is Action.DUMMY:
            item = encoded_item(dummy_elements(dummy_item(tag), place.layout), place.layout)
            return False, encoded(tag, b"SQ", item, place.layout)
        if place.depth >= DEEPEST:
            raise Unparsable("sequences are nested deeper than the limit")
        inner = place._replace(parent=tag, layout=layout, depth=place.depth + 1)
        tree = action is Action.TREE
        old = list(items_of(data, layout))
        new = [self._item(item, inner, kept.get(number, _NOTHING), tree) for number, item in enumerate(old)]
        if all(item is not None and stays for item, stays in new) and layout == place.layout:
            return True, None
        parts = [in_layout(item, place.layout) for item, _ in new if item is not None]
        return False, encoded(tag, b"SQ", b"".join(encoded_item(part, place.layout) for part in parts), place.layout)

    def _item(self, item: Item, place: _Place, kept: Kept, tree: bool) -> tuple[Item | None, bool]:
        """Return an item's elements as they must be, and whether they stay as they are; None to leave the item out."""
        elements = list(elements_of(item))
        inner = place._replace(layout=item.layout, charset=_charset(item, elements) or place.charset)
        override = self._content_action(item, elements, inner) if tree else None
        if override is Action.REMOVE and not kept:
            return None, False
        blocks, parts, stays = Blocks(self._actions), [], True
        scheme = next((decode(item.data[e.value : e.value_end], b"") for e in elements if e.tag == _SCHEME), "")
        inner = inner._replace(scheme=scheme)
        for element in elements:
            same, treated = self._member(item, element, inner, kept, blocks, override)
            stays &= same
            part = item.data[element.start : element.end] if same else treated
            parts.append((element.tag, part))
        unused = blocks.unused()
        stays &= not unused
        data = item.data if stays else b"".join(part for tag, part in parts if part is not None and tag not in unused)
        return Item(data, item.layout), stays

    def _member(
        self, item: Item, element: Element, place: _Place, kept: Kept, blocks: Blocks, override: Action | None
    ) -> tuple[bool, Treated]:
        tag, within = element.tag, kept.get(element.tag, _NOTHING)
        if within is None:
            blocks.keep(tag)
            return True, None

        def value() -> bytes:
            return item.data[element.value : element.value_end]

        if tag >> 16 & 1:
            action = blocks.action(tag, value)
        elif override is not None and tag in _CONTENT_VALUES:
            action = self._value_action(override, tag)
        elif override is not None and tag == _CONTENT:
            action = Action.TREE
        else:
            action = self._actions.within(place.parent, tag)
        vr = b"SQ" if element.length == UNDEFINED and element.vr is None else element.vr
        if tag == _CODE_MEANING and action is Action.KEEP:
            action = Action.KEEP if place.scheme in _STANDARD_SCHEMES else Action.TEXT
        elif action is Action.KEEP and vr != b"SQ":
            return True, None
        return self._element(action, tag, vr, value, place, within)

    def _value_action(self, override: Action, tag: int) -> Action:
        """Return what is done to a value of a content item: the item's action, if it fits this kind of value."""
        kind = _CONTENT_VALUES[tag]
        fits = override in (Action.KEEP, Action.DUMMY, Action.REMOVE) or kind in _FITS.get(override, ())
        return override if fits else self._policy.content_action("", "", kind)

    def _content_action(self, item: Item, elements: list[Element], place: _Place) -> Action:
        """Return what is done to an item of a content tree."""
        found = {element.tag: item.data[element.value : element.value_end] for element in elements}
        value_type = decode(found.get(_VALUE_TYPE, b""), b"")
        concept = next(items_of(found.get(_CONCEPT, b""), place.layout), None)
        scheme = code = ""
        if concept is not None:
            named = {e.tag: decode(concept.data[e.value : e.value_end], b"") for e in elements_of(concept)}
            scheme, code = named.get(_SCHEME, ""), named.get(_CODE_VALUE, "")
        return self._policy.content_action(scheme, code, value_type)


_NOTHING: Mapping[int, Kept] = {}


def _stated(tag: int, vr: bytes | None, action: Action) -> bytes:
    """The VR of an element: the stated one, or if that says nothing, the dictionary's or what its action means.

    What the dictionary calls a sequence is one, whatever the file says.
    """
    if not tag >> 16 & 1 and vr_of(tag) == "SQ":
        return b"SQ"
    if vr is not None and vr != b"UN":
        return vr
    if tag >> 16 & 1:
        return {Action.ITEMS: b"SQ", Action.UID: b"UI"}.get(action, b"UN")
    return vr_of(tag).encode()


def _charset(item: Item, elements: Iterable[Element]) -> bytes | None:
    """The character set of an item that has its own."""
    return next((item.data[e.value : e.value_end] for e in elements if e.tag == _CHARSET), None)
