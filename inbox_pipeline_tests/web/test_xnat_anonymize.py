"""Anonymization scripts over XNAT's routes and our own: bytes, rights, refusals, versions, and the next import."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import sqlalchemy as sa

from inbox_pipeline.script import DEFAULT_SITE_SCRIPT
from inbox_pipeline.services import accounts, projects, scripts
from inbox_pipeline.services.anonymize import recipe_for
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import audit
from inbox_pipeline_tests.web.conftest import PASSWORD, Client

SITE = "/xapi/anonymize/site"
PROJECT = "/xapi/anonymize/projects/P1"
SCRIPT = 'version "6.3"\n(0010,0010) := subject // Müller\n'
OTHER = 'version "6.3"\n(0010,0020) := session\n'
BROKEN = 'version "6.3"\n\t(0010,0010 := "<canary>"\n'
LEGACY = {
    None: ("/data/config/anon/script", "/data/config/edit/image/dicom"),
    "P1": ("/data/projects/P1/config/anon/projects/P1", "/data/config/edit/projects/P1/image/dicom"),
}


@pytest.fixture(autouse=True)
def fresh(site: Site) -> None:
    """Each test starts from the default site script and a project without one, both switched on."""
    scripts.store_script(site, "system", DEFAULT_SITE_SCRIPT)
    scripts.remove_script(site, "system", "P1")
    for scope in (None, "P1"):
        scripts.set_enabled(site, "system", True, scope)


@pytest.fixture(scope="module")
def cleo(app: Any, site: Site) -> Client:
    """A collaborator of P1."""
    accounts.create_user(site, "admin", "cleo", PASSWORD)
    projects.set_member(site, "admin", "P1", "cleo", "collaborator")
    return Client(app, ("cleo", PASSWORD))


@pytest.fixture(scope="module")
def mel(app: Any, site: Site) -> Client:
    """A member of P1."""
    accounts.create_user(site, "admin", "mel", PASSWORD)
    projects.set_member(site, "admin", "P1", "mel", "member")
    return Client(app, ("mel", PASSWORD))


def reason(response: Any) -> tuple[int, str | None]:
    return response.status_code, response.headers.get("X-Inbox-Reason")


def test_the_default_and_the_sites_script_are_text(ada: Client) -> None:
    for url in ("/xapi/anonymize/default", SITE):
        response = ada("GET", url)
        assert (response.status_code, response.text) == (200, DEFAULT_SITE_SCRIPT)
        assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_stored_script_comes_back_byte_for_byte_and_is_what_the_next_import_uses(admin: Client, site: Site) -> None:
    sent = SCRIPT.replace("\n", "\r\n").encode()
    response = admin("PUT", SITE, content=b"\xef\xbb\xbf" + sent, headers={"content-type": "text/plain"})
    assert (response.status_code, response.content) == (200, b"")
    assert admin("GET", SITE).content == sent
    plan = {"project_id": "P1", "subject_label": "s", "session_label": "e", "destination": "prearchive"}
    plan |= {"request_id": 0, "number": 1, "scripts": None}
    assert [coded.script.text.encode() for coded in recipe_for(site, plan, bare=False).scripts] == [sent]


@pytest.mark.parametrize(
    "options",
    [
        {"content": SCRIPT.encode(), "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": SCRIPT.encode(), "headers": {"content-type": "application/octet-stream"}},
        {"content": SCRIPT.encode(), "headers": {"content-type": "text/plain; charset=UTF-8"}},
        {"content": SCRIPT.encode(), "headers": {"content-type": "application/json"}},
        {"content": SCRIPT.encode(), "headers": {}},
        {"json": SCRIPT},
        {"files": {"file": ("site.das", SCRIPT.encode(), "text/plain")}},
    ],
)
def test_every_form_in_which_clients_send_a_text_is_that_text(ada: Client, options: dict[str, Any]) -> None:
    assert ada("PUT", PROJECT, **options).status_code == 200
    assert ada("GET", PROJECT).text == SCRIPT


@pytest.mark.parametrize("accept", ["*/*", "application/problem+json"])
def test_an_invalid_script_is_refused_with_its_place_and_the_one_in_force_stays(
    ada: Client, site: Site, accept: str
) -> None:
    ada("PUT", PROJECT, content=SCRIPT)
    before = scripts.script_versions(site, "P1")
    response = ada("PUT", PROJECT, content=BROKEN, headers={"accept": accept})
    assert reason(response) == (400, "script_invalid")
    if accept == "*/*":
        assert "<h3>The anonymization script does not compile: line 2, column 2:" in response.text
        shown = re.search(r"<pre>(.*)\n( *)\^</pre>", response.text)
        assert shown is not None
        assert shown[1] == " (0010,0010 := &quot;&lt;canary&gt;&quot;"
        assert len(shown[2]) == 1
    else:
        problem = response.json()
        assert (problem["line"], problem["column"], problem["source"]) == (2, 2, BROKEN.splitlines()[1])
        assert problem["message"] in problem["detail"]
    assert ada("GET", PROJECT).text == SCRIPT
    assert scripts.script_versions(site, "P1") == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"content": b"\xff\xfev"}, (400, "script_not_text")),
        ({"content": SCRIPT + "// \0"}, (400, "script_not_text")),
        ({"content": b'"\\ud800"', "headers": {"content-type": "application/json"}}, (400, "script_not_text")),
        ({"content": b"--x", "headers": {"content-type": "multipart/form-data"}}, (400, "request_malformed")),
        ({"files": {"a": ("a", b"1"), "b": ("b", b"2")}}, (400, "request_malformed")),
        ({"content": SCRIPT + "/" * (1 << 20)}, (413, "body_too_large")),
        ({"content": b""}, (400, "script_missing")),
        ({"content": b" \r\n"}, (400, "script_missing")),
    ],
)
def test_a_body_that_is_no_script_changes_nothing(
    admin: Client, site: Site, options: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = scripts.script_versions(site)
    assert reason(admin("PUT", SITE, **options)) == expected
    assert scripts.script_versions(site) == before


def test_a_script_of_a_million_characters_fits_and_other_bodies_keep_their_limit(admin: Client, ada: Client) -> None:
    large = SCRIPT + "// " + "é" * 48_000 + "x" * (999_990 - 48_000 - len(SCRIPT)) + "\n"
    assert admin("PUT", SITE, content=large.encode()).status_code == 200
    assert admin("GET", SITE).text == large
    body = {"headers": {"content-type": "application/json"}, "content": json.dumps({"path": "x" * 70_000})}
    assert reason(ada("POST", "/api/v1/requests", **body)) == (413, "body_too_large")


def test_a_project_without_a_script_answers_204_and_a_blank_put_takes_it_away(ada: Client, site: Site) -> None:
    assert (ada("GET", PROJECT).status_code, ada("GET", PROJECT).content) == (204, b"")
    ada("PUT", PROJECT, content=SCRIPT)
    assert ada("GET", PROJECT).status_code == 200
    for blank in (b"", b"\n", b"\xef\xbb\xbf"):
        assert ada("PUT", PROJECT, content=blank).status_code == 200
        assert ada("GET", PROJECT).status_code == 204
    assert scripts.active_script(site, "P1") is None


@pytest.mark.parametrize("url", [SITE, PROJECT])
def test_the_switch_follows_the_query(admin: Client, url: str) -> None:
    admin("PUT", url, content=SCRIPT)
    for query, state in (("?enable=false", False), ("?enable=TRUE", True), ("?enable=False", False), ("", True)):
        response = admin("PUT", f"{url}/enabled{query}", headers={"content-type": "application/json"})
        assert (response.status_code, response.json()) == (200, state)
        response = admin("GET", f"{url}/enabled")
        assert (response.content, response.headers["content-type"]) == (str(state).lower().encode(), "application/json")
        assert admin("GET", url).text == SCRIPT
    assert reason(admin("PUT", f"{url}/enabled?enable=maybe")) == (400, "parameter_invalid")
    assert admin("GET", f"{url}/enabled").json() is True


def test_versions_are_counted_by_digest_and_tell_author_and_time(admin: Client, ada: Client, site: Site) -> None:
    before = len(scripts.script_versions(site, "P1"))
    for client, content in ((ada, SCRIPT), (admin, SCRIPT), (admin, OTHER), (ada, SCRIPT)):
        client("PUT", PROJECT, content=content.encode())
    found = ada("GET", "/api/v1/projects/p1/scripts").json()["versions"]
    found = found[: len(found) - before]
    assert [row["author"] for row in found] == ["ada", "admin", "ada"]
    assert found[0]["digest"] == found[2]["digest"] != found[1]["digest"]
    assert all(row["created_at"].endswith("+00:00") for row in found)
    one = ada("GET", f"/api/v1/projects/P1/scripts/{found[1]['version']}").json()
    assert one == {**found[1], "text": OTHER, "lookup": None}
    newest = admin("GET", "/api/v1/scripts/site/versions").json()["versions"][0]
    one = ada("GET", f"/api/v1/scripts/site/versions/{newest['version']}").json()
    assert (one["text"], one["id"]) == (DEFAULT_SITE_SCRIPT, newest["id"])
    for number, code in (("999", "script_not_found"), ("0", "parameter_invalid"), ("x", "parameter_invalid")):
        for url in ("/api/v1/projects/P1/scripts", "/api/v1/scripts/site/versions"):
            assert reason(ada("GET", f"{url}/{number}"))[1] == code


def test_changes_are_audited_in_the_senders_name(admin: Client, ada: Client, site: Site) -> None:
    ada("PUT", PROJECT, content=SCRIPT)
    ada("PUT", f"{PROJECT}/enabled?enable=false")
    admin("PUT", SITE, content=OTHER)
    with site.catalog.read() as connection:
        query = sa.select(audit.c.actor, audit.c.action, audit.c.object).order_by(audit.c.id.desc()).limit(3)
        rows = [tuple(row) for row in connection.execute(query)]
    assert rows == [("admin", "script.store", "site"), ("ada", "script.disable", "P1"), ("ada", "script.store", "P1")]


WRITES_PROJECT = [
    ("PUT", "/xapi/anonymize/projects/{}"),
    ("PUT", "/xapi/anonymize/projects/{}/enabled"),
    ("PUT", "/data/projects/{0}/config/anon/projects/{0}"),
    ("PUT", "/REST/projects/{}/config/anon/script"),
    ("PUT", "/data/config/edit/projects/{}/image/dicom/script"),
    ("PUT", "/REST/config/edit/projects/{}/image/dicom/status?activate=true"),
]
READS_PROJECT = [
    ("GET", "/xapi/anonymize/projects/{}"),
    ("GET", "/xapi/anonymize/projects/{}/enabled"),
    ("GET", "/data/projects/{0}/config/anon/projects/{0}"),
    ("GET", "/data/config/edit/projects/{}/image/dicom/script"),
    ("GET", "/REST/config/edit/projects/{}/image/dicom/status"),
    ("GET", "/api/v1/projects/{}/scripts"),
    ("GET", "/api/v1/projects/{}/scripts/1"),
]
WRITES_SITE = [
    ("PUT", SITE),
    ("PUT", f"{SITE}/enabled"),
    ("PUT", "/data/config/anon/script"),
    ("PUT", "/REST/config/edit/image/dicom/script"),
    ("PUT", "/data/config/edit/image/dicom/status?activate=true"),
]
READS_SITE = [
    ("GET", "/xapi/anonymize/default"),
    ("GET", SITE),
    ("GET", f"{SITE}/enabled"),
    ("GET", "/data/config/anon/script"),
    ("GET", "/REST/config/edit/image/dicom/script"),
    ("GET", "/data/config/edit/image/dicom/status"),
    ("GET", "/api/v1/scripts/site/versions"),
    ("GET", "/api/v1/scripts/site/versions/1"),
]


@pytest.mark.parametrize(("method", "url"), WRITES_PROJECT + READS_PROJECT)
def test_what_each_role_may_do_with_a_projects_script(
    method: str, url: str, admin: Client, ada: Client, mel: Client, cleo: Client, bob: Client, stranger: Client
) -> None:
    ada("PUT", PROJECT, content=SCRIPT)
    send = {"content": SCRIPT.encode()} if method == "PUT" else {}
    for client in (ada, admin, mel, cleo, bob, stranger):
        response = client(method, url.format("P1"), **send)
        unknown = client(method, url.format("Nowhere"), **send)
        if client is stranger:
            assert reason(response) == reason(unknown) == (401, "unauthenticated")
        elif client is bob:
            assert reason(response) == reason(unknown) == (404, "project_not_found")
            assert response.text.partition('"instance"')[0] == unknown.text.partition('"instance"')[0]
        else:
            expected = (403, "forbidden") if method == "PUT" and client in (mel, cleo) else (200, None)
            assert reason(response) == expected, client.pair
            assert reason(unknown) == (404, "project_not_found")
    assert admin("GET", PROJECT).text == SCRIPT


@pytest.mark.parametrize(("method", "url"), WRITES_SITE + READS_SITE)
def test_what_each_may_do_with_the_sites_script(
    method: str, url: str, admin: Client, ada: Client, stranger: Client
) -> None:
    send = {"content": SCRIPT.encode()} if method == "PUT" else {}
    assert reason(stranger(method, url, **send)) == (401, "unauthenticated")
    assert reason(ada(method, url, **send)) == ((403, "forbidden") if method == "PUT" else (200, None))
    assert admin("GET", SITE).text == DEFAULT_SITE_SCRIPT
    assert reason(admin(method, url, **send)) == (200, None)


def test_a_large_body_is_not_read_before_the_sender_is_known(stranger: Client, ada: Client) -> None:
    assert reason(stranger("PUT", SITE, content=b"x" * (2 << 20))) == (401, "unauthenticated")
    assert reason(ada("PUT", SITE, content=b"x" * (2 << 20))) == (403, "forbidden")


def test_another_site_cannot_make_a_browser_change_a_script(admin: Client) -> None:
    for headers in ({"origin": "http://evil.test"}, {"sec-fetch-site": "cross-site"}):
        assert reason(admin("PUT", SITE, content=OTHER, headers=headers)) == (403, "cross_site")
    assert admin("GET", SITE).text == DEFAULT_SITE_SCRIPT


@pytest.mark.parametrize("scope", [None, "P1"])
@pytest.mark.parametrize("prefix", ["/data", "/REST"])
def test_the_configuration_service_tells_and_takes_the_same(
    admin: Client, site: Site, scope: str | None, prefix: str
) -> None:
    url = LEGACY[scope][0].replace("/data", prefix)
    assert admin("PUT", f"{url}?inbody=true", content=SCRIPT.encode()).status_code == 200
    response = admin("GET", f"{url}?format=json")
    (row,) = response.json()["ResultSet"]["Result"]
    newest = scripts.script_versions(site, scope)[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", row.pop("create_date"))
    assert row == {
        "tool": "anon",
        "path": "script" if scope is None else "/projects/P1",
        "project": scope or "",
        "user": "admin",
        "reason": "",
        "contents": SCRIPT,
        "unversioned": False,
        "version": newest["version"],
        "status": "enabled",
    }
    assert admin("GET", f"{url}?contents=true").text == SCRIPT
    assert admin("GET", f"{url}?meta=true").json()["ResultSet"]["Result"][0]["contents"] == ""
    assert reason(admin("PUT", url, content=BROKEN.encode())) == (400, "script_invalid")
    admin("PUT", url, content=OTHER.encode())
    older = admin("GET", f"{url}?contents=true&version={newest['version']}").text
    assert (older, admin("GET", f"{url}?contents=true&version=x").text) == (SCRIPT, OTHER)
    assert reason(admin("GET", f"{url}?version=12345")) == (404, "script_not_found")


@pytest.mark.parametrize("scope", [None, "P1"])
def test_the_configuration_service_switches_by_status(admin: Client, site: Site, scope: str | None) -> None:
    url = LEGACY[scope][0]
    admin("PUT", url, content=SCRIPT.encode())
    assert admin("PUT", f"{url}?status=disabled", content=OTHER.encode()).status_code == 200
    assert admin("GET", url).json()["ResultSet"]["Result"][0]["status"] == "disabled"
    assert reason(admin("GET", f"{url}?contents=true")) == (404, "script_not_found")
    assert reason(admin("PUT", f"{url}?status=enabled", content=BROKEN.encode())) == (400, "script_invalid")
    assert scripts.is_enabled(site, scope) is False
    assert admin("PUT", f"{url}?status=true").status_code == 200
    assert admin("GET", f"{url}?contents=true").text == SCRIPT
    admin("PUT", f"{url}?status=enabled", content=OTHER.encode())
    assert admin("GET", f"{url}?contents=true").text == OTHER
    assert reason(admin("PUT", f"{url}?status=perhaps")) == (400, "parameter_invalid")


def test_a_configuration_that_is_not_there_is_404(ada: Client) -> None:
    for url in (LEGACY["P1"][0], "/data/projects/P1/config/anon/script"):
        assert reason(ada("GET", url)) == (404, "script_not_found")
    for path in ("projects/P2", "other", "script/x"):
        for method in ("GET", "PUT"):
            response = ada(method, f"/data/projects/P1/config/anon/{path}")
            assert reason(response) == (404, "script_not_found")
    ada("PUT", "/data/projects/p1/config/anon//projects/p1", content=SCRIPT.encode())
    assert ada("GET", PROJECT).text == SCRIPT


@pytest.mark.parametrize("scope", [None, "P1"])
def test_config_edit_tells_and_takes_the_same(admin: Client, site: Site, scope: str | None) -> None:
    url = LEGACY[scope][1]
    if scope:
        for resource in ("script", "status"):
            assert admin("GET", f"{url}/{resource}").json() == {"ResultSet": {"Result": []}}
    assert admin("PUT", f"{url}/script?activate=false", content=SCRIPT.encode()).status_code == 200
    (row,) = admin("GET", f"{url}/script?format=json").json()["ResultSet"]["Result"]
    newest = scripts.script_versions(site, scope)[0]
    assert set(row) == {"project", "user", "create_date", "script", "id"}
    assert (row["project"], row["script"], row["id"]) == (scope or "-1", SCRIPT, str(newest["id"]))
    assert admin("GET", f"{url}/status").json()["ResultSet"]["Result"][0]["edit"] == "false"
    for resource in ("script", "status"):
        for state in ("true", "false"):
            assert admin("PUT", f"{url}/{resource}?activate={state}").status_code == 200
            assert admin("GET", f"{url}/status").json()["ResultSet"]["Result"][0]["edit"] == state
        assert reason(admin("PUT", f"{url}/{resource}?activate=x", content=OTHER)) == (400, "parameter_invalid")
    assert reason(admin("PUT", f"{url}/status")) == (400, "parameter_invalid")
    assert reason(admin("PUT", f"{url}/script", content=BROKEN)) == (400, "script_invalid")
    assert admin("GET", f"{url}/script").json()["ResultSet"]["Result"] == [row]


def test_a_script_is_checked_without_being_stored(ada: Client, stranger: Client, site: Site) -> None:
    before = scripts.script_versions(site)
    good = ada("POST", "/api/v1/scripts/check", json={"text": SCRIPT}).json()
    assert good == {"compiles": True, "error": None, "language": "6.x", "version": "6.3", "advice": []}
    broken = ada("POST", "/api/v1/scripts/check", json={"text": BROKEN}).json()
    assert (broken["compiles"], broken["error"]["code"]) == (False, "script_invalid")
    assert (broken["error"]["line"], broken["error"]["source"]) == (2, BROKEN.splitlines()[1])
    table = ada("POST", "/api/v1/scripts/check", json={"text": SCRIPT, "lookup": "a/b = c\nnonsense"}).json()
    assert (table["error"]["code"], table["error"]["line"]) == ("lookup_invalid", 2)
    odd = 'version "6.1"\n(0008,0070) ?= "a"\n'
    told = ada("POST", "/api/v1/scripts/check", json={"text": odd}).json()
    assert told["advice"]
    assert {"line", "sentence"} <= told["advice"][0].keys()
    assert reason(stranger("POST", "/api/v1/scripts/check", json={"text": SCRIPT})) == (401, "unauthenticated")
    for body in ({}, {"text": 1}, {"text": SCRIPT, "more": 1}):
        assert ada("POST", "/api/v1/scripts/check", json=body).status_code == 400
    assert scripts.script_versions(site) == before


def test_the_table_stays_beside_a_script_that_is_put(ada: Client, site: Site) -> None:
    scripts.store_script(site, "cli:root", SCRIPT, "P1", lookup="pid/1 = one\n")
    ada("PUT", PROJECT, content=OTHER.encode())
    stored = scripts.active_script(site, "P1")
    assert stored is not None
    assert (stored.text, stored.lookup) == (OTHER, "pid/1 = one\n")
