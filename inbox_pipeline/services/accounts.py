"""Who is asking, and what they may do: passwords, users, web sessions, alias tokens, roles.

Belongs here: checking credentials, and the rules of XNAT's roles (`xnat-contract` section 6: collaborators read,
members edit, owners manage; in every project data access reads, data admin edits, an administrator does everything).
Does not belong here: cookies and headers (`web/`), argon2 (`services/credentials.py`), how many log-ins may fail
(`services/throttle.py`), and changing memberships (`services/projects.py`).

No password, token or session id is stored in the clear, and none of them appears in an error.
"""

from __future__ import annotations

import datetime as dt
import hmac
import re
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import throttle
from inbox_pipeline.services.credentials import VerifiedPairs, decoy_hash, hash_password, password_matches
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.throttle import FIRST_ADMINISTRATOR
from inbox_pipeline.store.catalog import accounts as store
from inbox_pipeline.store.catalog.site import record

ADMINISTRATOR = "administrator"
DATA_ADMIN = "data-admin"
DATA_ACCESS = "data-access"
SITE_ROLES = (ADMINISTRATOR, DATA_ADMIN, DATA_ACCESS, "none")
"""What a user may be in every project."""

IDLE_SECONDS = 900.0
"""A web session ends after this time without a request (XNAT's default)."""

LIFETIME_SECONDS = 86400.0
"""A web session ends this time after it began, however much it is used."""

TOKEN_SECONDS = 2 * 86400.0
"""An alias token ends after this time (XNAT's `aliasTokenTimeout`)."""

TOUCH_SECONDS = 15.0

_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ALIAS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Account:
    """An enabled user, as known to the use cases."""

    id: int
    login: str
    admin: bool
    data_role: str | None = None


_verified = VerifiedPairs()


def authenticate(
    site: Site, login: str, password: str, address: str | None = None, *, now: dt.datetime | None = None
) -> Account:
    """Return the account of a login and password, or of an alias token given as such a pair.

    Args:
        address: the IP address from which the pair comes; failures are counted by it too.

    Raises:
        Rejected: `login_failed`, the same for an unknown login, a wrong password and a disabled account.
        Throttled: `login_throttled`, after too many failures, whether the pair is right or not; never for a token.
    """
    if _ALIAS.fullmatch(login):
        return _token_account(site, login, password)
    trying = throttle.attempt(site, login, address, now or _now())
    with throttle.turn(trying):
        failures = throttle.refuse_blocked(site, trying)
        user = _user(site, login)
        if not _is_right(site, user, password):
            throttle.note_failure(site, trying, known=user is not None)
            raise refusal("login_failed")
        throttle.note_success(site, trying, failures)
    return _account(user)


def create_user(
    site: Site, actor: str, login: str, password: str, admin: bool = False, if_missing: bool = False, role: str = "none"
) -> Account:
    """Add a user with one of `SITE_ROLES`; with `if_missing`, an existing one is returned unchanged.

    Raises:
        Rejected: `name_illegal`, `password_weak`, `label_taken_by_user`, or `parameter_invalid` for an unknown role.
    """
    columns = _role_columns(ADMINISTRATOR if admin else role)
    if not _LOGIN.fullmatch(login) or _ALIAS.fullmatch(login):
        raise refusal("name_illegal", name=login)
    user = _user(site, login)
    if user is not None:
        return _existing(user, if_missing)
    password_hash = hash_password(login, password)
    with site.catalog.write() as connection:
        user = store.user_by_login(connection, login)
        if user is not None:
            return _existing(user, if_missing)
        user_id = store.insert_user(connection, login, password_hash, _now(), **columns)
        record(connection, actor, "user.create", login, **columns)
    return Account(user_id, login, **columns)


def set_role(site: Site, actor: str, login: str, role: str) -> None:
    """Give a user one of `SITE_ROLES` instead of the one that was; it counts from the next request on.

    Raises:
        Rejected: `user_not_found`, or `parameter_invalid` for an unknown role.
    """
    columns = _role_columns(role)
    with site.catalog.write() as connection:
        user = store.user_by_login(connection, login)
        if user is None:
            raise refusal("user_not_found")
        store.change_user(connection, user.id, **columns)
        record(connection, actor, "user.role", login, role=role)


def set_password(site: Site, actor: str, login: str, password: str) -> None:
    """Change a password; the user's sessions, tokens and remembered pairs end at once.

    The first administrator's password file is removed, as it no longer tells the truth.

    Raises:
        Rejected: `user_not_found` or `password_weak`.
    """
    password_hash = hash_password(login, password)
    _change(site, actor, login, "user.password", {}, password_hash=password_hash)
    if login == FIRST_ADMINISTRATOR:
        site.settings.admin_password_file.unlink(missing_ok=True)


