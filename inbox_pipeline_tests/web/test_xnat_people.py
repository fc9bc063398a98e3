"""People over HTTP: XNAT's tables of users and members, roles on the site, the audit trail; and unmodified clients."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from inbox_pipeline.services import accounts, projects
from inbox_pipeline.services.site import Site

PASSWORD = "correct horse"
NAMELESS = {"firstname": "", "lastname": "", "email": ""}


@pytest.fixture
def cleo(site: Site) -> str:
    accounts.create_user(site, "admin", "cleo", PASSWORD, if_missing=True)
    projects.set_member(site, "test", "P1", "cleo", "none")
    return "cleo"


def _row(role: str, group: str, login: str) -> dict[str, str]:
    return {"GROUP_ID": f"P1_{role}", "displayname": group, "login": login, **NAMELESS}


@pytest.mark.parametrize("prefix", ["/data", "/data/archive", "/REST"])
def test_owners_give_and_take_roles(ada: Any, cleo: str, prefix: str) -> None:
    url = f"{prefix}/projects/P1/users"
    added = ada("PUT", f"{url}/Collaborators/{cleo}")
    rows = [_row("owner", "Owners", "ada"), _row("collaborator", "Collaborators", cleo)]
    assert added.status_code == 200
    assert (
        added.json() == ada("GET", f"{url}?format=json").json() == {"ResultSet": {"Result": rows, "totalRecords": "2"}}
    )
    promoted = ada("PUT", f"{url}/p1_MEMBER/{cleo}").json()["ResultSet"]["Result"]
    assert promoted == [rows[0], _row("member", "Members", cleo)]
    assert ada("DELETE", f"{url}/Collaborators/{cleo}").status_code == 404
    assert ada("DELETE", f"{url}/Members/{cleo}").json()["ResultSet"]["Result"] == rows[:1]


def test_groups_and_users_that_there_are_not(ada: Any, cleo: str) -> None:
    for group in ("Everybody", "P2_owner", "s"):
        assert ada("PUT", f"/data/projects/P1/users/{group}/{cleo}").status_code == 400
    for login in ("nobody", "%00", "%FF", "%F0%9F%98%80"):
        answer = ada("PUT", f"/data/projects/P1/users/Members/{login}")
        assert (answer.status_code, answer.headers["X-Inbox-Reason"]) == (404, "user_not_found")


def test_everybody_is_told_the_own_login_and_roles(ada: Any, stranger: Any) -> None:
    token = ada("GET", "/data/services/tokens/issue").json()
    pair = (token["alias"], token["secret"])
    assert stranger("GET", "/xapi/users/username", auth=pair).text == "ada"
    assert stranger("GET", "/xapi/access/projects", auth=pair).json() == [{"ID": "P1", "role": "Owners"}]


def test_administrators_list_users(admin: Any, site: Site) -> None:
    known = accounts.list_users(site)
    assert admin("GET", "/xapi/users").json() == [user["login"] for user in known]
    rows = admin("GET", "/data/users").json()["ResultSet"]["Result"]
    assert rows[0] == {"xdat_user_id": str(known[0]["id"]), "login": known[0]["login"], **NAMELESS}


def test_project_owners_see_the_requests_of_their_project(site: Site, ada: Any, bob: Any, admin: Any, app: Any) -> None:
    accounts.create_user(site, "admin", "mel", PASSWORD)
    projects.set_member(site, "admin", "P1", "mel", "member")
    folder = site.settings.inbox_path / "P1" / "of-mel"
    folder.mkdir()
    (folder / "readme.txt").write_text("not DICOM")
    order = {"path": str(folder), "project": "P1"}
    number = ada("POST", "/api/v1/requests", json=order, auth=("mel", PASSWORD)).json()["id"]
    for url in (f"/xapi/dicom/{number}", f"/api/v1/requests/{number}", f"/api/v1/requests/{number}/ledger"):
        assert [client("GET", url).status_code for client in (ada, admin, bob)] == [200, 200, 404]
    for url in ("/xapi/dicom/list/active", "/xapi/dicom/list/all"):
        seen = [number in {item["id"] for item in client("GET", url).json()} for client in (ada, admin, bob)]
        assert seen == [True, True, False]
    assert bob("POST", f"/api/v1/requests/{number}/cancel").status_code == 404
    assert ada("POST", f"/api/v1/requests/{number}/cancel").status_code == 202


def test_every_change_is_in_the_audit_trail_with_who_made_it(ada: Any, admin: Any, bob: Any, cleo: str) -> None:
    ada("PUT", f"/data/projects/P1/users/Members/{cleo}")
    ada("DELETE", f"/data/projects/P1/users/Members/{cleo}")
    token = admin("GET", "/data/services/tokens/issue/user/ada").json()
    admin("GET", f"/data/services/tokens/invalidate/{token['alias']}/{token['secret']}")
    ada("GET", "/api/v1/projects/P1/linking")
    lines = admin("GET", "/api/v1/audit?limit=5").json()["lines"]
    assert [(line["actor"], line["action"], line["object"], line["detail"]) for line in lines] == [
        ("ada", "linking.read", "P1", {}),
        ("admin", "token.invalidate", "ada", {"alias": token["alias"]}),
        ("admin", "token.issue", "ada", {"alias": token["alias"]}),
        ("ada", "project.member", "P1", {"user": cleo, "role": "none"}),
        ("ada", "project.member", "P1", {"user": cleo, "role": "member"}),
    ]
    assert token["secret"] not in str(lines)
    assert bob("GET", "/api/v1/audit").status_code == 403


def test_the_audit_trail_is_read_in_pages_and_by_what_is_asked_for(admin: Any) -> None:
    first = admin("GET", "/api/v1/audit?limit=2").json()
    second = admin("GET", f"/api/v1/audit?limit=1000&before={first['next']}").json()
    whole = admin("GET", "/api/v1/audit?limit=1000").json()["lines"]
    assert first["lines"] + second["lines"] == whole
    assert second["next"] is None
    assert {line["action"] for line in admin("GET", "/api/v1/audit?action=user").json()["lines"]} <= {
        line["action"] for line in whole if line["action"].startswith("user.")
    }
    chosen = admin("GET", "/api/v1/audit?action=user.create&object=ada&actor=admin").json()["lines"]
    assert [line["object"] for line in chosen] == ["ada"]
    at = {"since": chosen[0]["at"], "until": chosen[0]["at"]}
    assert chosen[0] in admin("GET", "/api/v1/audit", params={"since": at["since"]}).json()["lines"]
    assert admin("GET", "/api/v1/audit", params=at).json()["lines"] == []


BAD_QUERIES = ["limit=0", "limit=1001", "before=0", "before=x", "since=yesterday", "since=2026-01-01", "actor=%00"]
BAD_QUERIES += ["since=0.5", "until=1767225600", "until=0001-01-01T00:00:00%2B14:00", "since=9999-12-31T23:59:59-14:00"]


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_an_audit_that_cannot_be_asked_for(admin: Any, query: str) -> None:
    assert admin("GET", f"/api/v1/audit?{query}").status_code == 400


@pytest.mark.services
@pytest.mark.filterwarnings("ignore")
def test_xnatpy_lists_users_and_gives_access(xnat: Any, url: str, cleo: str) -> None:
    with xnat.connect(url, user="ada", password=PASSWORD, no_parse_model=True) as session:
        assert dict(session.users) == {}
        session.put(f"/data/archive/projects/P1/users/Collaborators/{cleo}")
        members = xnat.users.Users(session, path="/data/archive/projects/P1/users")
        assert (members[cleo].access_level, members[cleo].group) == ("Collaborators", "P1_collaborator")
        assert session.access_levels == {"P1": "Owners"}
        session.delete(f"/data/archive/projects/P1/users/{members[cleo].access_level}/{cleo}")
    with xnat.connect(url, user="admin", password=PASSWORD, no_parse_model=True) as session:
        assert {"admin", "ada", cleo} <= set(session.users)


@pytest.mark.services
@pytest.mark.filterwarnings("ignore")
def test_pyxnat_lists_users_and_gives_access(url: str, cleo: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyxnat import Interface
    interface = Interface(server=url, user="admin", password=PASSWORD)
    assert {"admin", "ada", cleo} <= set(interface.manage.users())
    assert interface.manage.users.email(cleo) == ""
    project = interface.select.project("P1")
    project.add_user(cleo, "collaborator")
    assert {"ada", cleo} <= set(project.users())
    assert (project.owners(), project.collaborators(), project.user_role(cleo)) == (["ada"], [cleo], "collaborator")
    project.remove_user(cleo)
    assert cleo not in project.users()
