"""UIDs for scripts that do not follow from a value alone: keyed functions, so that nothing has to be stored.

Belongs here: `newUID`, `mapUID` and `mapReferencedUIDs` (dicomedit specification 3.2) under a project's key. Does not
belong here: where the key comes from (`store/secret.py`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

PURPOSE = "script-uids"
"""The purpose under which a project's key for these UIDs is derived from the site's secret."""


class KeyedUids:
    """UIDs for one file: the same ones at a retry, on another machine and in another process that has the key.

    The number is the first 128 bits of an HMAC-SHA-256 (PS3.5 section B.2 allows any 128 bits under 2.25).

    Args:
        key: the project's key.
        source_digest: gives the SHA-256 of the whole source file; called at most once, when a new UID is asked for.
    """

    def __init__(self, key: bytes, source_digest: Callable[[], bytes]) -> None:
        self._key = key
        self._source_digest = source_digest
        self._source: bytes | None = None

    def new_uid(self, script_digest: str, call: int) -> str:
        """Return the UID of the `call`-th call in that script on this file."""
        if self._source is None:
            self._source = self._source_digest()
        return f"2.25.{self._number(b'new', self._source, script_digest.encode(), str(call).encode())}"

    def mapped_uid(self, prefix: str, value: str) -> str:
        """Return the UID under a prefix that stands for a value."""
        return f"{prefix}.{self._number(b'mapped', prefix.encode(), value.encode('utf-8', 'surrogateescape'))}"

    def _number(self, *parts: bytes) -> int:
        message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return int.from_bytes(hmac.digest(self._key, message, hashlib.sha256)[:16], "big")
