"""Whether an IOD requires an attribute: its Type by SOP class (PS3.3), as far as the profile depends on it.

Belongs here: reading the generated table. Does not belong here: what follows from a Type (`resolve.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from typing import Any

from inbox_pipeline.deid.table import read_json


class Type(IntEnum):
    """What an IOD asks of an attribute that is present; a conditional Type counts as its unconditional one."""

    UNKNOWN = 0
    VALUE = 1
    """Type 1 or 1C: a value."""
    PRESENT = 2
    """Type 2 or 2C: presence, be it empty."""
    OPTIONAL = 3
    """Type 3, or not of that IOD."""


def iod_of(sop_class_uid: str) -> str | None:
    """Return the IOD of a storage SOP class; None for a class that PS3.4 (as shipped) does not know."""
    return _classes().get(sop_class_uid)


def root_types(iod: str | None) -> Mapping[int, Type]:
    """Return the required attributes at the root; what is missing there is OPTIONAL, or UNKNOWN without an IOD."""
    return _root().get(iod or "", {})


@lru_cache(maxsize=1)
def nested_types() -> Mapping[tuple[int, int], Type]:
    """Return the required attributes in items, by (tag of the sequence around, tag): the strictest of any IOD."""
    return {
        (int(parent, 16), tag): type_
        for parent, ones, twos in _tables()["nested"]
        for tag, type_ in _ranked(ones, twos).items()
    }


def source() -> dict[str, Any]:
    """Return what the table was made from."""
    return dict(_tables()["source"])


@lru_cache(maxsize=1)
def _classes() -> Mapping[str, str]:
    return dict(_tables()["sop_classes"])


@lru_cache(maxsize=1)
def _root() -> Mapping[str, Mapping[int, Type]]:
    return {iod: _ranked(ones, twos) for iod, ones, twos in _tables()["iods"]}


def _ranked(ones: str, twos: str) -> dict[int, Type]:
    present = {int(tag, 16): Type.PRESENT for tag in twos.split()}
    return present | {int(tag, 16): Type.VALUE for tag in ones.split()}


@lru_cache(maxsize=1)
def _tables() -> Any:
    return read_json("types.json")
