"""Identifiers as keyed digests: what may be stored beside a session, so that it can be searched once more at archiving.

Belongs here: making, storing as text, and looking up the digests. Does not belong here: identifiers themselves, which
are never stored (`identifiers.py`), the key (a subkey of the site's secret).

A digest can only be compared with that of a whole: each identifier's letters and digits are looked up at every place
where words begin and end, with anything between them; unlike `Verifier`, nothing is found within a longer word. How
long identifiers are is stored with them, so that few texts need a digest.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from inbox_pipeline.deid.date_spellings import dates_in
from inbox_pipeline.deid.identifier import Kind
from inbox_pipeline.deid.identifiers import Identifiers, beginnings, uids_in
from inbox_pipeline.deid.verify import Finding, Run, counts_in, is_numeric, leaves_of, place_of, readings

_PIECE = re.compile(r"[^\W\d_]+|\d+")
_MOST_PIECES = 16
_DIGEST_CHARACTERS = 32
_UID_CLASS, _DAY_CLASS, _TEXT_CLASS = "uid", "day", "text"


@dataclass(frozen=True, repr=False)
class KeyedIdentifiers:
    """The digests of one patient's identifiers, by kind and length."""

    kinds: Mapping[str, Kind]
    weak: frozenset[str]
    """Digests of what stands for itself in texts only."""
    lengths: frozenset[int]

    @classmethod
    def of(cls, identifiers: Identifiers, key: bytes) -> KeyedIdentifiers:
        """Return the digests of identifiers.

        Args:
            identifiers: those of one or more files of a patient.
            key: 32 bytes, derived from the site's secret for this purpose.
        """
        counting = [one for one in identifiers.patterned if not one.in_text]
        texts = {_digest(key, _TEXT_CLASS, one.joined): one for one in counting}
        kinds = {digest: one.kind for digest, one in texts.items()}
        kinds |= {_digest(key, _DAY_CLASS, day.joined): day.kind for day in identifiers.days}
        kinds |= {_digest(key, _UID_CLASS, uid): Kind.UID for uid in identifiers.uids}
        weak = frozenset(digest for digest, one in texts.items() if one.weak)
        return cls(kinds, weak, frozenset(len(one.joined) for one in counting))

    @classmethod
    def from_json(cls, text: str) -> KeyedIdentifiers:
        """Read what `to_json` wrote.

        Raises:
            ValueError: if it did not write it.
        """
        stored = json.loads(text)
        try:
            kinds = {digest: Kind(kind) for kind, digests in stored["digests"].items() for digest in digests}
            return cls(kinds, frozenset(stored["weak"]), frozenset(map(int, stored["lengths"])))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("no keyed identifiers") from error

    def to_json(self) -> str:
        """Return a text to store: digests, kinds and lengths, in an order that says nothing."""
        digests: dict[str, list[str]] = {}
        for digest in sorted(self.kinds):
            digests.setdefault(self.kinds[digest].value, []).append(digest)
        stored = {"digests": digests, "weak": sorted(self.weak), "lengths": sorted(self.lengths)}
        return json.dumps(stored, sort_keys=True, separators=(",", ":"))

    def __or__(self, other: KeyedIdentifiers) -> KeyedIdentifiers:
        """Return those of both, made with the same key."""
        return KeyedIdentifiers({**self.kinds, **other.kinds}, self.weak | other.weak, self.lengths | other.lengths)


class KeyedVerifier:
    """Searches files for identifiers of which only digests are known."""

    def __init__(self, keyed: KeyedIdentifiers, key: bytes) -> None:
        self._keyed = keyed
        self._found = lru_cache(maxsize=65_536)(self._look_up)
        self._key = key

    def residuals(self, runs: Iterable[Run]) -> list[Finding]:
        """Return what is left, each place and kind once, in the order of the file."""
        found: dict[Finding, None] = {}
        for run in runs:
            for leaf in leaves_of(run):
                if is_numeric(leaf):
                    continue
                texts = readings(leaf, every_charset=False)
                hits = {hit for text in texts for hit in self._in_text(text) if counts_in(leaf, hit[0], *hit[1:])}
                found |= {
                    Finding(place_of(run, leaf), kind): None for kind in sorted({hit[0] for hit in hits}, key=str)
                }
        return list(found)

    def _in_text(self, folded: str) -> Iterator[tuple[Kind, str, bool]]:
        """Kind, what was looked up, and whether that is weak, of everything that stands in folded text."""
        candidates = [(_TEXT_CLASS, joined) for joined in _windows(folded, self._keyed.lengths)]
        candidates += ((_DAY_CLASS, day.isoformat()) for _, _, days in dates_in(folded) for day in days)
        candidates += ((_UID_CLASS, part) for uid in uids_in(folded) for part in beginnings(uid))
        for candidate in candidates:
            digest = self._found(*candidate)
            if digest is not None:
                yield self._keyed.kinds[digest], candidate[1], digest in self._keyed.weak

    def _look_up(self, what: str, text: str) -> str | None:
        digest = _digest(self._key, what, text)
        return digest if digest in self._keyed.kinds else None


def _windows(folded: str, lengths: frozenset[int]) -> Iterator[str]:
    """Neighbouring pieces of a text, run together, that are as long as some identifier; leading zeros may go."""
    pieces = _PIECE.findall(folded)
    longest = max(lengths, default=0)
    for first in range(len(pieces)):
        joined = ""
        for piece in pieces[first : first + _MOST_PIECES]:
            joined += piece
            bare = joined.lstrip("0")
            if len(bare) > longest:
                break
            yield from (one for one in {joined, bare} if len(one) in lengths)


def _digest(key: bytes, what: str, text: str) -> str:
    return hmac.digest(key, f"{what}\x1f{text}".encode("utf-8", "surrogatepass"), sha256).hex()[:_DIGEST_CHARACTERS]
