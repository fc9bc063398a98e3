"""Users, roles, alias tokens and web sessions in the catalog.

Belongs here: queries on `users`, `memberships`, `alias_tokens` and `web_sessions`. Does not belong here: passwords in
the clear, their checking, and the rules about who may do what (`services/accounts.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from inbox_pipeline.store.catalog.schema import alias_tokens, memberships, projects, users, web_sessions
from inbox_pipeline.store.texts import can_hold


def user_by_login(connection: Connection, login: str) -> sa.Row[Any] | None:
    """Return the user of that login, enabled or not."""
    query = sa.select(users).where(users.c.login == login)
    return connection.execute(query).one_or_none() if can_hold(login) else None


def user_by_identity(connection: Connection, key: str) -> sa.Row[Any] | None:
    """Return the user to whom an identity is linked, enabled or not."""
    return connection.execute(sa.select(users).where(users.c.identity_key == key)).one_or_none()


def insert_user(connection: Connection, login: str, password_hash: str, now: dt.datetime, **values: Any) -> int:
    """Add an enabled user with these other columns and return the key."""
    row = {"login": login, "password_hash": password_hash, "enabled": True, "created_at": now, **values}
    key = connection.execute(sa.insert(users).values(row)).inserted_primary_key
    if key is None:  # pragma: no cover - both databases return it
        raise LookupError("the database returned no key")
    return int(key[0])


def change_user(connection: Connection, user_id: int, **values: Any) -> None:
    """Set columns of a user; sessions and tokens go on."""
    connection.execute(sa.update(users).where(users.c.id == user_id).values(values))


def change_credentials(connection: Connection, user_id: int, **values: Any) -> None:
    """Set columns of a user and end everything that was granted on the old credentials: sessions and tokens."""
    bump = {"credentials_version": users.c.credentials_version + 1}
    connection.execute(sa.update(users).where(users.c.id == user_id).values(values | bump))
    connection.execute(sa.delete(web_sessions).where(web_sessions.c.user_id == user_id))
    connection.execute(sa.delete(alias_tokens).where(alias_tokens.c.user_id == user_id))


def all_users(connection: Connection) -> Sequence[sa.Row[Any]]:
    """Return every user, ordered by login."""
    return connection.execute(sa.select(users).order_by(users.c.login)).all()


def role_of(connection: Connection, user_id: int, project_id: str) -> tuple[bool, str | None]:
    """Return whether the project exists, and the user's role in it."""
    if not can_hold(project_id):
        return False, None
    membership = sa.and_(memberships.c.project_id == projects.c.id, memberships.c.user_id == user_id)
    statement = sa.select(memberships.c.role).select_from(projects.outerjoin(memberships, membership))
    statement = statement.where(projects.c.id == project_id, projects.c.deleted_at.is_(None))
    row = connection.execute(statement).one_or_none()
    return (False, None) if row is None else (True, row.role)


def insert_session(connection: Connection, digest: str, user_id: int, version: int, now: dt.datetime) -> None:
    """Add a web session; `digest` stands for its id."""
    row = {
        "id_digest": digest,
        "user_id": user_id,
        "credentials_version": version,
        "created_at": now,
        "last_used_at": now,
    }
    connection.execute(sa.insert(web_sessions).values(row))


def session_user(
    connection: Connection, digest: str, used_after: dt.datetime, begun_after: dt.datetime
) -> sa.Row[Any] | None:
    """Return the enabled user of a live web session with its `last_used_at`; sessions on old credentials are dead."""
    statement = (
        sa.select(users, web_sessions.c.last_used_at)
        .join(web_sessions, web_sessions.c.user_id == users.c.id)
        .where(web_sessions.c.id_digest == digest, web_sessions.c.last_used_at > used_after, users.c.enabled)
        .where(web_sessions.c.credentials_version == users.c.credentials_version)
        .where(web_sessions.c.created_at > begun_after)
    )
    return connection.execute(statement).one_or_none()


def touch_session(connection: Connection, digest: str, now: dt.datetime) -> None:
    """Record that a web session was used."""
    connection.execute(sa.update(web_sessions).where(web_sessions.c.id_digest == digest).values(last_used_at=now))


def delete_session(connection: Connection, digest: str) -> None:
    """End a web session."""
    connection.execute(sa.delete(web_sessions).where(web_sessions.c.id_digest == digest))


def delete_ended_sessions(connection: Connection, used_before: dt.datetime, begun_before: dt.datetime) -> None:
    """Remove the web sessions that have run out."""
    ended = (web_sessions.c.last_used_at <= used_before) | (web_sessions.c.created_at <= begun_before)
    connection.execute(sa.delete(web_sessions).where(ended))


def insert_token(connection: Connection, row: dict[str, Any]) -> None:
    """Add an alias token, and remove those that have run out."""
    connection.execute(sa.delete(alias_tokens).where(alias_tokens.c.expires_at <= row["created_at"]))
    connection.execute(sa.insert(alias_tokens).values(row))


def token_user(connection: Connection, alias: str, now: dt.datetime) -> sa.Row[Any] | None:
    """Return the enabled user of a live alias token, with the token's `secret_digest`."""
    statement = (
        sa.select(users, alias_tokens.c.secret_digest)
        .join(alias_tokens, alias_tokens.c.user_id == users.c.id)
        .where(alias_tokens.c.alias == alias, alias_tokens.c.expires_at > now, users.c.enabled)
    )
    return connection.execute(statement).one_or_none()


def tokens_of(connection: Connection, user_id: int, now: dt.datetime) -> Sequence[sa.Row[Any]]:
    """Return a user's live alias tokens, oldest first."""
    statement = sa.select(alias_tokens).where(alias_tokens.c.user_id == user_id, alias_tokens.c.expires_at > now)
    return connection.execute(statement.order_by(alias_tokens.c.created_at)).all()


def delete_token(connection: Connection, alias: str) -> None:
    """End an alias token."""
    connection.execute(sa.delete(alias_tokens).where(alias_tokens.c.alias == alias))
