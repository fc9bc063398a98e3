"""A de-identification policy: the Basic Profile with options, and what it does to every element (PS3.15 annex E).

Belongs here: actions prepared per IOD, so that one element costs one look-up; markers and codes. Does not belong here:
the rules behind them (`resolve.py`), replacement values (`pseudonyms.py`), applying actions to elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from inbox_pipeline.deid import options as named
from inbox_pipeline.deid.action import Action
from inbox_pipeline.deid.iod_types import Type, iod_of, nested_types, root_types
from inbox_pipeline.deid.options import BASIC_CODE, NEW_SITE_OPTIONS, OPTION_CODES, Code, checked
from inbox_pipeline.deid.resolve import attribute_action, content_action, unlisted_content_action
from inbox_pipeline.deid.table import (
    BEYOND_THE_TABLE,
    Attribute,
    ContentItem,
    attributes,
    content_items,
    safe_private,
    source,
)

META_REMOVED = frozenset(
    {0x00020016, 0x00020017, 0x00020018, 0x00020026, 0x00020027, 0x00020028, 0x00020100, 0x00020102}
)
"""File meta elements that are left out: application entity titles, presentation addresses, private information."""

PATIENT_IDENTITY_REMOVED = 0x00120062
METHOD = 0x00120063
METHOD_CODES = 0x00120064
LONGITUDINAL = 0x00280303
_CURVES, _OVERLAYS = 0x50, 0x60
_OVERLAY_DATA, _OVERLAY_COMMENTS = 0x3000, 0x4000
_FIRST_GROUP = 0x0008


def standard_name() -> str:
    """Return what (0012,0063) says of the profile's source."""
    return f"DICOM PS3.15 {source()['edition']}"


@dataclass(frozen=True)
class Policy:
    """The Basic Profile with some of its ten options."""

    options: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[str]) -> Policy:
        """Return the policy with the named options.

        Raises:
            Rejected: `parameter_invalid`.
        """
        return cls(checked(names))

    @classmethod
    def of_a_new_site(cls) -> Policy:
        """Return what a site starts with."""
        return cls.of(NEW_SITE_OPTIONS)

    def actions(self, sop_class_uid: str) -> Actions:
        """Return what is done to the elements of an instance of this class; remembered."""
        return _actions(self.options, iod_of(sop_class_uid))

    def content_action(self, scheme: str, code: str, value_type: str) -> Action:
        """Return what is done to a content item, by its concept name and value type (PS3.15 section E.3.4).

        A concept that the table lists with other value types only is treated as its first row says, with this one.
        """
        row = _content_rows().get((scheme, code, value_type)) or _concepts().get((scheme, code))
        if row is None:
            return unlisted_content_action(value_type, self.options)
        return content_action(row._replace(value_type=value_type), self.options)

    @property
    def codes(self) -> tuple[Code, ...]:
        """The codes for (0012,0064): the profile's, then those of the options in the order of CID 7050."""
        return (BASIC_CODE, *(code for name, code in OPTION_CODES.items() if name in self.options))

    def markers(self) -> Mapping[int, tuple[str, ...]]:
        """Return the values to set besides the codes: (0012,0062), (0012,0063), (0028,0303)."""
        return {
            PATIENT_IDENTITY_REMOVED: ("YES",),
            METHOD: (standard_name(), *(code.meaning for code in self.codes)),
            LONGITUDINAL: (self._longitudinal(),),
        }

    def _longitudinal(self) -> str:
        if named.FULL_DATES in self.options:
            return "UNMODIFIED"
        return "MODIFIED" if named.MODIFIED_DATES in self.options else "REMOVED"


