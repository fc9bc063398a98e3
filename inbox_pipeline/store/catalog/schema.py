"""The catalog's tables, as SQLAlchemy Core metadata.

Belongs here: tables, columns, constraints and the column types shared by SQLite and PostgreSQL. Does not belong here:
queries (the other modules of this package) and migrations (`migrations/`).

Only these kinds of column may hold a value that came from a patient's file or from the person who asked: source paths,
request parameters, labels (subject, session, scan), notes that people write, and of files as archived, after
anonymization, what an archive is browsed by: UIDs, date and time of the study, series descriptions. Every other
identifier from a source file is stored as a keyed digest (`*_key`), so that the catalog alone tells nobody who a
patient is.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa


class UtcDateTime(sa.types.TypeDecorator[dt.datetime]):
    """Aware UTC datetimes, stored without offset so that SQLite and PostgreSQL order them alike."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Any) -> dt.datetime | None:
        """Store an aware datetime as naive UTC."""
        return None if value is None else value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(self, value: dt.datetime | None, dialect: Any) -> dt.datetime | None:
        """Return a stored datetime as aware UTC."""
        return None if value is None else value.replace(tzinfo=dt.UTC)


NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""Integer keys; SQLite gives row ids only to plain INTEGER columns."""


def _key() -> sa.Column[Any]:
    return sa.Column("id", Id, primary_key=True, autoincrement=True)


site = sa.Table(
    "site",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""Site-wide settings by name: key id, toggles, counters."""

users = sa.Table(
    "users",
    metadata,
    _key(),
    sa.Column("login", sa.String(64), nullable=False, unique=True),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("admin", sa.Boolean, nullable=False, default=False),
    sa.Column("enabled", sa.Boolean, nullable=False, default=True),
    sa.Column("credentials_version", sa.Integer, nullable=False, default=1),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("data_role", sa.String(16)),
    sa.Column("identity_key", sa.String(64), unique=True, index=True),
)
"""`data_role` is what the user may do in every project: `data-access`, `data-admin`, or nothing special (null);
`identity_key` the digest of a subject of the identity provider."""

login_failures = sa.Table(
    "login_failures",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("began_at", UtcDateTime, nullable=False),
    sa.Column("blocked_until", UtcDateTime, nullable=False),
)
"""Runs of failed log-ins by keyed digest of a login or an address; people type passwords into the login's field."""

alias_tokens = sa.Table(
    "alias_tokens",
    metadata,
    sa.Column("alias", sa.String(36), primary_key=True),
    sa.Column("secret_digest", sa.String(64), nullable=False),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
)

