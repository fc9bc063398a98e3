"""Log-in by an identity provider, against a real one that runs beside the test."""

from __future__ import annotations

import dataclasses
import html
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import accounts, oidc
from inbox_pipeline.services.audit import Wanted, read_audit
from inbox_pipeline.services.site import Site
from inbox_pipeline.web.app import create_app
from inbox_pipeline_tests.web.conftest import Client

CLIENT_ID = "inbox pipeline"
CALLBACK = "http://inbox.test/login/oidc/callback"
CLAIMS = {"iss": "https://id.example", "aud": CLIENT_ID, "sub": "s1", "nonce": "n1"}
SECONDS = 60


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of a running provider."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    _wait_for(url)
    yield url
    process.terminate()
    process.wait(20)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            httpx.get(url)
            return
        except httpx.ConnectError:
            time.sleep(0.1)
    pytest.fail("the provider does not answer")


@pytest.fixture
def with_provider(site: Site, provider: str, tmp_path: Path) -> Site:
    secret = tmp_path / "client-secret"
    secret.write_text("a secret:with/signs\n")
    given = {"oidc_issuer": provider, "oidc_client_id": CLIENT_ID, "oidc_client_secret_file": secret}
    return dataclasses.replace(site, settings=site.settings.model_copy(update=given))


@pytest.fixture
def browser(with_provider: Site) -> Client:
    return Client(create_app(with_provider))


def _cookies(response: httpx.Response) -> dict[str, str]:
    found = SimpleCookie()
    for line in response.headers.get_list("set-cookie"):
        found.load(line)
    return {name: morsel.value for name, morsel in found.items()}


def _begin(browser: Client, subject: str, **form: str) -> tuple[str, dict[str, str]]:
    """Log in at the provider, and return the address to which it sends the browser, and the browser's cookie."""
    there = browser("GET", "/login/oidc")
    assert there.status_code == 303
    asked = parse_qs(urlsplit(there.headers["Location"]).query)
    assert (asked["redirect_uri"], asked["scope"], asked["code_challenge_method"]) == ([CALLBACK], ["openid"], ["S256"])
    back = httpx.post(there.headers["Location"], data={"sub": subject, **form})
    assert back.status_code == 302
    return back.headers["Location"], {"Cookie": f"OIDC_STATE={_cookies(there)['OIDC_STATE']}"}


def test_a_linked_identity_logs_in_once_by_its_code(with_provider: Site, browser: Client) -> None:
    oidc.link(with_provider, "admin", "ada", "ada@id.example")
    address, cookie = _begin(browser, "ada@id.example")
    done = browser("GET", address, headers=cookie)
    assert (done.status_code, done.headers["Location"]) == (303, "/")
    session = {"Cookie": f"JSESSIONID={_cookies(done)['JSESSIONID']}"}
    assert browser("GET", "/data/auth", headers=session).text == "User 'ada' is logged in"
    again = browser("GET", address, headers=cookie)
    assert (again.status_code, again.headers["X-Inbox-Reason"]) == (403, "oidc_failed")
    assert "JSESSIONID" not in _cookies(again)


def test_the_state_is_kept_where_scripts_and_other_sites_do_not_reach_it(browser: Client) -> None:
    line = browser("GET", "/login/oidc").headers["set-cookie"]
    assert line.endswith("; Path=/login/oidc; Max-Age=600; HttpOnly; SameSite=Lax")


@pytest.mark.parametrize("kept", ["", "OIDC_STATE=", "OIDC_STATE=another"])
def test_an_answer_that_this_browser_did_not_ask_for_is_refused(browser: Client, kept: str) -> None:
    address, _ = _begin(browser, "ada@id.example")
    refused = browser("GET", address, headers={"Cookie": kept} if kept else {})
    assert (refused.status_code, refused.headers["X-Inbox-Reason"]) == (403, "oidc_failed")


def test_what_the_provider_refuses_is_refused(browser: Client) -> None:
    address, cookie = _begin(browser, "ada@id.example", action="deny")
    assert browser("GET", address, headers=cookie).headers["X-Inbox-Reason"] == "oidc_failed"


