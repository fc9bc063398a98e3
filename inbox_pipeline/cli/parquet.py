"""Writing a ledger as Parquet.

Belongs here: JSON lines to Parquet. Does not belong here: where the lines come from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.util import find_spec
from typing import BinaryIO

from inbox_pipeline.errors import Rejected

TEXTS = (
    "source_path",
    "disposition",
    "reason",
    "detail",
    "source_sha256",
    "archived_path",
    "archived_sha256",
    "project",
    "session",
    "scan",
    "sop_instance_uid",
    "deleted_at",
)


def write_parquet(lines: Iterable[bytes], out: BinaryIO) -> None:
    """Write JSON lines as one Parquet file; the ledger's texts are texts even where all are empty or look like numbers.

    Raises:
        Rejected: `parquet_missing`, when pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise Rejected(
            "parquet_missing", "Parquet needs pyarrow, which is not installed.", "pip install 'inbox-pipeline[parquet]'"
        )
    import pandas as pd  # noqa: PLC0415 - costs half a second

    kinds = {**dict.fromkeys(TEXTS, "string"), "bytes": "Int64"}
    rows = [json.loads(line) for line in b"".join(lines).splitlines()]
    frame = pd.DataFrame(rows, columns=None if rows else list(kinds)).astype(kinds)
    out.write(frame.to_parquet(None, index=False))
    out.flush()
