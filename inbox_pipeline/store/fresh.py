"""What a row of the ledger holds before its file has been worked on.

Belongs here: those values, for the catalog and for commands that keep their rows in memory and load no SQLAlchemy. Does
not belong here: the table (`catalog/schema.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FRESH: Mapping[str, Any] = {
    "disposition": "pending",
    "reason": "waiting",
    "detail": None,
    "session_number": None,
    "scan_label": None,
    "source_sha256": None,
    "staged_name": None,
    "archived_path": None,
    "archived_sha256": None,
    "archived_md5": None,
    "archived_bytes": None,
    "sop_instance_uid": None,
    "sop_class_uid": None,
    "series_uid": None,
    "study_uid": None,
    "study_date": None,
    "study_time": None,
    "series_description": None,
    "frames": None,
    "warnings": 0,
    "identifiers": 0,
    "face": False,
    "digested": None,
}
