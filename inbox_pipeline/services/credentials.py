"""Passwords: hashing, checking, and remembering for five minutes that a pair was right.

Belongs here: argon2, what a password must be, and the memory of verified pairs. Does not belong here: users and their
rights (`services/accounts.py`).
"""

from __future__ import annotations

import secrets
import threading
import time
from functools import cache
from importlib import resources

import argon2

from inbox_pipeline.intake.reasons import refusal

REMEMBER_SECONDS = 300.0
"""How long a verified pair is remembered (in memory only)."""

REMEMBER_MOST = 4096
SHORTEST_PASSWORD = 8

_HASHER = argon2.PasswordHasher()
_HASHING = threading.BoundedSemaphore(2)


class VerifiedPairs:
    """Digests of pairs that argon2 has verified lately, so that Basic on every request costs no 50 ms each time.

    The caller's digest is keyed with the site's secret and covers the credentials' version, so a changed password or a
    disabled account is not found here, whichever process changed it.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def holds(self, digest: str) -> bool:
        """Return whether the pair was verified within the last five minutes."""
        with self._lock:
            return self._until.get(digest, 0.0) > time.monotonic()

    def add(self, digest: str) -> None:
        """Remember a pair that was just verified; a full memory forgets."""
        now = time.monotonic()
        with self._lock:
            if len(self._until) >= REMEMBER_MOST:
                self._until = {key: until for key, until in self._until.items() if until > now}
            if len(self._until) >= REMEMBER_MOST:
                self._until.clear()
            self._until[digest] = now + REMEMBER_SECONDS


def refuse_weak(login: str, password: str) -> None:
    """Refuse a password that is short, the login or one of the commonest, and no other (NIST SP 800-63B, 3.1.1.2).

    Raises:
        Rejected: `password_weak`.
    """
    folded = password.casefold()
    if len(password) < SHORTEST_PASSWORD or folded == login.casefold() or folded in _commonest():
        raise refusal("password_weak")


def hash_password(login: str, password: str) -> str:
    """Return the argon2id hash of a user's new password.

    Raises:
        Rejected: `password_weak`.
    """
    refuse_weak(login, password)
    with _HASHING:
        return _HASHER.hash(_encoded(password))


def password_matches(password_hash: str, password: str) -> bool:
    """Return whether a password is right; at most two are checked at a time, as each check takes 64 MiB."""
    with _HASHING:
        try:
            return _HASHER.verify(password_hash, _encoded(password))
        except argon2.exceptions.VerifyMismatchError:
            return False


@cache
def decoy_hash() -> str:
    """Return a hash that no password matches, so that an unknown login takes as long as a wrong password."""
    with _HASHING:
        return _HASHER.hash(secrets.token_bytes(16))


@cache
def _commonest() -> frozenset[str]:
    lines = (resources.files("inbox_pipeline.services") / "common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogateescape")
