"""Logins over HTTP: Basic, sessions, alias tokens, and requests that another site made the browser send."""

from __future__ import annotations

import base64
import re
import time
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from inbox_pipeline.intake.reasons import REASONS
from inbox_pipeline.services import accounts, projects, throttle
from inbox_pipeline_tests.web.conftest import Client

PASSWORD = "correct horse"
GUARDED = [
    "/data/auth",
    "/data/JSESSION",
    "/xapi/siteConfig/buildInfo",
    "/xapi/schemas",
    "/data/search/elements",
    "/data/services/tokens/issue",
    "/data/services/tokens/show",
    "/xapi/dicom/1",
    "/xapi/dicom/list/active",
    "/xapi/dicom/list/all",
    "/api/v1/requests",
    "/api/v1/requests/1/ledger",
]


def _cookies(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in response.headers.get_list("set-cookie"):
        name, _, rest = line.partition("=")
        found[name] = rest
    return found


def _session(response: httpx.Response) -> dict[str, str]:
    value = SimpleCookie(response.headers.get_list("set-cookie")[0])["JSESSIONID"].value
    return {"Cookie": f"JSESSIONID={value}"}


@pytest.mark.parametrize("url", GUARDED)
def test_every_guarded_route_asks_for_a_login(stranger: Any, url: str) -> None:
    response = stranger("GET", url)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert response.headers["X-Inbox-Reason"] == "unauthenticated"


@pytest.mark.parametrize("url", GUARDED[:7] + GUARDED[8:11])
def test_every_guarded_route_takes_basic(ada: Any, url: str) -> None:
    assert ada("GET", url).status_code == 200


def test_a_form_login_answers_the_session_id_and_sets_its_cookies(stranger: Any) -> None:
    for method in ("PUT", "POST"):
        response = stranger(method, "/data/services/auth", data={"username": "ada", "password": PASSWORD})
        assert response.status_code == 200
        assert re.fullmatch(r"[0-9A-F]{32}", response.text)
        assert _cookies(response)["JSESSIONID"] == f"{response.text}; Path=/; HttpOnly; SameSite=Strict"
        expiry = re.match(r'"(\d+),900000"; Path=/; SameSite=Strict$', _cookies(response)["SESSION_EXPIRATION_TIME"])
        assert expiry is not None
        assert abs(int(expiry[1]) / 1000 - time.time()) < 10


def test_over_tls_the_cookies_are_secure(app: Any, stranger: Any) -> None:
    url = "https://inbox.test/data/services/auth"
    response = stranger("PUT", url, data={"username": "ada", "password": PASSWORD})
    assert all(cookie.endswith("; Secure") for cookie in _cookies(response).values())


@pytest.mark.parametrize("form", [{"username": "ada", "password": "wrong"}, {"username": "ada"}, {}])
def test_a_wrong_form_login_is_401_with_the_sentence_in_h3(stranger: Any, form: dict[str, str]) -> None:
    response = stranger("PUT", "/data/services/auth", data=form)
    assert response.status_code == 401
    assert re.search("<h3>(.*)</h3>", response.text)[1].startswith("The user name or the password is wrong")
    assert 'wrong"' not in response.text
    assert "set-cookie" not in response.headers


def test_credentials_in_the_query_do_not_log_in(stranger: Any) -> None:
    assert stranger("PUT", f"/data/services/auth?username=ada&password={PASSWORD}").status_code == 401


def test_the_login_address_has_no_get(stranger: Any) -> None:
    response = stranger("GET", "/data/services/auth")
    assert (response.status_code, response.headers["X-Inbox-Reason"]) == (405, "method_not_allowed")


def test_a_session_lives_until_it_is_deleted(stranger: Any) -> None:
    login = stranger("POST", "/data/services/auth", data={"username": "ada", "password": PASSWORD})
    cookie = _session(login)
    who = stranger("GET", "/data/auth", headers=cookie)
    assert who.text == "User 'ada' is logged in"
    assert "SESSION_EXPIRATION_TIME" in _cookies(who)
    assert stranger("GET", "/data/JSESSION", headers=cookie).text == login.text
    assert stranger("DELETE", "/data/JSESSION", headers=cookie).status_code == 200
    assert stranger("GET", "/data/auth", headers=cookie).status_code == 401
    assert stranger("DELETE", "/data/JSESSION", headers=cookie).status_code == 200


def test_a_log_in_gives_a_new_id_and_ends_the_session_that_was_there(stranger: Any) -> None:
    form = {"username": "ada", "password": PASSWORD}
    planted = _session(stranger("POST", "/data/services/auth", data=form))
    own = _session(stranger("PUT", "/data/services/auth", data=form, headers=planted))
    assert own != planted
    assert stranger("GET", "/data/auth", headers=planted).status_code == 401
    assert stranger("GET", "/data/auth", headers=own).status_code == 200


def test_an_id_that_a_client_made_up_is_not_taken_over(stranger: Any, ada: Any) -> None:
    made_up = {"Cookie": f"JSESSIONID={'A' * 32}"}
    assert stranger("GET", "/data/auth", headers=made_up).status_code == 401
    assert ada("GET", "/data/JSESSION", headers=made_up).text != "A" * 32
    assert stranger("GET", "/data/auth", headers=made_up).status_code == 401


@pytest.mark.parametrize("end", ["password", "disabled", "log-out"])
def test_a_stolen_cookie_dies_with_the_session(site: Any, stranger: Any, end: str) -> None:
    login = f"mia-{end}"
    accounts.create_user(site, "admin", login, PASSWORD)
    stolen = _session(stranger("GET", "/data/JSESSION", auth=(login, PASSWORD)))
    assert stranger("GET", "/data/auth", headers=stolen).status_code == 200
    if end == "password":
        accounts.set_password(site, "admin", login, "battery staple")
    elif end == "disabled":
        accounts.set_enabled(site, "admin", login, False)
    else:
        stranger("DELETE", "/data/JSESSION", headers=stolen)
    assert stranger("GET", "/data/auth", headers=stolen).status_code == 401


def test_a_client_with_basic_alone_may_end_a_session_that_it_never_had(ada: Any, stranger: Any) -> None:
    assert ada("DELETE", "/data/JSESSION").status_code == 200
    assert stranger("DELETE", "/data/JSESSION").status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_basic_on_jsession_starts_a_session(ada: Any, stranger: Any, method: str) -> None:
    response = ada(method, "/data/JSESSION")
    assert stranger("GET", "/data/auth", headers=_session(response)).status_code == 200


def test_csrf_appends_a_token_that_belongs_to_the_session(ada: Any, stranger: Any) -> None:
    first = ada("GET", "/data/JSESSION?CSRF=true")
    session_id, token = first.text.split(";XNAT_CSRF=")
    again = stranger("GET", "/data/JSESSION?CSRF=true", headers={"Cookie": f"JSESSIONID={session_id}"})
    assert again.text == first.text
    assert ada("GET", "/data/JSESSION?CSRF=true").text.split("=")[1] != token


def test_basic_on_the_first_page_starts_a_session(ada: Any, stranger: Any) -> None:
    response = ada("GET", "/")
    assert response.status_code == 200
    assert stranger("GET", "/data/auth", headers=_session(response)).status_code == 200
    assert "set-cookie" not in stranger("GET", "/").headers
    assert stranger("GET", "/", auth=("ada", "wrong")).status_code == 401


@pytest.mark.parametrize(
    "value", ["Basic", "Basic !!!!", "Basic " + base64.b64encode(b"no colon").decode(), "Basic /w=="]
)
def test_malformed_basic_is_a_failed_login(stranger: Any, value: str) -> None:
    response = stranger("GET", "/data/auth", headers={"Authorization": value})
    assert (response.status_code, response.headers["X-Inbox-Reason"]) == (401, "login_failed")


def test_an_alias_token_works_as_a_basic_pair_until_invalidated(ada: Any, stranger: Any) -> None:
    token = ada("GET", "/data/services/tokens/issue").json()
    pair, path = (token["alias"], token["secret"]), f"{token['alias']}/{token['secret']}"
    assert stranger("GET", "/data/auth", auth=pair).text == "User 'ada' is logged in"
    assert ada("GET", f"/data/services/tokens/validate/{path}").json() == {"valid": "ada"}
    assert token["alias"] in ada("GET", "/data/services/tokens/show").text
    assert token["secret"] not in ada("GET", "/data/services/tokens/show").text
    assert ada("GET", f"/data/services/tokens/invalidate/{path}").json() == {"result": "OK"}
    assert stranger("GET", "/data/auth", auth=pair).status_code == 401
    assert ada("GET", f"/data/services/tokens/validate/{path}").json() == {}
    assert ada("GET", f"/data/services/tokens/invalidate/{path}").status_code == 404


def test_only_administrators_handle_the_tokens_of_others(ada: Any, bob: Any, admin: Any) -> None:
    assert ada("GET", "/data/services/tokens/issue/user/bob").status_code == 403
    assert ada("GET", "/data/services/tokens/issue/user/ada").json()["xdatUserId"] == "ada"
    assert admin("GET", "/data/services/tokens/issue/user/nobody").status_code == 404
    token = admin("GET", "/data/services/tokens/issue/user/bob").json()
    path = f"{token['alias']}/{token['secret']}"
    assert ada("GET", f"/data/services/tokens/validate/{path}").status_code == 403
    assert ada("GET", f"/data/services/tokens/invalidate/{path}").status_code == 403
    assert bob("GET", f"/data/services/tokens/validate/{path}").json() == {"valid": "bob"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://inbox.test:81"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
    ],
)
@pytest.mark.parametrize(
    ("method", "url"),
    [("POST", "/data/services/import"), ("PUT", "/data/services/auth"), ("GET", "/data/services/tokens/issue")],
)
def test_writing_at_the_behest_of_another_site_is_refused(
    ada: Any, headers: dict[str, str], method: str, url: str
) -> None:
    response = ada(method, url, headers=headers)
    assert (response.status_code, response.headers["X-Inbox-Reason"]) == (403, "cross_site")


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin", "Origin": "http://inbox.test"}, {}])
def test_our_own_pages_and_clients_that_are_no_browsers_may_write(ada: Any, headers: dict[str, str]) -> None:
    assert ada("POST", "/data/JSESSION", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 201), ({"Origin": "http://inbox.test"}, 201), ({"Origin": "null"}, 403), ({"Origin": "http://a.test"}, 403)],
)
def test_the_apis_cookie_writes_only_for_our_own_pages_and_for_programs(
    ada: Any, stranger: Any, folder: Any, headers: dict[str, str], status: int
) -> None:
    cookie = _session(ada("GET", "/data/JSESSION"))
    order = {"path": str(folder), "project": "P1"}
    assert stranger("POST", "/api/v1/requests", json=order, headers=cookie | headers).status_code == status


