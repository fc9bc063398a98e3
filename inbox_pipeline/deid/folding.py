"""How words are compared: without case, accents, compatibility forms and what separates them.

Belongs here: folding text, cutting it into words and the parts of words. Does not belong here: what a word means.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_SPECIAL = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "µ": "u", "μ": "u"}
)
_ESCAPE = re.compile(r"\x1b[$(),\-./]*[0-9A-Z@]")
_CAMEL = re.compile(r"(?<=[^\W\d_])(?=[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ])|(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u1100-\u11ff\u3005-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


def fold(text: str) -> str:
    """Return text in lower case without accents, in compatibility forms, without ISO 2022 escape sequences."""
    if text.isascii() and "\x1b" not in text:
        return text.lower()
    return _fold(text)


@lru_cache(maxsize=16_384)
def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", _ESCAPE.sub("", text).lower().translate(_SPECIAL))
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return unicodedata.normalize("NFC", bare).casefold()


def camel_parts(text: str) -> list[str]:
    """Return the parts of a word whose case changes within it: `IntAsc` gives `Int`, `Asc`; others stay whole."""
    return [part for part in _CAMEL.split(text) if part]


def is_unspaced(text: str) -> bool:
    """Whether text is in a script that does not separate words: Chinese, Japanese, Korean names, Thai."""
    return _UNSPACED.search(text) is not None