def set_enabled(site: Site, actor: str, login: str, enabled: bool) -> None:
    """Enable or disable a user; disabling ends the user's sessions, tokens and remembered pairs at once.

    Raises:
        Rejected: `user_not_found`.
    """
    _change(site, actor, login, "user.enable" if enabled else "user.disable", {"enabled": enabled}, enabled=enabled)


def list_users(site: Site) -> list[dict[str, Any]]:
    """Return every user's members, ordered by login; `created_at` is ISO 8601, `linked` to a provider's identity."""
    with site.catalog.read() as connection:
        rows = store.all_users(connection)
    return [
        {
            "id": row.id,
            "login": row.login,
            "role": ADMINISTRATOR if row.admin else row.data_role or "none",
            "admin": row.admin,
            "enabled": row.enabled,
            "linked": row.identity_key is not None,
            "created_at": row.created_at.isoformat(),
        }
        for row in rows
    ]


def get_account(site: Site, login: str) -> Account | None:
    """Return the enabled user of that login, or None."""
    user = _user(site, login)
    return _account(user) if user is not None and user.enabled else None


def account_of_identity(site: Site, key: str) -> Account | None:
    """Return the enabled user to whom an identity is linked, or None."""
    with site.catalog.read() as connection:
        user = store.user_by_identity(connection, key)
    return _account(user) if user is not None and user.enabled else None


def start_session(site: Site, account: Account, *, now: dt.datetime | None = None) -> str:
    """Start a web session and return its id, 32 hexadecimal digits as Tomcat makes them.

    Raises:
        Rejected: `login_failed`, when the account was disabled meanwhile.
    """
    at = now or _now()
    session_id = secrets.token_hex(16).upper()
    with site.catalog.write() as connection:
        user = store.user_by_login(connection, account.login)
        if user is None or not user.enabled:
            raise refusal("login_failed")
        store.delete_ended_sessions(connection, *_live_since(at))
        digest = _session_digest(site, session_id)
        store.insert_session(connection, digest, user.id, user.credentials_version, at)
    return session_id


def session_account(site: Site, session_id: str, *, now: dt.datetime | None = None) -> Account | None:
    """Return the account of a live web session and count this as a use of it; None when it has ended.

    The time of use is written at most every 15 s, so a session lives between 885 and 900 s after its last request.
    """
    at = now or _now()
    digest = _session_digest(site, session_id)
    with site.catalog.read() as connection:
        user = store.session_user(connection, digest, *_live_since(at))
    if user is None:
        return None
    if at - user.last_used_at > dt.timedelta(seconds=TOUCH_SECONDS):
        with site.catalog.write() as connection:
            store.touch_session(connection, digest, at)
    return _account(user)


def end_session(site: Site, session_id: str) -> None:
    """End a web session; an unknown one is not an error."""
    with site.catalog.write() as connection:
        store.delete_session(connection, _session_digest(site, session_id))


def issue_token(
    site: Site, account: Account, actor: str | None = None, *, now: dt.datetime | None = None
) -> dict[str, Any]:
    """Issue an alias token: XNAT's members, with the `secret` that is never shown again. Times are epoch ms.

    `actor` is who asks for it, when not the account itself.
    """
    at = now or _now()
    alias, secret = str(uuid.uuid4()), secrets.token_hex(32)
    until = at + dt.timedelta(seconds=TOKEN_SECONDS)
    digest = _token_digest(site, alias, secret)
    row = {
        "alias": alias,
        "secret_digest": digest,
        "user_id": account.id,
        "created_at": at,
        "expires_at": until,
    }
    with site.catalog.write() as connection:
        store.insert_token(connection, row)
        record(connection, actor or account.login, "token.issue", account.login, alias=alias)
    return _token_members(account.login, alias, at, until) | {"secret": secret}


def list_tokens(site: Site, account: Account, *, now: dt.datetime | None = None) -> list[dict[str, Any]]:
    """Return the account's live alias tokens without their secrets."""
    with site.catalog.read() as connection:
        rows = store.tokens_of(connection, account.id, now or _now())
    return [_token_members(account.login, row.alias, row.created_at, row.expires_at) for row in rows]


def validate_token(site: Site, alias: str, secret: str, *, now: dt.datetime | None = None) -> str | None:
    """Return the login that an alias token stands for, or None."""
    if not _ALIAS.fullmatch(alias):
        return None
    with site.catalog.read() as connection:
        user = store.token_user(connection, alias.lower(), now or _now())
    digest = _token_digest(site, alias, secret)
    return str(user.login) if user is not None and hmac.compare_digest(user.secret_digest, digest) else None