def test_an_identity_of_nobody_is_refused_and_audited(with_provider: Site, browser: Client) -> None:
    address, cookie = _begin(browser, "stranger@id.example")
    refused = browser("GET", address, headers=cookie)
    assert (refused.status_code, refused.headers["X-Inbox-Reason"]) == (403, "oidc_unknown")
    assert "stranger" not in refused.text
    assert read_audit(with_provider, Wanted(limit=1))[0]["object"] == "stranger@id.example"


def test_a_disabled_user_is_not_let_in(with_provider: Site, browser: Client) -> None:
    accounts.create_user(with_provider, "admin", "dan", "correct horse")
    oidc.link(with_provider, "admin", "dan", "dan@id.example")
    accounts.set_enabled(with_provider, "admin", "dan", False)
    address, cookie = _begin(browser, "dan@id.example")
    assert browser("GET", address, headers=cookie).headers["X-Inbox-Reason"] == "oidc_unknown"


def test_an_identity_belongs_to_one_user_until_it_is_taken_away(with_provider: Site, site: Site) -> None:
    oidc.link(with_provider, "admin", "bob", "bob@id.example")
    oidc.link(with_provider, "admin", "bob", "bob@id.example")
    with pytest.raises(Rejected, match="another user"):
        oidc.link(with_provider, "admin", "admin", "bob@id.example")
    oidc.link(with_provider, "admin", "bob", "")
    oidc.link(with_provider, "admin", "admin", "bob@id.example")
    assert [user["linked"] for user in accounts.list_users(site) if user["login"] in {"admin", "bob"}] == [True, False]
    with pytest.raises(Rejected, match="no such user"):
        oidc.link(with_provider, "admin", "nobody", "x")
    with pytest.raises(Rejected, match="No identity provider"):
        oidc.link(site, "admin", "bob", "x")


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9", "{provider}/elsewhere", "not an address"])
def test_a_provider_that_is_not_there_is_unavailable(with_provider: Site, provider: str, issuer: str) -> None:
    given = {"oidc_issuer": issuer.format(provider=provider)}
    elsewhere = dataclasses.replace(with_provider, settings=with_provider.settings.model_copy(update=given))
    answer = Client(create_app(elsewhere))("GET", "/login/oidc")
    assert (answer.status_code, answer.headers["X-Inbox-Reason"]) == (503, "oidc_unavailable")


def test_without_the_extra_it_says_so(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "find_spec", lambda name: None)
    answer = browser("GET", "/login/oidc")
    assert (answer.status_code, '"oidc" is not installed' in html.unescape(answer.text)) == (503, True)


KEY = RSAKey.generate_key(2048, {"kid": "1"})
OTHER = RSAKey.generate_key(2048, {"kid": "1"})
KEYS = {"keys": [KEY.as_dict(is_private=False)]}


def _token(key: Any = KEY, algorithm: str = "RS256", **changes: Any) -> str:
    now = int(time.time())
    claims = {name: value for name, value in (CLAIMS | {"iat": now, "exp": now + 60} | changes).items() if value}
    return jwt.encode({"alg": algorithm, "kid": "1"}, claims, key, algorithms=[algorithm])


def _judged(token: str) -> dict[str, Any]:
    return oidc.checked_claims(token, KEYS, issuer=CLAIMS["iss"], client_id=CLIENT_ID, nonce="n1")


def test_a_token_that_is_in_order_is_believed() -> None:
    assert _judged(_token())["sub"] == "s1"
    assert _judged(_token(aud=[CLIENT_ID, "another"], azp=CLIENT_ID))["sub"] == "s1"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"nonce": "n2"},
        {"nonce": None},
        {"sub": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"iat": int(time.time()) + 3600},
        {"key": OTHER},
        {"key": OctKey.import_key("a secret that two share, of 32 bytes"), "algorithm": "HS256"},
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_token_that_is_not_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as error:
        _judged(_token(**changes))
    assert error.value.code == "oidc_failed"


@pytest.mark.parametrize("token", ["", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzMSJ9."])
def test_what_is_no_signed_token_is_refused(token: str) -> None:
    with pytest.raises(Rejected):
        _judged(token)
