"""The profile at work: what a policy makes of the elements of one instance, on their bytes, without building objects.

Belongs here: carrying out each action at every depth, in sequences of any kind, and the markers. Does not belong here:
which action an element gets (`policy.py`), what text means (`descriptors.py`), files, pixel data, scripts.

Headers of a series repeat, so what was done to a stretch of them, and to a single element, is remembered by its place
and bytes, as long as patient, identifiers, kind of instance, character set and layout stay the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.blocks import Blocks, Creators, PrivateActions
from inbox_pipeline.deid.dates import capped_age, shifted
from inbox_pipeline.deid.dummies import dummy_bytes, dummy_item
from inbox_pipeline.deid.pieces import code_item, dummy_elements, in_layout, padded, same_layout, value_of
from inbox_pipeline.deid.policy import METHOD, METHOD_CODES, Actions, Policy
from inbox_pipeline.deid.pseudonyms import Patient, Pseudonyms
from inbox_pipeline.deid.table import vr_of
from inbox_pipeline.dicom.elements import KNOWN_VRS, UNDEFINED, Element, Layout
from inbox_pipeline.dicom.errors import Unparsable
from inbox_pipeline.dicom.nested import IMPLICIT, Item, elements_of, encoded, encoded_item, encoded_parts, items_of
from inbox_pipeline.dicom.stretches import Over, RootElement, Stretch, find, laid_over, numbers_of, shares
from inbox_pipeline.dicom.text import decode, encode

REMEMBERED_BYTES = 1 << 22
"""Up to here elements whose treatment is remembered may take up memory; then it is emptied for the next instance."""
ENTRY_BYTES = 256
LARGEST_REMEMBERED = 1 << 16
MOST_KINDS = 16
"""Kinds of instances (by class, layout, character set) of one patient of which something is remembered."""
DEEPEST = 100
_CHARSET = 0x00080005
_KEEP, _REMOVE = Action.KEEP, Action.REMOVE
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
_NEVER_EMPTY = (_CODE_MEANING, 0x0040A160)
"""Texts of Type 1 in every IOD, whatever the table says of them: a code's meaning, the value of a content item."""
_TEXT_VRS = frozenset((b"AE", b"CS", b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UR", b"UT"))
_ITEM_STARTS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_BY_ITEMS = (Action.ITEMS, Action.TREE, Action.KEEP, Action.UID, Action.SHIFT, Action.AGE)
"""The actions under which a sequence stays, its items treated element by element."""

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

_Marks: TypeAlias = "tuple[Mapping[int, Treated], bytes]"
"""The elements that every instance of a kind gets, and the items that are added to its method codes."""

_Key: TypeAlias = tuple[Action, int, "bytes | None", bytes]
_Known: TypeAlias = dict[_Key, "tuple[bool, Treated]"]


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

    def cleaned(self, stretches: Sequence[Stretch], instance: Instance, words: Words, kept: Kept) -> list[Stretch]:
        """Return what is left of the elements of an instance; a stretch of which all stays is the same object.

        Args:
            stretches: the root elements, in order, as scripts left them.
            instance: facts of the original.
            words: cleans text of this patient's identifiers.
            kept: what scripts have decided on. It stays even in a sequence of which the rest is left out.

        Raises:
            Unparsable, Truncated: a sequence whose items had to be treated cannot be taken apart.
        """
        return _Pass(self._policy, self._pseudonyms, instance, words, self._memory(instance, words)).root(
            stretches, kept
        )

    def _memory(self, instance: Instance, words: Words) -> _Memory:
        """Return what is remembered for this kind of instance and these identifiers; another patient's is dropped."""
        memory = self._memories.get((instance, words))
        if memory is None:
            known = self._memories
            if len(known) >= MOST_KINDS or any(other.patient != instance.patient for other, _ in known):
                known.clear()
            memory = known[instance, words] = _Memory()
        if memory.full:
            memory.forget()
        return memory


class _Memory:
    """What was done to elements before: at which place, with which bytes."""

    def __init__(self) -> None:
        self.actions: dict[int, dict[int, Action]] = {}
        """By the tag of the sequence around an element, and its own."""
        self.private: PrivateActions = {}
        self.marks: _Marks | None = None
        self.treated: dict[tuple[int, Layout, bytes], _Known] = {}
        self.stretches: dict[tuple[Stretch, Creators, tuple[int, ...]], _Treatment] = {}
        """By the stretch itself, the private creators before it, and the elements that scripts have decided on."""
        self.held = 0

    @property
    def full(self) -> bool:
        """Whether nothing more is remembered until it is emptied."""
        return self.held > REMEMBERED_BYTES

    def forget(self) -> None:
        """Empty it."""
        self.treated.clear()
        self.stretches.clear()
        self.held = 0

    def place(self, parent: int, layout: Layout, charset: bytes, depth: int) -> _Place:
        """Return a place with what is known about it."""
        actions = self.actions.setdefault(parent, {})
        return _Place(parent, layout, charset, depth, actions, self.treated.setdefault((parent, layout, charset), {}))


class _Place(NamedTuple):
    """Where elements stand: the tag of the sequence around them (0 at the root), layout and character set, depth.

    `actions` and `known` are what is remembered of elements that stood there.
    """

    parent: int
    layout: Layout
    charset: bytes
    depth: int
    actions: dict[int, Action]
    known: _Known


class _Treatment:
    """What became of the elements of a stretch, and the stretches that are written of them, by what is laid over."""

    __slots__ = ("_known", "_made", "blocks", "changes")

    def __init__(self, changes: Mapping[int, Treated], blocks: Blocks, known: bool) -> None:
        self.changes, self.blocks, self._known = changes, blocks, known
        self._made: dict[Over, list[Stretch]] = {}

    def laid_over(self, stretch: Stretch, over: Over, layout: Layout) -> list[Stretch]:
        """Return the stretch with these changes, and with what belongs to the whole data set laid over."""
        made = self._made.get(over)
        if made is None:
            made = self._made[over] = laid_over(stretch, {**self.changes, **dict(over)}, layout, known=self._known)
        return made


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

    def root(self, stretches: Sequence[Stretch], kept: Kept) -> list[Stretch]:
        """Treat the root's elements, and write down what was done."""
        layout, memory = self._instance.layout, self._memory
        place = memory.place(0, layout, self._instance.charset, 0)
        blocks = Blocks(self._actions, memory.private)
        tags = sorted(kept)
        treatments = [self._treatment(each, blocks, place, kept, _among(tags, each)) for each in stretches]
        over = shares(stretches, {**blocks.unused(), **self._markers(stretches, treatments, kept, layout)})
        return [
            made
            for number, (stretch, treatment) in enumerate(zip(stretches, treatments, strict=True))
            for made in treatment.laid_over(stretch, over.get(number, ()), layout)
        ]

    def _treatment(
        self, stretch: Stretch, blocks: Blocks, place: _Place, kept: Kept, among: tuple[int, ...]
    ) -> _Treatment:
        """Return what becomes of a stretch; it depends on its bytes, the private creators before it, and what stays.

        `among` are the tags of what stays in the stretch.
        """
        key = (stretch, blocks.creators_before(stretch.tags[0]), among)
        memory, known = self._memory, stretch.known and all(kept[tag] is None for tag in among)
        treatment = memory.stretches.get(key) if known else None
        if treatment is None:
            known = known and not memory.full
            within = Blocks(self._actions, memory.private, key[1])
            treatment = _Treatment(self._changes(stretch, within, place, kept if among else _NOTHING), within, known)
            if known:
                memory.stretches[key] = treatment
                memory.held += ENTRY_BYTES + 2 * len(stretch.content())
        blocks.join(treatment.blocks)
        return treatment

    def _changes(self, stretch: Stretch, blocks: Blocks, place: _Place, kept: Kept) -> dict[int, Treated]:
        known, changes = place.actions, dict[int, Treated]()
        for element in stretch.roots:
            tag = element.tag
            within = kept.get(tag, _NOTHING) if kept else _NOTHING
            if within is None or within:
                blocks.keep(tag, element.value)
            if within is None:
                continue
            if tag & 0x10000:
                action = blocks.action(tag, element.value)
            else:
                action = known.get(tag) or known.setdefault(tag, self._actions.at_root(tag))
            if action is _REMOVE and not within:
                changes[tag] = None
                continue
            if action is _KEEP and _is_plain(element):
                continue
            stays, treated = self._element(action, element, place, within)
            if not stays:
                changes[tag] = treated
        return changes

    def _markers(
        self, stretches: Sequence[Stretch], treatments: Sequence[_Treatment], kept: Kept, layout: Layout
    ) -> dict[int, Treated]:
        """The elements that say what was done (PS3.15 section E.1.1, PS3.3 section C.12.1.1)."""
        made, added = self._memory.marks or self._marks(layout)
        methods = find(stretches, METHOD) if METHOD in kept else None
        if methods is not None:
            made = {**made, METHOD: self._methods(methods.value(), layout)}
        present = [treatments[number].changes.get(METHOD_CODES) for number in numbers_of(stretches, (METHOD_CODES,))]
        codes = find(stretches, METHOD_CODES) if present else None
        if codes is None:
            return {**made, METHOD_CODES: encoded(METHOD_CODES, b"SQ", added, layout)}
        before = present[0]
        value = codes.value() if before is None else value_of(before, layout)
        old = items_of(value, _inner_layout(codes, layout) if before is None else layout)
        items = [encoded_item(item.data, layout) for item in same_layout(old, layout)]
        return {**made, METHOD_CODES: encoded(METHOD_CODES, b"SQ", b"".join([*items, added]), layout)}

    def _methods(self, before: bytes, layout: Layout) -> bytes:
        """The methods of a script, or of blanking, and ours: one for each step of de-identification."""
        charset = self._instance.charset
        found = [value for value in decode(before, charset).split("\\") if value.strip()]
        found += [value for value in self._policy.markers()[METHOD] if value not in found]
        return encoded(METHOD, b"LO", padded(encode("\\".join(found), charset), b"LO"), layout)

    def _marks(self, layout: Layout) -> _Marks:
        made: dict[int, Treated] = {
            tag: encoded(tag, vr_of(tag).encode(), padded(b"\\".join(v.encode() for v in values), b"CS"), layout)
            for tag, values in self._policy.markers().items()
        }
        self._memory.marks = made, b"".join(code_item(code, layout) for code in self._policy.codes)
        return self._memory.marks

    def _element(self, action: Action, element: RootElement, place: _Place, kept: KeptItems) -> tuple[bool, Treated]:
        """Return whether an element stays as it is and, if not, its new bytes."""
        data = element.value()
        if kept or len(data) > LARGEST_REMEMBERED:
            return self._treated(action, element, data, place, kept)
        key = (action, element.tag, element.vr, data)
        known = place.known.get(key)
        if known is None:
            known = self._treated(action, element, data, place, kept)
            self._remember(place, key, known)
        return known

    def _remember(
        self, place: _Place, key: tuple[Action, int, bytes | None, bytes], known: tuple[bool, Treated]
    ) -> None:
        if not self._memory.full:
            place.known[key] = known
            self._memory.held += ENTRY_BYTES + len(key[3]) + len(known[1] or b"")

    def _treated(
        self, action: Action, element: RootElement, data: bytes, place: _Place, kept: KeptItems
    ) -> tuple[bool, Treated]:
        tag, vr = element.tag, _stated(element, action, data, place.layout)
        if vr == b"SQ":
            return self._sequence(action, element, data, place, kept)
        if not data or (action is Action.KEEP and tag != _CODE_MEANING):
            return True, None
        value = self._value(action, tag, vr, data, place)
        if value is None:
            return False, None
        return value == data, None if value == data else encoded(tag, vr, value, place.layout)

    def _value(self, action: Action, tag: int, vr: bytes, data: bytes, place: _Place) -> bytes | None:
        """Return the new value of an element that is no sequence; None to leave the element out.

        A value that the action cannot treat gets the basic action, a text of which nothing is left a dummy where it may
        not be empty.
        """
        if action is Action.REMOVE:
            return None
        if action is Action.EMPTY:
            return b""
        if action is Action.DUMMY:
            return self._dummy(tag, vr, data, place)
        text = decode(data, place.charset, name=vr == b"PN")
        new = self._text(action, tag, text)
        if new == text:
            return data
        if new is not None and (new.strip() or not self._needs_value(tag, place)):
            return padded(encode(new, place.charset), vr)
        fallback = Action.DUMMY if new is not None else self._basic(tag, place)
        return {Action.EMPTY: b"", Action.DUMMY: self._dummy(tag, vr, data, place)}.get(fallback)

    def _needs_value(self, tag: int, place: _Place) -> bool:
        return tag in _NEVER_EMPTY or self._basic(tag, place) is Action.DUMMY

    def _basic(self, tag: int, place: _Place) -> Action:
        """Return what the profile does to an element without any option."""
        basic = Policy.of(()).actions(self._instance.sop_class_uid)
        return basic.within(place.parent, tag) if place.parent else basic.at_root(tag)

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
        self, action: Action, element: RootElement, data: bytes, place: _Place, kept: KeptItems
    ) -> tuple[bool, Treated]:
        tag, layout = element.tag, place.layout
        whole = action in _BY_ITEMS
        if not whole and not kept:
            made = encoded_item(dummy_elements(dummy_item(tag), layout), layout) if action is Action.DUMMY else b""
            return False, encoded(tag, b"SQ", made, layout)
        if place.depth >= DEEPEST:
            raise Unparsable("sequences are nested deeper than the limit")
        inner = _inner_layout(element, layout)
        stays, parts = whole and element.vr in (None, b"SQ"), []
        for number, item in enumerate(items_of(data, inner, element.ends, element.origin)):
            if whole or number in kept:
                new, same = self._item(item, tag, place, kept.get(number, _NOTHING), action is Action.TREE)
                stays &= same
                parts.append(b"" if new is None else encoded_item(in_layout(new, layout), layout))
        return stays, None if stays else encoded_parts(tag, b"SQ", parts, layout)

    def _item(self, item: Item, parent: int, around: _Place, kept: Kept, tree: bool) -> tuple[Item | None, bool]:
        """Return an item's elements as they must be, and whether they stay as they are; None to leave the item out."""
        elements = elements_of(item)
        found = {element.tag: element for element in elements}
        charset = _part(item, found.get(_CHARSET)) if _CHARSET in found else around.charset
        place = self._memory.place(parent, item.layout, charset, around.depth + 1)
        override = self._content_action(item, found) if tree or _VALUE_TYPE in found else None
        if override is Action.REMOVE and not tree:
            override = Action.DUMMY  # the item stays, and is not valid without its value (PS3.3 table 10-2)
        elif override is Action.REMOVE and not kept:
            return None, False
        blocks, parts, stays = Blocks(self._actions, self._memory.private), [], True
        scheme = decode(_part(item, found.get(_SCHEME)), b"") if _CODE_MEANING in found else ""
        for element in elements:
            valued = override if tree or element.tag in _CONTENT_VALUES else None
            same, treated = self._member(item, element, place, kept, blocks, valued, scheme)
            stays &= same
            parts.append((element.tag, item.data[element.start : element.end] if same else treated))
        unused = blocks.unused()
        stays &= not unused
        data = item.data if stays else b"".join(part for tag, part in parts if part is not None and tag not in unused)
        return Item(data, item.layout), stays

    def _member(
        self,
        item: Item,
        element: Element,
        place: _Place,
        kept: Kept,
        blocks: Blocks,
        override: Action | None,
        scheme: str,
    ) -> tuple[bool, Treated]:
        tag, vr, _, start, length, _ = element
        undefined = length == UNDEFINED
        if not kept and override is None and not tag & 0x10000:  # most elements need no more than this
            action = place.actions.get(tag)
            if action is _REMOVE:
                return False, None
            if action is _KEEP and not undefined and vr != b"SQ" and tag != _CODE_MEANING:
                return True, None
        within = kept.get(tag, _NOTHING)
        end = element.end - 8 if undefined else element.end
        stated, value = b"SQ" if undefined else vr, lambda: item.data[start:end]
        root = RootElement(tag, stated, value, end - start, item.ends, item.origin + start)
        if within is None or within:
            blocks.keep(tag, root.value)
        if within is None:
            return True, None
        action = self._member_action(root, place, blocks, override)
        if action is Action.REMOVE and not within:
            return False, None
        if action is Action.KEEP:
            if tag == _CODE_MEANING and scheme not in _STANDARD_SCHEMES:
                action = Action.TEXT
            elif _is_plain(root):
                return True, None
        return self._element(action, root, place, within)

    def _member_action(self, element: RootElement, place: _Place, blocks: Blocks, override: Action | None) -> Action:
        tag = element.tag
        if tag >> 16 & 1:
            return blocks.action(tag, element.value)
        if override is not None:
            if tag in _CONTENT_VALUES:
                return self._value_action(override, tag)
            if tag == _CONTENT:
                return Action.TREE
        known = place.actions
        return known.get(tag) or known.setdefault(tag, self._actions.within(place.parent, tag))

    def _value_action(self, override: Action, tag: int) -> Action:
        """Return what is done to a value of a content item: the item's action, if it fits this kind of value."""
        kind = _CONTENT_VALUES[tag]
        fits = override in (Action.KEEP, Action.DUMMY, Action.REMOVE) or kind in _FITS.get(override, ())
        return override if fits else self._policy.content_action("", "", kind)

    def _content_action(self, item: Item, found: Mapping[int, Element]) -> Action:
        """Return what is done to an item of a content tree."""
        value_type = decode(_part(item, found.get(_VALUE_TYPE)), b"")
        named = _named(item, found.get(_CONCEPT))
        return self._policy.content_action(named.get(_SCHEME, ""), named.get(_CODE_VALUE, ""), value_type)


_NOTHING: Mapping[int, Kept] = {}


def _among(tags: Sequence[int], stretch: Stretch) -> tuple[int, ...]:
    """Those of ascending tags that lie within a stretch."""
    return tuple(tags[bisect_left(tags, stretch.tags[0]) : bisect_right(tags, stretch.tags[-1])])


def _is_plain(element: RootElement) -> bool:
    """Whether an element that is kept stays whatever it holds: it is no sequence, stated or not."""
    if element.vr == b"SQ":
        return False
    return not element.tag >> 16 & 1 or element.vr not in (None, b"UN") or not element.value().startswith(_ITEM_STARTS)


def _stated(element: RootElement, action: Action, data: bytes, layout: Layout) -> bytes:
    """The VR of an element: the stated one, or if that says nothing, the dictionary's or what its action means.

    What the dictionary calls a sequence is one, whatever the file says; so is a private element of which the file says
    nothing and that begins as one.
    """
    tag, vr = element.tag, element.vr
    private = tag >> 16 & 1
    if not private and vr_of(tag) == "SQ":
        return b"SQ"
    if vr is not None and vr in KNOWN_VRS and vr != b"UN":
        return vr
    if not private:
        return vr_of(tag).encode()
    if data.startswith(_ITEM_STARTS):
        return b"SQ"
    return b"UI" if action is Action.UID else b"UN"


def _inner_layout(element: RootElement, layout: Layout) -> Layout:
    """How the items of a sequence are laid out: of one that a file states as UN little endian (PS3.5 section 6.2.2).

    Whether they state VRs shows in each.
    """
    return IMPLICIT if element.vr == b"UN" and not layout.little else layout


def _part(item: Item, element: Element | None) -> bytes:
    """The value of an element of an item; nothing if there is none."""
    return b"" if element is None else item.data[element.value : element.value_end]


def _named(item: Item, concept: Element | None) -> dict[int, str]:
    """The text of the elements of a concept name's code; nothing if there is none."""
    code = next(items_of(_part(item, concept), item.layout), None)
    return {} if code is None else {e.tag: decode(_part(code, e), b"") for e in elements_of(code)}
