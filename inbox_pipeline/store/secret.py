"""The site's secret: making, reading and deriving subkeys from it (DESIGN section 3, Secret).

Belongs here: the secret's file and HKDF. Does not belong here: what the subkeys are used for.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from inbox_pipeline.errors import Rejected
from inbox_pipeline.store.filesystem import fsync_directory

_FORM = re.compile(rb"[0-9a-fA-F]{64}\n?")
_NEXT_STEP = "Make one with: inbox-pipeline secret new FILE"


@dataclass(frozen=True, repr=False)
class Secret:
    """32 random bytes from which every key of a site is derived (HKDF-SHA256, RFC 5869)."""

    value: bytes

    def subkey(self, purpose: str, scope: str = "") -> bytes:
        """Return the 32-byte key for a purpose, and a project where it matters."""
        return _derive(self.value, f"inbox_pipeline/{purpose}/{scope}".encode())

    @property
    def key_id(self) -> str:
        """A name for the secret that tells nothing about it: 16 hexadecimal digits."""
        return self.subkey("key-id").hex()[:16]

    def digest(self, purpose: str, *values: str) -> str:
        """Return a keyed digest of identifiers, 32 hexadecimal digits; equal inputs give equal digests."""
        message = "\x1f".join(values).encode("utf-8", "surrogateescape")
        return hmac.digest(self.subkey(purpose), message, "sha256").hex()[:32]


@lru_cache(maxsize=256)
def _derive(value: bytes, info: bytes) -> bytes:
    """Return HKDF's output; remembered, because a run asks for the same few keys once per file."""
    return bytes(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(value))


def new_secret(path: Path) -> Secret:
    """Write a new secret to `path`, readable by its owner alone, and make it durable.

    Raises:
        Rejected: `secret_exists`, when there is a file already.
    """
    value = secrets.token_bytes(32)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Rejected("secret_exists", "There is a secret in that file already.", "Choose another file.") from None
    with os.fdopen(handle, "wb") as file:
        file.write(value.hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fsync_directory(path.absolute().parent)
    return Secret(value)


def read_secret(path: Path) -> Secret:
    """Read a secret from `path`.

    Raises:
        Rejected: `secret_missing`, `secret_malformed` or `secret_exposed` (readable by others).
    """
    try:
        text = path.read_bytes()
        mode = path.stat().st_mode
    except OSError:
        raise Rejected("secret_missing", "The secret's file is missing or cannot be read.", _NEXT_STEP) from None
    if stat.S_IMODE(mode) & 0o077:
        raise Rejected("secret_exposed", "The secret's file can be read by others.", "Run chmod 600 on it.")
    if not _FORM.fullmatch(text):
        raise Rejected("secret_malformed", "The secret must be 64 hexadecimal digits.", _NEXT_STEP)
    return Secret(bytes.fromhex(text.decode().strip()))
