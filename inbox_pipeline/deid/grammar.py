"""Words that stand in an output because the standard puts them there, whatever somebody's name is.

Belongs here: places with the terms that each may hold. Does not belong here: searching (`verify.py`), the vocabulary of
descriptions (`vocabulary.py`).
"""

from __future__ import annotations

from functools import lru_cache

from inbox_pipeline.deid.options import CODES
from inbox_pipeline.deid.policy import METHOD, METHOD_CODES, standard_name

_VALUE_TYPE, _RELATIONSHIP_TYPE, _CODE_MEANING = 0x0040A040, 0x0040A010, 0x00080104
_VALUE_TYPES = frozenset(
    (
        "CODE", "COMPOSITE", "CONTAINER", "DATE", "DATETIME", "IMAGE", "NUM", "PNAME", "SCOORD", "SCOORD3D", "TABLE",
        "TCOORD", "TEXT", "TIME", "UIDREF", "WAVEFORM",
    )
)  # fmt: skip
_RELATIONSHIP_TYPES = frozenset(
    (
        "CONTAINS", "HAS ACQ CONTEXT", "HAS CONCEPT MOD", "HAS OBS CONTEXT", "HAS PROPERTIES", "INFERRED FROM",
        "SELECTED FROM",
    )
)  # fmt: skip
_OF_CONTENT = {_VALUE_TYPE: _VALUE_TYPES, _RELATIONSHIP_TYPE: _RELATIONSHIP_TYPES}


def is_grammar(path: tuple[int, ...], value: bytes) -> bool:
    """Return whether a value is made of terms that belong where it stands.

    These are Value Type and Relationship Type of content items (PS3.3 C.17.3) and the names of de-identification
    methods that outputs are marked with (PS3.16 CID 7050): a patient may be called Text, Clean or Profile.

    Args:
        path: tags of the sequences around the element, and its own.
        value: its bytes; values are separated by a backslash.
    """
    terms = _terms(path)
    return bool(terms) and all(part.strip(" \0") in terms for part in value.decode("latin-1").split("\\"))


def _terms(path: tuple[int, ...]) -> frozenset[str]:
    if path in ((METHOD,), (METHOD_CODES, _CODE_MEANING)):
        return _methods()
    return _OF_CONTENT.get(path[-1], frozenset()) if path else frozenset()


@lru_cache(maxsize=1)
def _methods() -> frozenset[str]:
    return frozenset((standard_name(), *(code.meaning for code in CODES)))
