"""What a failing file system means for a request: another try later, or its end.

Belongs here: which system errors are transient, and both as errors of ours. Does not belong here: how often it is tried
(`ending.py`), and errors of a single source, which are reasons of its row.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from inbox_pipeline.errors import InboxError, LeaseLost, Rejected, Unavailable

TRANSIENT = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EAGAIN,
        errno.EINTR,
        errno.EBUSY,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
        errno.ETIMEDOUT,
        errno.ENOTCONN,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ECONNRESET,
    }
)
"""Errors that may be gone at the next try: a disk that is full or failing, a share that is away, a machine at its
limits."""


def storage_failed(error: OSError) -> InboxError:
    """Return the error for a storage that does not accept what is written."""
    if isinstance(error, FileNotFoundError):
        return LeaseLost("lease_lost", "The staging folder was taken over by another attempt.", "Follow the newer run.")
    name = errno.errorcode.get(error.errno or 0, "OSError")
    kind = Unavailable if error.errno in TRANSIENT else Rejected
    sentence, hint = f"The storage did not accept the files ({name}).", "Check disk space and rights, then retry."
    return kind("storage_failed", sentence, hint, {"error": name})


@contextmanager
def storing() -> Iterator[None]:
    """Turn the system's errors into ours.

    Raises:
        Unavailable: `storage_failed`, transient.
        Rejected: `storage_failed`, permanent.
        LeaseLost: the staging folder is another attempt's.
    """
    try:
        yield
    except OSError as error:
        raise storage_failed(error) from None
