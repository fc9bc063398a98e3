"""Which original UID and PatientID became which, for those who must be able to go back.

Belongs here: pairs of one file, and the CSV of many. Does not belong here: how identifiers are replaced, who may have a
map (the command `anonymize` writes one only when it is named a file).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inbox_pipeline.store.private_file import replacing

HEADER = ("id_old", "id_new")


@dataclass(frozen=True)
class Pairs:
    """New by old, of one file or of many."""

    uids: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)

    def add(self, other: Pairs) -> None:
        """Take up the pairs of another file; the first answer stays."""
        self.uids.update({old: new for old, new in other.uids.items() if old not in self.uids})
        self.patients.update({old: new for old, new in other.patients.items() if old not in self.patients})


def write_map(path: Path, pairs: Mapping[str, str]) -> None:
    """Write a map as CSV, readable by its owner alone, whole or not at all."""
    with replacing(path) as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(sorted(pairs.items()))