def test_reading_by_a_link_from_elsewhere_is_allowed(ada: Any) -> None:
    assert ada("GET", "/data/auth", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_no_answer_grants_anything_to_other_origins(ada: Any) -> None:
    response = ada("OPTIONS", "/data/auth", headers={"Origin": "http://evil.example"})
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_what_clients_ask_when_they_connect(ada: Any) -> None:
    assert ada("GET", "/data/version").status_code == 404
    assert ada("GET", "/xapi/siteConfig/buildInfo?format=json").json()["version"] == "1.9.1"
    assert ada("GET", "/xapi/schemas?format=json").json() == ["xnat"]
    types = ada("GET", "/data/search/elements?format=json").json()["ResultSet"]["Result"]
    assert {each["ELEMENT_NAME"]: each["COUNT"] for each in types} == {"xnat:projectData": "1", "xnat:subjectData": "0"}


@pytest.fixture
def guesser(site: Any, app: Any) -> Any:
    """A client at an address of its own, at a login that is locked by one failure."""
    accounts.create_user(site, "admin", "eve", PASSWORD, if_missing=True)
    projects.set_site(site, "test", login_failures=1)
    yield Client(app, address="198.51.100.77")
    projects.set_site(site, "test", login_failures=10)
    throttle.unlock(site, "test", "eve")


def test_after_too_many_failures_all_is_429_with_the_seconds_to_wait(guesser: Any) -> None:
    wrong = guesser("PUT", "/data/services/auth", data={"username": "eve", "password": "wrong"})
    assert wrong.status_code == 401
    page = guesser("PUT", "/data/services/auth", data={"username": "eve", "password": PASSWORD})
    problem = guesser("GET", "/api/v1/requests", auth=("eve", PASSWORD))
    for answer in (page, problem):
        assert (answer.status_code, answer.headers["X-Inbox-Reason"]) == (429, "login_throttled")
        assert 800 < int(answer.headers["Retry-After"]) <= 900
    assert f"<h3>{REASONS['429', 'login_throttled'].sentence}</h3>" in page.text
    assert (problem.json()["retryable"], problem.json()["status"]) == (True, 429)


def test_a_session_goes_on_while_its_login_is_refused(guesser: Any) -> None:
    cookie = _session(guesser("GET", "/data/JSESSION", auth=("eve", PASSWORD)))
    guesser("GET", "/data/auth", auth=("eve", "wrong"))
    assert guesser("GET", "/data/auth", auth=("eve", PASSWORD)).status_code == 429
    assert guesser("GET", "/data/auth", headers=cookie).text == "User 'eve' is logged in"
    assert guesser("GET", "/data/auth", headers=cookie, auth=("eve", PASSWORD)).status_code == 200
    assert guesser("GET", "/data/auth", headers=cookie, auth=("ada", "wrong")).status_code == 401