def invalidate_token(site: Site, alias: str, secret: str, actor: str | None = None) -> bool:
    """End an alias token; returns whether there was one with that secret.

    `actor` is who asks for it, when not the token's user.
    """
    login = validate_token(site, alias, secret)
    if login is None:
        return False
    with site.catalog.write() as connection:
        store.delete_token(connection, alias.lower())
        record(connection, actor or login, "token.invalidate", login, alias=alias.lower())
    return True


def may_read(site: Site, account: Account, project_id: str) -> bool:
    """Return whether the account may see the project: any role in it, data access, data admin or administrator."""
    return _has_role(site, account, project_id, {"owner", "member", "collaborator", DATA_ADMIN, DATA_ACCESS})


def reads_everything(account: Account) -> bool:
    """Return whether the account may see every project: data access, data admin or administrator."""
    return account.admin or account.data_role in (DATA_ADMIN, DATA_ACCESS)


def may_edit(site: Site, account: Account, project_id: str) -> bool:
    """Return whether the account may import into the project: member, owner, data admin or administrator."""
    return _has_role(site, account, project_id, {"owner", "member", DATA_ADMIN})


def is_owner(site: Site, account: Account, project_id: str) -> bool:
    """Return whether the account may change the project's settings: owner or administrator."""
    return _has_role(site, account, project_id, {"owner"})


def owns(connection: Connection, account: Account, project_id: str) -> bool:
    """Answer as `is_owner`, in the caller's transaction."""
    return _role_suffices(connection, account, project_id, {"owner"})


def _live_since(at: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Return after which moments a session must have been used and begun to be alive."""
    return at - dt.timedelta(seconds=IDLE_SECONDS), at - dt.timedelta(seconds=LIFETIME_SECONDS)


def _user(site: Site, login: str) -> Any:
    """Return the user's row; a login that no user can have is not even looked up."""
    if not _LOGIN.fullmatch(login):
        return None
    with site.catalog.read() as connection:
        return store.user_by_login(connection, login)


def _is_right(site: Site, user: Any, password: str) -> bool:
    """Return whether that is the password of an enabled user; that there is none takes as long to say."""
    if user is None:
        password_matches(decoy_hash(), password)
        return False
    digest = site.secret.digest("verified-pair", user.login, password, str(user.credentials_version))
    if not _verified.holds(digest) and not password_matches(user.password_hash, password):
        return False
    if user.enabled:
        _verified.add(digest)
    return bool(user.enabled)


def _has_role(site: Site, account: Account, project_id: str, roles: set[str]) -> bool:
    with site.catalog.read() as connection:
        return _role_suffices(connection, account, project_id, roles)


def _role_suffices(connection: Connection, account: Account, project_id: str, roles: set[str]) -> bool:
    exists, role = store.role_of(connection, account.id, project_id)
    return exists and (account.admin or role in roles or account.data_role in roles)


def _role_columns(role: str) -> dict[str, Any]:
    if role not in SITE_ROLES:
        raise refusal("parameter_invalid", name="role")
    return {"admin": role == ADMINISTRATOR, "data_role": role if role in (DATA_ADMIN, DATA_ACCESS) else None}


def _token_account(site: Site, alias: str, secret: str) -> Account:
    login = validate_token(site, alias, secret)
    account = None if login is None else get_account(site, login)
    if account is None:
        raise refusal("login_failed")
    return account


def _change(site: Site, actor: str, login: str, action: str, detail: dict[str, Any], **values: Any) -> None:
    with site.catalog.write() as connection:
        user = store.user_by_login(connection, login)
        if user is None:
            raise refusal("user_not_found")
        store.change_credentials(connection, user.id, **values)
        record(connection, actor, action, login, **detail)


def _existing(user: Any, if_missing: bool) -> Account:
    if not if_missing:
        raise refusal("label_taken_by_user", name=user.login)
    return _account(user)


def _account(user: Any) -> Account:
    return Account(int(user.id), str(user.login), bool(user.admin), user.data_role)


def _token_members(login: str, alias: str, created: dt.datetime, expires: dt.datetime) -> dict[str, Any]:
    times = {"created": _ms(created), "timestamp": _ms(created), "estimatedExpirationTime": _ms(expires)}
    return {"alias": alias, "xdatUserId": login, "singleUse": False, "enabled": True, "disabled": 0} | times


def _session_digest(site: Site, session_id: str) -> str:
    return site.secret.digest("web-session", session_id)


def _token_digest(site: Site, alias: str, secret: str) -> str:
    return site.secret.digest("alias-token", alias.lower(), secret)


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1000)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
