"""Which texts a catalog can hold.

Belongs here: that, for the catalog and for commands that load no SQLAlchemy. Does not belong here: which labels are
legal (`intake/labels.py`).
"""

from __future__ import annotations

import re

_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def can_hold(*texts: str) -> bool:
    """Return whether a catalog can hold texts, and so be asked for them.

    PostgreSQL has no NUL, and no database a lone surrogate, which stands for a byte that is not UTF-8.
    """
    return not any(map(_NO_TEXT.search, texts))
