"""Who sends this request: Basic credentials, or the JSESSIONID cookie; and whether another site made them send it.

Belongs here: credentials in headers and cookies. Does not belong here: whether they are right (`services/accounts.py`).

A request that writes and says that it comes from another site (`Sec-Fetch-Site`, or an `Origin` other than `Host`) is
refused, whatever its credentials: browsers add cookies and remembered Basic credentials by themselves.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import Request

from inbox_pipeline.errors import Throttled
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services import accounts
from inbox_pipeline.services.accounts import Account
from inbox_pipeline.services.site import Site
from inbox_pipeline.web.description import refuses
from inbox_pipeline.web.exchange import exchange_of

SESSION_COOKIE = "JSESSIONID"
EXPIRY_COOKIE = "SESSION_EXPIRATION_TIME"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SESSION_ID = re.compile(r"[0-9A-F]{32}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Caller:
    """An authenticated sender, and the web session if there is one."""

    account: Account
    session_id: str | None


@refuses(503)
def site_of(request: Request) -> Site:
    """Return the site that this process serves."""
    site: Site = request.app.state.site
    return site


def identify(request: Request) -> Caller | None:
    """Return who sends the request; None when it carries neither credentials nor a live session.

    Raises:
        Rejected: `login_failed`, when Basic credentials are wrong.
        Throttled: `login_throttled`, when too many were.
    """
    site, session_id = site_of(request), presented_session(request)
    pair = basic_pair(request)
    account = accounts.session_account(site, session_id) if session_id else None
    if pair is not None:
        owner = _authenticated(request, pair, account)
        return Caller(owner, session_id if account == owner else None)
    if account is None:
        return None
    announce_expiry(request)
    return Caller(account, session_id)


def _authenticated(request: Request, pair: tuple[str, str], live: Account | None) -> Account:
    """Return whose pair that is; while its login is refused, whoever comes with a live session of it goes on.

    Raises:
        Rejected: `login_failed`.
        Throttled: `login_throttled`.
    """
    try:
        return accounts.authenticate(site_of(request), *pair, sender_address(request))
    except Throttled:
        if live is None or live.login != pair[0]:
            raise
        return live


@refuses(401, 429, 503)
def current_caller(request: Request) -> Caller:
    """Return who sends the request.

    Raises:
        Rejected: `unauthenticated` or `login_failed`.
    """
    caller = identify(request)
    if caller is None:
        raise refusal("unauthenticated")
    return caller


def current_account(caller: Annotated[Caller, Depends(current_caller)]) -> Account:
    """Return the account that sends the request.

    Raises:
        Rejected: `unauthenticated` or `login_failed`.
    """
    return caller.account


Known = Annotated[Account, Depends(current_account)]
Served = Annotated[Site, Depends(site_of)]


def basic_pair(request: Request) -> tuple[str, str] | None:
    """Return the login and password of a Basic header (RFC 7617), None without such a header.

    Raises:
        Rejected: `login_failed`, when the header cannot be read.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise refusal("login_failed") from None
    try:
        pair = raw.decode("utf-8")
    except UnicodeDecodeError:
        pair = raw.decode("latin-1")
    login, _, password = pair.partition(":")
    return login, password


def sender_address(request: Request) -> str | None:
    """Return the IP address that a request comes from: a trusted proxy's word for it, else the other end's."""
    return request.client.host if request.client else None


def presented_session(request: Request) -> str | None:
    """Return the session id of the cookie, if it has the form of one."""
    value = request.cookies.get(SESSION_COOKIE, "")
    return value if _SESSION_ID.fullmatch(value) else None


def open_session(request: Request, account: Account) -> str:
    """Start a web session, set its cookies, and return its id."""
    session_id = accounts.start_session(site_of(request), account)
    set_session_cookie(request, session_id)
    return session_id


def replace_session(request: Request, account: Account) -> str:
    """Start a web session for who has just logged in, end the one that the browser had, and return the new id."""
    former = presented_session(request)
    if former is not None:
        accounts.end_session(site_of(request), former)
    return open_session(request, account)


def set_session_cookie(request: Request, session_id: str) -> None:
    """Set the session's cookie, out of reach of scripts and other sites, and tell when it ends."""
    cookie = f"{SESSION_COOKIE}={session_id}; Path=/; HttpOnly; SameSite=Strict{secure_attribute(request)}"
    exchange_of(request).cookies.append(cookie)
    announce_expiry(request)


def announce_expiry(request: Request) -> None:
    """Set XNAT's cookie that tells clients how long they have: `"<now>,<idle>"` in milliseconds, with the quotes."""
    value = f'"{int(time.time() * 1000)},{int(accounts.IDLE_SECONDS * 1000)}"'
    exchange_of(request).cookies.append(f"{EXPIRY_COOKIE}={value}; Path=/; SameSite=Strict{secure_attribute(request)}")


def forget_session(request: Request) -> None:
    """Make the client drop its cookies."""
    for name in (SESSION_COOKIE, EXPIRY_COOKIE):
        exchange_of(request).cookies.append(f"{name}=; Path=/; Max-Age=0; SameSite=Strict{secure_attribute(request)}")


@refuses(writing=(403,))
def refuse_other_sites(request: Request) -> None:
    """Refuse a writing request that another site made the browser send.

    Raises:
        Rejected: `cross_site`.
    """
    if request.method not in SAFE_METHODS:
        refuse_other_sites_always(request)


@refuses(403)
def refuse_other_sites_always(request: Request) -> None:
    """Refuse a request that another site made the browser send, whatever its method.

    Raises:
        Rejected: `cross_site`.
    """
    fetch_site = request.headers.get("sec-fetch-site", "none").lower()
    origin = request.headers.get("origin")
    if fetch_site not in {"none", "same-origin"} or (origin is not None and not _same_host(request, origin)):
        raise refusal("cross_site")


def _same_host(request: Request, origin: str) -> bool:
    """Compare host and port; the scheme may differ behind a proxy that ends TLS."""
    try:
        sender = urlsplit(origin)
        host = urlsplit(f"{sender.scheme}://{request.headers.get('host', '')}")
        port = _DEFAULT_PORTS.get(sender.scheme)
        return (sender.hostname, sender.port or port) == (host.hostname, host.port or port) and bool(sender.hostname)
    except ValueError:
        return False


def secure_attribute(request: Request) -> str:
    """Return the attribute of a cookie that goes by TLS alone, when this request came so."""
    return "; Secure" if request.url.scheme == "https" else ""
