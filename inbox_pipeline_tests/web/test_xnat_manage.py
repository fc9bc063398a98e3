"""Projects, subjects and auto-archive codes made and set over XNAT's addresses, by those who may."""

from __future__ import annotations

import sqlalchemy as sa

from inbox_pipeline.services import projects
from inbox_pipeline.services.site import Site
from inbox_pipeline.store.catalog.schema import audit
from inbox_pipeline_tests.web.conftest import Client


def audited(site: Site, action: str) -> list[tuple[str, str]]:
    with site.catalog.read() as connection:
        query = sa.select(audit.c.actor, audit.c.object).where(audit.c.action == action).order_by(audit.c.id)
        return [(row.actor, row.object) for row in connection.execute(query)]


def test_administrators_make_projects(admin: Client, ada: Client, stranger: Client, site: Site) -> None:
    for client, status in ((stranger, 401), (ada, 403)):
        assert client("PUT", "/data/projects/NEW").status_code == status
    made = admin("PUT", "/data/projects/NEW?xsiType=xnat:projectData&xnat:projectData/name=A%20name&req_format=qs")
    assert (made.status_code, made.text) == (201, "NEW")
    assert admin("GET", "/data/projects?ID=NEW").json()["ResultSet"]["Result"][0]["name"] == "A name"
    assert (site.settings.inbox_path / "NEW").is_dir()
    again = admin("PUT", "/REST/projects/new?name=Another")
    assert (again.status_code, again.text) == (200, "NEW")
    assert projects.show_project(site, "NEW")["title"] == "Another"
    assert admin("PUT", "/data/archive/projects/NEW").status_code == 200
    assert projects.show_project(site, "NEW")["title"] == "Another"
    for name in ("a%20b", "Unassigned", "x" * 65, "a%00"):
        assert admin("PUT", f"/data/projects/{name}").status_code == 400
    assert ("admin", "NEW") in audited(site, "project.create")


def test_members_make_subjects(admin: Client, ada: Client, bob: Client, site: Site) -> None:
    url = "/data/projects/P1/subjects/S1"
    assert bob("PUT", url).status_code == 404
    projects.set_member(site, "admin", "P1", "bob", "collaborator")
    assert bob("PUT", url).status_code == 403
    projects.set_member(site, "admin", "P1", "bob", "member")
    made = bob("PUT", f"{url}?xsiType=xnat:subjectData&xnat:subjectData/label=S1")
    assert (made.status_code, made.text) == (201, "INBOX_S00001")
    for name in ("s1", "INBOX_S00001"):
        again = ada("PUT", f"/data/archive/projects/P1/subjects/{name}")
        assert (again.status_code, again.text) == (200, "INBOX_S00001")
    projects.set_member(site, "admin", "P1", "bob", "none")
    assert ada("GET", "/data/projects/P1/subjects/S1").json()["items"][0]["data_fields"]["label"] == "S1"
    assert ada("PUT", "/data/projects/P1/subjects/a%20b").status_code == 400
    assert ada("PUT", "/data/projects/P1/subjects/NONE?label=S2").status_code == 400
    assert admin("PUT", "/data/projects/P7/subjects/S1").status_code == 404
    assert audited(site, "subject.create") == [("bob", "INBOX_S00001")]


def test_owners_set_the_auto_archive_code(ada: Client, bob: Client, site: Site) -> None:
    url = "/data/projects/P1/prearchive_code"
    assert ada("GET", url).text == "4"
    for code in (0, 5, 4):
        assert ada("PUT", f"{url}/{code}").status_code == 200
        assert ada("GET", url.replace("/data/", "/REST/")).text == str(code)
    for code in ("1", "x", "-1", "99999", "²"):
        assert ada("PUT", f"{url}/{code}").status_code == 400
    assert bob("GET", url).status_code == 404
    projects.set_member(site, "admin", "P1", "bob", "member")
    assert (bob("GET", url).text, bob("PUT", f"{url}/0").status_code) == ("4", 403)
    projects.set_member(site, "admin", "P1", "bob", "none")