web_sessions = sa.Table(
    "web_sessions",
    metadata,
    sa.Column("id_digest", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("credentials_version", sa.Integer, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("last_used_at", UtcDateTime, nullable=False),
)
"""JSESSIONs; the cookie's value itself is never stored."""

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("id_key", sa.String(64), nullable=False, unique=True),
    sa.Column("title", sa.String(255), nullable=False, default=""),
    sa.Column("prearchive_code", sa.Integer, nullable=False, default=4),
    sa.Column("policy", sa.String(16), nullable=False, default="none"),
    sa.Column("options", sa.Text, nullable=False, default=""),
    sa.Column("strict_identifiers", sa.Boolean, nullable=False, default=False),
    sa.Column("strict_script", sa.Boolean, nullable=False, default=False),
    sa.Column("script_enabled", sa.Boolean, nullable=False, default=False),
    sa.Column("linking_table", sa.Boolean, nullable=False, default=False),
    sa.Column("sweep", sa.Boolean, nullable=False, default=False),
    sa.Column("sweep_user", sa.String(64)),
    sa.Column("quiet_seconds", sa.Float),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("deleted_at", UtcDateTime),
)
"""A project that was deleted (`deleted_at`) is none any more; its row keeps what leads to it until it is made again."""

memberships = sa.Table(
    "memberships",
    metadata,
    sa.Column("project_id", sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
)

scripts = sa.Table(
    "scripts",
    metadata,
    _key(),
    sa.Column("project_id", sa.ForeignKey("projects.id"), index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("author", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("lookup", sa.Text),
    sa.UniqueConstraint("project_id", "version"),
)
"""Anonymization scripts, every version; `project_id` null means the site-wide script, a blank `text` that the project
has none since then. `lookup` is the table that goes with it. `digest` covers both."""

routing_rules = sa.Table(
    "routing_rules",
    metadata,
    _key(),
    sa.Column("target", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("author", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("target", "version"),
)
"""Administrators' routing expressions, every version; `target` is what they find: `project`, `subject`, `session`."""

requests = sa.Table(
    "requests",
    metadata,
    _key(),
    sa.Column("username", sa.String(64), nullable=False, index=True),
    sa.Column("source", sa.String(16), nullable=False, default="rest"),
    sa.Column("source_path", sa.LargeBinary, nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("same_key", sa.String(64), nullable=False, index=True),
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("subject_label", sa.String(255)),
    sa.Column("session_label", sa.String(255)),
    sa.Column("only_listed", sa.Boolean, nullable=False, default=False),
    sa.Column("prevent_anon", sa.Boolean, nullable=False, default=False),
    sa.Column("policy", sa.String(16)),
    sa.Column("options", sa.Text),
    sa.Column("strict_identifiers", sa.Boolean),
    sa.Column("checks", sa.JSON(none_as_null=True)),
    sa.Column("auto_archive", sa.Boolean),
    sa.Column("cleanup", sa.Boolean, nullable=False, default=False),
    sa.Column("cleanup_state", sa.String(16), nullable=False, default="off"),
    sa.Column("status", sa.String(16), nullable=False, default="Queued", index=True),
    sa.Column("phase", sa.String(32), nullable=False, default="queued"),
    sa.Column("steps_done", sa.Integer, nullable=False, default=0),
    sa.Column("outcome", sa.String(16)),
    sa.Column("reason", sa.String(64)),
    sa.Column("verdict", sa.Text),
    sa.Column("resolution", sa.Text),
    sa.Column("before_undo", sa.JSON(none_as_null=True)),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, default=False),
    sa.Column("attempt", sa.Integer, nullable=False, default=1),
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", sa.Float),
    sa.Column("lease_owner", sa.String(128)),
    sa.Column("last_token", sa.String(32)),
    sa.Column("dagster_run_id", sa.String(64), index=True),
    sa.Column("bytes", sa.BigInteger, nullable=False, default=0),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("queued_at", sa.Float, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("prearchive_session_id", sa.BigInteger),
    sa.Column("routing", sa.JSON(none_as_null=True)),
)
"""Import requests, and those that archive a prearchive session, `prearchive_session_id`.

 `steps_done` counts the pipeline's finished steps; `lease_until`, `queued_at` are epoch seconds of
the database's clock; `policy`, `options` and `strict_identifiers` are those that the attempt began with; `checks` holds
counts of what was proved of the committed files, `before_undo` how the request had ended before its sessions were
withdrawn; `routing` the versions of routing expressions by target that the attempt began with."""

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("request_id", sa.ForeignKey("requests.id"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("dagster_run_id", sa.String(64)),
    sa.Column("token", sa.String(32), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("end_reason", sa.String(64)),
    sa.Column("durable_files", sa.Integer, nullable=False, default=0),
    sa.Column("died_at", sa.String(64)),
)
"""`died_at` is the digest of the path at which the attempt's worker died, if it did at a file."""

request_sessions = sa.Table(
    "request_sessions",
    metadata,
    sa.Column("request_id", sa.ForeignKey("requests.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("project_id", sa.String(64), nullable=False),
    sa.Column("subject_label", sa.String(255), nullable=False),
    sa.Column("session_label", sa.String(255), nullable=False),
    sa.Column("study_key", sa.String(64), nullable=False),
    sa.Column("patient_key", sa.String(64), nullable=False),
    sa.Column("subject_rule", sa.String(64), nullable=False),
    sa.Column("session_rule", sa.String(64), nullable=False),
    sa.Column("destination", sa.String(16), nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("reason", sa.String(64)),
    sa.Column("findings", sa.JSON, nullable=False),
    sa.Column("scripts", sa.JSON(none_as_null=True)),
    sa.Column("intent_token", sa.String(32)),
    sa.Column("intent_target", sa.Text),
    sa.Column("intent_timestamp", sa.String(32)),
    sa.Column("manifest_digest", sa.String(64)),
    sa.Column("intent_into", sa.BigInteger),
    sa.Column("session_id", sa.ForeignKey("sessions.id"), index=True),
    sa.Column("identified", sa.JSON(none_as_null=True)),
)
"""The sessions of a request: what `validate` planned and by which rules (`identified`: their names, never values), the
script versions that `anonymize` keeps to, the journal of the commit (`intent_*`; `intent_into` is the existing session
that a commit gives a new generation), and where it ended."""

ledger = sa.Table(
    "ledger",
    metadata,
    _key(),
    sa.Column("request_id", sa.ForeignKey("requests.id"), nullable=False),
    sa.Column("source_path", sa.LargeBinary, nullable=False),
    sa.Column("path_digest", sa.String(64), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False, default=0),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False, default=0),
    sa.Column("inode", sa.String(48), nullable=False, default=""),
    sa.Column("disposition", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(64)),
    sa.Column("detail", sa.Text),
    sa.Column("study_key", sa.String(64)),
    sa.Column("series_key", sa.String(64)),
    sa.Column("sop_key", sa.String(64)),
    sa.Column("frame_key", sa.String(64)),
    sa.Column("patient_key", sa.String(64)),
    sa.Column("modality", sa.String(16)),
    sa.Column("scan_label_asked", sa.String(64)),
    sa.Column("instance_number", sa.Integer),
    sa.Column("subject_label", sa.String(255)),
    sa.Column("session_label", sa.String(255)),
    sa.Column("subject_rule", sa.String(64)),
    sa.Column("session_rule", sa.String(64)),
    sa.Column("auto_archive", sa.Boolean),
    sa.Column("session_number", sa.Integer),
    sa.Column("scan_label", sa.String(64)),
    sa.Column("source_sha256", sa.String(64)),
    sa.Column("archived_path", sa.Text),
    sa.Column("archived_sha256", sa.String(64)),
    sa.Column("archived_md5", sa.String(32)),
    sa.Column("archived_bytes", sa.BigInteger),
    sa.Column("staged_name", sa.String(255)),
    sa.Column("sop_instance_uid", sa.String(64)),
    sa.Column("sop_class_uid", sa.String(64)),
    sa.Column("series_uid", sa.String(64)),
    sa.Column("study_uid", sa.String(64)),
    sa.Column("study_date", sa.Date),
    sa.Column("study_time", sa.Time),
    sa.Column("series_description", sa.String(255)),
    sa.Column("frames", sa.Integer),
    sa.Column("warnings", sa.Integer, nullable=False, default=0),
    sa.Column("identifiers", sa.Integer, nullable=False, default=0),
    sa.Column("face", sa.Boolean, nullable=False, default=False),
    sa.Column("session_id", sa.ForeignKey("sessions.id"), index=True),
    sa.Column("deleted_at", UtcDateTime),
    sa.Column("digested", sa.Boolean),
    sa.UniqueConstraint("request_id", "path_digest"),
    sa.Index("ix_ledger_request_disposition", "request_id", "disposition"),
)
"""One row per file found under the requested path. UIDs, dates and descriptions in the clear are those of the file as
archived; `digested` tells that the file's identifiers are among `identifier_digests`."""

identifier_digests = sa.Table(
    "identifier_digests",
    metadata,
    sa.Column("request_id", sa.ForeignKey("requests.id"), primary_key=True),
    sa.Column("study_key", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
)
"""Keyed digests of the identifiers of a study that a request has imported under policy `basic`: by them, later labels
are compared with the patient. Digests of two requests or studies cannot be compared with each other; `key_id` names the
secret. No route and no command shows them."""

subjects = sa.Table(
    "subjects",
    metadata,
    _key(),
    sa.Column("accession", sa.String(64), nullable=False, unique=True),
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("label", sa.String(255), nullable=False),
    sa.Column("label_key", sa.String(255), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("deleted_at", UtcDateTime),
    sa.UniqueConstraint("project_id", "label_key"),
)
"""A subject that was deleted (`deleted_at`) is there again, with its accession id, as soon as it has a session."""

WITHDRAWING, WITHDRAWN, RESTORING, DELETED = "WITHDRAWING", "WITHDRAWN", "RESTORING", "DELETED"
"""States of a session that was undone or deleted: on its way to the trash, there, on its way back, gone for good."""

HANDED_OVER = "HANDED_OVER"
"""State of a prearchive session whose files are an archived session's now; its folder has still to go to the trash."""

sessions = sa.Table(
    "sessions",
    metadata,
    _key(),
    sa.Column("accession", sa.String(64), unique=True),
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("subject_id", sa.ForeignKey("subjects.id"), index=True),
    sa.Column("subject_label", sa.String(255), nullable=False),
    sa.Column("label", sa.String(255), nullable=False),
    sa.Column("label_key", sa.String(255), nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("reason", sa.String(64)),
    sa.Column("prearchive_timestamp", sa.String(32)),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("study_uid", sa.String(64), nullable=False, index=True),
    sa.Column("modality", sa.String(16), nullable=False, default=""),
    sa.Column("xsi_type", sa.String(64), nullable=False, default=""),
    sa.Column("policy", sa.String(16), nullable=False, default="none"),
    sa.Column("options", sa.Text, nullable=False, default=""),
    sa.Column("scripts", sa.JSON, nullable=False),
    sa.Column("manifest_digest", sa.String(64), nullable=False),
    sa.Column("request_id", sa.BigInteger),
    sa.Column("username", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("withdrawn_at", UtcDateTime),
    sa.Column("state_before", sa.String(32)),
    sa.Column("read_at", UtcDateTime),
    sa.Column("damage", sa.JSON(none_as_null=True)),
    sa.Column("date", sa.Date),
    sa.Column("time", sa.Time),
    sa.Column("moving_to", sa.String(64)),
    sa.Column("labelled_as", sa.JSON(none_as_null=True)),
    sa.Column("note", sa.Text),
    sa.Column("part_of", sa.BigInteger, index=True),
    sa.Column("part_scan", sa.String(64)),
    sa.Index(
        "uq_sessions_archived_label",
        "project_id",
        "label_key",
        unique=True,
        sqlite_where=sa.text("state = 'ARCHIVED'"),
        postgresql_where=sa.text("state = 'ARCHIVED'"),
    ),
)
"""Archived sessions (`state` ARCHIVED), those that were undone or deleted, and prearchive sessions (any other state).

`path` is relative to the archive, the trash or the prearchive; `state_before` is what a withdrawn session was; `damage`
is what was found when the session was last read again, at `read_at`; `date` and `time` are the study's as archived,
null where it has none or the session is older than these columns. `moving_to` is the project to which a prearchive
session is on its way, `labelled_as` the project, subject and session that its scripts were run with, if others than
its own; `note` is what people have written about it.
`reason` is why a session waits in the prearchive, or
that it was deleted from the archive. A scan that was deleted is a session of its own in the trash: `part_of` is the one
that it was taken from, `part_scan` its label there."""

scans = sa.Table(
    "scans",
    metadata,
    _key(),
    sa.Column("session_id", sa.ForeignKey("sessions.id"), nullable=False),
    sa.Column("label", sa.String(64), nullable=False),
    sa.Column("series_uid", sa.String(64), nullable=False),
    sa.Column("modality", sa.String(16), nullable=False),
    sa.Column("xsi_type", sa.String(64), nullable=False),
    sa.Column("files", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("series_description", sa.String(255)),
    sa.Column("type", sa.String(255)),
    sa.Column("frames", sa.BigInteger),
    sa.Column("quality", sa.String(16)),
    sa.Column("note", sa.Text),
    sa.UniqueConstraint("session_id", "label"),
)
"""Scans; description, XNAT's `type` and number of frames are null for those that are older than these columns.
`quality` is what people have judged, null while nobody has; `note` what they have written."""

instances = sa.Table(
    "instances",
    metadata,
    _key(),
    sa.Column("session_id", sa.ForeignKey("sessions.id"), nullable=False, index=True),
    sa.Column("scan_id", sa.ForeignKey("scans.id"), nullable=False, index=True),
    sa.Column("ledger_id", sa.ForeignKey("ledger.id"), index=True),
    sa.Column("sop_instance_uid", sa.String(64), nullable=False),
    sa.Column("sop_class_uid", sa.String(64), nullable=False),
    sa.Column("sop_key", sa.String(64), nullable=False),
    sa.Column("instance_number", sa.Integer),
    sa.Column("source_sha256", sa.String(64), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("md5", sa.String(32), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("frames", sa.Integer),
    sa.UniqueConstraint("session_id", "sop_instance_uid"),
)
"""Instances as archived; `path` is relative to the session's folder, `sop_key` the keyed digest of the original UID."""

session_locks = sa.Table(
    "session_locks",
    metadata,
    sa.Column("project_id", sa.String(64), primary_key=True),
    sa.Column("label_key", sa.String(255), primary_key=True),
    sa.Column("request_id", sa.BigInteger, nullable=False),
)
"""One lock per (project, session label), held from a commit's intent to its release."""

sweep_folders = sa.Table(
    "sweep_folders",
    metadata,
    sa.Column("project_id", sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("path_digest", sa.String(64), primary_key=True),
    sa.Column("source_path", sa.LargeBinary, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("observed_at", sa.Float, nullable=False),
    sa.Column("unchanged_since", sa.Float, nullable=False),
)
"""The last observation of each folder that the sweeps look at; times are epoch seconds."""

sweep_files = sa.Table(
    "sweep_files",
    metadata,
    sa.Column("project_id", sa.ForeignKey("projects.id"), primary_key=True),
    sa.Column("path_digest", sa.String(64), primary_key=True),
    sa.Column("signature", sa.String(128), nullable=False),
    sa.Column("request_id", sa.BigInteger, nullable=False),
)
"""Files that a sweep has already asked to import, by path and by size, mtime and inode."""

requested_files = sa.Table(
    "requested_files",
    metadata,
    sa.Column("request_id", sa.ForeignKey("requests.id"), primary_key=True),
    sa.Column("path_digest", sa.String(64), primary_key=True),
    sa.Column("source_path", sa.LargeBinary, nullable=False),
)
"""The files of a request that names files rather than a whole folder (late files of a sweep); paths are relative."""

audit = sa.Table(
    "audit",
    metadata,
    _key(),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("object", sa.String(255), nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
)
"""Who changed what, when. Details hold ids and settings, never patient values."""
