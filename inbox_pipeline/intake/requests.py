"""What a request asks for: reading the query's parameters, and refusing those that cannot be honoured.

Belongs here: the parameters of contract section 1.1, their defaults and aliases, and the refusals that need nothing but
the query. Does not belong here: refusals that need the disk or the catalog (`services/requests.py` asks in order).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inbox_pipeline.intake.labels import is_legal
from inbox_pipeline.intake.merging import NOT_MERGED, Merge
from inbox_pipeline.intake.reasons import refusal

HANDLER = "inbox"
ALIASES = {"project": "PROJECT_ID", "subject": "SUBJECT_ID", "experiment": "EXPT_LABEL"}
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.zst", ".tar.xz")

DEFAULTS: Mapping[str, frozenset[str]] = {
    "Direct-Archive": frozenset({"false"}),
    "Custom-Processing": frozenset({"false"}),
    "identifier": frozenset({"dicomobjectidentifier"}),
    "namer": frozenset({"dicomfilenamer"}),
}
"""Parameters that change what is imported and are not built yet, with the values that change nothing."""


@dataclass(frozen=True)
class ImportParameters:
    """The query of an import request, read."""

    path: str
    project_id: str
    subject_label: str | None
    session_label: str | None
    cleanup: bool
    auto_archive: bool | None
    prevent_anon: bool
    merge: Merge
    recorded: dict[str, str]


def read_parameters(pairs: Iterable[tuple[str, str]]) -> ImportParameters:
    """Read the query's pairs; of a repeated parameter the last value counts, unknown ones are recorded.

    `project`, `subject` and `experiment` stand for PROJECT_ID, SUBJECT_ID and EXPT_LABEL where those are absent, and
    `session` for EXPT_LABEL. `recorded` is what XNAT would store: all of them as text, with `allowSessionMerge` and
    `overrideExceptions`. `path` alone is kept as it came, since a folder's name need not be UTF-8.
    """
    raw = dict(pairs)
    given = {name: _storable(value) for name, value in raw.items() if name != "import-handler"}
    named = _with_aliases(given)
    overwrite = named.get("overwrite", "").strip().lower()
    recorded = {
        **named,
        "allowSessionMerge": _text(overwrite not in NOT_MERGED),
        "overrideExceptions": _text(overwrite in {"delete", "override"}),
    }
    return ImportParameters(
        path=raw.get("path", ""),
        project_id=named.get("PROJECT_ID", "").strip(),
        subject_label=named.get("SUBJECT_ID") or None,
        session_label=named.get("EXPT_LABEL") or None,
        cleanup=is_true(named.get("cleanupAfterImport")),
        auto_archive=_wish(named),
        prevent_anon=is_true(named.get("prevent_anon")),
        merge=asked_merge(named),
        recorded=recorded,
    )


def refuse_unsupported(parameters: ImportParameters) -> None:
    """Refuse what the query alone shows to be impossible (contract 1.2, step 2).

    Raises:
        Rejected: `prearchive_code_without_project` or `not_supported`.
    """
    if parameters.recorded.get("prearchive_code") == "1" and not parameters.project_id:
        raise refusal("prearchive_code_without_project")
    for name, harmless in DEFAULTS.items():
        value = parameters.recorded.get(name, "").strip().lower()
        if value and value not in harmless:
            raise refusal("not_supported", name=name)


def refuse_illegal_labels(parameters: ImportParameters) -> None:
    """Refuse explicit labels that could not become folder names as they are.

    Raises:
        Rejected: `subject_label_illegal` or `session_label_illegal`.
    """
    if parameters.subject_label and not is_legal(parameters.subject_label):
        raise refusal("subject_label_illegal")
    if parameters.session_label and not is_legal(parameters.session_label):
        raise refusal("session_label_illegal")


def asked_merge(recorded: Mapping[str, str], prearchive_code: int = 0) -> Merge:
    """Return what a request's parameters, as they are recorded, say about existing sessions.

    Args:
        recorded: the parameters.
        prearchive_code: the code of the project.
    """
    return Merge.of(recorded.get("overwrite", ""), is_true(recorded.get("overwrite_files")), prearchive_code)


def is_archive_file(name: str) -> bool:
    """Return whether a file's name is that of an archive, which is opened as if it were a folder."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def is_true(value: str | None) -> bool:
    """Return whether a parameter is `true` in any case; absent, empty and anything else is false."""
    return (value or "").strip().lower() == "true"


def overlaps(one: bytes, other: bytes) -> bool:
    """Return whether one absolute path is the other or lies inside it."""
    one, other = one.rstrip(b"/") + b"/", other.rstrip(b"/") + b"/"
    return one.startswith(other) or other.startswith(one)


def _with_aliases(given: dict[str, str]) -> dict[str, str]:
    named = dict(given)
    for alias, name in ALIASES.items():
        if named.get(alias) and not named.get(name):
            named[name] = named[alias]
    session = named.pop("session", "")
    if session and not named.get("EXPT_LABEL"):
        named["EXPT_LABEL"] = session
    return named


def _wish(named: Mapping[str, str]) -> bool | None:
    value = (named.get("AA") or named.get("auto-archive") or "").strip().lower()
    return {"true": True, "false": False}.get(value)


def _storable(value: str) -> str:
    """Return text that any database can hold: bytes that were not UTF-8, and NUL, written as escapes."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")


def _text(flag: bool) -> str:
    return "true" if flag else "false"
