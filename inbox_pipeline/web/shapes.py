"""The shapes of our own API's answers, for its description.

Belongs here: members and their types. Does not belong here: making the answers (`services`), which are written as they
come from there; that they have these members is tested over HTTP.

Answers of later releases may have more members.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

Status = Literal["Queued", "Accepted", "Trawling", "Importing", "Processed", "Completed", "Failed"]
Outcome = Literal["complete", "partial", "failed", "cancelled"]
Finding = dict[str, str | int]
Identified = dict[str, Any] | None
"""How a session was named: for each of `project`, `subject` and `session` the rule that fired, and the others."""


class Files(BaseModel):
    """How many files were found, and what became of them."""

    found: int
    by_disposition: dict[str, int]
    by_reason: dict[str, int]


class RequestSession(BaseModel):
    """A session that a request makes; `uri` is null until it has appeared."""

    project: str
    subject: str
    session: str
    uri: str | None
    state: str
    files: int
    reason: str | None
    identified: Identified
    findings: list[Finding]


class ImportRequest(BaseModel):
    """An import request: XNAT's members, of which `resolution` is left out until there is one, and ours."""

    id: int
    enabled: bool
    created: int = Field(description="epoch milliseconds")
    timestamp: int = Field(description="epoch milliseconds of the last change")
    disabled: int
    username: str
    sessionPath: str  # noqa: N815 - XNAT's name
    status: Status
    cleanupAfterImport: bool  # noqa: N815 - XNAT's name
    resolution: str = ""
    parameters: dict[str, str]
    outcome: Outcome | None
    verdict: str | None
    phase: str
    reason: str | None
    files: Files
    sessions: list[RequestSession]
    bytes: int
    attempt: int
    dagster_run_id: str | None
    cleanup: Literal["off", "pending", "done", "partial"]
    created_at: datetime
    finished_at: datetime | None


class ImportRequests(BaseModel):
    """A page of import requests; `next` is the `before` of the next one."""

    requests: list[ImportRequest]
    next: int | None


class WithdrawnSession(BaseModel):
    """A session that was withdrawn or restored; one of the prearchive has no accession id."""

    number: int
    accession: str | None
    state: str


class Undone(BaseModel):
    """What an undo or a restoration has done; `only_copies` counts files whose sources cleanup has deleted."""

    id: int
    verdict: str
    sessions: list[WithdrawnSession]
    only_copies: int
    kept_until: datetime | None
    sentence: str


class Deleted(BaseModel):
    """A session, or a scan of one, that was deleted from the archive; `kept_until` is null for the only copy."""

    id: int
    accession: str
    session: str
    scan: str | None
    files: int
    deleted_at: datetime
    only_copies: int
    kept_until: datetime | None


class DeletedList(BaseModel):
    """What was deleted from a project's archive and can be restored."""

    deleted: list[Deleted]


class PlannedSession(BaseModel):
    """A session that an import would make."""

    project: str
    subject: str
    session: str
    subject_rule: str
    session_rule: str
    identified: Identified
    state: str
    reason: str | None
    files: int
    scans: dict[str, int]
    findings: list[Finding]


class PlannedFile(BaseModel):
    """What an import would do with a file."""

    source_path: str
    disposition: str
    reason: str
    bytes: int
    session: str | None
    scan: str | None


class Plan(BaseModel):
    """What an import would do."""

    project: str
    files: Files
    sessions: list[PlannedSession]
    rows: list[PlannedFile]


class ScriptFault(BaseModel):
    """Why a script cannot be stored; the last four members only for a fault at a place."""

    code: str
    sentence: str
    line: int = 0
    column: int = 0
    message: str = ""
    source: str = ""


class ScriptAdvice(BaseModel):
    """A sentence about a place of a script."""

    line: int
    column: int
    severity: Literal["error", "warning", "note"]
    code: str
    sentence: str
    source_line: str


class ScriptCheck(BaseModel):
    """What there is to say about a script."""

    compiles: bool
    error: ScriptFault | None
    language: str | None
    version: str | None
    advice: list[ScriptAdvice]


class ScriptVersion(BaseModel):
    """A version of a script."""

    id: int
    version: int
    digest: str
    author: str
    created_at: datetime
    removed: bool
    has_lookup: bool


class ScriptText(ScriptVersion):
    """A version of a script, and what is in it."""

    text: str
    lookup: str | None


class ScriptVersions(BaseModel):
    """Versions of a script."""

    versions: list[ScriptVersion]


class RoutingVersion(BaseModel):
    """A version of routing expressions; number 0, without a time, where there never were any."""

    version: int
    text: str
    enabled: bool
    author: str
    created_at: datetime | None


class Routing(BaseModel):
    """The newest routing expressions for each of the three."""

    project: RoutingVersion
    subject: RoutingVersion
    session: RoutingVersion


class RoutingVersions(BaseModel):
    """Versions of routing expressions."""

    versions: list[RoutingVersion]


class Link(BaseModel):
    """What a PatientID or UID became."""

    request_id: int
    kind: str
    id_old: str
    id_new: str


class Links(BaseModel):
    """A linking table."""

    links: list[Link]


class AuditLine(BaseModel):
    """Who did what."""

    id: int
    at: datetime
    actor: str
    action: str
    object: str
    detail: dict[str, Any]


class AuditLines(BaseModel):
    """A page of the audit trail; `next` is the `before` of the next one."""

    lines: list[AuditLine]
    next: int | None
