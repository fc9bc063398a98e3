"""The words that descriptions may keep, and those that say nothing of a person although they stand in a name.

Belongs here: reading the word lists. Does not belong here: what is done with a text (`descriptors.py`).

`jargon.txt` is made by hand; its sections are the words of anatomy, protocols, vendors, agents, units and six languages
besides English, and these: `codes`, letters that are kept as technical although nobody knows them all; `compound`,
second halves of German and Dutch compounds; `placeholders`, what stands in place of a name (ANONYMOUS, PHANTOM);
`ambiguous`, common surnames that are words as well. `vocabulary.txt` is generated (`tools/make_deid_words.py`) from
what the standard itself is written with. All are folded (`folding.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from inbox_pipeline.deid.folding import fold

_APART = frozenset({"compound", "placeholders", "ambiguous"})
_SHORTEST_PART = 4


@lru_cache(maxsize=1)
def core() -> frozenset[str]:
    """Return the words made for this purpose: a name that is one of them says nothing by itself."""
    return frozenset().union(*(words for name, words in _sections().items() if name not in _APART))


@lru_cache(maxsize=1)
def known() -> frozenset[str]:
    """Return every word that a description keeps."""
    return core() | frozenset(fold(word) for line in _lines("vocabulary.txt") for word in line.split())


@lru_cache(maxsize=1)
def units() -> frozenset[str]:
    """Return what may follow a number, besides being words."""
    return _sections()["units"]


@lru_cache(maxsize=1)
def measures() -> frozenset[str]:
    """Return what a number may follow that says how much of something there is, besides being words."""
    return _sections()["measures"]


@lru_cache(maxsize=1)
def placeholders() -> frozenset[str]:
    """Return what stands in place of a person's name or id."""
    return _sections()["placeholders"]


@lru_cache(maxsize=1)
def ambiguous() -> frozenset[str]:
    """Return words that are common surnames or given names as well."""
    return _sections()["ambiguous"]


@lru_cache(maxsize=16_384)
def is_known(word: str) -> bool:
    """Whether a folded word is one to keep, or a compound of one and a listed second half (`kniegelenk`)."""
    if word in known():
        return True
    places = range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1)
    return any(word[place:] in _sections()["compound"] and _is_first_half(word[:place]) for place in places)


def _is_first_half(part: str) -> bool:
    """Whether a part is a word, perhaps with a linking letter after it (`konvertert` no, `beckens` yes)."""
    linked = part[:-1] if part.endswith(("s", "n")) else part
    return part in known() or (len(linked) >= _SHORTEST_PART and linked in known())


@lru_cache(maxsize=1)
def _sections() -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    name = ""
    for line in _lines("jargon.txt"):
        if line.startswith("["):
            name = line.strip("[]")
        found.setdefault(name, set()).update(fold(word) for word in line.replace("-", " ").split() if line[0] != "[")
    return {section: frozenset(words) for section, words in found.items()}


def _lines(name: str) -> list[str]:
    text = (resources.files("inbox_pipeline.deid") / "data" / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