@dataclass(frozen=True, repr=False)
class Actions:
    """What a policy does to the elements of one kind of instance. Every method costs one or two look-ups."""

    root: Mapping[int, Action]
    nested: Mapping[int, Action]
    required: Mapping[tuple[int, int], Action]
    graphics: bool
    safe_private: bool

    def at_root(self, tag: int) -> Action:
        """Return what is done to a public element of the data set itself."""
        return self.root.get(tag) or _unlisted(tag, self.graphics)

    def within(self, parent: int, tag: int) -> Action:
        """Return what is done to a public element of an item, at any depth, of the sequence `parent`."""
        return self.required.get((parent, tag)) or self.nested.get(tag) or _unlisted(tag, self.graphics)

    def private(self, group: int, creator: str, element: int) -> Action:
        """Return what is done to a private element, wherever it stands.

        Args:
            group: an odd group.
            creator: the value of the private creator of its block, without padding; empty if there is none.
            element: the lowest byte of the tag, which counts within the block.
        """
        if not self.safe_private:
            return Action.REMOVE
        return _private_actions().get((group, creator, element), Action.REMOVE)


@lru_cache(maxsize=512)
def _actions(options: frozenset[str], iod: str | None) -> Actions:
    rows = _single_rows()
    required = root_types(iod)
    rest = Type.OPTIONAL if iod else Type.UNKNOWN
    return Actions(
        {tag: attribute_action(row, options, required.get(tag, rest)) for tag, row in rows.items()},
        *_nested_actions(options),
        named.GRAPHICS in options,
        named.SAFE_PRIVATE in options,
    )


@lru_cache(maxsize=32)
def _nested_actions(options: frozenset[str]) -> tuple[Mapping[int, Action], Mapping[tuple[int, int], Action]]:
    rows = _single_rows()
    loose = {tag: attribute_action(row, options, Type.OPTIONAL) for tag, row in rows.items()}
    strict = {place: attribute_action(rows[place[1]], options, type_) for place, type_ in nested_types().items()}
    return loose, strict


@lru_cache(maxsize=1)
def _single_rows() -> Mapping[int, Attribute]:
    """The rows of one tag each; those of a pattern are in `_unlisted`."""
    return {row.tag: row for row in (*attributes(), *BEYOND_THE_TABLE) if row.tag is not None}


@lru_cache(maxsize=8192)
def _unlisted(tag: int, graphics: bool) -> Action:
    """What is done to a public element without a row: kept if the data dictionary knows it.

    Group lengths and what nobody knows are removed. An overlay goes whole, not only its data and comments, because
    the rest of it is not valid without them. Importing pydicom is put off until here.
    """
    group, element = tag >> 16, tag & 0xFFFF
    if group % 2 or element == 0 or group < _FIRST_GROUP:
        return Action.REMOVE
    if group >> 8 == _CURVES:
        return Action.GRAPHICS if graphics else Action.REMOVE
    if group >> 8 == _OVERLAYS:
        return _overlay(element, graphics)
    return _by_dictionary(tag)


def _overlay(element: int, graphics: bool) -> Action:
    if not graphics:
        return Action.REMOVE
    return Action.GRAPHICS if element in {_OVERLAY_DATA, _OVERLAY_COMMENTS} else Action.KEEP


def _by_dictionary(tag: int) -> Action:
    from pydicom.datadict import dictionary_has_tag, dictionary_VR, repeater_has_tag  # noqa: PLC0415 - half a second

    if not dictionary_has_tag(tag) and not repeater_has_tag(tag):
        return Action.REMOVE
    return Action.ITEMS if dictionary_VR(tag) == "SQ" else Action.KEEP


@lru_cache(maxsize=1)
def _private_actions() -> Mapping[tuple[int, str, int], Action]:
    by_vr = {"SQ": Action.ITEMS, "UI": Action.UID}
    return {place: by_vr.get(vr, Action.KEEP) for place, vr in safe_private().items()}


@lru_cache(maxsize=1)
def _content_rows() -> Mapping[tuple[str, str, str], ContentItem]:
    return {(row.scheme, row.code, row.value_type): row for row in content_items()}


@lru_cache(maxsize=1)
def _concepts() -> Mapping[tuple[str, str], ContentItem]:
    """The first row of each concept."""
    return {(row.scheme, row.code): row for row in reversed(content_items())}
