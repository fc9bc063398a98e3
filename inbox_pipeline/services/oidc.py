"""Log-in by an identity provider: OpenID Connect's authorization code flow with PKCE, and whose identity it is here.

Belongs here: asking the provider, judging its ID token (OpenID Connect Core 1.0, 3.1.3.7), linking identities to users.
Does not belong here: cookies and redirects (`web/login_oidc.py`). Authlib is an extra and imported when used.

An identity is a subject of the provider that the settings name, kept as a keyed digest of both. Nobody becomes a user
by it: an administrator links it to one. Nonce and PKCE verifier follow from the state, so that the browser keeps one
value.
"""

from __future__ import annotations

import ipaddress
import secrets
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from inbox_pipeline.errors import Unavailable
from inbox_pipeline.intake.reasons import refusal
from inbox_pipeline.services.accounts import Account, account_of_identity
from inbox_pipeline.services.site import Site
from inbox_pipeline.services.throttle import NOBODY
from inbox_pipeline.store.catalog import accounts as store
from inbox_pipeline.store.catalog.site import record

SECONDS = 10.0
LEEWAY_SECONDS = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures that an ID token may have; `none` and those by a shared secret are not among them."""


def is_configured(site: Site) -> bool:
    """Return whether the settings name a provider."""
    return bool(site.settings.oidc_issuer and site.settings.oidc_client_id)


def begin(site: Site, callback_url: str) -> tuple[str, str]:
    """Return the provider's address for a log-in, and the state by which its answer is known again.

    Raises:
        Unavailable: `oidc_unavailable`, also when the extra is not installed.
    """
    if find_spec("authlib") is None:
        raise _unavailable('the extra "oidc" is not installed')
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
    from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]  # noqa: PLC0415 - extra

    state = secrets.token_urlsafe(32)
    url: str = prepare_grant_uri(
        _provider(site)["authorization_endpoint"],
        site.settings.oidc_client_id,
        "code",
        redirect_uri=callback_url,
        scope="openid",
        state=state,
        nonce=site.secret.digest("oidc-nonce", state),
        code_challenge=create_s256_code_challenge(_verifier(site, state)),
        code_challenge_method="S256",
    )
    return url, state


def finish(site: Site, callback_url: str, state: str, code: str) -> Account:
    """Return the user whose identity the provider vouches for by that code.

    Raises:
        Rejected: `oidc_failed`, or `oidc_unknown` for an identity that belongs to no enabled user.
        Unavailable: `oidc_unavailable`.
    """
    provider = _provider(site)
    tokens = _tokens(site, provider["token_endpoint"], callback_url, state, code)
    claims = checked_claims(
        str(tokens.get("id_token", "")),
        _members(_answer("GET", provider["jwks_uri"])),
        issuer=provider["issuer"],
        client_id=site.settings.oidc_client_id,
        nonce=site.secret.digest("oidc-nonce", state),
    )
    account = account_of_identity(site, identity_key(site, str(claims["sub"])))
    if account is None:
        with site.catalog.write() as connection:
            record(connection, NOBODY, "login.unknown_identity", str(claims["sub"])[:255])
        raise refusal("oidc_unknown")
    return account


def checked_claims(token: str, keys: dict[str, Any], *, issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
    """Return the claims of an ID token that this provider has signed, for us, just now, for this log-in.

    Raises:
        Rejected: `oidc_failed`.
    """
    from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
    from joserfc import jwt  # noqa: PLC0415 - as above
    from joserfc.errors import JoseError  # noqa: PLC0415 - as above
    from joserfc.jwk import KeySet  # noqa: PLC0415 - as above

    must = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}}
    try:
        decoded = jwt.decode(token, KeySet.import_key_set({"keys": keys["keys"]}), algorithms=ALGORITHMS)
        claims = CodeIDToken(decoded.claims, decoded.header, must, {"client_id": client_id, "nonce": nonce})
        claims.validate(leeway=LEEWAY_SECONDS)
    except (JoseError, ValueError, KeyError, TypeError):
        raise refusal("oidc_failed") from None
    return dict(claims)


def link(site: Site, actor: str, login: str, subject: str) -> None:
    """Let the provider's subject log in as a user; an empty one takes the link away.

    Raises:
        Rejected: `user_not_found`, `identity_taken`, or `oidc_not_configured`.
    """
    if not is_configured(site):
        raise refusal("oidc_not_configured")
    key = identity_key(site, subject) if subject else None
    with site.catalog.write() as connection:
        user = store.user_by_login(connection, login)
        if user is None:
            raise refusal("user_not_found")
        other = store.user_by_identity(connection, key) if key else None
        if other is not None and other.id != user.id:
            raise refusal("identity_taken")
        store.change_user(connection, user.id, identity_key=key)
        record(connection, actor, "user.link" if key else "user.unlink", login)


def identity_key(site: Site, subject: str) -> str:
    """Return the digest of a subject of the provider."""
    return site.secret.digest("oidc-identity", site.settings.oidc_issuer, subject)


def _provider(site: Site) -> dict[str, Any]:
    """Return the provider's description (OpenID Connect Discovery 1.0), with addresses that may be asked."""
    issuer = site.settings.oidc_issuer
    found = _members(_answer("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
    addresses = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    if found.get("issuer") != issuer or not all(_is_safe(address) for address in addresses):
        raise _unavailable("its description does not fit")
    return found


def _tokens(site: Site, url: str, callback_url: str, state: str, code: str) -> dict[str, Any]:
    settings = site.settings
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback_url,
        "client_id": settings.oidc_client_id,
        "code_verifier": _verifier(site, state),
    }
    response = _answer("POST", url, data=form, **_client_credentials(site))
    if response.is_client_error:
        raise refusal("oidc_failed")
    return _members(response)


def _client_credentials(site: Site) -> dict[str, Any]:
    """Return our own credentials as Basic (RFC 6749, 2.3.1); none for a public client."""
    path = site.settings.oidc_client_secret_file
    if path is None:
        return {}
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise _unavailable(f"the client's secret cannot be read: {type(error).__name__}") from None
    return {"auth": (quote(site.settings.oidc_client_id, safe=""), quote(secret, safe=""))}


def _answer(method: str, url: str, **options: Any) -> httpx.Response:
    try:
        response = httpx.request(method, url, timeout=SECONDS, headers={"Accept": "application/json"}, **options)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unavailable(type(error).__name__) from None
    if response.is_server_error or (method == "GET" and not response.is_success):
        raise _unavailable(f"it answered {response.status_code}")
    return response


def _members(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        raise _unavailable("its answer is no JSON") from None
    if not isinstance(found, dict):
        raise _unavailable("its answer is no JSON object")
    return found


def _is_safe(address: object) -> bool:
    """Return whether that is a URL by TLS, or on this machine."""
    parts = urlsplit(address if isinstance(address, str) else "")
    return parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname or ""))


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _verifier(site: Site, state: str) -> str:
    """Return the PKCE verifier of a state, 64 characters (RFC 7636 asks for 43 to 128)."""
    return "".join(site.secret.digest("oidc-verifier", half, state) for half in ("1", "2"))


def _unavailable(what: str) -> Unavailable:
    return Unavailable(
        "oidc_unavailable",
        f"The identity provider cannot be used ({what}).",
        "Try again; if it stays so, check INBOX_PIPELINE_OIDC_ISSUER and the provider.",
    )
