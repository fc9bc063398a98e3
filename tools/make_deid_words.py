"""Writes `inbox_pipeline/deid/data/vocabulary.txt`: the words with which the standard names things.

    pip install pydicom==3.0.2
    python tools/make_deid_words.py

Sources, all of pydicom (MIT): the names of elements (PS3.6), the names of UIDs (PS3.6 annex A), the names of private
elements, and the code meanings of PS3.16. Meanings hold eponyms; a word of theirs counts only if it is written in lower
case somewhere, which a person's name is not. Words that are common surnames (`ambiguous` in jargon.txt) stay out.

Belongs here: choosing the words. Does not belong here: the hand-made lists.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from pydicom._private_dict import private_dictionaries
from pydicom.datadict import DicomDictionary, RepeatersDictionary
from pydicom.sr._concepts_dict import concepts
from pydicom.uid import UID_dictionary

from inbox_pipeline.deid.folding import fold
from inbox_pipeline.deid.vocabulary import ambiguous, core

TARGET = Path(__file__).parent.parent / "inbox_pipeline" / "deid" / "data" / "vocabulary.txt"
WORD = re.compile(r"[^\W\d_]+")
SHORTEST = 3
SEEN_IN_PRIVATE_NAMES = 3
"""A word of private elements' names counts if as many of them have it."""
WIDTH = 118


def words(texts: Iterator[str]) -> Counter[str]:
    """Every word of some texts with its number of uses, as written."""
    return Counter(word for text in texts for word in WORD.findall(text))


def meanings() -> Iterator[str]:
    """Every code meaning of PS3.16."""
    for keywords in concepts.values():
        for codes in keywords.values():
            yield from (meaning for meaning, _ in codes.values())


def private_names() -> Iterator[str]:
    """The names of private elements, as far as they are known."""
    for elements in private_dictionaries.values():
        yield from (row[2] for row in elements.values() if row[2] != "Unknown")


def chosen() -> set[str]:
    """All words, folded, without those that the hand-made lists have and those that are surnames."""
    public = [row[2] for row in (*DicomDictionary.values(), *RepeatersDictionary.values())]
    of_names = words(iter([*public, *(row[0] for row in UID_dictionary.values())]))
    of_private = (word for word, uses in words(private_names()).items() if uses >= SEEN_IN_PRIVATE_NAMES)
    of_meanings = (word for word in words(meanings()) if word.islower())
    found = {fold(word) for source in (of_names, of_private, of_meanings) for word in source}
    return {word for word in found if len(word) >= SHORTEST} - ambiguous() - core()


def wrapped(ordered: list[str]) -> Iterator[str]:
    """Words in lines of a length that reads well."""
    line = ""
    for word in ordered:
        if len(line) + len(word) > WIDTH:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    yield line


def main() -> None:
    """Write the file."""
    head = [
        f"# Words of PS3.6 and PS3.16 as pydicom {metadata.version('pydicom')} states them,",
        "# by tools/make_deid_words.py; folded, without those of jargon.txt.",
    ]
    TARGET.write_text("\n".join([*head, *wrapped(sorted(chosen()))]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
