"""Projects, members, settings and scripts on a real catalog; every change leaves a line in the audit trail."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from inbox_pipeline.errors import Rejected
from inbox_pipeline.script import DEFAULT_SITE_SCRIPT
from inbox_pipeline.services import projects
from inbox_pipeline.services.accounts import create_user
from inbox_pipeline.services.site import Site, init_site
from inbox_pipeline.settings import read_settings
from inbox_pipeline.store.catalog.schema import audit

SCRIPT = 'version "6.3"\n(0010,0010) := subject\n'
OTHER = 'version "6.3"\n(0010,0020) := session\n'


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
    assert (made["prearchive_code"], made["policy"], made["members"]) == (4, "none", {"ann": "owner"})
    assert (site.settings.inbox_path / "Trial-1_a").is_dir()
    assert audited(site)[-1] == ("root", "project.create", "Trial-1_a", {"owner": "ann"})
    assert projects.list_projects(site) == [made]


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
        ({"policy": "basic"}, "policy_not_supported"),
        ({"policy": "other"}, "parameter_invalid"),
        ({"prearchive_code": 1}, "parameter_invalid"),
        ({"prearchive_code": "4"}, "parameter_invalid"),
        ({"quiet_seconds": -1.0}, "parameter_invalid"),
        ({"quiet_seconds": float("nan")}, "parameter_invalid"),
        ({"sweep": True}, "parameter_invalid"),
        ({"sweep_user": "nobody"}, "user_not_found"),
        ({"options": "retain-dates"}, "not_supported"),
        ({"strict_identifiers": True}, "not_supported"),
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


def test_the_default_script_is_stored_once_and_is_in_force(site: Site) -> None:
    projects.ensure_default_script(site)
    projects.ensure_default_script(site)
    stored = projects.active_script(site, None)
    assert stored is not None
    assert (stored.text, stored.enabled) == (DEFAULT_SITE_SCRIPT, True)
    assert projects.show_site(site)["script"]["version"] == 1
    projects.store_script(site, "root", SCRIPT)
    projects.ensure_default_script(site)
    assert projects.show_site(site)["script"]["version"] == 2


def test_a_projects_first_script_is_switched_on_and_the_switch_then_stays(site: Site) -> None:
    projects.create_project(site, "root", "P1")
    assert projects.active_script(site, "P1") is None
    first = projects.store_script(site, "root", SCRIPT, "p1")
    stored = projects.active_script(site, "P1")
    assert stored is not None
    assert (first["version"], stored.text, stored.enabled) == (1, SCRIPT, True)
    projects.set_project(site, "root", "P1", script_enabled=False)
    second = projects.store_script(site, "root", OTHER, "P1")
    stored = projects.active_script(site, "P1")
    assert stored is not None
    assert (second["version"], stored.text, stored.enabled) == (2, OTHER, False)
    assert projects.store_script(site, "root", OTHER, "P1") == second


def test_a_script_that_does_not_compile_is_refused_by_line_and_column(site: Site) -> None:
    projects.store_script(site, "root", SCRIPT)
    with pytest.raises(Rejected) as failure:
        projects.store_script(site, "root", 'version "6.3"\n(0010,0010 := subject\n')
    assert code_of(failure) == "script_invalid"
    assert failure.value.data["line"] == 2
    assert "line 2, column" in failure.value.sentence
    assert "\n" not in failure.value.sentence
    stored = projects.active_script(site, None)
    assert stored is not None
    assert stored.text == SCRIPT


def test_the_sites_switches_are_booleans_and_new_projects_start_from_them(site: Site) -> None:
    assert projects.show_site(site)["script_enabled"] is True
    assert projects.set_site(site, "root", script_enabled=False)["script_enabled"] is False
    assert audited(site)[-1] == ("root", "site.set", "site", {"script_enabled": False})
    for changes, code in (({"policy": "basic"}, "policy_not_supported"), ({"sweep": True}, "parameter_invalid")):
        with pytest.raises(Rejected) as failure:
            projects.set_site(site, "root", **changes)
        assert code_of(failure) == code
