"""Projects, members and settings on a real catalog; every change leaves a line in the audit trail."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.services import projects
from inbox_pipeline.services.accounts import create_user
from inbox_pipeline.services.site import Site, init_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog.schema import audit
from inbox_pipeline.store.catalog.schema import site as site_table


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return init_site(read_settings({}, home=tmp_path / "home"))


def audited(site: Site) -> list[tuple[str, str, str, dict[str, object]]]:
    with site.catalog.read() as connection:
        query = sa.select(audit.c.actor, audit.c.action, audit.c.object, audit.c.detail).order_by(audit.c.id)
        return [tuple(row) for row in connection.execute(query)]


def code_of(failure: pytest.ExceptionInfo[Rejected]) -> str:
    return failure.value.code


def test_a_new_project_is_auto_archiving_and_has_a_folder_in_the_inbox(site: Site) -> None:
    create_user(site, "system", "ann", "long enough")
    made = projects.create_project(site, "root", "Trial-1_a", title="A trial", owner="ann")
    assert (made["prearchive_code"], made["policy"], made["members"]) == (4, "basic", {"ann": "owner"})
    assert (site.settings.inbox_path / "Trial-1_a").is_dir()
    assert audited(site)[-1] == ("root", "project.create", "Trial-1_a", {"owner": "ann"})
    assert projects.list_projects(site) == [made]


def test_a_site_from_before_there_was_a_policy_keeps_none(site: Site) -> None:
    old = projects.create_project(site, "root", "P1")
    with site.catalog.write() as connection:
        connection.execute(sa.delete(site_table).where(site_table.c.name == "policy"))
    again = init_site(site.settings)
    assert projects.show_site(again)["policy"] == "none"
    assert projects.create_project(again, "root", "P2")["policy"] == "none"
    assert projects.create_project(again, "root", "P3", policy="basic")["policy"] == "basic"
    with pytest.raises(Rejected, match="policy"):
        projects.create_project(again, "root", "P4", policy="weak")
    assert "P4" not in [each["id"] for each in projects.list_projects(again)]
    assert projects.show_project(again, "P1")["policy"] == old["policy"] == "basic"


def test_ids_are_unique_without_case_and_if_missing_takes_only_the_very_same(site: Site) -> None:
    projects.create_project(site, "root", "P1", title="first")
    assert projects.create_project(site, "root", "P1", title="second", if_missing=True)["title"] == "first"
    for again in ({"project_id": "P1"}, {"project_id": "p1"}, {"project_id": "p1", "if_missing": True}):
        with pytest.raises(Rejected) as failure:
            projects.create_project(site, "root", **again)
        assert code_of(failure) == "label_taken_by_user"
    assert not (site.settings.inbox_path / "p1").exists()


@pytest.mark.parametrize("bad", ["", "a b", "a/b", "..", ".", "-x", "é", "a" * 65, "Unassigned", "a\n", "P.1"])
def test_an_illegal_id_creates_nothing(site: Site, bad: str) -> None:
    with pytest.raises(Rejected) as failure:
        projects.create_project(site, "root", bad)
    assert code_of(failure) == "name_illegal"
    assert projects.list_projects(site) == []
    assert list(site.settings.inbox_path.iterdir()) == []


def test_an_unknown_owner_creates_nothing(site: Site) -> None:
    with pytest.raises(Rejected) as failure:
        projects.create_project(site, "root", "P1", owner="nobody")
    assert code_of(failure) == "user_not_found"
    assert projects.list_projects(site) == []


def test_settings_change_one_by_one_and_are_audited(site: Site) -> None:
    create_user(site, "system", "ann", "long enough")
    projects.create_project(site, "root", "P1")
    changed = projects.set_project(
        site, "root", "p1", prearchive_code=0, sweep=True, sweep_user="ann", quiet_seconds=2.5, title=None
    )
    shown = {name: changed[name] for name in ("prearchive_code", "sweep", "sweep_user", "quiet_seconds", "title")}
    assert shown == {"prearchive_code": 0, "sweep": True, "sweep_user": "ann", "quiet_seconds": 2.5, "title": ""}
    assert audited(site)[-1][1:3] == ("project.set", "P1")
    before = len(audited(site))
    assert projects.set_project(site, "root", "P1") == changed
    assert len(audited(site)) == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"policy": "other"}, "parameter_invalid"),
        ({"prearchive_code": 1}, "parameter_invalid"),
        ({"prearchive_code": "4"}, "parameter_invalid"),
        ({"quiet_seconds": -1.0}, "parameter_invalid"),
        ({"quiet_seconds": float("nan")}, "parameter_invalid"),
        ({"sweep": True}, "parameter_invalid"),
        ({"sweep_user": "nobody"}, "user_not_found"),
        ({"options": "retain-dates"}, "parameter_invalid"),
        ({"options": "retain-longitudinal-full-dates,retain-longitudinal-modified-dates"}, "parameter_invalid"),
        ({"id": "P2"}, "parameter_invalid"),
        ({"title": "t" * 256}, "parameter_invalid"),
    ],
)
def test_a_refused_setting_changes_nothing(site: Site, changes: dict[str, object], code: str) -> None:
    before = projects.create_project(site, "root", "P1")
    with pytest.raises(Rejected) as failure:
        projects.set_project(site, "root", "P1", **{"title": "new", **changes})
    assert code_of(failure) == code
    assert projects.show_project(site, "P1") == before


def test_roles_are_given_changed_and_taken(site: Site) -> None:
    create_user(site, "system", "ann", "long enough")
    projects.create_project(site, "root", "P1")
    for role in ("collaborator", "member", "owner"):
        projects.set_member(site, "root", "P1", "ann", role)
        assert projects.show_project(site, "P1")["members"] == {"ann": role}
    projects.set_member(site, "root", "P1", "ann", "none")
    assert projects.show_project(site, "P1")["members"] == {}
    for refused, code in (
        (("P1", "ann", "king"), "parameter_invalid"),
        (("P1", "bob", "owner"), "user_not_found"),
        (("P2", "ann", "owner"), "project_not_found"),
    ):
        with pytest.raises(Rejected) as failure:
            projects.set_member(site, "root", *refused)
        assert code_of(failure) == code


def test_the_sites_switches_are_booleans_and_new_projects_start_from_them(site: Site) -> None:
    assert projects.show_site(site)["script_enabled"] is True
    assert projects.set_site(site, "root", script_enabled=False)["script_enabled"] is False
    assert audited(site)[-1] == ("root", "site.set", "site", {"script_enabled": False})
    for changes, code in (({"policy": "other"}, "parameter_invalid"), ({"sweep": True}, "parameter_invalid")):
        with pytest.raises(Rejected) as failure:
            projects.set_site(site, "root", **changes)
        assert code_of(failure) == code


def test_hosts_for_get_url_are_names_and_nothing_else(site: Site) -> None:
    assert projects.show_site(site)["url_hosts"] == ""
    assert (
        projects.set_site(site, "root", url_hosts="Ids.example.org,10.0.0.7")["url_hosts"] == "ids.example.org,10.0.0.7"
    )
    assert audited(site)[-1] == ("root", "site.set", "site", {"url_hosts": "Ids.example.org,10.0.0.7"})
    for bad in ("a,", ",a", "a b", "http://a", "a/b", "a:80", "u@a", "*", "-a", "a" * 254, "a," * 2048 + "a"):
        with pytest.raises(Rejected) as failure:
            projects.set_site(site, "root", url_hosts=bad)
        assert code_of(failure) == "parameter_invalid"
    assert projects.set_site(site, "root", url_hosts="")["url_hosts"] == ""
